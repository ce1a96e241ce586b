"""Reading what clients post, within bounds, and judging it before anything is changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

import pydantic
from aiohttp import web

from server.errors import InvalidError, TooBigError, UnsupportedMediaError
from server.generation.ingest import judge
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders
from server.streaming.wire import shown


# The largest JSON body: a prompt of 2,000 characters, escaped, with room.
MAX_JSON_BYTES = 64 * 1024
_READ_BYTES = 256 * 1024

Model = TypeVar("Model", bound=pydantic.BaseModel)


async def read_json(request: web.Request) -> dict[str, Any]:
    """Read a JSON object; an empty body is an empty object.

    Raises:
        UnsupportedMediaError: If the body is not said to be JSON.
        TooBigError: If it is over `MAX_JSON_BYTES`.
        InvalidError: If it is no JSON object.
    """
    if not request.can_read_body:
        return {}
    if request.content_type != "application/json":
        # A form of a foreign page can post any type but this one without being asked.
        raise UnsupportedMediaError(
            f"content type must be application/json, got {request.content_type!r:.80}", field="content-type"
        )
    body = await read_bytes(request, MAX_JSON_BYTES)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise InvalidError(f"the body is not valid JSON: {exc}", field="body") from exc
    if not isinstance(value, dict):
        raise InvalidError(f"the body must be a JSON object, got {type(value).__name__}", field="body")
    return value


async def read_bytes(request: web.Request, limit_bytes: int) -> bytes:
    """Read a body; nothing is allocated for one that says it is too big.

    Raises:
        TooBigError: If it is over the limit.
    """
    if (request.content_length or 0) > limit_bytes:
        raise TooBigError(
            f"body of {request.content_length} bytes exceeds the limit of {limit_bytes}", field="body"
        )
    chunks: list[bytes] = []
    size = 0
    while chunk := await request.content.readany():
        size += len(chunk)
        if size > limit_bytes:
            raise TooBigError(f"body exceeds the limit of {limit_bytes} bytes", field="body")
        chunks.append(chunk)
    return b"".join(chunks)


async def read_image(request: web.Request) -> EncodedImage:
    """Read an image that is posted as raw bytes with its content type.

    Raises:
        UnsupportedMediaError: If it is not said to be an image, or is none that we take.
        TooBigError: If its bytes or its pixels are over the limit.
        InvalidError: If it is cut short or broken; a JPEG file is judged by its header and its end only.
    """
    if request.content_type not in ("image/jpeg", "image/png", "image/webp", "application/octet-stream"):
        raise UnsupportedMediaError(
            f"content type must be image/jpeg, image/png or image/webp, got {request.content_type!r:.80}",
            field="content-type",
        )
    data = await read_bytes(request, encoders.MAX_IMAGE_BYTES)
    return await judge(data)


def parse(model: type[Model], body: dict[str, Any]) -> Model:
    """Read a body by its model.

    Raises:
        InvalidError: If a field is wrong: names the first one, with its value and what is accepted.
    """
    try:
        return model.model_validate(body)
    except pydantic.ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in error["loc"]) or "body"
        message = str(error["msg"]).removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            known = ", ".join(_model_at(model, error["loc"][:-1]).model_fields)
            raise InvalidError(f"{field} is not known here; accepted are {known}", field=field) from exc
        got = "" if error["type"] == "missing" else f", got {shown(error['input'])}"
        raise InvalidError(f"{field}: {message[:1].lower()}{message[1:]}{got}", field=field) from exc


def _model_at(model: type[pydantic.BaseModel], place: Sequence[int | str]) -> type[pydantic.BaseModel]:
    """Return the model of an object within a body, by the names and numbers that lead to it."""
    for part in place:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        if field is not None:
            model = _model_in(field.annotation) or model
    return model


def _model_in(annotation: Any) -> type[pydantic.BaseModel] | None:
    """Return the model that a type speaks of, such as `Model | None` or `list[Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)

"""The bodies that the routes take: how they are read, and what each field may be."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pydantic
import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from images import image_file

from server.errors import InvalidError, TooBigError, UnsupportedMediaError
from server.generation.job import Kind
from server.streaming.canvas import CanvasConfig
from server.streaming.images import encoders
from server.web.bodies import MAX_JSON_BYTES, parse, read_bytes, read_image, read_json
from server.web.canvas_requests import CanvasBody, CanvasPatch
from server.web.requests import SEEDS, GenerateBody, JobsBody, PlaylistBody, PromptBody


def posted(*chunks: bytes, content_type: str = "application/json", **headers: str) -> web.Request:
    """Return a request with a body that comes in pieces."""
    # The protocol is only asked to pause and resume reading.
    stream = StreamReader(Mock(_reading_paused=False), 2**20, loop=asyncio.get_running_loop())
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("POST", "/", {"Content-Type": content_type, **named}, payload=stream)


async def test_json_is_read_however_it_is_cut_into_pieces() -> None:
    body = json.dumps({"prompt": "a fox in the snow, ünïcode"}).encode()

    whole = await read_json(posted(body))
    in_bytes = await read_json(posted(*(body[index : index + 1] for index in range(len(body)))))

    assert whole == in_bytes == {"prompt": "a fox in the snow, ünïcode"}


async def test_no_body_is_an_empty_object() -> None:
    assert await read_json(posted()) == {}


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "image/png"],
)
async def test_json_that_is_not_said_to_be_json_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaError, match="application/json") as told:
        await read_json(posted(b"{}", content_type=content_type))

    assert told.value.field == "content-type"


async def test_a_charset_may_be_told() -> None:
    assert await read_json(posted(b"{}", content_type="application/json; charset=utf-8")) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b"[]",
        b'"prompt"',
        b"7",
        b'{"a": 1} {}',
        b"\xff\xfe\xfd",
        b'{"a": "\xff"}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"seed": ' + b"9" * 5000 + b"}",
    ],
)
async def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidError, match="the body") as told:
        await read_json(posted(body))

    assert told.value.field == "body"


async def test_a_body_over_the_limit_is_refused_whether_it_says_so_or_not() -> None:
    assert len(await read_bytes(posted(b"x" * 100), 100)) == 100
    with pytest.raises(TooBigError, match="101 bytes exceeds the limit of 100"):
        await read_bytes(posted(b"", Content_Length="101"), 100)
    with pytest.raises(TooBigError, match="limit of 100 bytes"):
        await read_bytes(posted(*[b"x" * 60] * 2), 100)
    with pytest.raises(TooBigError):
        await read_json(posted(b" " * (MAX_JSON_BYTES + 1)))


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp"])
async def test_an_image_is_read_by_its_bytes_and_not_by_what_it_is_called(format_: str) -> None:
    for content_type in (f"image/{format_}", "image/png", "application/octet-stream"):
        image = await read_image(posted(image_file(format_), content_type=content_type))

        assert (image.format, image.width, image.height) == (format_, 32, 24)


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "image/gif", "multipart/form-data"])
async def test_what_is_not_said_to_be_an_image_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaError, match="image/jpeg, image/png or image/webp") as told:
        await read_image(posted(image_file(), content_type=content_type))

    assert told.value.field == "content-type"


async def test_an_image_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(TooBigError):
        await read_image(
            posted(b"", content_type="image/png", Content_Length=str(encoders.MAX_IMAGE_BYTES + 1))
        )


WHOLE_PROMPT = {
    "prompt": "  a fox  ",
    "negative_prompt": "blurry",
    "mode": "variations",
    "count": 64,
    "fps": 60,
    "seed": SEEDS - 1,
    "steps": 100,
    "guidance_scale": 20,
    "width": 4096,
    "height": 64,
    "model": "procedural",
    "style": "oil",
    "strength": 1,
    "source": "current",
    "mask": "an-upload",
    "template": "photo",
    "upscale": 4,
    "transition_s": 600,
    "when": "queue",
    "author": "Ada",
    "message": "hello",
}


def test_every_field_of_a_prompt_reaches_its_job() -> None:
    body = parse(PromptBody, WHOLE_PROMPT)

    job = body.job(canvas="left", session="session", source=b"image", mask=b"mask")

    assert set(WHOLE_PROMPT) == set(PromptBody.model_fields)
    assert (job.kind, job.canvas, job.session, job.count) == (Kind.VARIATIONS, "left", "session", 64)
    assert (job.author, job.message, job.fps, job.transition_s) == ("Ada", "hello", 60.0, 600.0)
    order = job.order
    assert (order.prompt, order.negative_prompt, order.seed) == ("a fox", "blurry", SEEDS - 1)
    assert (order.steps, order.guidance_scale, order.width, order.height) == (100, 20.0, 4096, 64)
    assert (order.model, order.style, order.strength, order.source) == ("procedural", "oil", 1.0, b"image")
    assert order.request_id == job.id
    assert (order.mask, order.template, order.upscale) == (b"mask", "photo", 4)
    assert job.warnings == []


def test_a_prompt_alone_is_enough() -> None:
    body = parse(PromptBody, {"prompt": "x"})
    one, other = body.job(canvas="left"), body.job(canvas="left")

    assert (one.kind, one.count, body.when, body.source) == (Kind.LIVE, 1, "now", "none")
    assert one.order.seed is not None
    assert 0 <= one.order.seed < SEEDS
    assert one.order.seed != other.order.seed
    assert one.session != other.session


def test_a_strength_without_a_source_is_warned_of() -> None:
    job = parse(PromptBody, {"prompt": "x", "strength": 0.5}).job(canvas=None)

    assert job.warnings == ["strength was not used: there is no source image"]


def test_a_count_is_for_variations_only() -> None:
    assert parse(PromptBody, {"prompt": "x", "mode": "once", "count": 9}).job(canvas=None).count == 1


def wrong(field: str, *values: Any) -> list[tuple[str, Any]]:
    return [(field, value) for value in values]


NO_NUMBERS: tuple[Any, ...] = ("1", True, False, [1], {}, float("nan"), float("inf"), 10**400)
WRONG_PROMPT = [
    *wrong("prompt", None, 1, True, [], {}, "", "   ", "x" * 2001, b"x"),
    *wrong("negative_prompt", None, 1, "x" * 2001),
    *wrong("mode", None, "LIVE", "playlist", 1),
    *wrong("mask", 1, "x" * 101),
    *wrong("template", 1, "x" * 201),
    *wrong("upscale", *NO_NUMBERS, 0, 3, 8, 2.0),
    *wrong("count", *NO_NUMBERS, None, 0, 65, 1.5, -1),
    *wrong("fps", *NO_NUMBERS, 0, 0.09, 60.1, -1),
    *wrong("seed", *NO_NUMBERS, -1, SEEDS, 1.5),
    *wrong("steps", *NO_NUMBERS, 0, 101, 1.5),
    *wrong("guidance_scale", *NO_NUMBERS, -0.1, 20.1),
    *wrong("width", *NO_NUMBERS, 0, 56, 63, 65, 4104, 100.0),
    *wrong("height", *NO_NUMBERS, 0, 56, 63, 65, 4104),
    *wrong("model", 1, [], "x" * 201),
    *wrong("style", 1, [], "x" * 201),
    *wrong("strength", *NO_NUMBERS, 0, 1.01, -0.5),
    *wrong("source", None, 1, "x" * 101),
    *wrong("transition_s", *NO_NUMBERS, None, -1, 601),
    *wrong("when", None, "later", 1),
    *wrong("author", 1, "x" * 201),
    *wrong("message", 1, "x" * 2001),
]
CASES: list[tuple[type[pydantic.BaseModel], dict[str, Any], str, Any]] = [
    *((PromptBody, {"prompt": "x"}, field, value) for field, value in WRONG_PROMPT),
    *(
        (JobsBody, {"prompt": "x"}, field, value)
        for field, value in [
            *wrong("canvas", 1, "", "Left", "a/b", "a\n", "x" * 65),
            *wrong("canvases", None, "left", {}),
        ]
    ),
    *(
        (GenerateBody, {"prompt": "x"}, field, value)
        for field, value in [
            *wrong("prompt", None, ""),
            *wrong("num_inference_steps", *NO_NUMBERS, 0, 101),
            *wrong("num_images", *NO_NUMBERS, 0, 65),
            *wrong("guidance_scale", "7.5", -1),
            *wrong("seed", -1),
        ]
    ),
    *(
        (PlaylistBody, {"folder": "trip"}, field, value)
        for field, value in [
            *wrong("folder", None, "", 1, "x" * 256),
            *wrong("fps", *NO_NUMBERS, 0, 61),
            *wrong("loop", None, 1, "true"),
            *wrong("when", "later"),
        ]
    ),
    *(
        (CanvasBody, {"slug": "left"}, field, value)
        for field, value in [
            *wrong("slug", None, 1, "", "Left", "-a", "a\n", "x" * 65),
            *wrong("width", *NO_NUMBERS, 65),
            *wrong("fps", *NO_NUMBERS, 0),
            *wrong("format", "gif", 1),
            *wrong("quality", *NO_NUMBERS, 0, 101),
            *wrong("paused", 1, "true"),
            *wrong("blank", 0, "no"),
            *wrong("present_delay_ms", "100", True, 1.5, -1, 5001),
        ]
    ),
]


@pytest.mark.parametrize(
    ("model", "body", "field", "value"),
    CASES,
    ids=[f"{model.__name__}.{field}={value!r:.20}" for model, _, field, value in CASES],
)
def test_a_wrong_value_is_told_by_the_name_of_its_field(
    model: type[pydantic.BaseModel], body: dict[str, Any], field: str, value: Any
) -> None:
    with pytest.raises(InvalidError, match=f"^{field}: ") as told:
        parse(model, {**body, field: value})

    assert told.value.field == field
    assert len(str(told.value)) < 300


@pytest.mark.parametrize(
    ("model", "field"), [(PromptBody, "prompt"), (PlaylistBody, "folder"), (CanvasBody, "slug")]
)
def test_a_field_that_is_missing_is_named(model: type[pydantic.BaseModel], field: str) -> None:
    with pytest.raises(InvalidError, match=f"{field}: field required") as told:
        parse(model, {})

    assert told.value.field == field


@pytest.mark.parametrize("name", ["promt", "Prompt", "x" * 5000, ""])
def test_a_field_that_is_not_known_is_named_with_those_that_are(name: str) -> None:
    with pytest.raises(InvalidError, match="accepted are prompt, negative_prompt") as told:
        parse(PromptBody, {"prompt": "x", name: 1})

    assert told.value.field is not None


def test_the_place_of_a_wrong_item_is_told() -> None:
    with pytest.raises(InvalidError) as told:
        parse(JobsBody, {"prompt": "x", "canvases": ["left", "Right"]})

    assert told.value.field == "canvases.1"


def test_half_a_letter_is_refused() -> None:
    for body, field in (({"prompt": "\ud800"}, "prompt"), ({"prompt": "x", "\ud800": 1}, "body")):
        with pytest.raises(InvalidError) as told:
            parse(PromptBody, body)

        assert told.value.field == field
        str(told.value).encode()


@pytest.mark.parametrize("depth", [10, 400, 900])
def test_a_value_nested_deep_is_refused_as_any_other(depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]

    with pytest.raises(InvalidError, match=r"^prompt: "):
        parse(PromptBody, {"prompt": value})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*PromptBody.model_fields, "canvas", "canvases"]) | st.text(max_size=5),
        anything,
        max_size=5,
    )
)
def test_whatever_object_is_posted_it_is_a_body_or_a_named_field(body: dict[str, Any]) -> None:
    for model in (PromptBody, JobsBody, GenerateBody, PlaylistBody, CanvasPatch, CanvasBody):
        try:
            parse(model, body)
        except InvalidError as exc:
            told = exc
        else:
            continue
        assert told.field is not None


def test_jobs_name_each_canvas_once() -> None:
    body = parse(JobsBody, {"prompt": "x", "canvas": "b", "canvases": ["a", "b", "a"]})

    assert body.slugs == ["b", "a"]
    assert parse(JobsBody, {"prompt": "x"}).slugs == [None]
    assert parse(JobsBody, {"prompt": "x"}).mode == "once"


def test_the_call_of_the_first_programs_is_said_in_the_words_of_today() -> None:
    said = {
        "prompt": "A serene mountain landscape at sunset",
        "negative_prompt": "blurry, low quality",
        "num_inference_steps": 30,
        "guidance_scale": 7.5,
        "num_images": 1,
    }

    one = parse(GenerateBody, said).prompt_body()
    several = parse(GenerateBody, {**said, "num_images": 3}).prompt_body()

    assert (one.mode, one.steps, one.guidance_scale) == ("once", 30, 7.5)
    assert one.negative_prompt == "blurry, low quality"
    assert (several.mode, several.count) == ("variations", 3)


def test_only_what_is_named_of_a_canvas_is_changed() -> None:
    patch = parse(CanvasPatch, {"fps": 30, "blank": False, "present_delay_ms": 0})

    changes = patch.apply(CanvasConfig(), CanvasConfig())

    assert changes == {"fps": 30.0, "blank": False, "present_delay_ms": 0}


def test_null_is_what_a_new_canvas_has() -> None:
    default = CanvasConfig(width=640, height=480, fps=7.0)
    current = CanvasConfig(
        width=64, height=64, fps=1.0, format="png", quality=1, paused=True, blank=True, present_delay_ms=9
    )
    names = [name for name in CanvasPatch.model_fields if getattr(current, name) != getattr(default, name)]

    changes = parse(CanvasPatch, dict.fromkeys(CanvasPatch.model_fields)).apply(current, default)

    assert len(names) == 8
    assert replace(current, **changes) == default


def test_a_new_canvas_takes_the_rest_from_the_default() -> None:
    default = CanvasConfig(width=640, height=480, fps=7.0, quality=50)

    config = parse(CanvasBody, {"slug": "left", "fps": 30, "format": "webp", "present_delay_ms": 0}).config(
        default
    )

    assert config == CanvasConfig(640, 480, fps=30.0, quality=50, format="webp", present_delay_ms=0)

"""Canvases over HTTP: list, make, change, remove, and what is shown on them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from server.errors import ConflictError, InvalidError, UnknownCanvasError
from server.generation.job import Job, Kind
from server.generation.picture import PictureOrder
from server.generation.slides import pictures_in
from server.streaming.canvas import Canvas
from server.streaming.frame import EncodedImage
from server.streaming.registry import check_slug
from server.web.bodies import parse, read_json
from server.web.canvas_requests import CanvasBody, CanvasPatch
from server.web.keys import PARTS, Parts
from server.web.requests import PlaylistBody, PromptBody


routes = web.RouteTableDef()


@routes.get("/canvases")
async def list_canvases(request: web.Request) -> web.Response:
    """List the canvases, temporary ones included."""
    return web.json_response({"canvases": request.app[PARTS].registry.to_json()})


@routes.post("/canvases")
async def create_canvas(request: web.Request) -> web.Response:
    """Make a lasting canvas: 201."""
    parts = request.app[PARTS]
    body = parse(CanvasBody, await read_json(request))
    canvas = parts.registry.create(body.slug, body.config(parts.registry.default))
    return web.json_response(
        {"canvas": canvas.to_json()}, status=201, headers={"Location": f"/canvases/{canvas.slug}"}
    )


@routes.get("/canvases/{slug}")
async def show_canvas(request: web.Request) -> web.Response:
    """Describe a canvas."""
    return web.json_response({"canvas": _canvas(request).to_json()})


@routes.patch("/canvases/{slug}")
async def change_canvas(request: web.Request) -> web.Response:
    """Change a canvas; what is painted follows at once."""
    canvas = _canvas(request)
    patch = parse(CanvasPatch, await read_json(request))
    canvas.configure(**patch.apply(canvas.config, request.app[PARTS].registry.default))
    return web.json_response({"canvas": canvas.to_json()})


@routes.delete("/canvases/{slug}")
async def delete_canvas(request: web.Request) -> web.Response:
    """Remove a canvas; its screens are sent away."""
    canvas = request.app[PARTS].registry.remove(request.match_info["slug"])
    return web.json_response({"canvas": canvas.to_json()})


@routes.post("/canvases/{slug}/prompt")
async def post_prompt(request: web.Request) -> web.Response:
    """Paint a prompt on a canvas: 202 with the job. A canvas that is not there is made."""
    slug = check_slug(request.match_info["slug"])
    raw = await read_json(request)
    body = parse(PromptBody, raw)
    jobs = await start_prompts(request, body, raw, [slug])
    return accepted(request.app[PARTS], jobs)


@routes.post("/canvases/{slug}/playlist")
async def post_playlist(request: web.Request) -> web.Response:
    """Show a folder of pictures on a canvas: 202 with the job."""
    parts = request.app[PARTS]
    slug = check_slug(request.match_info["slug"])
    body = parse(PlaylistBody, await read_json(request))
    # Looking into the folder now tells a wrong name now.
    await asyncio.get_running_loop().run_in_executor(
        parts.executor, pictures_in, parts.settings.media_root, body.folder
    )
    canvas = parts.registry.ensure(slug, is_temporary=False)
    job = Job(
        kind=Kind.PLAYLIST,
        order=PictureOrder(prompt=""),
        canvas=canvas.slug,
        fps=body.fps,
        folder=body.folder,
        loop=body.loop,
    )
    return accepted(parts, [parts.desk.submit(job, now=body.when == "now")])


async def start_prompts(
    request: web.Request, body: PromptBody, raw: dict[str, Any], slugs: Sequence[str | None]
) -> list[Job]:
    """Start one job per canvas, all in one session; a repeat by its key starts none.

    Raises:
        InvalidError: If a name in the body means nothing.
        ServerFullError: If a canvas or its queue is full.
    """
    parts = request.app[PARTS]
    await parts.offers.check(
        model=body.model,
        style=body.style,
        template=body.template,
        width=body.width,
        height=body.height,
        steps=body.steps,
        upscale=body.upscale,
    )
    key = request.headers.get("Idempotency-Key")
    known = parts.repeats.find(key, (request.path, raw))
    if known is not None:
        return known
    # From here on nothing is awaited, and all is judged first: the jobs start all or none.
    # Two names of one canvas are one.
    targets = list(dict.fromkeys(parts.registry.resolve(slug) if slug else None for slug in slugs))
    sources = [_source(parts, body.source, slug) for slug in targets]
    mask = _mask(parts, body)
    parts.registry.check_room([slug for slug in targets if slug])
    parts.desk.check_room(targets, now=body.when == "now")
    jobs: list[Job] = []
    session: str | None = None
    for slug, source in zip(targets, sources, strict=True):
        canvas = parts.registry.ensure(slug, is_temporary=False) if slug else None
        job = body.job(canvas=canvas.slug if canvas else None, session=session, source=source, mask=mask)
        session = job.session
        jobs.append(parts.desk.submit(job, now=body.when == "now"))
    parts.repeats.note(key, (request.path, raw), jobs)
    return jobs


def _source(parts: Parts, source: str, slug: str | None) -> bytes | None:
    """Return the image that a prompt starts from: the current one as it was painted or pushed.

    What its canvas does to pictures is not in it: the next one would be tinted twice, and so on.

    Raises:
        InvalidError: If there is no such image.
        ConflictError: If the canvas has shown nothing to start from.
    """
    if source == "none":
        return None
    image: EncodedImage | None = None
    if source == "current":
        with contextlib.suppress(UnknownCanvasError):
            newest = parts.registry.get(slug).newest if slug else None
            image = newest.image if newest else None
        if image is None:
            raise ConflictError("there is no current picture to start from", field="source")
        return image.data
    image = parts.uploads.get(source)
    if image is None:
        raise InvalidError("source must be 'none', 'current' or the id of an uploaded image", field="source")
    return image.data


def _mask(parts: Parts, body: PromptBody) -> bytes | None:
    """Return the image that tells where a prompt paints.

    Raises:
        InvalidError: If there is no such image, or nothing that it could keep.
    """
    if body.mask is None:
        return None
    if body.source == "none":
        raise InvalidError("mask needs a source: it tells what of that is painted", field="mask")
    image = parts.uploads.get(body.mask)
    if image is None:
        raise InvalidError("mask must be the id of an uploaded image", field="mask")
    return image.data


def accepted(parts: Parts, jobs: list[Job]) -> web.Response:
    """Answer 202 with the jobs that a request has started."""
    described = [parts.desk.describe(job) for job in jobs]
    body: dict[str, Any] = {"job": described[0]}
    if len(described) > 1:
        body["jobs"] = described
    return web.json_response(body, status=202, headers={"Location": f"/jobs/{jobs[0].id}"})


def _canvas(request: web.Request) -> Canvas:
    return request.app[PARTS].registry.get(request.match_info["slug"])

"""Jobs over HTTP: history, progress, results, cancelling; the queues of canvases."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import web

from server.errors import InvalidError, NotFoundError
from server.generation.events import ListenerTooSlow
from server.generation.finite import preview_id
from server.generation.job import Job, State
from server.streaming.frame import MEDIA_TYPES, EncodedImage
from server.web.bodies import parse, read_image, read_json
from server.web.canvases import accepted, start_prompts
from server.web.endings import cut_off_after
from server.web.keys import PARTS, Parts
from server.web.requests import JobsBody


routes = web.RouteTableDef()

DEFAULT_PAGE = 50
MAX_PAGE = 1000
# Proxies cut connections that are silent for a minute.
KEEP_ALIVE_S = 15.0


@routes.get("/jobs")
async def list_jobs(request: web.Request) -> web.Response:
    """List jobs, newest first: ``?canvas=``, ``?session=``, ``?state=``, ``?limit=``."""
    parts = request.app[PARTS]
    query = request.query
    limit = _limit(query.get("limit"))
    state = query.get("state")
    if state is not None and state not in set(State):
        raise InvalidError(f"state must be one of {', '.join(State)}, got {state!r:.80}", field="state")
    found: list[dict[str, Any]] = []
    for job in parts.desk.store.newest_first():
        if len(found) >= limit:
            break
        if (
            query.get("canvas") in (None, job.canvas)
            and query.get("session") in (None, job.session)
            and state in (None, job.state)
        ):
            found.append(parts.desk.describe(job))
    return web.json_response({"jobs": found})


def _limit(value: str | None) -> int:
    if value is None:
        return DEFAULT_PAGE
    if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= MAX_PAGE:
        raise InvalidError(f"limit must be a number from 1 to {MAX_PAGE}, got {value!r:.80}", field="limit")
    return int(value)


@routes.post("/jobs")
async def post_jobs(request: web.Request) -> web.Response:
    """Start a job on each of the canvases named, or one without a canvas: 202."""
    raw = await read_json(request)
    body = parse(JobsBody, raw)
    slugs = body.slugs
    if slugs == [None]:
        if body.mode == "live":
            raise InvalidError("mode must be once or variations where no canvas is named", field="mode")
        if body.source == "current":
            raise InvalidError("source current needs a canvas", field="source")
    return accepted(request.app[PARTS], await start_prompts(request, body, raw, slugs))


@routes.get("/jobs/{id}")
async def show_job(request: web.Request) -> web.Response:
    """Describe a job."""
    parts, job = _job(request)
    return web.json_response({"job": parts.desk.describe(job)})


@routes.delete("/jobs/{id}")
async def cancel_job(request: web.Request) -> web.Response:
    """Cancel a job; one that has ended stays as it is."""
    parts, job = _job(request)
    parts.desk.cancel(job)
    with contextlib.suppress(TimeoutError):
        # A live job ends after its frame, others at once.
        async with asyncio.timeout(1.0):
            await job.ended.wait()
    return web.json_response({"job": parts.desk.describe(job)})


@routes.get("/jobs/{id}/images/{n}")
async def show_image(request: web.Request) -> web.Response:
    """Return a result, numbered from 0."""
    parts, job = _job(request)
    number = request.match_info["n"]
    index = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else -1
    if not 0 <= index < len(job.results):
        raise NotFoundError(f"job {job.id} has {len(job.results)} images, numbered from 0", field="n")
    return _image_response(parts.results.get(job.results[index].image_id))


@routes.get("/jobs/{id}/preview")
async def show_preview(request: web.Request) -> web.Response:
    """Return how the picture looks now: a result, a preview of one, or the canvas's newest frame."""
    parts, job = _job(request)
    image = parts.results.get(job.results[-1].image_id) if job.results else None
    image = image or parts.results.get(preview_id(job))
    if image is None and job.canvas and job.state is State.RUNNING:
        with contextlib.suppress(NotFoundError):
            newest = parts.registry.get(job.canvas).newest
            image = newest.image if newest and newest.job == job.id else None
    response = _image_response(image)
    response.headers["Cache-Control"] = "no-store"
    return response


def _image_response(image: EncodedImage | None) -> web.Response:
    if image is None:
        raise NotFoundError("this image is not there: not painted yet, or no longer kept")
    return web.Response(
        body=image.data,
        content_type=MEDIA_TYPES[image.format],
        headers={"Cache-Control": "private, max-age=31536000, immutable"},
    )


@routes.get("/jobs/{id}/events")
async def job_events(request: web.Request) -> web.StreamResponse:
    """Tell a job's progress as server-sent events, until it has ended."""
    parts, job = _job(request)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    with parts.bus.listen() as listener:
        await response.prepare(request)
        is_end_told = job.is_ended
        await _write(request, response, _event(parts, job))
        while not is_end_told and not parts.is_stopping.is_set():
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    event = await listener.next()
            except TimeoutError:
                await _write(request, response, b": still there\n\n")
            except ListenerTooSlow:
                break
            else:
                if event.job is job:
                    is_end_told = job.is_ended
                    await _write(request, response, _event(parts, job))
    await response.write_eof()
    return response


async def _write(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Write, and cut a peer off that does not read."""
    with cut_off_after(request, request.app[PARTS].settings.send_deadline_s):
        await response.write(data)


def _event(parts: Parts, job: Job) -> bytes:
    return b"event: job\ndata: " + json.dumps(parts.desk.describe(job)).encode() + b"\n\n"


@routes.post("/images")
async def upload_image(request: web.Request) -> web.Response:
    """Keep a source image: 201 with its id."""
    parts = request.app[PARTS]
    image = await read_image(request)
    # Decoded here once: a broken file is told to who sends it, not to who paints from it.
    await asyncio.get_running_loop().run_in_executor(parts.executor, _check_decodes, image)
    image_id = parts.uploads.put(image)
    return web.json_response(
        {"image": {"id": image_id, "width": image.width, "height": image.height, "format": image.format}},
        status=201,
    )


def _check_decodes(image: EncodedImage) -> None:
    from server.streaming.images import encoders

    encoders.decode(image.data)


@routes.get("/canvases/{slug}/queue")
@routes.get("/queue")
async def show_queue(request: web.Request) -> web.Response:
    """Describe a canvas's running job and those that wait."""
    parts = request.app[PARTS]
    slug = _queue_slug(request)
    lane = parts.desk.lane(slug)
    return web.json_response(
        {
            "canvas": parts.registry.get(slug).slug,
            "active": parts.desk.describe(lane.running) if lane.running else None,
            "length": len(lane),
            "waiting": [parts.desk.describe(job) for job in lane.waiting],
        }
    )


@routes.post("/canvases/{slug}/queue/skip")
@routes.post("/queue/skip")
async def skip(request: web.Request) -> web.Response:
    """End the running job; the next one begins."""
    parts = request.app[PARTS]
    job = parts.desk.skip(_queue_slug(request))
    return web.json_response({"skipped": parts.desk.describe(job)})


@routes.post("/canvases/{slug}/queue/clear")
@routes.post("/queue/clear")
async def clear(request: web.Request) -> web.Response:
    """End the waiting jobs; the running one goes on."""
    parts = request.app[PARTS]
    jobs = parts.desk.clear(_queue_slug(request))
    return web.json_response({"cleared": [parts.desk.describe(job) for job in jobs]})


def _queue_slug(request: web.Request) -> str:
    return request.match_info.get("slug") or request.app[PARTS].settings.stage


def _job(request: web.Request) -> tuple[Parts, Job]:
    parts = request.app[PARTS]
    return parts, parts.desk.get(request.match_info["id"])

"""The addresses of the first programs: the call that generates, and the two test addresses."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from server.errors import ConflictError, InvalidError
from server.generation.job import Job, Kind
from server.generation.picture import PictureOrder
from server.generation.slides import SAMPLES, load, pictures_in
from server.streaming.clock import now_ms
from server.streaming.registry import check_slug
from server.web.bodies import parse, read_json
from server.web.canvases import accepted, start_prompts
from server.web.keys import PARTS
from server.web.requests import GenerateBody, PromptBody


routes = web.RouteTableDef()

MAX_TEST_IMAGES = 10_000
# What /test-inference paints where no prompt is given, and how many pictures.
TEST_PROMPT = "a lighthouse above a stormy sea, golden light"
TEST_COUNT = 4


@routes.post("/api/generate")
async def generate(request: web.Request) -> web.Response:
    """Start a job without a canvas and tell its session: 200."""
    parts = request.app[PARTS]
    raw = await read_json(request)
    body = parse(GenerateBody, raw)
    (job,) = await start_prompts(request, body.prompt_body(), raw, [None])
    return web.json_response(
        {
            "session_id": job.session,
            "status": "started",
            "message": "Generation started; follow it at /ws or /jobs/{id}",
            "job": parts.desk.describe(job),
        }
    )


@routes.get("/test-stream/{slug}/{num_images}/{fps}")
async def test_stream(request: web.Request) -> web.Response:
    """Show a number of sample pictures on a canvas at a rate: 202 with the job."""
    parts = request.app[PARTS]
    slug = check_slug(request.match_info["slug"])
    number = _number(request.match_info["num_images"], "num_images", 1, MAX_TEST_IMAGES)
    fps = _number(request.match_info["fps"], "fps", 0.1, 60.0)
    if number != int(number):
        raise InvalidError(f"num_images must be a whole number, got {number}", field="num_images")
    canvas = parts.registry.ensure(slug, is_temporary=False)
    job = Job(
        kind=Kind.TEST,
        order=PictureOrder(prompt=""),
        canvas=canvas.slug,
        source="test",
        count=int(number),
        fps=fps,
        folder=SAMPLES,
    )
    return accepted(parts, [parts.desk.submit(job)])


def _number(text: str, name: str, low: float, high: float) -> float:
    # `float` would take more than anybody means: spaces, lines' ends, "1_0".
    value = float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else float("nan")
    if not low <= value <= high:
        raise InvalidError(f"{name} must be a number from {low:g} to {high:g}, got {text!r:.40}", field=name)
    return value


@routes.get("/test-inference")
async def test_inference(request: web.Request) -> web.Response:
    """Show a sample on the left canvas and paint a prompt on the right one: 202 with the job."""
    parts = request.app[PARTS]
    body = parse(
        PromptBody,
        {"prompt": request.query.get("prompt", TEST_PROMPT), "mode": "variations", "count": TEST_COUNT},
    )
    right = next((canvas for canvas in parts.registry if canvas.slug == "right"), None)
    if right is None or not right.subscribers:
        raise ConflictError("No active connections for right canvas")
    left = parts.registry.ensure("left", is_temporary=False)
    loop = asyncio.get_running_loop()
    files = await loop.run_in_executor(parts.executor, pictures_in, parts.settings.media_root, SAMPLES)
    sample = await loop.run_in_executor(parts.executor, load, files[0])
    parts.desk.supersede(left.slug)
    left.publish(sample, timestamp_ms=now_ms(), final=True)
    job = body.job(canvas=right.slug)
    job.source = "test"
    return accepted(parts, [parts.desk.submit(job)])

"""Whether the server lives, whether it can paint, and everything else that it knows of itself."""

from __future__ import annotations

import asyncio
import json
import platform
import time
from concurrent.futures import Executor
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web

from server.errors import InvalidError, UnauthorizedError
from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.images.encoders import JPEG_ENCODER
from server.streaming.summary import summarise
from server.web.access import COOKIE, COOKIE_S
from server.web.bodies import read_json
from server.web.keys import PARTS, Parts


routes = web.RouteTableDef()

PROBE_S = 1.0
# Screens that are described before others have their turn on the event loop: each takes 0.2 ms.
ROWS_IN_A_ROW = 2


def _version() -> str:
    try:
        return version("psyche")
    except PackageNotFoundError:
        return "unknown"


VERSION = _version()


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    """Tell that the process answers."""
    return web.json_response({"status": "ok", "version": VERSION})


@routes.get("/ready")
async def ready(request: web.Request) -> web.Response:
    """Tell whether pictures can be painted: 200, or 503 while the inference service is away."""
    parts = request.app[PARTS]
    is_serving = await parts.client.is_serving(deadline_s=PROBE_S)
    body = {"status": "ready" if is_serving else "waiting", "inference": is_serving}
    return web.json_response(body, status=200 if is_serving else 503)


@routes.get("/state")
async def state(request: web.Request) -> web.Response:
    """Tell everything: canvases with their traffic, the inference service, the process."""
    text = await _written(await read_state(request.app[PARTS]))
    return web.Response(text=text, content_type="application/json")


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Tell Prometheus the same; seeing is free here as everywhere."""
    parts = request.app[PARTS]
    text, content_type = await parts.metrics.text(
        request.headers.get("Accept", ""), lambda: read_state(parts)
    )
    return web.Response(body=text, headers={"Content-Type": content_type})


async def read_state(parts: Parts) -> dict[str, Any]:
    """Read what there is to tell, letting frames pass in between."""
    return {
        "version": VERSION,
        "python": platform.python_version(),
        "server_time_ms": now_ms(),
        "started_ms": parts.started_ms,
        "jpeg_encoder": JPEG_ENCODER,
        "inference": await _inference(parts),
        "canvases": await _canvases(parts),
        "limits": {
            "canvases": parts.registry.max_canvases,
            "subscribers_per_canvas": parts.registry.max_subscribers,
        },
        "counters": asdict(parts.counters),
        "encoder": {"waiting": _waiting(parts.executor)},
        "loop_lag_ms": parts.lag.state(),
        "process": parts.resources.read(),
    }


async def _written(state: dict[str, Any]) -> str:
    """Write the state as JSON in slices: a thousand screens are a megabyte, written in 10 ms."""
    canvases: list[str] = []
    for slug, canvas in state["canvases"].items():
        rows: list[str] = []
        for position, subscriber in enumerate(canvas["subscribers"]):
            if position % (16 * ROWS_IN_A_ROW) == 0:
                await asyncio.sleep(0)
            rows.append(json.dumps(subscriber))
        others = json.dumps({name: value for name, value in canvas.items() if name != "subscribers"})
        canvases.append(f'{json.dumps(slug)}: {others[:-1]}, "subscribers": [{", ".join(rows)}]}}')
    others = json.dumps({name: value for name, value in state.items() if name != "canvases"})
    return f'{others[:-1]}, "canvases": {{{", ".join(canvases)}}}}}'


async def _canvases(parts: Parts) -> dict[str, Any]:
    """Read the canvases that are there, each when its turn comes: some may go meanwhile."""
    described: dict[str, Any] = {}
    for canvas in parts.registry:
        if canvas in parts.registry:
            described[canvas.slug] = await _canvas(parts, canvas)
    return described


async def _canvas(parts: Parts, canvas: Canvas) -> dict[str, Any]:
    """Read a canvas that is there now; what is told of it stands even if it goes while this waits."""
    # All that is looked up by its name comes before the first await.
    queue, ingest = _queue(parts, canvas.slug), _ingest(parts, canvas.slug)
    # A copy: screens come and go while this waits.
    subscribers = sorted(canvas.subscribers, key=lambda subscriber: subscriber.number)
    rows: list[dict[str, Any]] = []
    for position, subscriber in enumerate(subscribers):
        if position % ROWS_IN_A_ROW == 0:
            await asyncio.sleep(0)
        rows.append({**subscriber.state(time.monotonic()), **subscriber.ages.state(now_ms())})
    return {
        **canvas.to_json(),
        **canvas.counters(lists_subscribers=False),
        "queue": queue,
        "ingest": ingest,
        "subscribers_connected": len(subscribers),
        "screens": summarise(rows),
        "subscribers": rows,
    }


def _waiting(executor: Executor) -> int | None:
    """Return how much waits for a thread, where the executor can tell."""
    queue = getattr(executor, "_work_queue", None)
    return None if queue is None else queue.qsize()


def _queue(parts: Parts, slug: str) -> dict[str, Any]:
    lane = parts.desk.lane(slug)
    return {"length": len(lane), "running": lane.running.id if lane.running else None}


def _ingest(parts: Parts, slug: str) -> dict[str, int] | None:
    """Count what the source that pushes pictures has sent; None while there is none."""
    job = parts.desk.lane(slug).running
    feed = job.feed if job else None
    if feed is None:
        return None
    return {"accepted": feed.accepted, "dropped": feed.dropped, "refused": feed.refused}


async def _inference(parts: Parts) -> dict[str, Any]:
    child = parts.describe_child() if parts.describe_child else None
    return {
        "serving": await parts.client.is_serving(deadline_s=PROBE_S),
        "address": child["address"] if child else parts.settings.inference,
        "embedded": child is not None,
        "child": child,
    }


@routes.get("/models")
async def models(request: web.Request) -> web.Response:
    """List the models that the inference service offers."""
    offers = await request.app[PARTS].offers.get()
    return web.json_response(
        {
            "models": [asdict(model) for model in offers.models],
            "default": offers.default_model,
            "device": offers.device,
        }
    )


@routes.get("/styles")
async def styles(request: web.Request) -> web.Response:
    """List the styles and prompt templates that the inference service offers."""
    offers = await request.app[PARTS].offers.get()
    return web.json_response(
        {
            "styles": [asdict(style) for style in offers.styles],
            "templates": [asdict(template) for template in offers.templates],
        }
    )


@routes.post("/login")
async def login(request: web.Request) -> web.Response:
    """Exchange the token for a cookie that no page can read."""
    access = request.app[PARTS].access
    token = (await read_json(request)).get("token")
    if not isinstance(token, str):
        raise InvalidError("token must be a string", field="token")
    if not access.is_token(token):
        raise UnauthorizedError("this is not the token", field="token")
    response = web.json_response({"authorised": True})
    if access.needs_token:
        response.set_cookie(
            COOKIE,
            access.cookie_value(),
            max_age=COOKIE_S,
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
    return response

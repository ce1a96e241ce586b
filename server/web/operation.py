"""Whether the server lives, whether it can paint, and everything else that it knows of itself."""

from __future__ import annotations

import asyncio
import json
import platform
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web

from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.images.encoders import JPEG_ENCODER
from server.streaming.summary import summarise
from server.web.keys import PARTS, Parts
from server.web.queries import canvas_of, subscriber_of, switch


routes = web.RouteTableDef()

PROBE_S = 1.0
# Screens that are described before others have their turn on the event loop: each takes 0.2 ms.
ROWS_IN_A_ROW = 2
# Screens of a canvas whose ages are read where the rows are left out: a page that asks every two seconds
# must not cost more with every screen.
AGED_SCREENS = 32
_UNKNOWN_AGE = {"age": {"p50": None, "p99": None}}


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
    """Tell everything: canvases with their traffic, the inference service, the process.

    `?canvas=` tells of that canvas only, `?subscribers=0` leaves the rows of its screens out, and
    `?subscriber=` all but one of them: the list is empty where that one has gone.
    """
    parts = request.app[PARTS]
    lists_subscribers = switch(request, "subscribers", default=True)
    number = subscriber_of(request)
    canvas = canvas_of(request, parts.registry)
    chosen = parts.registry if canvas is None else (canvas,)
    told = await read_state(parts, chosen, lists_subscribers=lists_subscribers, only=number)
    text = await _written(told)
    return web.Response(text=text, content_type="application/json")


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Tell Prometheus the same; seeing is free here as everywhere."""
    parts = request.app[PARTS]
    text, content_type = await parts.metrics.text(
        request.headers.get("Accept", ""), lambda: read_state(parts)
    )
    return web.Response(body=text, headers={"Content-Type": content_type})


async def read_state(
    parts: Parts,
    chosen: Iterable[Canvas] | None = None,
    *,
    lists_subscribers: bool = True,
    only: int | None = None,
) -> dict[str, Any]:
    """Read what there is to tell, letting frames pass in between.

    Args:
        parts: Of the application.
        chosen: The canvases to tell of; None: all.
        lists_subscribers: Whether each screen is told of, too.
        only: The number of the one screen that is told of then; None: all.
    """
    return {
        "version": VERSION,
        "python": platform.python_version(),
        "server_time_ms": now_ms(),
        "started_ms": parts.started_ms,
        "jpeg_encoder": JPEG_ENCODER,
        "inference": await _inference(parts),
        "canvases": await _canvases(
            parts,
            parts.registry if chosen is None else chosen,
            lists_subscribers=lists_subscribers,
            only=only,
        ),
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
        if isinstance(canvas["subscribers"], int):
            canvases.append(f"{json.dumps(slug)}: {json.dumps(canvas)}")
            continue
        rows: list[str] = []
        for position, subscriber in enumerate(canvas["subscribers"]):
            if position % (16 * ROWS_IN_A_ROW) == 0:
                await asyncio.sleep(0)
            rows.append(json.dumps(subscriber))
        others = json.dumps({name: value for name, value in canvas.items() if name != "subscribers"})
        canvases.append(f'{json.dumps(slug)}: {others[:-1]}, "subscribers": [{", ".join(rows)}]}}')
    others = json.dumps({name: value for name, value in state.items() if name != "canvases"})
    return f'{others[:-1]}, "canvases": {{{", ".join(canvases)}}}}}'


async def _canvases(
    parts: Parts, chosen: Iterable[Canvas], *, lists_subscribers: bool, only: int | None
) -> dict[str, Any]:
    """Read the canvases that are there, each when its turn comes: some may go meanwhile."""
    described: dict[str, Any] = {}
    for canvas in tuple(chosen):
        if canvas in parts.registry:
            described[canvas.slug] = await _canvas(
                parts, canvas, lists_subscribers=lists_subscribers, only=only
            )
    return described


async def _canvas(
    parts: Parts, canvas: Canvas, *, lists_subscribers: bool, only: int | None
) -> dict[str, Any]:
    """Read a canvas that is there now; what is told of it stands even if it goes while this waits."""
    # All that is looked up by its name comes before the first await.
    queue, ingest = _queue(parts, canvas.slug), _ingest(parts, canvas.slug)
    # A copy: screens come and go while this waits.
    subscribers = sorted(canvas.subscribers, key=lambda subscriber: subscriber.number)
    # Where nobody looks at each of them, some tell how all fare.
    lists_all = lists_subscribers and only is None
    stride = 1 if lists_all else -(-len(subscribers) // AGED_SCREENS)
    rows: list[dict[str, Any]] = []
    for position, subscriber in enumerate(subscribers):
        is_sampled = position % stride == 0
        is_aged = is_sampled or subscriber.number == only
        if is_sampled and position // stride % ROWS_IN_A_ROW == 0:
            await asyncio.sleep(0)
        ages = subscriber.ages.state(now_ms()) if is_aged else _UNKNOWN_AGE
        rows.append({**subscriber.state(time.monotonic()), **ages})
    listed = [row for row in rows if only in (None, row["number"])]
    return {
        **canvas.to_json(),
        **canvas.counters(lists_subscribers=False),
        "queue": queue,
        "ingest": ingest,
        "subscribers_connected": len(subscribers),
        "screens": summarise(rows),
        **({"subscribers": listed} if lists_subscribers else {}),
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

"""Whether the server lives, whether it can paint, and everything else that it knows of itself."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from aiohttp import web

from server.errors import InvalidError, UnauthorizedError
from server.streaming.clock import now_ms
from server.streaming.images.encoders import JPEG_ENCODER
from server.web.access import COOKIE, COOKIE_S
from server.web.bodies import read_json
from server.web.keys import PARTS, Parts


routes = web.RouteTableDef()

PROBE_S = 1.0


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
    parts = request.app[PARTS]
    return web.json_response(
        {
            "version": VERSION,
            "python": platform.python_version(),
            "server_time_ms": now_ms(),
            "started_ms": parts.started_ms,
            "jpeg_encoder": JPEG_ENCODER,
            "inference": await _inference(parts),
            "canvases": {
                canvas.slug: {**canvas.to_json(), **canvas.counters(), "queue": _queue(parts, canvas.slug)}
                for canvas in parts.registry
            },
            "limits": {
                "canvases": parts.registry.max_canvases,
                "subscribers_per_canvas": parts.registry.max_subscribers,
            },
            "counters": asdict(parts.counters),
            "process": parts.resources.read(),
        }
    )


def _queue(parts: Parts, slug: str) -> dict[str, Any]:
    lane = parts.desk.lane(slug)
    return {"length": len(lane), "running": lane.running.id if lane.running else None}


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

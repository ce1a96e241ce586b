"""The pages, and the files they are made of."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from server.streaming.registry import check_slug


CLIENT = Path(__file__).resolve().parent.parent.parent / "client"

routes = web.RouteTableDef()


@routes.get("/")
async def wall(request: web.Request) -> web.StreamResponse:
    """Show the wall of lasting canvases."""
    return web.FileResponse(CLIENT / "index.html")


@routes.get("/c/{slug}")
async def canvas(request: web.Request) -> web.StreamResponse:
    """Show one canvas."""
    check_slug(request.match_info["slug"])
    return web.FileResponse(CLIENT / "index.html")


@routes.get("/favicon.ico")
async def favicon(request: web.Request) -> web.Response:
    """Answer what every browser asks for; the pages name their own icon."""
    return web.Response(status=204)


def add_static(app: web.Application) -> None:
    """Serve the files below `client/`."""
    app.router.add_static("/static", CLIENT, append_version=False)

"""The pages, and the files they are made of."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from server.errors import InvalidError, NotFoundError
from server.streaming.registry import check_slug


CLIENT = Path(__file__).resolve().parent.parent.parent / "client"

routes = web.RouteTableDef()


@routes.get("/")
async def wall(request: web.Request) -> web.StreamResponse:
    """Show the wall of lasting canvases."""
    return web.FileResponse(CLIENT / "wall.html")


@routes.get("/c/{slug}")
async def canvas(request: web.Request) -> web.StreamResponse:
    """Show one canvas."""
    return _page_of_canvas(request, "wall.html")


@routes.get("/stage/{slug}")
async def stage(request: web.Request) -> web.StreamResponse:
    """Show a canvas with what is told of it, for a broadcast."""
    return _page_of_canvas(request, "stage.html")


def _page_of_canvas(request: web.Request, name: str) -> web.StreamResponse:
    """Show a page of one canvas; a bad slug is told by the wall to a person, and as JSON to others."""
    try:
        check_slug(request.match_info["slug"])
    except InvalidError:
        if "text/html" not in request.headers.get("Accept", ""):
            raise
        return web.FileResponse(CLIENT / "wall.html", status=400)
    return web.FileResponse(CLIENT / name)


@routes.get("/studio")
@routes.get("/test/websocket")
async def studio(request: web.Request) -> web.StreamResponse:
    """Show the page that a show is run from."""
    return web.FileResponse(CLIENT / "studio.html")


@routes.get("/favicon.ico")
async def favicon(request: web.Request) -> web.Response:
    """Answer what every browser asks for; the pages name their own icon."""
    return web.Response(status=204)


def add_static(app: web.Application) -> None:
    """Serve the files that are below `client/` now, by name: no path of a client's is ever opened."""
    files = {path.relative_to(CLIENT).as_posix(): path for path in CLIENT.rglob("*") if path.is_file()}

    async def static(request: web.Request) -> web.StreamResponse:
        path = files.get(request.match_info["name"])
        if path is None:
            raise NotFoundError(f"there is no file {request.path!r:.80}")
        return web.FileResponse(path)

    app.router.add_get("/static/{name:.*}", static)

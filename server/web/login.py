"""Coming in and going out again: the token becomes a cookie that no page can read."""

from __future__ import annotations

from aiohttp import web

from server.errors import InvalidError, UnauthorizedError
from server.web.access import COOKIE, COOKIE_S
from server.web.bodies import read_json
from server.web.keys import PARTS


routes = web.RouteTableDef()


@routes.get("/login")
async def show_login(request: web.Request) -> web.Response:
    """Tell whether a token is needed here, and whether this request shows it."""
    access = request.app[PARTS].access
    return web.json_response(
        {"needs_token": access.needs_token, "authorised": access.is_authorised(request)},
        # It tells of this browser's cookie, which may be another one a moment later.
        headers={"Cache-Control": "no-store"},
    )


@routes.post("/login")
async def login(request: web.Request) -> web.Response:
    """Exchange the token for a cookie that no page can read."""
    access = request.app[PARTS].access
    token = (await read_json(request)).get("token")
    if not isinstance(token, str):
        raise InvalidError("token must be a string", field="token")
    if not access.is_token(token, request.remote):
        raise UnauthorizedError("this is not the token", field="token")
    response = web.json_response({"authorised": True})
    if access.needs_token:
        response.set_cookie(
            COOKIE,
            access.cookie,
            max_age=COOKIE_S,
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
    return response


@routes.post("/logout")
async def logout(request: web.Request) -> web.Response:
    """Take the cookie away from this browser, if it has one."""
    response = web.json_response({"authorised": not request.app[PARTS].access.needs_token})
    response.del_cookie(COOKIE, httponly=True, samesite="Strict", secure=request.secure)
    return response

"""What every request passes: access, errors as JSON, the headers that keep pages safe."""

from __future__ import annotations

import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from server.errors import PsycheError, TooManyError, UnauthorizedError
from server.web.keys import PARTS


log = structlog.get_logger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
# A page may listen, stay awake and fill the screen; what it embeds may not, and nothing else is used.
PERMISSIONS_POLICY = (
    "microphone=(self), screen-wake-lock=(self), fullscreen=(self), "
    "camera=(), geolocation=(), display-capture=(), payment=(), usb=(), midi=()"
)
# A worker is bound by the policy of its own script's answer.
_POLICED = frozenset({"text/html", "text/javascript", "application/javascript"})
# What aiohttp itself answers, in the words of our errors.
_CODES = {400: "invalid", 404: "not_found", 405: "method_not_allowed", 413: "too_big", 503: "unavailable"}


@web.middleware
async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request in if it may come in, and tell errors as JSON."""
    started_s = time.monotonic()
    try:
        request.app[PARTS].access.check(request)
        response = await handler(request)
    except PsycheError as exc:
        field = getattr(exc, "field", None)
        response = error(exc.status, exc.code, str(exc), field)
        if isinstance(exc, UnauthorizedError):
            response.headers["WWW-Authenticate"] = "Bearer"
        if isinstance(exc, TooManyError):
            response.headers["Retry-After"] = str(exc.retry_after_s)
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        response = error(exc.status, _CODES.get(exc.status, "http"), exc.reason.lower(), None)
        for name in ("Allow",):
            if name in exc.headers:
                response.headers[name] = exc.headers[name]
    except Exception as exc:
        response = error(500, "internal", "internal error", None)
        if isinstance(exc, ConnectionError) and _is_gone(request):
            # The client broke off while it sent or read: nobody is there to be told.
            return response
        # The outermost boundary of a handler: a bug is logged whole and told as little.
        log.exception("request failed", method=request.method, path=request.path)
    if response.status >= 400:
        request.app[PARTS].tally.count(f"requests refused with {response.status}")
        log.debug(
            "request refused",
            method=request.method,
            path=request.path,
            status=response.status,
            ms=round((time.monotonic() - started_s) * 1000.0, 1),
        )
    return response


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def error(status: int, code: str, message: str, field: str | None) -> web.Response:
    """Make an error answer."""
    about = {"code": code, "message": message}
    if field:
        about["field"] = field
    return web.json_response({"error": about}, status=status)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Keep pages from being framed, sniffed or fed with foreign scripts."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if response.content_type in _POLICED:
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    if response.content_type == "text/html":
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
    # Browsers ask whether a file has changed: after an upgrade no page runs with old modules.
    response.headers.setdefault("Cache-Control", "no-cache")

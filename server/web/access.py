"""Who may do what: hosts, origins and the token, before any handler runs.

The server is meant for one machine or one trusted network, and every page of the Web can send
requests to it from a browser inside. So: the Host header must be one of ours (DNS rebinding), an
Origin must be our own or allowed by name, and `null` is nobody's. Viewing is free; every change
of state needs the token where one is set.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets

from aiohttp import web

from server.errors import ForbiddenError, UnauthorizedError
from server.settings import Settings
from server.web.guesses import Guesses


COOKIE = "psyche_login"
# What a show may last; the cookie ends with the server that gave it, if that is sooner.
COOKIE_S = 30 * 24 * 3600
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]*)?")
# Whether the token that a request shows is right.
_JUDGED = web.RequestKey("_JUDGED", bool)
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What changes nothing but the cookie of who calls it.
_FREE = frozenset({"/login", "/logout"})
# GET routes that change something: the customer's test addresses, and pictures coming in.
_CHANGING_GETS = re.compile(
    r"/test-stream/.*|/test-inference.*|/canvases/.*/ingest",
    # A path may hold any character, a line's end included.
    re.DOTALL,
)


class Access:
    """Judges requests by the settings. Pure: it reads headers and answers or raises.

    Attributes:
        guesses: The wrong tokens that were shown.
    """

    def __init__(self, settings: Settings) -> None:
        self.guesses = Guesses()
        self._token = settings.token.get_secret_value() if settings.token else None
        # Of this process alone: one made of the token could be computed by everybody who tries words, and
        # would be a way around the limit.
        self._cookie = secrets.token_hex(32)
        own = {f"[{settings.host}]" if ":" in settings.host else settings.host}
        self._hosts = {host.lower() for host in (*_LOOPBACK, *own, *settings.allowed_hosts)}
        # Whoever listens on any address without naming hosts has said that everybody may come in.
        self._is_any_host = settings.insecure and not settings.is_loopback and not settings.allowed_hosts
        # Names can be bound to any address, addresses cannot: whoever calls by address means this one.
        self._is_open = not settings.is_loopback
        self._origins = frozenset(origin.lower() for origin in settings.allowed_origins)

    @property
    def needs_token(self) -> bool:
        """Whether a token is set."""
        return self._token is not None

    def check(self, request: web.BaseRequest) -> None:
        """Judge a request.

        Raises:
            ForbiddenError: If its host or its origin is not allowed.
            UnauthorizedError: If it changes something without the token.
            TooManyError: If it shows a token where too many wrong ones came from, whatever it asks for: any
                other answer would tell whether this one is right.
        """
        self.check_host(request)
        self.check_origin(request)
        if self._bearer(request) is not None:
            self.is_authorised(request)
        if not changes_state(request):
            return
        if request.method in _SAFE_METHODS and request.headers.get("Sec-Fetch-Site") in (
            "cross-site",
            "same-site",
        ):
            raise ForbiddenError("a page of another site may not call this address")
        if request.path not in _FREE:
            self.check_token(request)

    def check_host(self, request: web.BaseRequest) -> None:
        """Refuse names that are not this server's: a page that was rebound to this address has one."""
        if self._is_any_host:
            return
        host = _without_port(request.headers.get("Host", "").lower())
        if host not in self._hosts and not (self._is_open and _is_address(host)):
            raise ForbiddenError(f"host {host!r:.80} is not allowed; PSYCHE_ALLOWED_HOSTS may add it")

    def check_origin(self, request: web.BaseRequest) -> None:
        """Refuse pages of other origins, and of none."""
        origin = request.headers.get("Origin")
        if origin is None or origin.lower() in self._origins:
            return
        scheme, _, name = origin.lower().partition("://")
        # The scheme may be that of a proxy in front of us; name and port must be those called.
        if scheme in ("http", "https") and name == request.headers.get("Host", "").lower():
            return
        raise ForbiddenError(f"origin {origin!r:.80} is not allowed; PSYCHE_ALLOWED_ORIGINS may add it")

    def check_token(self, request: web.BaseRequest) -> None:
        """Refuse whoever does not show the token, where one is set."""
        if not self.is_authorised(request):
            raise UnauthorizedError("this needs the token: send 'Authorization: Bearer …', or log in")

    def is_authorised(self, request: web.BaseRequest) -> bool:
        """Tell whether a request shows the token, or none is needed.

        Raises:
            TooManyError: As `is_token` does; not again once a request was judged.
        """
        if self._token is None:
            return True
        shown = self._bearer(request)
        if shown is None:
            # Nobody guesses that: it is not limited.
            cookie = request.cookies.get(COOKIE, "")
            return hmac.compare_digest(_bytes(cookie), self._cookie.encode())
        if _JUDGED not in request:
            request[_JUDGED] = self.is_token(shown, request.remote)
        return request[_JUDGED]

    def is_token(self, shown: str, address: str | None) -> bool:
        """Tell whether this is the token, in a time that says nothing about it.

        Args:
            shown: By whoever calls.
            address: Where he calls from.

        Raises:
            TooManyError: If too many wrong ones came from there, be this one right or not: see `guesses`.
        """
        if self._token is None:
            return True
        is_right = hmac.compare_digest(_bytes(shown), self._token.encode())
        return self.guesses.judge(address, _bytes(shown), is_right=is_right)

    def _bearer(self, request: web.BaseRequest) -> str | None:
        """Return the token that a request shows, be it right or not, where one is needed."""
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        return shown.strip() if self._token is not None and scheme.lower() == "bearer" else None

    @property
    def cookie(self) -> str:
        """What the login cookie holds: whoever has it has shown the token to this process."""
        return self._cookie


def changes_state(request: web.BaseRequest) -> bool:
    """Tell whether a request changes something, by its method and address."""
    if request.method not in _SAFE_METHODS:
        return True
    return _CHANGING_GETS.fullmatch(request.path) is not None


def _bytes(text: str) -> bytes:
    """Return text as bytes, whatever it is: headers that are no UTF-8, and JSON, may hold surrogates."""
    return text.encode("utf-8", "surrogatepass")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str:
    found = _HOST.fullmatch(host)
    return found[1] if found else host

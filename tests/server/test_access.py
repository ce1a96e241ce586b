"""Who may do what."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict, CIMultiDictProxy

from server.errors import ForbiddenError, TooManyError, UnauthorizedError
from server.settings import Settings
from server.web.access import COOKIE, Access, changes_state
from server.web.guesses import PER_PEER


TOKEN = "open sesame"


def make_access(**options: Any) -> Access:
    return Access(Settings(_env_file=None, **options))


def request(
    method: str = "GET", path: str = "/", *, host: str | None = "localhost:8000", **headers: str
) -> web.Request:
    """Return a request; headers are written with `_` for `-`, and may hold what is no UTF-8."""
    made = make_mocked_request(method, path)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    made._headers = CIMultiDictProxy(CIMultiDict({**({} if host is None else {"Host": host}), **named}))
    return made


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000"],
)
def test_this_machine_is_called_by_its_own_names(host: str) -> None:
    make_access().check(request(host=host))


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":8000",
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "evil.example:localhost",
        "localhost:evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "[::2]",
        "[::1",
        "::1",
        "[::1].evil.example]",
        "[",
        "\udcff",
    ],
)
def test_any_other_name_is_refused(host: str | None) -> None:
    with pytest.raises(ForbiddenError, match="host"):
        make_access().check(request(host=host))


@pytest.mark.parametrize("host", ["192.168.1.5", "192.168.1.5:8000", "[fe80::1]:8000"])
def test_a_server_for_the_network_may_be_called_by_address(host: str) -> None:
    make_access(host="0.0.0.0", token="secret").check(request(host=host))

    with pytest.raises(ForbiddenError, match="host"):
        make_access(host="0.0.0.0", token="secret").check(request(host="rebound.example"))
    with pytest.raises(ForbiddenError, match="host"):
        make_access().check(request(host=host))


def test_further_names_can_be_allowed() -> None:
    access = make_access(allowed_hosts=("Wall.example", "[fe80::1]"))

    for host in ("wall.example", "WALL.EXAMPLE:8000", "[fe80::1]:8000", "localhost"):
        access.check(request(host=host))
    with pytest.raises(ForbiddenError):
        access.check(request(host="other.example"))


def test_the_address_that_is_listened_on_is_a_name_of_the_server() -> None:
    make_access(host="192.168.1.5", token=TOKEN).check(request(host="192.168.1.5:8000"))
    make_access(host="fe80::1", token=TOKEN).check(request(host="[fe80::1]:8000"))


def test_whoever_lets_everybody_in_does_so_under_any_name_unless_names_are_given() -> None:
    make_access(host="0.0.0.0", insecure=True).check(request(host="whatever.example"))

    for options in (
        {"host": "0.0.0.0", "insecure": True, "allowed_hosts": ("wall.example",)},
        {"host": "0.0.0.0", "token": TOKEN},
        {"host": "127.0.0.1", "insecure": True},
    ):
        with pytest.raises(ForbiddenError):
            make_access(**options).check(request(host="whatever.example"))


@pytest.mark.parametrize(
    "origin", ["http://localhost:8000", "https://localhost:8000", "HTTP://LOCALHOST:8000"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_our_own_pages_may_call(origin: str, method: str) -> None:
    make_access().check(request(method, Origin=origin))


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://",
        "http://[",
        "http://localhost",
        "http://localhost:8001",
        "http://localhost:8000/",
        "http://localhost:8000.evil.example",
        "http://evil.example",
        "http://evil.example#http://localhost:8000",
        "http://user@localhost:8000",
        "localhost:8000",
        "://localhost:8000",
        "ws://localhost:8000",
        "file://localhost:8000",
        "http:localhost:8000",
        "http://localhost:8000 http://evil.example",
        "http://\udcff",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_pages_of_any_other_origin_are_refused(origin: str, method: str) -> None:
    with pytest.raises(ForbiddenError, match="origin"):
        make_access().check(request(method, Origin=origin))


def test_further_origins_can_be_allowed_exactly() -> None:
    access = make_access(allowed_origins=("https://Show.example",))

    access.check(request("POST", Origin="https://show.example"))
    for origin in ("http://show.example", "https://show.example:8443", "https://a.show.example", "null"):
        with pytest.raises(ForbiddenError):
            access.check(request("POST", Origin=origin))


def test_an_allowed_origin_does_not_replace_the_token() -> None:
    access = make_access(allowed_origins=("https://show.example",), token=TOKEN)

    with pytest.raises(UnauthorizedError):
        access.check(request("POST", Origin="https://show.example"))


CHANGING = [
    ("POST", "/canvases"),
    ("POST", "/canvases/left/prompt"),
    ("PATCH", "/canvases/left"),
    ("DELETE", "/canvases/left"),
    ("PUT", "/anything"),
    ("GET", "/test-stream/left/5/2"),
    ("GET", "/test-inference?prompt=fox"),
    ("HEAD", "/test-inference"),
    ("GET", "/canvases/left/ingest"),
]
VIEWING = [
    ("GET", "/"),
    ("HEAD", "/"),
    ("OPTIONS", "/canvases"),
    ("GET", "/canvases"),
    ("GET", "/canvases/left/snapshot"),
    ("GET", "/jobs"),
    ("GET", "/ws/left"),
    # Canvases may bear any name, even that of a route.
    ("GET", "/c/ingest"),
    ("GET", "/ws/ingest"),
    ("GET", "/canvases/ingest"),
    ("GET", "/canvases/ingest/snapshot"),
    ("GET", "/c/test-inference"),
]


@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_every_change_needs_the_token_where_one_is_set(method: str, path: str) -> None:
    access = make_access(token=TOKEN)
    assert changes_state(request(method, path))

    with pytest.raises(UnauthorizedError, match="Authorization: Bearer"):
        access.check(request(method, path))
    access.check(request(method, path, Authorization=f"Bearer {TOKEN}"))
    make_access().check(request(method, path))


@pytest.mark.parametrize(("method", "path"), VIEWING)
def test_viewing_is_free(method: str, path: str) -> None:
    assert not changes_state(request(method, path))
    make_access(token=TOKEN).check(request(method, path))
    make_access(token=TOKEN).check(request(method, path, Sec_Fetch_Site="cross-site"))


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_logging_in_and_out_needs_no_token(path: str) -> None:
    make_access(token=TOKEN).check(request("POST", path))

    with pytest.raises(ForbiddenError, match="origin"):
        make_access(token=TOKEN).check(request("POST", path, Origin="http://evil.example"))


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("method", "path"), [entry for entry in CHANGING if entry[0] in ("GET", "HEAD")])
def test_a_page_elsewhere_cannot_change_anything_by_a_link(method: str, path: str, site: str) -> None:
    for access, headers in (
        (make_access(), {}),
        (make_access(token=TOKEN), {"Authorization": f"Bearer {TOKEN}"}),
    ):
        with pytest.raises(ForbiddenError, match="another site"):
            access.check(request(method, path, Sec_Fetch_Site=site, **headers))


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_page_and_the_address_bar_can(site: str) -> None:
    make_access().check(request("GET", "/test-inference", Sec_Fetch_Site=site))


@pytest.mark.parametrize("shown", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "])
def test_the_token_is_shown_as_a_bearer(shown: str) -> None:
    assert make_access(token=TOKEN).is_authorised(request(Authorization=shown))


@pytest.mark.parametrize(
    "shown",
    [
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        "Bearer \udcff\udcfe",
        "Bearer ä",
    ],
)
def test_anything_else_is_not_the_token(shown: str) -> None:
    assert not make_access(token=TOKEN).is_authorised(request(Authorization=shown))


def test_a_token_of_any_letters_is_recognised() -> None:
    assert make_access(token="öffne dich").is_authorised(request(Authorization="Bearer öffne dich"))


def test_the_cookie_proves_the_token_without_telling_it() -> None:
    access = make_access(token=TOKEN)
    value = access.cookie

    assert TOKEN not in value
    assert value != make_access(token=TOKEN).cookie, "who tries words cannot make a cookie of them"
    assert access.is_authorised(request(Cookie=f"{COOKIE}={value}"))
    access.check(request("POST", "/canvases", Cookie=f"{COOKIE}={value}"))


@pytest.mark.parametrize("value", ["", "x", TOKEN, "\udcff", "0" * 64])
def test_a_made_up_cookie_is_refused(value: str) -> None:
    assert not make_access(token=TOKEN).is_authorised(request(Cookie=f"{COOKIE}={value}"))


def test_a_wrong_bearer_is_not_made_good_by_a_cookie() -> None:
    access = make_access(token=TOKEN)
    cookie = f"{COOKIE}={access.cookie}"

    assert not access.is_authorised(request(Authorization="Bearer wrong", Cookie=cookie))
    assert access.is_authorised(request(Authorization="Basic proxy", Cookie=cookie))


def test_a_token_of_half_letters_is_not_the_token() -> None:
    # JSON can write what UTF-8 cannot.
    assert not make_access(token=TOKEN).is_token("\ud800", None)


def test_without_a_token_everybody_is_authorised() -> None:
    access = make_access()

    assert not access.needs_token
    assert access.is_authorised(request())
    assert access.is_token("anything", None)
    access.check(request("POST", "/canvases", Authorization="Bearer anything"))


def test_a_request_is_judged_once_and_its_wrong_token_costs_one_try() -> None:
    access = make_access(token=TOKEN)
    for number in range(PER_PEER):
        asked = request("GET", "/canvases", Authorization=f"Bearer guess {number}")
        for _ in range(3):
            access.check(asked)
            assert not access.is_authorised(asked)

    for path in ("/canvases", "/login", "/ws/left"):
        # The right one is no exception: it would tell.
        for shown in ("another guess", TOKEN):
            with pytest.raises(TooManyError):
                access.check(request("GET", path, Authorization=f"Bearer {shown}"))
    access.check(request("GET", "/canvases"))
    cookie = f"{COOKIE}={access.cookie}"
    access.check(request("POST", "/canvases", Cookie=cookie))

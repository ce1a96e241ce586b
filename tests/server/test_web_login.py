"""Coming in and going out: the token, the cookie, and whoever guesses."""

from __future__ import annotations

from pathlib import Path

from aiohttp import ClientSession
from screens import Site, running_site

from server.web.access import COOKIE
from server.web.guesses import PER_PEER


TOKEN = "a token of some length"


async def log_in(site: Site, token: str = TOKEN) -> str:
    """Return the cookie that the token is exchanged for, as a browser sends it."""
    async with site.session.post(site.url / "login", json={"token": token}) as response:
        assert response.status == 200
        return response.headers["Set-Cookie"].split(";")[0]


async def test_the_token_lets_in_as_a_bearer_and_as_a_cookie(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site, ClientSession() as browser:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        await site.call("POST", "/canvases", status=201, json={"slug": "a"}, headers=bearer)

        await site.refused("POST", "/login", status=401, json={"token": "wrong"})
        assert (await site.refused("POST", "/login", status=400, json={"token": 5}))["field"] == "token"
        async with browser.post(site.url / "login", json={"token": TOKEN}) as response:
            assert response.status == 200
            cookie = response.headers["Set-Cookie"]
        value = cookie.split(";")[0]
        await site.call("POST", "/canvases", status=201, json={"slug": "b"}, headers={"Cookie": value})

        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert "Secure" not in cookie  # Over plain HTTP a browser would not send it back.


async def test_a_page_learns_whether_it_has_to_log_in(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site, ClientSession() as browser:
        assert await site.call("GET", "/login") == {"needs_token": True, "authorised": False}
        cookie = await log_in(site)
        async with browser.get(site.url / "login", headers={"Cookie": cookie}) as response:
            assert await response.json() == {"needs_token": True, "authorised": True}
            assert response.headers["Cache-Control"] == "no-store"


async def test_without_a_token_everybody_is_in(still_site: Site) -> None:
    assert await still_site.call("GET", "/login") == {"needs_token": False, "authorised": True}
    assert await still_site.call("POST", "/logout") == {"authorised": True}


async def test_logging_out_takes_the_cookie_away_and_is_safe_without_one(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site, ClientSession() as browser:
        cookie = await log_in(site)
        for headers in ({"Cookie": cookie}, {}):
            async with browser.post(site.url / "logout", headers=headers) as response:
                assert response.status == 200
                assert await response.json() == {"authorised": False}
                taken = response.headers["Set-Cookie"]
                assert taken.startswith(f'{COOKIE}=""')
                assert "Max-Age=0" in taken
                assert "Path=/" in taken


async def test_whoever_guesses_has_to_wait_and_is_told_how_long(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        cookie = await log_in(site)
        for number in range(PER_PEER):
            error = await site.refused("POST", "/login", status=401, json={"token": f"guess {number}"})
            assert error["field"] == "token"
        for path in ("/login", "/canvases", "/ws/left"):
            headers = {"Authorization": "Bearer one more guess"}
            async with site.session.get(site.url / path[1:], headers=headers) as response:
                assert response.status == 429
                assert 1 <= int(response.headers["Retry-After"]) <= 60
        for token in ("one more", TOKEN):
            async with site.session.post(site.url / "login", json={"token": token}) as response:
                assert response.status == 429
                assert 1 <= int(response.headers["Retry-After"]) <= 60
                assert (await response.json())["error"]["code"] == "too_many"
        # Who is in stays in.
        await site.call("POST", "/canvases", status=201, json={"slug": "a"}, headers={"Cookie": cookie})

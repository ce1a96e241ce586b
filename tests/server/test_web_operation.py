"""Pages, static files, health, and how every address says no."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from screens import Site, running_app, running_site, settings_for

from server.streaming.clock import now_ms
from server.streaming.wire import Form
from server.web.operation import AGED_SCREENS


ROUTES = {
    "/": "GET",
    "/c/left": "GET",
    "/stage/left": "GET",
    "/studio": "GET",
    "/test/websocket": "GET",
    "/favicon.ico": "GET",
    "/canvases": "GET,POST",
    "/canvases/left": "GET,PATCH,DELETE",
    "/canvases/left/prompt": "POST",
    "/canvases/left/frames": "POST",
    "/canvases/left/playlist": "POST",
    "/canvases/left/snapshot": "GET",
    "/canvases/left/queue": "GET",
    "/canvases/left/queue/skip": "POST",
    "/canvases/left/queue/clear": "POST",
    "/queue": "GET",
    "/queue/skip": "POST",
    "/queue/clear": "POST",
    "/jobs": "GET,POST",
    "/jobs/x": "GET,DELETE",
    "/jobs/x/images/0": "GET",
    "/jobs/x/preview": "GET",
    "/jobs/x/events": "GET",
    "/images": "POST",
    "/api/generate": "POST",
    "/test-stream/left/1/1": "GET",
    "/test-inference": "GET",
    "/ws": "GET",
    "/ws/left": "GET",
    "/login": "GET,POST",
    "/logout": "POST",
    "/health": "GET",
    "/ready": "GET",
    "/state": "GET",
    "/metrics": "GET",
    "/models": "GET",
    "/styles": "GET",
}


async def test_every_address_answers_a_wrong_method_as_json(still_site: Site) -> None:
    for path, methods in ROUTES.items():
        allowed = set(methods.split(",")) | ({"HEAD"} if "GET" in methods else set())
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
            async with still_site.session.request(method, still_site.at(path)) as response:
                assert response.status == 405, (method, path)
                assert set(response.headers["Allow"].split(",")) == allowed, (method, path)
                assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_an_unknown_address_is_answered_as_json(still_site: Site) -> None:
    for path in ("/nothing", "/canvases/left/nothing", "/static/nothing.js", "/c", "/ws/left/right"):
        assert (await still_site.refused("GET", path, status=404))["code"] == "not_found"


async def test_no_file_outside_the_client_is_served_and_no_folder_listed(still_site: Site) -> None:
    for path in ("/static/../server/app.py", "/static/%2e%2e/setup.cfg", "/static/..%2fsetup.cfg"):
        await still_site.refused("GET", path, status=404)
    for path in ("/static/", "/static/wall", "/static/wall/"):
        await still_site.refused("GET", path, status=404)


PAGES = {
    "/": b"/static/wall/",
    "/c/left": b"/static/wall/",
    "/c/not-there-yet": b"/static/wall/",
    "/stage/left": b"/static/stage/",
    "/stage/not-there-yet": b"/static/stage/",
    "/studio": b"/static/studio/",
    "/test/websocket": b"/static/studio/",
}


def directives(policy: str) -> dict[str, list[str]]:
    """Read a content security policy."""
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


@pytest.mark.parametrize("path", PAGES)
async def test_pages_come_with_the_headers_that_keep_them_safe(still_site: Site, path: str) -> None:
    async with still_site.session.get(still_site.at(path)) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        policy = response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        may = response.headers["Permissions-Policy"].split(", ")
        assert b'<script type="module" src="' + PAGES[path] in await response.read()

    allowed = directives(policy)
    assert allowed["default-src"] == ["'none'"]
    # Pictures are decoded in a worker of ours, and a sound file is played from where it was dropped.
    assert allowed["script-src"] == allowed["worker-src"] == allowed["style-src"] == ["'self'"]
    assert allowed["media-src"] == ["'self'", "blob:"]
    assert {"microphone=(self)", "screen-wake-lock=(self)", "fullscreen=(self)", "camera=()"} <= set(may)


async def test_modules_are_served_as_javascript_and_asked_for_again(still_site: Site) -> None:
    async with still_site.session.get(still_site.url / "static/wall/main.js") as response:
        assert response.status == 200
        # Python 3.12 has changed its mind; browsers take both, and nothing else.
        assert response.content_type in ("text/javascript", "application/javascript")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-cache"
        # A worker is bound by what its own script comes with.
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        etag = response.headers["ETag"]

    async with still_site.session.get(
        still_site.url / "static/wall/main.js", headers={"If-None-Match": etag}
    ) as response:
        assert response.status == 304


async def test_a_bad_slug_of_a_page_names_the_field(still_site: Site) -> None:
    for page in ("c", "stage"):
        assert (await still_site.refused("GET", f"/{page}/No%20Slug", status=400))["field"] == "slug"


@pytest.mark.parametrize("page", ["c", "stage"])
async def test_a_person_is_told_of_a_bad_slug_by_the_page(still_site: Site, page: str) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with still_site.session.get(still_site.at(f"/{page}/No%20Slug"), headers=accept) as response:
        assert response.status == 400
        assert response.content_type == "text/html"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert b"/static/wall/" in await response.read()


async def test_the_icon_that_browsers_ask_for_is_no_error(still_site: Site) -> None:
    assert await still_site.call("GET", "/favicon.ico", status=204) == b""


async def test_health_and_readiness_are_two_things(tmp_path: Path) -> None:
    nowhere = settings_for(f"unix:{tmp_path}/nobody.sock", default_prompt="")
    async with running_app(nowhere) as site:
        assert (await site.call("GET", "/health"))["status"] == "ok"
        assert await site.call("GET", "/ready", status=503) == {"status": "waiting", "inference": False}


async def test_it_is_ready_when_the_inference_service_serves(still_site: Site) -> None:
    assert await still_site.call("GET", "/ready") == {"status": "ready", "inference": True}


async def test_the_state_tells_of_canvases_screens_and_the_process(site: Site) -> None:
    async with site.screen("left") as screen:
        frame = await screen.frame()
        await screen.ack(frame, rtt_ms=3.5, offset_ms=-2.0, skipped=1)
        await screen.send("nonsense")
        await screen.sync()

        state = await site.call("GET", "/state")

    left = state["canvases"]["left"]
    (subscriber,) = left["subscribers"]
    assert state["inference"]["serving"] is True
    assert state["inference"]["embedded"] is False
    assert state["jpeg_encoder"] in ("turbojpeg", "pillow")
    assert state["process"]["rss_bytes"] > 1_000_000
    assert left["epoch"] == site.canvas("left").epoch
    assert left["sequence"] >= 1
    assert left["queue"] == {"length": 0, "running": frame["job"]}
    assert subscriber["form"] == "msgpack"
    assert subscriber["acknowledging"] is True
    assert subscriber["rtt_ms"] == 3.5
    assert subscriber["offset_ms"] == -2.0
    assert subscriber["skipped"] == 1
    assert subscriber["ignored"] == 1
    assert set(subscriber["age"]) == {"p50", "p99"}
    assert set(subscriber["stages"]) == {"publish", "encode", "wait", "network", "decode", "present"}
    assert subscriber["drops"] == {"replaced": subscriber["replaced"], "skipped": 1, "hidden": 0}
    assert left["drops"]["skipped"] == 1
    assert left["subscribers_connected"] == 1
    assert state["encoder"]["waiting"] >= 0
    assert set(state["loop_lag_ms"]) == {"p50", "p99", "max"}
    json.dumps(state, allow_nan=False)


@pytest.mark.parametrize("path", ["/state", "/metrics"])
async def test_a_canvas_that_goes_while_its_screens_are_read_hinders_nobody(
    still_site: Site, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    registry = still_site.parts.registry
    left = still_site.canvas("left")
    with left.subscribe(Form.MSGPACK) as screen:
        describe = screen.state

        def go(now_s: float) -> dict[str, Any]:
            for slug in ("left", "right"):
                if any(canvas.slug == slug for canvas in registry):
                    registry.remove(slug)
            return describe(now_s)

        monkeypatch.setattr(screen, "state", go)
        told = await still_site.call("GET", path)

    if path == "/state":
        assert list(told["canvases"]) == ["left"], "what was begun is told, what was gone by its turn is not"
        assert told["canvases"]["left"]["subscribers_connected"] == 1
    else:
        assert b'canvas="left"' in told
        assert b'canvas="right"' not in told


async def test_the_state_can_leave_the_screens_out_and_tell_of_one_canvas(site: Site) -> None:
    async with site.screen("left") as screen:
        await screen.ack(
            await screen.frame(), received_ms=1.0, decoded_ms=1.0, presented_ms=1.0, offset_ms=now_ms()
        )
        await screen.sync()
        both = await site.call("GET", "/state?subscribers=0")
        one = await site.call("GET", "/state?canvas=left&subscribers=0")
        listed = await site.call("GET", "/state?canvas=left&subscribers=1")

    assert list(both["canvases"]) == ["left", "right"]
    assert list(one["canvases"]) == list(listed["canvases"]) == ["left"]
    left = one["canvases"]["left"]
    assert (left["subscribers"], left["subscribers_connected"]) == (1, 1)
    assert left["screens"]["age"]["p50"] is not None
    assert left["queue"]["length"] == 0
    assert left["fps_in"] >= 0
    assert left["fps_out"] >= 0
    (row,) = listed["canvases"]["left"]["subscribers"]
    assert row["age"]["p50"] is not None
    assert listed.keys() == both.keys()


async def test_the_state_can_tell_of_one_screen(still_site: Site) -> None:
    with contextlib.ExitStack() as screens:
        subscribers = [
            screens.enter_context(still_site.canvas("left").subscribe(Form.MSGPACK))
            for _ in range(2 * AGED_SCREENS)
        ]
        for subscriber in (subscribers[1], subscribers[-1]):
            path = f"/state?canvas=left&subscriber={subscriber.number}"
            left = (await still_site.call("GET", path))["canvases"]["left"]
            assert [row["number"] for row in left["subscribers"]] == [subscriber.number]
            assert "stages" in left["subscribers"][0], "it is told in full, whoever is sampled"
            assert left["subscribers_connected"] == 2 * AGED_SCREENS

    assert (await still_site.call("GET", path))["canvases"]["left"]["subscribers"] == []


async def test_how_screens_fare_is_told_of_some_where_they_are_very_many(still_site: Site) -> None:
    looked_at: list[int] = []
    with contextlib.ExitStack() as screens:
        for _ in range(3 * AGED_SCREENS + 1):
            screen = screens.enter_context(still_site.canvas("left").subscribe(Form.MSGPACK))
            describe = screen.ages.state
            screen.ages = SimpleNamespace(  # type: ignore[assignment]
                state=lambda at_ms, screen=screen, describe=describe: (
                    looked_at.append(screen.number) or describe(at_ms)
                )
            )
        left = (await still_site.call("GET", "/state?subscribers=0"))["canvases"]["left"]
        assert AGED_SCREENS / 2 <= len(looked_at) <= AGED_SCREENS
        looked_at.clear()
        await still_site.call("GET", "/state")
        assert len(looked_at) == 3 * AGED_SCREENS + 1

    assert left["subscribers_connected"] == 3 * AGED_SCREENS + 1
    assert sum(left["screens"]["tiers"].values()) == 0, "nobody was sent anything"


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("subscribers=2", 400, "subscribers"),
        ("subscribers=", 400, "subscribers"),
        ("subscribers=false", 400, "subscribers"),
        ("subscriber=", 400, "subscriber"),
        ("subscriber=-1", 400, "subscriber"),
        ("subscriber=1.5", 400, "subscriber"),
        ("subscriber=%D9%A1", 400, "subscriber"),
        ("subscriber=" + "1" * 5000, 400, "subscriber"),
        ("canvas=No%20Slug", 400, "canvas"),
        ("canvas=", 400, "canvas"),
        ("canvas=not-there", 404, "canvas"),
    ],
)
async def test_a_bad_question_for_the_state_names_its_field(
    still_site: Site, query: str, status: int, field: str
) -> None:
    assert (await still_site.refused("GET", f"/state?{query}", status=status))["field"] == field


async def test_models_and_styles_are_those_of_the_inference_service(still_site: Site) -> None:
    models = await still_site.call("GET", "/models")
    styles = await still_site.call("GET", "/styles")

    assert [model["name"] for model in models["models"]] == ["fake"]
    assert models["default"] == "fake"
    assert models["device"] == "cpu"
    assert styles["styles"][0]["name"] == "oil"
    assert "{prompt}" in styles["styles"][0]["template"]
    assert all("{prompt}" in template["template"] for template in styles["templates"])


async def test_without_the_inference_service_models_are_told_to_be_away(tmp_path: Path) -> None:
    nowhere = settings_for(f"unix:{tmp_path}/nobody.sock", default_prompt="")
    async with running_app(nowhere) as site:
        assert (await site.refused("GET", "/models", status=503))["code"] == "inference_unavailable"


TOKEN = "a token of some length"
CHANGES = [
    ("POST", "/canvases"),
    ("PATCH", "/canvases/left"),
    ("DELETE", "/canvases/left"),
    ("POST", "/canvases/left/prompt"),
    ("POST", "/canvases/left/frames"),
    ("POST", "/canvases/left/playlist"),
    ("POST", "/canvases/left/queue/skip"),
    ("POST", "/canvases/left/queue/clear"),
    ("POST", "/queue/skip"),
    ("POST", "/queue/clear"),
    ("POST", "/jobs"),
    ("DELETE", "/jobs/x"),
    ("POST", "/images"),
    ("POST", "/api/generate"),
    ("GET", "/test-stream/left/1/1"),
    ("GET", "/test-inference"),
]
VIEWS = ["/stage/left", "/studio", "/test/websocket", "/login"]
VIEWS += ["/", "/c/left", "/canvases", "/canvases/left", "/canvases/left/queue", "/jobs", "/health", "/ready"]
VIEWS += ["/state", "/metrics", "/models", "/styles", "/static/wall/main.js"]


async def test_a_token_protects_every_change_and_no_view(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        for method, path in CHANGES:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
                error = await site.refused(method, path, status=401, headers=headers)
                assert error["code"] == "unauthorized", (method, path)
        for path in VIEWS:
            await site.call("GET", path)
        async with site.screen("left") as screen:
            assert (await screen.frame())["sequence"] >= 1


async def test_where_a_token_is_set_a_screen_without_it_makes_no_canvas(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        async with site.screen("new") as screen:
            assert (await screen.end())[0] == 4404
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        async with site.screen("new", headers=bearer) as screen:
            assert (await screen.receive())["canvas"]["temporary"] is True


STRANGERS = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1"},  # Another port of this machine is another program.
    {"Host": "evil.example"},
    {"Host": "evil.example:80", "Origin": "http://evil.example:80"},
]


@pytest.mark.parametrize("headers", STRANGERS)
async def test_strangers_are_refused_on_http_and_on_the_upgrade(
    still_site: Site, headers: dict[str, str]
) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    for path in ("/canvases", "/", "/ws", "/ws/left"):
        error = await still_site.refused("GET", path, status=403, headers={**upgrade, **headers})
        assert error["code"] == "forbidden"
    await still_site.refused("POST", "/canvases", status=403, headers=headers, json={"slug": "x"})
    await still_site.refused("GET", "/canvases/x", status=404)


async def test_our_own_pages_and_named_origins_are_let_in(tmp_path: Path) -> None:
    options = {"allowed_origins": ("https://show.example",), "allowed_hosts": ("wall.example",)}
    async with running_site(tmp_path, **options) as site:
        own = f"http://127.0.0.1:{site.url.port}"
        for origin in (own, "https://show.example"):
            await site.call("GET", "/canvases", headers={"Origin": origin})
            async with site.screen("left", headers={"Origin": origin}) as screen:
                await screen.frame()
        named = {"Host": f"wall.example:{site.url.port}", "Origin": f"https://wall.example:{site.url.port}"}
        await site.call("GET", "/canvases", headers=named)


async def test_a_foreign_page_cannot_call_the_test_addresses(still_site: Site) -> None:
    # A picture's address sends no Origin, but tells where it stands.
    for path in ("/test-stream/left/1/1", "/test-inference"):
        for place in ("cross-site", "same-site"):
            await still_site.refused("GET", path, status=403, headers={"Sec-Fetch-Site": place})

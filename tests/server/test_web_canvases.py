"""Canvases over HTTP: list, make, change, remove, and what PATCH does to a running stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from screens import Site, image, running_site, wait_for

from server.streaming.wire import CloseCode


FIELDS = {
    "slug": str,
    "width": int,
    "height": int,
    "fps": float,
    "format": str,
    "quality": int,
    "paused": bool,
    "blank": bool,
    "present_delay_ms": (int, type(None)),
    "transition": dict,
    "processing": dict,
    "audio": dict,
    "state": str,
    "watched": bool,
    "subscribers": int,
    "job": (str, type(None)),
    "temporary": bool,
    "epoch": str,
}

BAD_SLUGS = ["Left", "-left", "a_b", "a.b", "a%20b", "%C3%A9", "a" * 65, "%00"]


async def test_the_configured_canvases_are_listed_with_all_their_fields(site: Site) -> None:
    canvases = (await site.call("GET", "/canvases"))["canvases"]

    assert [canvas["slug"] for canvas in canvases] == ["left", "right"]
    for canvas in canvases:
        assert set(canvas) == set(FIELDS)
        assert all(isinstance(canvas[name], kind) for name, kind in FIELDS.items())
        assert (canvas["width"], canvas["height"], canvas["fps"]) == (64, 64, 50.0)
        assert await site.call("GET", f"/canvases/{canvas['slug']}") == {"canvas": canvas}


async def test_a_canvas_is_made_with_what_the_body_says_and_defaults_for_the_rest(still_site: Site) -> None:
    body = {"slug": "third", "width": 128, "fps": 2, "format": "webp", "quality": 70}

    async with still_site.session.post(still_site.url / "canvases", json=body) as response:
        assert response.status == 201
        assert response.headers["Location"] == "/canvases/third"
        canvas = (await response.json())["canvas"]

    assert {name: canvas[name] for name in body} == body
    assert (canvas["height"], canvas["paused"], canvas["temporary"]) == (64, False, False)
    assert (await still_site.call("GET", "/canvases"))["canvases"][-1] == canvas


async def test_a_canvas_that_is_there_is_not_made_again(still_site: Site) -> None:
    error = await still_site.refused("POST", "/canvases", status=409, json={"slug": "left"})

    assert error["code"] == "conflict"
    assert error["field"] == "slug"


@pytest.mark.parametrize("slug", BAD_SLUGS)
async def test_a_bad_slug_is_named_wherever_it_stands(still_site: Site, slug: str) -> None:
    prompt: dict[str, Any] = {"json": {"prompt": "x"}}
    picture: dict[str, Any] = {"data": image().data, "headers": {"Content-Type": "image/jpeg"}}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/canvases/{slug}", {}),
        ("PATCH", f"/canvases/{slug}", {"json": {}}),
        ("DELETE", f"/canvases/{slug}", {}),
        ("POST", f"/canvases/{slug}/prompt", prompt),
        ("POST", f"/canvases/{slug}/frames", picture),
        ("POST", f"/canvases/{slug}/playlist", {"json": {"folder": "samples"}}),
        ("GET", f"/canvases/{slug}/snapshot", {}),
        ("GET", f"/canvases/{slug}/queue", {}),
        ("POST", f"/canvases/{slug}/queue/skip", {}),
        ("POST", f"/canvases/{slug}/queue/clear", {}),
        ("GET", f"/c/{slug}", {}),
        ("GET", f"/stage/{slug}", {}),
        ("GET", f"/ws/{slug}", {}),
        ("GET", f"/test-stream/{slug}/1/1", {}),
    ]
    for method, path, options in calls:
        error = await still_site.refused(method, path, status=400, **options)
        assert (error["code"], error["field"]) == ("invalid", "slug"), path


async def test_a_bad_slug_is_told_before_the_upgrade(still_site: Site) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await still_site.session.ws_connect(still_site.at("/ws/No%20Slug"))

    assert refusal.value.status == 400
    # And whoever asks for a stream without an upgrade is told so, too.
    assert (await still_site.refused("GET", "/ws/left", status=400))["code"] == "invalid"


async def test_who_only_watches_makes_no_canvas(still_site: Site) -> None:
    async with still_site.screen("guest", query="watch=1") as screen:
        assert (await screen.end())[0] == CloseCode.NO_SUCH_CANVAS
    assert "guest" not in [canvas.slug for canvas in still_site.parts.registry]

    async with (
        still_site.screen("guest", query="watch=0"),
        still_site.screen("guest", query="watch=1") as watching,
    ):
        guest = still_site.canvas("guest")
        await wait_for(lambda: len(guest.subscribers) == 2)
        await watching.sync()
        assert sorted(subscriber.keeps for subscriber in guest.subscribers) == [False, True]
        assert guest.demand_fps > 0.0
    assert (await still_site.refused("GET", "/ws/left?watch=yes", status=400))["field"] == "watch"


async def test_a_canvas_that_is_not_there_is_told_so(still_site: Site) -> None:
    for method, path in [
        ("GET", "/canvases/none"),
        ("PATCH", "/canvases/none"),
        ("DELETE", "/canvases/none"),
        ("GET", "/canvases/none/snapshot"),
        ("GET", "/canvases/none/queue"),
        ("POST", "/canvases/none/queue/skip"),
        ("POST", "/canvases/none/queue/clear"),
    ]:
        assert (await still_site.refused(method, path, status=404))["code"] == "unknown_canvas"


BAD_CHANGES = [
    ({"width": 63}, "width"),
    ({"width": 65}, "width"),
    ({"height": 5000}, "height"),
    ({"width": True}, "width"),
    ({"width": "64"}, "width"),
    ({"width": 64.5}, "width"),
    ({"fps": 0.05}, "fps"),
    ({"fps": 61}, "fps"),
    ({"fps": "4"}, "fps"),
    ({"format": "gif"}, "format"),
    ({"quality": 0}, "quality"),
    ({"quality": 101}, "quality"),
    ({"paused": "yes"}, "paused"),
    ({"blank": 1}, "blank"),
    ({"colour": "red"}, "colour"),
    ({"slug": "other"}, "slug"),
]


@pytest.mark.parametrize(("changes", "field"), BAD_CHANGES)
async def test_a_bad_change_names_its_field_and_changes_nothing(
    still_site: Site, changes: dict[str, Any], field: str
) -> None:
    before = await still_site.call("GET", "/canvases/left")

    error = await still_site.refused("PATCH", "/canvases/left", status=400, json={"quality": 1, **changes})

    assert error["field"] == field
    assert await still_site.call("GET", "/canvases/left") == before


BAD_BODIES = [
    (b"{", "application/json", 400, "body"),
    (b"[1]", "application/json", 400, "body"),
    (b'"text"', "application/json", 400, "body"),
    (b"\xff\xfe", "application/json", 400, "body"),
    (b'{"fps": NaN}', "application/json", 400, "fps"),
    (b'{"fps": Infinity}', "application/json", 400, "fps"),
    (b"[" * 60_000, "application/json", 400, "body"),
    (b'{"fps": ' + b"1" * 5000 + b"}", "application/json", 400, "body"),
    (b"fps=4", "application/x-www-form-urlencoded", 415, "content-type"),
    (b'{"fps": 4}', "text/plain", 415, "content-type"),
    (b" " * 65 * 1024, "application/json", 413, "body"),
]


@pytest.mark.parametrize(("body", "content_type", "status", "field"), BAD_BODIES)
async def test_a_body_that_is_no_json_object_is_refused(
    still_site: Site, body: bytes, content_type: str, status: int, field: str
) -> None:
    for method, path in (("PATCH", "/canvases/left"), ("POST", "/canvases/left/prompt"), ("POST", "/jobs")):
        if field == "fps" and method == "POST":
            body = body.replace(b"{", b'{"prompt": "x", ')
        error = await still_site.refused(
            method, path, status=status, data=body, headers={"Content-Type": content_type}
        )
        assert error["field"] == field, path


async def test_an_oversized_json_body_is_refused_without_a_length_too(still_site: Site) -> None:
    async def endless() -> Any:
        for _ in range(80):
            yield b" " * 1024

    error = await still_site.refused(
        "PATCH", "/canvases/left", status=413, data=endless(), headers={"Content-Type": "application/json"}
    )

    assert error["code"] == "too_big"


async def test_no_more_canvases_are_made_than_the_limit_allows(tmp_path: Path) -> None:
    async with running_site(tmp_path, max_canvases=3, default_prompt="") as site:
        await site.call("POST", "/canvases", status=201, json={"slug": "third"})

        error = await site.refused("POST", "/canvases", status=503, json={"slug": "fourth"})
        assert error["code"] == "full"
        assert (await site.refused("POST", "/canvases/fourth/prompt", status=503, json={"prompt": "x"}))[
            "code"
        ] == "full"
        async with site.screen("fourth") as screen:
            assert (await screen.end())[0] == 1013
        assert len(site.parts.registry) == 3


async def test_a_removed_canvas_says_goodbye_for_good(site: Site) -> None:
    async with site.screen("left") as screen, site.screen("right") as other:
        job = (await screen.frame())["job"]
        assert (await site.call("DELETE", "/canvases/left"))["canvas"]["slug"] == "left"

        code, bye = await screen.end()

        assert code == 4404
        assert bye == {"type": "bye", "reason": "deleted", "reconnect": False}
        assert (await other.sync())[0]["type"] == "hello"
    ended = await site.ended(job)
    assert (ended["state"], ended["reason"]) == ("cancelled", "deleted")
    await site.refused("GET", "/canvases/left", status=404)


async def test_a_canvas_that_is_made_again_begins_a_new_epoch(site: Site) -> None:
    async with site.screen("left") as screen:
        first = await screen.receive()
        while (await screen.frame())["sequence"] < 3:
            pass
    await site.call("DELETE", "/canvases/left")
    await site.paint("left", "something else")

    async with site.screen("left") as screen:
        second = await screen.receive()
        frame = await screen.frame()

    assert second["epoch"] != first["epoch"]
    assert frame["sequence"] == 1
    assert frame["image_id"].startswith(second["epoch"])


async def test_a_canvas_may_be_removed_and_made_again_at_once_and_paints(site: Site) -> None:
    async with site.screen("left") as screen:
        await screen.frame()
        for _ in range(5):
            await site.call("DELETE", "/canvases/left")
            job = await site.paint("left", "again")
        await screen.end()

    async with site.screen("left") as screen:
        assert (await screen.frame())["job"] == job["id"]


async def test_a_canvas_that_only_a_screen_has_named_is_temporary_and_idle(site: Site) -> None:
    async with site.screen("passing") as screen:
        hello = await screen.receive()
        status = await screen.receive()
        listed = (await site.call("GET", "/canvases"))["canvases"][-1]
        assert not [message for message in await screen.sync() if message["type"] == "frame"]

    assert hello["canvas"]["temporary"] is True
    assert status["state"] == "idle"
    assert status["job"] is None
    assert (listed["slug"], listed["temporary"], listed["subscribers"]) == ("passing", True, 1)


async def test_a_prompt_makes_a_temporary_canvas_last(still_site: Site) -> None:
    async with still_site.screen("passing") as screen:
        await screen.receive()
        await still_site.paint("passing", "stay")
        await screen.frame()

        assert still_site.canvas("passing").is_temporary is False


async def test_the_first_names_of_the_two_canvases_mean_them(site: Site) -> None:
    assert (await site.call("GET", "/canvases/left-canva"))["canvas"]["slug"] == "left"
    async with site.screen("right-canva") as screen:
        assert (await screen.frame())["canvas"] == "right"
    job = await site.paint("left-canva", "by its first name")
    assert job["canvas"] == "left"
    assert len(site.parts.registry) == 2


async def test_a_new_size_and_format_change_the_running_stream(site: Site) -> None:
    async with site.screen("left") as screen:
        before = await screen.frame()
        changed = await site.call(
            "PATCH", "/canvases/left", json={"width": 128, "height": 96, "format": "webp"}
        )
        after = await screen.frame(width=128)

        assert (before["width"], before["format"]) == (64, "jpeg")
        assert changed["canvas"]["width"] == 128
        assert (after["height"], after["format"], after["tier"]) == (96, "webp", "original")
        assert after["image"][8:12] == b"WEBP"
        assert after["job"] == before["job"]


async def test_a_new_quality_changes_the_running_stream(site: Site) -> None:
    async with site.screen("left") as screen:
        before = await screen.frame()
        await site.call("PATCH", "/canvases/left", json={"quality": 5})

        # Of one flat colour the tables say the quality, not the size.
        while (await screen.frame())["image"][:200] == before["image"][:200]:
            pass


async def test_a_new_rate_changes_the_running_stream(tmp_path: Path) -> None:
    async with running_site(tmp_path, fps=0.1) as site, site.screen("left") as screen:
        await screen.frame()
        await site.call("PATCH", "/canvases/left", json={"fps": 50})

        # At the old rate the first of these would be ten seconds away.
        frames = [await screen.frame() for _ in range(3)]

        assert frames[-1]["published_ms"] - frames[0]["published_ms"] < 2000


async def test_a_paused_canvas_rests_on_its_picture_until_it_goes_on(site: Site) -> None:
    async with site.screen("left") as screen:
        await screen.frame()
        # One frame is under way for certain.
        site.engine.gate.clear()
        await site.engine.wait_until_stepping()
        await site.call("PATCH", "/canvases/left", json={"paused": True})
        await screen.next("status", state="paused")
        canvas = site.canvas("left")
        taken = canvas.taken
        site.engine.gate.set()
        await wait_for(lambda: canvas.taken > taken)
        await screen.sync()
        batches = len(site.engine.batches)
        assert not [message for message in await screen.sync() if message["type"] == "frame"]
        assert len(site.engine.batches) == batches

        await site.call("PATCH", "/canvases/left", json={"paused": False})
        await screen.next("status", state="painting")
        await screen.frame()


async def test_a_blank_canvas_is_black_at_once_and_comes_back(site: Site) -> None:
    async with site.screen("left") as screen:
        job = (await screen.frame())["job"]
        await site.call("PATCH", "/canvases/left", json={"blank": True})
        # Control goes before the frame.
        await screen.next("status", state="blank")
        black = await screen.frame(job=None)
        snapshot = await site.call("GET", "/canvases/left/snapshot")

        assert snapshot == black["image"]
        assert len(black["image"]) < 1000
        assert black["final"] is True

        await site.call("PATCH", "/canvases/left", json={"blank": False})
        assert (await screen.frame())["job"] == job


async def test_a_picture_that_is_pushed_while_blank_shows_when_it_ends(still_site: Site) -> None:
    await still_site.call("PATCH", "/canvases/left", json={"blank": True})
    picture = image(colour=(0, 250, 0))
    async with still_site.screen("left") as screen:
        await screen.frame(final=True)
        await still_site.call(
            "POST",
            "/canvases/left/frames",
            status=201,
            data=picture.data,
            headers={"Content-Type": "image/jpeg"},
        )
        assert not [message for message in await screen.sync() if message["type"] == "frame"]

        await still_site.call("PATCH", "/canvases/left", json={"blank": False})

        assert (await screen.frame())["image"] == picture.data


async def test_a_screen_counts_while_it_is_there(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await screen.receive()
        assert (await still_site.call("GET", "/canvases/left"))["canvas"]["subscribers"] == 1
    await wait_for(lambda: not still_site.canvas("left").subscribers)
    assert (await still_site.call("GET", "/canvases/left"))["canvas"]["subscribers"] == 0


async def test_one_subscriber_more_than_the_limit_is_sent_away(tmp_path: Path) -> None:
    async with (
        running_site(tmp_path, max_subscribers=2) as site,
        site.screen("left") as one,
        site.screen("left") as two,
        site.screen("left") as three,
    ):
        assert (await three.end())[0] == 1013
        await one.frame()
        await two.frame()

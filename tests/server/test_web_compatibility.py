"""What the first programs call: generation with its progress, in their words, and the test addresses."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from screens import SOON_S, RawScreen, Screen, Site, image, running_site, wait_for


async def next_of(events: Screen, session: str) -> dict[str, Any]:
    """Return the next message about a session."""
    while (message := await events.receive()).get("session_id") != session:
        pass
    return message  # type: ignore[no-any-return]  # JSON


async def test_a_generation_is_followed_in_the_words_of_the_first_program(still_site: Site) -> None:
    engine = still_site.engine
    assert engine is not None
    async with still_site.events() as events:
        engine.gate.clear()
        answer = await still_site.call(
            "POST",
            "/api/generate",
            json={
                "prompt": "A serene mountain landscape at sunset",
                "negative_prompt": "blurry, low quality",
                "num_inference_steps": 30,
                "guidance_scale": 7.5,
                "num_images": 1,
            },
        )
        session = answer["session_id"]
        await events.ws.send_json({"type": "subscribe", "session_id": session})
        progress = [await next_of(events, session)]
        engine.gate.set()
        while (last := await next_of(events, session))["type"] == "generation_progress":
            progress.append(last)

    assert isinstance(session, str)
    for message in progress:
        assert isinstance(message["step"], int)
        assert isinstance(message["total_steps"], int)
    running = [message for message in progress if message["state"] == "running" and message["step"]]
    assert running
    for message in running:
        assert message["total_steps"] == 30
        assert message["message"] == f"Generating... {round(100 * message['step'] / 30)}%"
    assert [message["step"] for message in progress] == sorted(message["step"] for message in progress)
    assert last["type"] == "generation_complete"
    assert last["metadata"]["prompt"] == "A serene mountain landscape at sunset"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", last["metadata"]["created_at"])
    (path,) = last["image_paths"]
    assert (await still_site.call("GET", path)).startswith(b"\xff\xd8")


async def test_several_images_are_one_session(still_site: Site) -> None:
    answer = await still_site.call("POST", "/api/generate", json={"prompt": "x", "num_images": 3})
    await still_site.ended(answer["job"]["id"])

    async with still_site.events() as events:
        # Whoever comes late is told how it stands.
        await events.ws.send_json({"type": "subscribe", "session_id": answer["session_id"]})
        message = await next_of(events, answer["session_id"])

    assert message["type"] == "generation_complete"
    assert len(message["image_paths"]) == 3


async def test_a_failed_generation_is_told_as_an_error(still_site: Site) -> None:
    async with still_site.events() as events:
        await events.receive()
        answer = await still_site.call("POST", "/api/generate", json={"prompt": "fails to finish"})
        while (message := await next_of(events, answer["session_id"]))["type"] == "generation_progress":
            pass

    assert message["type"] == "generation_error"
    assert "failed to finish" in message["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": "x", "num_inference_steps": 0}, "num_inference_steps"),
        ({"prompt": "x", "guidance_scale": 21}, "guidance_scale"),
        ({"prompt": "x", "num_images": 0}, "num_images"),
        ({"prompt": "x", "steps": 3}, "steps"),
    ],
)
async def test_a_bad_generation_names_its_field(still_site: Site, body: dict[str, Any], field: str) -> None:
    assert (await still_site.refused("POST", "/api/generate", status=400, json=body))["field"] == field


async def test_a_ping_is_answered_as_json(still_site: Site) -> None:
    async with still_site.events() as events:
        await events.receive()
        await events.ws.send_json({"type": "ping"})
        assert await events.receive() == {"type": "pong"}


async def test_only_the_sessions_that_were_subscribed_to_are_told(still_site: Site) -> None:
    async with still_site.events() as one, still_site.events() as everything:
        wanted = await still_site.call("POST", "/api/generate", json={"prompt": "first"})
        await still_site.ended(wanted["job"]["id"])
        await one.ws.send_json({"type": "subscribe", "session_id": wanted["session_id"]})
        await next_of(one, wanted["session_id"])
        other = await still_site.call("POST", "/api/generate", json={"prompt": "second"})
        await still_site.ended(other["job"]["id"])
        while (await next_of(everything, other["session_id"]))["type"] != "generation_complete":
            pass

        await one.ws.send_json({"type": "ping"})
        messages = []
        while (message := await one.receive())["type"] != "pong":
            messages.append(message)
        assert not [message for message in messages if message.get("session_id") == other["session_id"]]

        await one.ws.send_json({"type": "subscribe"})
        third = await still_site.call("POST", "/api/generate", json={"prompt": "third"})
        await next_of(one, third["session_id"])


async def test_every_change_of_the_canvases_is_told(still_site: Site) -> None:
    async with still_site.events() as events:

        async def told(**fields: Any) -> dict[str, Any]:
            while True:
                message = await events.next("canvases")
                for canvas in message["canvases"]:
                    if canvas | fields == canvas:
                        return canvas  # type: ignore[no-any-return]  # JSON

        await told(slug="left", state="idle")
        await still_site.call("POST", "/canvases", status=201, json={"slug": "new", "fps": 3})
        await told(slug="new", fps=3.0)
        await still_site.call("PATCH", "/canvases/new", json={"paused": True})
        await told(slug="new", paused=True, state="paused")
        async with still_site.screen("new"):
            await told(slug="new", subscribers=1)
        await told(slug="new", subscribers=0)
        job = await still_site.paint("left", "x")
        await told(slug="left", job=job["id"], state="painting")
        await still_site.call("DELETE", "/canvases/new")
        while "new" in [canvas["slug"] for canvas in (await events.next("canvases"))["canvases"]]:
            pass


@pytest.mark.parametrize(
    ("message", "code"),
    [("{", 1002), ("[]", 1002), ('{"type": "subscribe", "session_id": 5}', 1002), ("x" * 20_000, 1009)],
)
async def test_a_malformed_message_closes_the_events(still_site: Site, message: str, code: int) -> None:
    async with still_site.events() as events:
        await events.receive()
        await events.ws.send_str(message)
        assert (await events.end())[0] == code


async def test_an_unknown_message_is_passed_over_and_counted(still_site: Site) -> None:
    async with still_site.events() as events:
        await events.receive()
        await events.ws.send_json({"type": "of-a-later-version"})
        await events.ws.send_json({"type": "ping"})
        assert await events.receive() == {"type": "pong"}
    assert still_site.parts.counters.ignored_messages == 1


@pytest.fixture
def samples(tmp_path: Path) -> list[bytes]:
    """Put sample pictures into the media root."""
    folder = tmp_path / "media" / "samples"
    folder.mkdir(parents=True)
    pictures = [image(colour=(number * 60, 90, 120)).data for number in range(3)]
    for number, picture in enumerate(pictures):
        (folder / f"{number}.jpg").write_bytes(picture)
    return pictures


async def test_the_test_stream_shows_as_many_samples_as_it_is_asked_for(
    still_site: Site, samples: list[bytes]
) -> None:
    async with still_site.screen("left", query="format=json") as old, still_site.screen("left") as screen:
        await screen.sync()
        job = (await still_site.call("GET", "/test-stream/left-canva/5/50", status=202))["job"]
        frames = [await screen.frame(job=job["id"]) for _ in range(5)]
        ended = await still_site.ended(job["id"])

        assert [frame["image"] for frame in frames] == [*samples, *samples[:2]]
        assert [frame["final"] for frame in frames] == [False] * 4 + [True]
        assert (ended["kind"], ended["state"], ended["canvas"]) == ("test", "succeeded", "left")
        elapsed_ms = frames[-1]["published_ms"] - frames[0]["published_ms"]
        # Four intervals of 20 ms; the first picture may be late.
        assert elapsed_ms >= 50
        assert set(await old.receive()) == {"timestamp", "image", "image_id"}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("left/0/4", "num_images"),
        ("left/10001/4", "num_images"),
        ("left/x/4", "num_images"),
        ("left/1.5/4", "num_images"),
        ("left/4/0", "fps"),
        ("left/4/61", "fps"),
        ("left/4/nan", "fps"),
        ("left/4/1e1", "fps"),
    ],
)
async def test_a_bad_test_stream_names_its_field(still_site: Site, path: str, field: str) -> None:
    assert (await still_site.refused("GET", f"/test-stream/{path}", status=400))["field"] == field


async def test_the_test_of_inference_shows_a_sample_left_and_paints_right(
    still_site: Site, samples: list[bytes]
) -> None:
    async with still_site.screen("left-canva") as left, still_site.screen("right-canva") as right:
        await left.sync()
        await right.sync()
        job = (await still_site.call("GET", "/test-inference?prompt=a%20red%20fox", status=202))["job"]

        assert (await left.frame())["image"] == samples[0]
        frame = await right.frame(job=job["id"])
        assert frame["canvas"] == "right"
        assert job["prompt"] == "a red fox"
        assert (await still_site.ended(job["id"]))["state"] == "succeeded"


async def test_the_test_of_inference_needs_a_screen(still_site: Site, samples: list[bytes]) -> None:
    error = await still_site.refused("GET", "/test-inference?prompt=x", status=409)

    assert error["message"] == "No active connections for right canvas"
    assert still_site.canvas("left").newest is None


async def test_the_test_of_inference_judges_its_prompt(still_site: Site) -> None:
    async with still_site.screen("right") as right:
        await right.sync()
        assert (await still_site.refused("GET", "/test-inference?prompt=", status=400))["field"] == "prompt"


async def test_a_listener_that_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    options = {"default_prompt": "", "send_deadline_s": 0.2, "max_canvases": 200}
    async with running_site(tmp_path, **options) as site:
        for number in range(190):
            site.parts.registry.ensure(f"{number}-{'x' * 50}", is_temporary=False)
        async with site.events() as other:
            listener = await RawScreen.connect(site.url)
            listeners = site.parts.bus._listeners
            await wait_for(lambda: len(listeners) == 2)
            async with asyncio.timeout(SOON_S):
                while len(listeners) == 2:
                    site.canvas("left").configure(quality=1)
                    # The other one reads each of them; the writer of the first one fills its socket.
                    await other.next("canvases")
            assert len(listeners) == 1
            listener.sock.close()
            await other.ws.send_json({"type": "ping"})
            await other.next("pong")

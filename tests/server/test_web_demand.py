"""No screen, no work: what screens can show decides what is painted, from the browser to the engine."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine, still
from images import image_file
from screens import Site, running_site, wait_for

from server.generation import live


async def push(site: Site, number: int) -> dict[str, Any]:
    """Show a picture of the test's own on the canvas `left`."""
    data = image_file(width=32 + 8 * number)
    headers = {"Content-Type": "image/jpeg"}
    answer = await site.call("POST", "/canvases/left/frames", status=201, data=data, headers=headers)
    frame: dict[str, Any] = answer["frame"]
    return frame


def engine_of(site: Site) -> FakeEngine:
    assert site.engine is not None
    return site.engine


@pytest.mark.parametrize(
    "hidden", [{"visible": False}, {"viewport": {"width": 0, "height": 600}}, {"max_fps": 0}]
)
async def test_a_screen_that_shows_nothing_has_nothing_painted(
    site: Site, hidden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No look at what has changed meanwhile comes to help.
    monkeypatch.setattr(live, "LOOK_UP_S", 30.0)
    engine = engine_of(site)
    async with site.screen("left") as screen:
        await screen.frame()
        await screen.send("ready", **hidden)
        await wait_for(lambda: site.canvas("left").demand_fps == 0.0)
        before = len(engine.batches)

        painted = await still(engine)

        # One may have been under way.
        assert painted <= before + 1
        assert not site.canvas("left").to_json()["watched"]
        began_s = time.perf_counter()
        await screen.send("ready", visible=True, viewport={"width": 800, "height": 600})
        await wait_for(lambda: len(engine.batches) > painted)
        took_s = time.perf_counter() - began_s
        await screen.frame()
    assert took_s < 2.0


async def test_a_screen_that_is_shown_again_has_the_picture_though_nothing_is_painted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_UP_S", 30.0)
    engine = engine_of(site)
    async with site.screen("left") as screen:
        await screen.frame()
        await screen.send("ready", visible=False)
        await wait_for(lambda: site.canvas("left").demand_fps == 0.0)
        await still(engine)
        # Something else came meanwhile, and the engine is busy for longer than anybody waits.
        pushed = await push(site, 1)
        await site.paint("left", "held")
        engine.gate.clear()

        began_s = time.perf_counter()
        await screen.send("ready", visible=True)
        frame = await screen.frame()

        assert time.perf_counter() - began_s < 2.0
        assert frame["sequence"] == pushed["sequence"]
        engine.gate.set()


async def test_a_hidden_screen_costs_nothing_whatever_happens_on_its_canvas(still_site: Site) -> None:
    site = still_site
    async with site.screen("left") as hidden, site.screen("left") as other:
        await hidden.send("ready", visible=False)
        await hidden.sync()

        for number in range(5):
            pushed = await push(site, number)
            await other.frame(sequence=pushed["sequence"])
            # Jobs change the status, too.
            job = await site.paint("left", f"prompt {number}", mode="once")
            await site.ended(job["id"])

        assert await hidden.sync() == []
        (told,) = (
            subscriber
            for subscriber in (await site.call("GET", "/state"))["canvases"]["left"]["subscribers"]
            if not subscriber["visible"]
        )
        assert told["sent_frames"] == 0
        assert told["drops"]["hidden"] == 10
        await hidden.send("ready", visible=True)
        newest = site.canvas("left").newest
        assert newest is not None
        await hidden.frame(sequence=newest.sequence)


async def test_a_canvas_is_painted_as_fast_as_its_fastest_screen_takes_it(tmp_path: Path) -> None:
    async with (
        running_site(tmp_path, fps=60.0) as site,
        site.screen("left") as slow,
        site.screen("left") as slower,
    ):
        engine = engine_of(site)
        await slow.frame()
        await slow.send("ready", max_fps=12)
        await slower.send("ready", max_fps=4)
        await wait_for(lambda: site.canvas("left").demand_fps == 12.0)

        # A busy machine may paint less in one second, but never more.
        is_fast_enough = False
        for _ in range(5):
            before, began_s = len(engine.batches), time.perf_counter()
            await asyncio.sleep(1.0)
            painted, took_s = len(engine.batches) - before, time.perf_counter() - began_s
            # At either end, one that was under way and one that was late: fewer than both rates make.
            assert painted <= 12.0 * took_s + 3.0
            # More than the slower one takes.
            if is_fast_enough := painted > 4.0 * took_s + 2.0:
                break
        assert is_fast_enough


async def test_what_is_watched_on_one_canvas_has_nothing_painted_on_another(site: Site) -> None:
    engine = engine_of(site)
    async with site.screen("left") as left, site.screen("right") as right:
        await left.frame()
        await right.frame()
        await left.send("ready", visible=False)
        await wait_for(lambda: site.canvas("left").demand_fps == 0.0)
        assert site.canvas("right").demand_fps > 0.0
        await right.frame()
        finished = engine.finished.count("left one")
        await right.frame()
        await right.frame()

        assert engine.finished.count("left one") <= finished + 1


async def test_a_playlist_without_end_waits_for_a_screen(still_site: Site) -> None:
    folder = still_site.parts.settings.media_root / "pictures"
    folder.mkdir(parents=True)

    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(image_file(width=32 + 8 * number))
    await still_site.call(
        "POST", "/canvases/left/playlist", status=202, json={"folder": "pictures", "fps": 50, "loop": True}
    )
    await asyncio.sleep(0.1)
    assert still_site.canvas("left").published.total == 0
    async with still_site.screen("left") as screen:
        await screen.frame()
        await screen.frame()


async def test_a_plain_image_element_is_a_screen_like_any_other(site: Site) -> None:
    engine = engine_of(site)
    assert site.canvas("left").demand_fps == 0.0
    async with site.session.get(site.url / "canvases/left/stream.mjpeg") as response:
        await response.content.readany()
        await wait_for(lambda: engine.finished.count("left one") > 3)
        assert site.canvas("left").to_json()["watched"]
    await wait_for(lambda: site.canvas("left").demand_fps == 0.0)
    painted = await still(engine)
    assert await still(engine) == painted


async def test_screens_are_told_when_to_show_a_frame_once_that_is_asked_for(still_site: Site) -> None:
    changed = await still_site.call("PATCH", "/canvases/left", json={"present_delay_ms": 120})
    assert changed["canvas"]["present_delay_ms"] == 120
    async with still_site.screen("left") as screen:
        await push(still_site, 1)
        frame = await screen.frame()
        assert frame["present_at_ms"] == frame["published_ms"] + 120

        await still_site.call("PATCH", "/canvases/left", json={"present_delay_ms": None})
        await push(still_site, 2)
        assert "present_at_ms" not in await screen.frame()

    error = await still_site.refused("PATCH", "/canvases/left", status=400, json={"present_delay_ms": 6000})
    assert error["field"] == "present_delay_ms"

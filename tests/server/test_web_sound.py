"""Sound from a page to the picture, over real connections."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from PIL import Image
from processes import running_server
from screens import SOON_S, Screen, Site, running_site, wait_for

from server.sound.microphone import PER_S


TOKEN = "a token of some length"
LOUD = {"level": 1.0, "low": 0.5, "mid": 0.5, "high": 0.5, "onset": 1.0, "beat": 1.0}


def mapping(parameter: str, low: float, high: float) -> dict[str, Any]:
    """Return a body that maps loudness to a parameter, at once."""
    one = {"feature": "level", "parameter": parameter, "low": low, "high": high, "smoothing_s": 0.0}
    return {"audio": {"mappings": [one]}}


def timeline_s(frame: dict[str, Any]) -> float:
    """Return the time of the timeline that the engine has painted a frame of, in tenths of a second."""
    pixels = np.asarray(Image.open(io.BytesIO(frame["image"])))
    return float(pixels[0, 0, 2]) / 10.0


async def until_speed(screen: Screen, is_wanted: Callable[[float], bool], *, is_loud: bool) -> None:
    """Wait until the timeline has run at a wanted speed for some time."""
    first = last = await screen.frame()
    moved_s = passed_s = 0.0
    async with asyncio.timeout(SOON_S):
        while passed_s < 0.7 or not is_wanted(moved_s / passed_s):
            if is_loud:
                await screen.send("audio", **LOUD)
            before, last = last, await screen.frame()
            # The colour starts anew after 25.6 s.
            moved_s += (timeline_s(last) - timeline_s(before)) % 25.6
            passed_s = (last["timestamp_ms"] - first["timestamp_ms"]) / 1000.0


async def test_sound_speeds_the_picture_up_and_silence_does_not(site: Site) -> None:
    await site.call("PATCH", "/canvases/left", json={"format": "png", **mapping("speed", 1.0, 8.0)})
    async with site.screen("left") as screen:
        hello = await screen.receive()
        assert (await screen.frame(format="png"))["format"] == "png"
        await until_speed(screen, lambda speed: 0.5 < speed < 2.0, is_loud=False)
        await until_speed(screen, lambda speed: speed > 4.0, is_loud=True)
        await screen.send("audio", level=0.0)
        await screen.sync()
        await until_speed(screen, lambda speed: 0.5 < speed < 2.0, is_loud=False)
        (row,) = (await site.call("GET", "/state?canvas=left"))["canvases"]["left"]["subscribers"]

    assert "audio" in hello["features"]
    assert hello["limits"]["audio_per_s"] == PER_S
    assert hello["subscriber"] == row["number"]
    assert row["audio"]["allowed"] is True
    assert row["audio"]["heard"] >= 5


async def test_a_drifting_seed_changes_the_picture_and_not_the_job(site: Site) -> None:
    await site.call("PATCH", "/canvases/left", json={"format": "png", **mapping("seed", 0.0, 4.0)})
    job = await site.paint("left", "drifts", seed=10)
    async with site.screen("left") as screen, asyncio.timeout(SOON_S):
        reds = {10}
        while len(reds) < 4:
            await screen.send("audio", **LOUD)
            frame = await screen.frame(job=job["id"], format="png")
            reds.add(int(np.asarray(Image.open(io.BytesIO(frame["image"])))[0, 0, 0]))

    assert (await site.call("GET", f"/jobs/{job['id']}"))["job"]["parameters"]["seed"] == 10


async def test_without_the_token_sound_is_ignored_and_counted(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        async with site.screen("left") as stranger, site.screen("left", headers=bearer) as known:
            hellos = [await screen.receive() for screen in (stranger, known)]
            for screen in (stranger, known):
                await screen.send("audio", **LOUD)
                await screen.sync()
            left = (await site.call("GET", "/state"))["canvases"]["left"]

    assert ["audio" in hello["features"] for hello in hellos] == [False, True]
    rows = {row["number"]: row["audio"] for row in left["subscribers"]}
    assert rows[hellos[0]["subscriber"]] == {"allowed": False, "heard": 0, "ignored": 1}
    assert rows[hellos[1]["subscriber"]] == {"allowed": True, "heard": 1, "ignored": 0}
    assert left["audio"] == {"heard": 1, "ignored": 1, "microphones": 1}


async def test_a_number_out_of_range_closes_the_connection_by_name(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await screen.send("audio", level=1.5)
        code, _ = await screen.end()
    assert code == 1002
    await wait_for(lambda: still_site.parts.counters.protocol_errors == 1)


async def test_a_server_of_its_own_hears_who_has_logged_in_and_nobody_else(tmp_path: Path) -> None:
    settings = {"PSYCHE_SIZE": "64x64", "PSYCHE_FPS": "20", "PSYCHE_TOKEN": TOKEN}
    # A cookie jar for addresses without a name, as a browser has it.
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        running_server(tmp_path, **settings) as server,
        aiohttp.ClientSession() as stranger,
        aiohttp.ClientSession(cookie_jar=jar) as browser,
    ):

        async def unchanged() -> int:
            async with browser.get(server.url / "state" % {"canvas": "left", "subscribers": "0"}) as response:
                left = (await response.json())["canvases"]["left"]
                return int(left["unchanged"])

        async with browser.post(server.url / "login", json={"token": TOKEN}) as response:
            assert response.status == 200
        frozen = mapping("speed", 0.0, 0.0)
        async with browser.patch(server.url / "canvases" / "left", json=frozen) as response:
            assert response.status == 200

        async with stranger.ws_connect(server.url / "ws" / "left", autoclose=False) as ws:
            screen = Screen(ws)
            before = await unchanged()
            for _ in range(15):
                await screen.send("audio", **LOUD)
                await screen.frame()
            assert await unchanged() - before <= 2, "the picture goes on"

        async with browser.ws_connect(server.url / "ws" / "left", autoclose=False) as ws:
            screen = Screen(ws)
            before = await unchanged()
            async with asyncio.timeout(SOON_S):
                while await unchanged() < before + 5:
                    await screen.send("audio", **LOUD)
                    await screen.sync()

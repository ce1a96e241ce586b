"""What `PATCH` of a canvas does to how its pictures look, seen from outside: on every way to them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from screens import SOON_S, Screen, Site, image, wait_for

from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders, transcoding
from server.streaming.wire import JSON_PROTOCOL


TINT = {"tint": {"color": "#0000ff", "amount": 1.0}}
CORNER = {"crop": {"x": 0.5, "width": 0.5}, "rotate": 90}


def show(site: Site, picture: EncodedImage, slug: str = "left") -> int:
    return site.canvas(slug).publish(picture, timestamp_ms=now_ms(), final=True).sequence


async def patch(site: Site, **body: Any) -> dict[str, Any]:
    canvas: dict[str, Any] = (await site.call("PATCH", "/canvases/left", json=body))["canvas"]
    return canvas


def mean(data: bytes) -> NDArray[np.float64]:
    return np.asarray(encoders.decode(data).mean(axis=(0, 1)))


def is_blue(data: bytes) -> bool:
    red, green, blue = mean(data)
    return bool(red < 8 and green < 8 and blue > 40)


async def shown(screen: Screen, is_right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the first frame that is right, acknowledging each."""
    async with asyncio.timeout(SOON_S):
        while True:
            frame = await screen.frame()
            await screen.ack(frame)
            if is_right(frame):
                return frame


async def test_a_processing_is_told_and_merged_and_forgotten_again(still_site: Site) -> None:
    identity = (await still_site.call("GET", "/canvases/left"))["canvas"]["processing"]

    told = await patch(still_site, processing={**TINT, "rotate": 90, "blur": 2})
    assert told["processing"] == {
        **identity, "tint": {"color": "#0000ff", "amount": 1.0}, "rotate": 90, "blur": 2.0,
    }  # fmt: skip
    told = await patch(still_site, processing={"blur": 0, "tint": None})
    assert told["processing"] == {**identity, "rotate": 90}
    assert (await patch(still_site, processing=None))["processing"] == identity


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"processing": {"blur": 101}}, "processing.blur"),
        ({"processing": {"rotate": True}}, "processing.rotate"),
        ({"processing": {"tint": {"color": "blue"}}}, "processing.tint.color"),
        ({"processing": {"crop": {"x": 0.9}}}, "processing.crop.width"),
        ({"processing": {"sharpen": 1}}, "processing.sharpen"),
        ({"transition": {"kind": "fade"}}, "transition.kind"),
        ({"transition": {"duration_s": 11}}, "transition.duration_s"),
        ({"processing": {"blur": 3}, "quality": 0}, "quality"),
    ],
)
async def test_a_wrong_setting_names_its_place_and_changes_nothing(
    still_site: Site, body: dict[str, Any], field: str
) -> None:
    show(still_site, image())
    before = await still_site.call("GET", "/canvases/left")

    error = await still_site.refused("PATCH", "/canvases/left", status=400, json=body)
    made = await still_site.refused("POST", "/canvases", status=400, json={"slug": "third", **body})

    assert (error["code"], error["field"]) == ("invalid", field)
    assert made["field"] == field
    assert await still_site.call("GET", "/canvases/left") == before
    newest = still_site.canvas("left").newest
    assert newest is not None
    assert newest.sequence == 1


async def test_nan_is_no_number_in_a_part_either(still_site: Site) -> None:
    error = await still_site.refused(
        "PATCH",
        "/canvases/left",
        status=400,
        data=b'{"processing": {"blur": NaN}}',
        headers={"Content-Type": "application/json"},
    )

    assert error["field"] == "processing.blur"


@pytest.mark.parametrize("paused", [False, True])
async def test_a_screen_sees_another_processing_at_once_while_nothing_is_painted(
    still_site: Site, paused: bool
) -> None:
    picture = image(size=(64, 48))
    show(still_site, picture)
    await patch(still_site, paused=paused)
    async with still_site.screen("left") as screen:
        await screen.send("ready", viewport={"width": 640, "height": 480}, formats=["jpeg", "webp", "png"])
        first = await screen.frame()
        assert first["image"] == picture.data
        await screen.ack(first)

        await patch(still_site, processing={**TINT, **CORNER})
        frame = await shown(screen, lambda frame: bool(frame["sequence"] == 2))
        assert (frame["width"], frame["height"], frame["final"]) == (48, 32, True)
        assert is_blue(frame["image"])
        assert "treatment" not in frame

        await patch(still_site, processing=None)
        frame = await shown(screen, lambda frame: bool(frame["sequence"] == 3))
        assert frame["image"] == picture.data


async def test_whoever_comes_and_however_he_looks_sees_the_processed_picture(still_site: Site) -> None:
    await patch(still_site, processing=TINT)
    show(still_site, image(size=(64, 48)))
    canvas = still_site.canvas("left")

    for options in ({}, {"protocols": (JSON_PROTOCOL,)}):
        async with still_site.screen("left", **options) as screen:
            await screen.send("ready", viewport={"width": 64, "height": 48}, formats=["jpeg"])
            frame = await screen.frame()
            data = frame["image"]
            assert is_blue(data if isinstance(data, bytes) else base64.b64decode(data))
    async with still_site.screen("left", query="format=json") as screen:
        assert is_blue(base64.b64decode((await screen.receive())["image"]))
    async with still_site.session.get(still_site.at("/canvases/left/stream.mjpeg")) as response:
        async with asyncio.timeout(SOON_S):
            head = (await response.content.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split()[0])
            assert is_blue(await response.content.readexactly(length))
    for query, accept in (("", "*/*"), ("?width=32", "*/*"), ("", "image/png"), ("", "image/webp")):
        data = await still_site.call("GET", f"/canvases/left/snapshot{query}", headers={"Accept": accept})
        assert is_blue(data)
    assert canvas.newest is not None
    assert not is_blue(canvas.newest.image.data)


async def test_a_snapshot_has_the_size_and_the_format_of_what_is_shown(still_site: Site) -> None:
    await patch(still_site, processing=CORNER, format="webp")
    show(still_site, image(size=(640, 480)))

    whole = encoders.inspect(await still_site.call("GET", "/canvases/left/snapshot"))
    small = encoders.inspect(await still_site.call("GET", "/canvases/left/snapshot?width=160"))

    assert (whole.format, whole.width, whole.height) == ("webp", 480, 320)
    assert (small.format, small.width, small.height) == ("webp", 160, 107)


async def test_each_processing_of_a_picture_has_a_tag_of_its_own(still_site: Site) -> None:
    show(still_site, image())
    tags = set()
    for processing in (None, {"blur": 2}, {"blur": 3}):
        await patch(still_site, processing=processing)
        async with still_site.session.get(still_site.at("/canvases/left/snapshot")) as response:
            tags.add(response.headers["ETag"])

    assert len(tags) == 3


async def test_what_is_painted_from_the_current_picture_begins_with_it_as_it_came(site: Site) -> None:
    await patch(site, processing=TINT)
    picture = image(size=(64, 64), colour=(250, 10, 10))
    await site.call(
        "POST", "/canvases/left/frames", status=201, data=picture.data, headers={"Content-Type": "image/jpeg"}
    )

    job = await site.paint("left", "a fox", mode="once", source="current", strength=0.5)

    order = site.parts.desk.get(job["id"]).order
    assert order.source == picture.data
    ended = await site.ended(job["id"])
    # And its result is as it was painted.
    data = await site.call("GET", f"/jobs/{job['id']}/images/0")
    newest = site.canvas("left").newest
    assert ended["state"] == "succeeded"
    assert newest is not None
    assert data == newest.image.data


async def test_without_processing_a_running_server_decodes_nothing(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []
    load = transcoding.load

    def counting(data: bytes, scale: float = 1.0) -> Any:
        decoded.append(data)
        return load(data, scale)

    monkeypatch.setattr(transcoding, "load", counting)
    await patch(still_site, processing={"rotate": 0, "crop": {}, "tint": {"color": "#ff0000", "amount": 0}})
    picture = image(size=(640, 480))
    async with still_site.screen("left") as screen:
        await screen.send("ready", viewport={"width": 640, "height": 480}, formats=["jpeg"])
        for _ in range(3):
            show(still_site, picture)
        frame = await shown(screen, lambda frame: True)
        assert frame["image"] == picture.data
        assert await still_site.call("GET", "/canvases/left/snapshot") == picture.data

    assert decoded == []


async def test_a_broken_picture_is_not_shown_unprocessed_and_counted(still_site: Site) -> None:
    await patch(still_site, processing={"blur": 3})
    good = image(size=(64, 48))
    show(still_site, good)
    async with still_site.screen("left") as screen:
        await screen.send("ready", viewport={"width": 640, "height": 480}, formats=["jpeg"])
        first = await screen.frame()
        await screen.ack(first)

        # Its header is a picture's, and its end; what is between them is none.
        show(still_site, EncodedImage(good.data[:100] + b"\xff\xd9", "jpeg", 64, 48))
        canvas = still_site.canvas("left")
        await wait_for(lambda: canvas.counters()["undecodable"] == 1)
        error = await still_site.refused("GET", "/canvases/left/snapshot", status=409)
        assert error["code"] == "conflict"
        show(still_site, image(colour=(1, 200, 3)))

        frame = await shown(screen, lambda frame: bool(frame["sequence"] > first["sequence"]))
        assert frame["sequence"] == 3
    assert canvas.counters()["undecodable"] == 1


async def test_a_transition_reaches_the_screens_of_an_idle_canvas_at_once(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        hello = await screen.next("hello")
        assert hello["canvas"]["transition"] == {"kind": "cut", "duration_s": 0.0}
        await screen.sync()

        for transition in ({"kind": "wipe", "duration_s": 1.5}, {"kind": "cross-fade", "duration_s": 1.5}):
            await patch(still_site, transition=transition)
            status = await screen.next("status", transition=transition)
            assert status["state"] == "idle"
        await patch(still_site, transition=None)
        await screen.next("status", transition={"kind": "cut", "duration_s": 0.0})
    async with still_site.screen("left") as late:
        assert (await late.next("hello"))["canvas"]["transition"]["kind"] == "cut"


async def test_a_transition_is_told_while_a_picture_is_painted_too(site: Site) -> None:
    async with site.screen("left") as screen:
        await screen.frame()
        await patch(site, transition={"kind": "dissolve", "duration_s": 0.5})

        await screen.next("status", transition={"kind": "dissolve", "duration_s": 0.5})


async def test_a_canvas_may_be_made_with_a_processing(still_site: Site) -> None:
    body = {"slug": "third", "processing": TINT, "transition": {"kind": "wipe"}}

    made = (await still_site.call("POST", "/canvases", status=201, json=body))["canvas"]
    show(still_site, image(), "third")

    assert made["processing"]["tint"] == TINT["tint"]
    assert made["transition"] == {"kind": "wipe", "duration_s": 0.0}
    assert is_blue(await still_site.call("GET", "/canvases/third/snapshot"))

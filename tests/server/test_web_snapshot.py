"""One picture of a canvas: shrunk, tagged, and painted for whoever asks first."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from screens import SOON_S, Site, image, running_site, wait_for

from server.streaming.clock import now_ms
from server.streaming.images import encoders
from server.web import snapshot
from server.web.queries import MAX_WIDTH_PX, MIN_WIDTH_PX


WIDE = image(size=(640, 360))


def show(site: Site, picture: Any = WIDE) -> None:
    site.canvas("left").publish(picture, timestamp_ms=now_ms())


@pytest.mark.parametrize(
    ("width", "size"),
    [
        (320, (320, 180)),
        (8, (16, 9)),
        (97, (112, 63)),
        (112, (112, 63)),
        (640, (640, 360)),
        (4096, (640, 360)),
    ],
)
async def test_a_snapshot_is_shrunk_to_about_a_width_and_never_enlarged(
    still_site: Site, width: int, size: tuple[int, int]
) -> None:
    show(still_site)
    picture = encoders.inspect(await still_site.call("GET", f"/canvases/left/snapshot?width={width}"))

    assert picture.format == "jpeg"
    assert (picture.width, picture.height) == size


async def test_a_snapshot_that_is_not_shrunk_is_the_frame_byte_for_byte(still_site: Site) -> None:
    show(still_site)
    for query in ("", "?width=640", "?width=4096"):
        assert await still_site.call("GET", f"/canvases/left/snapshot{query}") == WIDE.data


@pytest.mark.parametrize("width", ["7", "4097", "0", "-64", "64.5", "wide", "", "1e2000", "6_4", "²"])
async def test_a_width_that_is_none_names_its_field(still_site: Site, width: str) -> None:
    show(still_site)
    error = await still_site.call(
        "GET", f"/canvases/left/snapshot?width={width.replace('²', '%C2%B2')}", status=400
    )

    assert error["error"]["field"] == "width"
    assert str(MIN_WIDTH_PX) in error["error"]["message"]
    assert str(MAX_WIDTH_PX) in error["error"]["message"]


async def tag_of(site: Site, query: str = "", **headers: str) -> str:
    async with site.session.get(site.at(f"/canvases/left/snapshot{query}"), headers=headers) as response:
        assert response.status == 200
        return response.headers["ETag"]


async def test_each_picture_format_and_width_has_a_tag_of_its_own(still_site: Site) -> None:
    show(still_site)
    tags = {
        await tag_of(still_site),
        await tag_of(still_site, Accept="image/webp"),
        await tag_of(still_site, "?width=320"),
        await tag_of(still_site, "?width=320", Accept="image/webp"),
        await tag_of(still_site, "?width=100"),
    }
    assert len(tags) == 5
    assert not any(tag.startswith("W/") for tag in tags)
    # The same picture under the same tag.
    assert await tag_of(still_site, "?width=2000") == await tag_of(still_site)

    show(still_site, image(size=(640, 360), colour=(1, 2, 3)))
    assert await tag_of(still_site) not in tags


@pytest.mark.parametrize("known", ["{tag}", "W/{tag}", '"other", {tag}', '"other", W/"another",{tag}', "*"])
async def test_who_has_the_picture_is_told_so_and_sent_nothing(still_site: Site, known: str) -> None:
    show(still_site)
    tag = await tag_of(still_site, "?width=320")
    for method in ("GET", "HEAD"):
        async with still_site.session.request(
            method,
            still_site.at("/canvases/left/snapshot?width=320"),
            headers={"If-None-Match": known.format(tag=tag)},
        ) as response:
            assert response.status == 304
            assert response.headers["ETag"] == tag
            assert await response.read() == b""


@pytest.mark.parametrize("known", ['"other"', "nonsense", ""])
async def test_who_has_another_picture_is_sent_this_one(still_site: Site, known: str) -> None:
    show(still_site)
    headers = {"If-None-Match": known}
    assert await still_site.call("GET", "/canvases/left/snapshot", headers=headers) == WIDE.data


async def test_head_tells_of_a_snapshot_and_sends_none(still_site: Site) -> None:
    show(still_site)
    async with still_site.session.head(still_site.url / "canvases/left/snapshot") as response:
        assert response.status == 200
        assert response.content_type == "image/jpeg"
        assert response.headers["Content-Length"] == str(len(WIDE.data))
        assert response.headers["ETag"]
        assert await response.read() == b""


async def test_a_picture_that_nobody_has_looked_at_is_painted_for_who_asks(site: Site) -> None:
    canvas = site.canvas("left")
    assert canvas.newest is None

    picture = await site.call("GET", "/canvases/left/snapshot")

    assert encoders.inspect(picture).width == 64
    assert not canvas.subscribers
    assert canvas.demand_fps == 0.0


async def test_who_asks_for_one_picture_has_no_more_painted_than_that_takes(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        assert site.engine is not None
        site.engine.gate.clear()
        canvas = site.canvas("left")
        asked = asyncio.create_task(site.call("GET", "/canvases/left/snapshot"))
        await wait_for(lambda: canvas.subscribers)

        assert canvas.demand_fps == 1.0

        site.engine.gate.set()
        await asked


async def test_a_canvas_that_paints_nothing_in_time_has_no_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "FIRST_FRAME_S", 0.05)
    async with running_site(tmp_path) as site:
        assert site.engine is not None
        site.engine.gate.clear()
        error = await site.refused("GET", "/canvases/left/snapshot", status=404)
        assert not site.canvas("left").subscribers
        site.engine.gate.set()

    assert "nothing" in error["message"]


async def test_who_waits_for_a_first_frame_is_told_at_once_when_there_will_be_none(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        assert site.engine is not None
        site.engine.gate.clear()
        asked = asyncio.create_task(site.refused("GET", "/canvases/left/snapshot", status=404))
        await wait_for(lambda: site.canvas("left").subscribers)
        job = site.parts.desk.lane("left").running
        assert job is not None
        site.parts.desk.cancel(job)
        site.engine.gate.set()
        async with asyncio.timeout(min(SOON_S, snapshot.FIRST_FRAME_S - 1.0)):
            await asked


async def test_a_canvas_with_nothing_to_do_has_no_snapshot_and_is_not_waited_for(still_site: Site) -> None:
    async with asyncio.timeout(snapshot.FIRST_FRAME_S - 1.0):
        await still_site.refused("GET", "/canvases/left/snapshot", status=404)

"""One picture that is shown at the moment that its sender asks for."""

from __future__ import annotations

from typing import Any

import pytest
from screens import Site, image

from server.streaming.clock import now_ms
from server.web.frames import EARLIEST_MS, LATEST_MS


JPEG = image().data
OPTIONS: dict[str, Any] = {"data": JPEG, "headers": {"Content-Type": "image/jpeg"}}


async def test_a_pushed_picture_says_when_it_is_to_be_shown(still_site: Site) -> None:
    present_at_ms = now_ms() + 2_000.0
    async with still_site.screen("left") as screen:
        await still_site.call(
            "POST", f"/canvases/left/frames?present_at_ms={present_at_ms!r}", status=201, **OPTIONS
        )
        frame = await screen.frame()

    assert frame["present_at_ms"] == present_at_ms
    assert frame["final"] is True


async def test_a_picture_without_a_moment_is_shown_at_once(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await still_site.call("POST", "/canvases/left/frames", status=201, **OPTIONS)
        assert "present_at_ms" not in await screen.frame()


@pytest.mark.parametrize("from_now_ms", [EARLIEST_MS + 500.0, LATEST_MS - 500.0])
async def test_a_moment_may_lie_a_little_in_the_past_and_some_seconds_ahead(
    still_site: Site, from_now_ms: float
) -> None:
    present_at_ms = now_ms() + from_now_ms
    await still_site.call(
        "POST", f"/canvases/left/frames?present_at_ms={present_at_ms}", status=201, **OPTIONS
    )


@pytest.mark.parametrize(
    "present_at_ms",
    ["", "soon", "nan", "inf", "-1", "0", "{past}", "{future}", "1_700_000_000_000"],
)
async def test_a_moment_that_is_none_names_its_field_and_shows_nothing(
    still_site: Site, present_at_ms: str
) -> None:
    text = present_at_ms.format(past=now_ms() + EARLIEST_MS - 1_000.0, future=now_ms() + LATEST_MS + 5_000.0)

    error = await still_site.refused(
        "POST", f"/canvases/new/frames?present_at_ms={text}", status=400, **OPTIONS
    )

    assert error["field"] == "present_at_ms"
    await still_site.refused("GET", "/canvases/new", status=404)

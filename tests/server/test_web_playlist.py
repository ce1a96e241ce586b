"""Folders of pictures at the rate of a film, through the whole server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from images import image_file
from screens import Site

from server.streaming.images import encoders


async def test_a_playlist_is_shown_at_sixty_pictures_a_second(still_site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "media" / "film"
    folder.mkdir(parents=True)
    for number in range(45):
        (folder / f"{number:03}.jpg").write_bytes(image_file("jpeg", width=64 + number))
    async with still_site.screen("left") as screen:
        await screen.sync()
        body = {"folder": "film", "fps": 60}
        job = (await still_site.call("POST", "/canvases/left/playlist", status=202, json=body))["job"]
        frame = await screen.frame(job=job["id"])
        while not frame["final"]:
            frame = await screen.frame(job=job["id"])
        ended = await still_site.ended(job["id"])

    assert frame["width"] == 64 + 44
    assert ended["step"] == 45
    # Forty-four intervals, whatever was left out on the way; the two clocks may differ by a little.
    assert frame["published_ms"] - ended["started_ms"] >= 44 / 60 * 1000 - 5
    shown = still_site.canvas("left").published.total
    assert shown + still_site.canvas("left").dropped == 45


async def test_a_picture_of_4k_in_a_folder_is_passed_on_untouched(still_site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "media" / "large"
    folder.mkdir(parents=True)
    data = encoders.encode(np.zeros((2160, 3840, 3), np.uint8), "jpeg", 80).data
    (folder / "a.jpg").write_bytes(data)
    async with still_site.screen("left") as screen:
        await still_site.call("POST", "/canvases/left/playlist", status=202, json={"folder": "large"})
        frame = await screen.frame()

    assert frame["image"] == data
    assert (frame["width"], frame["height"], frame["final"]) == (3840, 2160, True)

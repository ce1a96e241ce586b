"""The slate: what is seen where nothing was shown yet."""

from __future__ import annotations

import numpy as np
import pytest

from server.streaming.images import encoders
from server.streaming.images.slate import slate


@pytest.mark.parametrize("size", [(512, 512), (64, 48), (8, 8), (1, 1), (1920, 1080), (64, 1024)])
def test_a_slate_is_a_jpeg_of_the_size_that_is_asked_for(size: tuple[int, int]) -> None:
    image = slate(*size, "left", "nothing yet")

    assert (image.format, image.width, image.height) == ("jpeg", *size)
    assert encoders.inspect(image.data) == image
    assert encoders.decode(image.data).shape == (size[1], size[0], 3)


def test_a_slate_shows_both_lines_in_its_middle_on_darkness() -> None:
    pixels = encoders.decode(slate(512, 512, "left", "nothing yet").data).max(axis=2)
    lit = pixels > 90

    rows, columns = np.nonzero(lit)
    assert 150 < rows.min() < 256 < rows.max() < 362
    assert abs((columns.min() + columns.max()) / 2 - 256) < 10
    assert np.median(pixels) < 30


def test_slates_of_different_words_differ() -> None:
    assert slate(256, 256, "left", "nothing yet") != slate(256, 256, "left", "inference unavailable")
    assert slate(256, 256, "left", "nothing yet") != slate(256, 256, "right", "nothing yet")


@pytest.mark.parametrize("title", ["x" * 64, "x" * 10_000])
def test_the_longest_title_stays_inside(title: str) -> None:
    lit = encoders.decode(slate(640, 360, title, "nothing yet").data).max(axis=2) > 90

    assert not lit[:, :4].any()
    assert not lit[:, -4:].any()


@pytest.mark.parametrize(
    "title", ["", "a\nb\r\x00\t", "\N{HEBREW LETTER ALEF}\N{SNOWMAN}", "\ud800", "<b>&'\""]
)
def test_whatever_it_is_told_a_slate_is_drawn(title: str) -> None:
    assert encoders.inspect(slate(256, 128, title, "nothing yet").data).width == 256

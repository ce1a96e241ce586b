"""Sources and masks of requests, made once for as long as they are painted from."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
import numpy as np
from tiny_turbo import ask, half_mask, picture, tiny

from inference.turbo.autoencoder import Autoencoder
from inference.turbo.sources import Sources


pytestmark = pytest.mark.diffusion


def sources_of() -> tuple[Sources, Autoencoder]:
    autoencoder = Autoencoder(tiny(), "cpu")
    return Sources(autoencoder, device="cpu", scale=8), autoencoder


def test_the_same_array_is_recognised_without_reading_it() -> None:
    sources, autoencoder = sources_of()
    source = picture(1)

    first, again = (sources.latents(source, 64, 64) for _ in range(2))

    assert first is again
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (1, 0, 1)


def test_an_equal_array_is_recognised_by_its_contents() -> None:
    sources, autoencoder = sources_of()

    first, again = sources.latents(picture(1), 64, 64), sources.latents(picture(1), 64, 64)

    assert first is again
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (0, 1, 1)


def test_another_size_is_another_source() -> None:
    sources, _ = sources_of()
    source = picture(1)

    assert sources.latents(source, 64, 64).mean.shape == (1, 4, 8, 8)
    assert sources.latents(source, 128, 72).mean.shape == (1, 4, 9, 16)


def test_no_more_arrays_are_held_than_memory_is_given_for(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (picture(seed) for seed in range(3))
    monkeypatch.setattr("inference.turbo.sources._MAX_HELD_BYTES", 2 * first.nbytes)
    sources, autoencoder = sources_of()

    for source in (first, second, first, third, first):
        sources.latents(source, 64, 64)
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (2, 0, 3)
    sources.latents(second, 64, 64)

    # Recognised by its contents again.
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (2, 1, 3)


def test_latents_are_painted_where_the_mask_is_white() -> None:
    sources, _ = sources_of()
    request = ask(source=picture(1), mask=half_mask())

    area = sources.area(request)

    assert area is not None
    assert sources.area(request) is area
    assert area.painted.shape == (1, 1, 8, 8)
    assert torch.equal(area.painted[0, 0, 0], torch.tensor([False] * 4 + [True] * 4))
    assert sources.area(ask(source=picture(1))) is sources.area(ask()) is None


def test_kept_pixels_are_the_source_s_own_and_grey_ones_mixed() -> None:
    sources, _ = sources_of()
    mask = half_mask()
    mask[:, 16:32] = 100
    source, painted = picture(1), np.full((64, 64, 3), 7, np.uint8)
    area = sources.area(ask(source=source, mask=mask))
    assert area is not None

    mixed = area.put_back(painted)

    assert mixed.dtype == np.uint8
    assert np.array_equal(mixed[:, :16], source[:, :16])
    assert np.array_equal(mixed[:, 32:], painted[:, 32:])
    expected = (source[:, 16:32] * 155.0 + 7 * 100.0) / 255.0
    assert float(np.abs(mixed[:, 16:32] - expected).max()) <= 0.5

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


def test_the_same_array_of_a_live_picture_is_recognised_without_reading_it() -> None:
    sources, autoencoder = sources_of()
    source = picture(1)

    first, again = (sources.latents(source, 64, 64, is_live=True) for _ in range(2))

    assert first is again
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (1, 0, 1)


def test_an_equal_array_is_recognised_by_its_contents() -> None:
    sources, autoencoder = sources_of()

    first, again = (sources.latents(picture(1), 64, 64, is_live=True) for _ in range(2))

    assert first is again
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (0, 1, 1)


def test_another_size_is_another_source() -> None:
    sources, _ = sources_of()
    source = picture(1)

    assert sources.latents(source, 64, 64).mean.shape == (1, 4, 8, 8)
    assert sources.latents(source, 128, 72).mean.shape == (1, 4, 9, 16)


def test_a_still_is_recognised_by_its_contents_alone() -> None:
    sources, autoencoder = sources_of()
    source = picture(1)

    first, again = (sources.latents(source, 64, 64) for _ in range(2))

    assert first is again
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (0, 1, 1)
    assert held_bytes(sources) == 0


def held_bytes(sources: Sources) -> int:
    """Return what is remembered of live pictures, counted anew."""
    areas = [entry.made for entry in sources._areas._entries.values()]
    tensors = [area.painted for area in areas]
    tensors += [entry.made.mean for entry in sources._moments._entries.values()]
    arrays = [array for area in areas for array in (area.source, area.alpha)]
    return sum(tensor.nbytes for tensor in tensors) + sum(array.nbytes for array in arrays)


def test_no_more_is_held_than_memory_is_given_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [picture(seed) for seed in range(3)]
    sources, autoencoder = sources_of()
    size_bytes = sources.latents(pictures[0], 64, 64, is_live=True).size_bytes
    monkeypatch.setattr("inference.turbo.sources._MAX_HELD_BYTES", 2 * size_bytes)

    for index in (1, 0, 2, 0):
        sources.latents(pictures[index], 64, 64, is_live=True)
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (2, 0, 3)
    sources.latents(pictures[1], 64, 64, is_live=True)

    # Recognised by its contents again.
    assert (sources.hits, autoencoder.hits, autoencoder.misses) == (2, 1, 3)


def test_small_arrays_that_make_large_areas_are_counted_by_what_they_make(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most_bytes = 4 << 20
    monkeypatch.setattr("inference.turbo.sources._MAX_HELD_BYTES", most_bytes)
    sources, _ = sources_of()
    requests = [
        ask(source=picture(seed), mask=half_mask(), width=512, height=512, is_live=True) for seed in range(6)
    ]

    for request in requests:
        sources.area(request)

    assert 0 < held_bytes(sources) <= most_bytes


def test_stills_leave_no_area_behind() -> None:
    sources, _ = sources_of()
    still = ask(source=picture(1), mask=half_mask())

    assert sources.area(still) is not sources.area(still)
    assert held_bytes(sources) == 0


def test_what_nobody_holds_any_more_is_forgotten_with_the_next() -> None:
    sources, _ = sources_of()
    source, mask = picture(2, 100, 100), half_mask()
    for seed in (0, 1):
        request = ask(source=picture(seed, 100, 100), mask=mask, is_live=True)
        sources.area(request)
        sources.latents(request.source, 64, 64, is_live=True)
    del request

    area = sources.area(ask(source=source, mask=mask, is_live=True))
    moments = sources.latents(source, 64, 64, is_live=True)

    assert area is not None
    assert held_bytes(sources) == area.size_bytes + moments.size_bytes


def test_latents_are_painted_where_the_mask_is_white() -> None:
    sources, _ = sources_of()
    request = ask(source=picture(1), mask=half_mask(), is_live=True)

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

"""Noise is a pure function of seeds, shares and time, and that of diffusers at time 0."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
from itertools import pairwise
from typing import Any

from inference.turbo.noise import DRIFT_PERIOD_S, NoiseCache, PictureNoise, Seed, Stream


pytestmark = pytest.mark.diffusion

SHAPE = (1, 4, 16, 16)


def drawn(seed: int, count: int) -> list[Any]:
    """What diffusers draws, one after another, of a generator of this seed."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator) for _ in range(count)]


def noise_of(*seeds: Seed, shares: tuple[float, ...] = (1.0,), time_s: float = 0.0) -> PictureNoise:
    return PictureNoise(seeds, shares, time_s, SHAPE, NoiseCache())


def live(seed: int, time_s: float, cache: NoiseCache | None = None) -> Any:
    return PictureNoise([Seed(seed, drifts=True)], (1.0,), time_s, SHAPE, cache or NoiseCache()).first()


def test_a_stream_gives_its_last_tensor_again_and_skips_forward() -> None:
    stream = Stream(7, SHAPE)
    expected = drawn(7, 4)

    assert torch.equal(stream.draw(0), expected[0])
    assert torch.equal(stream.draw(0), expected[0])
    assert torch.equal(stream.draw(3), expected[3])


def test_noise_is_drawn_in_the_order_of_diffusers() -> None:
    expected = drawn(5, 3)
    noise = noise_of(Seed(5))

    assert torch.equal(noise.first(), expected[0])
    assert torch.equal(noise.step(0), expected[1])
    assert torch.equal(noise.step(1), expected[2])


def test_what_source_and_mask_draw_is_left_out() -> None:
    expected = drawn(5, 5)
    noise = noise_of(Seed(5, before=1, between=1))

    assert torch.equal(noise.first(), expected[1])
    assert torch.equal(noise.step(0), expected[3])
    assert torch.equal(noise.step(1), expected[4])


def test_a_live_picture_begins_with_the_noise_of_the_still() -> None:
    assert torch.equal(live(3, 0.0), noise_of(Seed(3)).first())


def test_a_still_does_not_drift() -> None:
    assert torch.equal(noise_of(Seed(3), time_s=100.0).first(), noise_of(Seed(3)).first())


def test_a_live_picture_drifts_steadily_and_never_stands_still() -> None:
    times = [DRIFT_PERIOD_S * part / 16 for part in range(40)]
    noises = [live(3, time_s) for time_s in times]

    # By how much unlike noises differ: the square root of 2, of unit variance.
    changes = [float((after - before).std()) for before, after in pairwise(noises)]

    assert min(changes) > 0.05
    assert max(changes) < 0.15


def test_drifting_noise_is_as_strong_as_any() -> None:
    for part in range(12):
        assert float(live(3, DRIFT_PERIOD_S * part / 5).std()) == pytest.approx(1.0, abs=0.08)


def test_drifting_noise_does_not_depend_on_what_was_asked_before() -> None:
    cache = NoiseCache()
    forwards = [live(3, time_s, cache) for time_s in (0.0, 10.0, 40.0)]
    backwards = [live(3, time_s, cache) for time_s in (40.0, 10.0, 0.0)]

    assert all(torch.equal(one, other) for one, other in zip(forwards, reversed(backwards), strict=True))


def test_neighbouring_seeds_never_pass_the_same_noise() -> None:
    corners = [live(seed, turn * DRIFT_PERIOD_S) for seed in range(5) for turn in range(5)]

    for index, corner in enumerate(corners):
        assert not any(torch.equal(corner, other) for other in corners[:index])


def test_the_noise_of_steps_does_not_change_with_time() -> None:
    early, late = (noise_of(Seed(3, drifts=True), time_s=time_s) for time_s in (0.0, 17.0))

    assert torch.equal(early.step(0), late.step(0))


def test_noise_between_two_targets_is_as_strong_and_reaches_both() -> None:
    first, second = noise_of(Seed(1)).first(), noise_of(Seed(2)).first()
    between = noise_of(Seed(1), Seed(2), shares=(0.5, 0.5)).first()

    assert float(between.std()) == pytest.approx(1.0, abs=0.08)
    assert float((between - first).std()) == pytest.approx(float((between - second).std()), rel=0.05)
    nearly = noise_of(Seed(1), Seed(2), shares=(1e-4, 1 - 1e-4)).first()
    assert float((nearly - second).abs().max()) < 0.01


def test_the_cache_forgets_the_least_recently_used() -> None:
    each = Stream(0, SHAPE).draw(0).nbytes
    cache = NoiseCache(max_bytes=2 * each)
    first = cache.draw(1, 0, SHAPE)
    second = cache.draw(2, 0, SHAPE)
    assert cache.draw(1, 0, SHAPE) is first

    cache.draw(3, 0, SHAPE)

    assert cache.draw(1, 0, SHAPE) is first
    again = cache.draw(2, 0, SHAPE)
    assert again is not second
    assert torch.equal(again, second)

"""Walking between embeddings and noises."""

from __future__ import annotations

import math

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
from itertools import pairwise
from typing import Any

from inference.turbo.blend import fold, mix_noises, mix_numbers, slerp


pytestmark = pytest.mark.diffusion


def tokens(seed: int, *, dtype: Any = None) -> Any:
    made = torch.randn((77, 64), generator=torch.Generator().manual_seed(seed))
    return made if dtype is None else made.to(dtype)


def test_the_ends_are_the_very_tensors() -> None:
    start, end = tokens(1), tokens(2)

    assert slerp(start, end, 0.0) is start
    assert slerp(start, end, 1.0) is end


def test_a_right_angle_is_walked_along_the_circle() -> None:
    walked = slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 1 / 3)

    assert walked.tolist() == pytest.approx([math.cos(math.pi / 6), math.sin(math.pi / 6)])


def test_each_token_is_walked_for_itself() -> None:
    start, end = tokens(1), tokens(2)
    walked = slerp(start, end, 0.3)

    for row in (0, 40, 76):
        assert torch.allclose(walked[row], slerp(start[row], end[row], 0.3), atol=1e-6)


def test_lengths_are_mixed_in_a_straight_line() -> None:
    walked = slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 6.0]), 0.25)

    assert float(walked.norm()) == pytest.approx(3.0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_nearly_parallel_tokens_are_mixed_by_the_right_shares(share: float) -> None:
    start = torch.tensor([[1.0, 1e-6, 0.0], [0.0, 0.0, 3.0]])
    end = torch.tensor([[1.1, 0.0, 1e-6], [0.0, 0.0, 3.0]])

    walked = slerp(start, end, share)

    assert walked[0].tolist() == pytest.approx(
        [1.0 + 0.1 * share, 1e-6 * (1 - share), 1e-6 * share], abs=1e-7
    )
    assert walked[1].tolist() == pytest.approx([0.0, 0.0, 3.0])


@pytest.mark.parametrize("end", [[-1.0, 0.0], [0.0, 0.0]])
def test_opposite_and_empty_tokens_stay_finite(end: list[float]) -> None:
    walked = slerp(torch.tensor([1.0, 0.0]), torch.tensor(end), 0.5)

    assert bool(torch.isfinite(walked).all())


def test_half_precision_is_walked_in_float32() -> None:
    start, end = tokens(1, dtype=torch.bfloat16), tokens(2, dtype=torch.bfloat16)

    walked = slerp(start, end, 0.4)

    assert walked.dtype == torch.bfloat16
    assert torch.equal(walked, slerp(start.float(), end.float(), 0.4).to(torch.bfloat16))


def test_noise_is_walked_as_one_vector() -> None:
    start, end = tokens(1), tokens(2)

    walked = mix_noises(start, end, 0.5)

    expected = slerp(start.flatten(), end.flatten(), 0.5).reshape(start.shape)
    assert torch.allclose(walked, expected, atol=1e-5)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_nearly_parallel_noises_are_mixed_by_the_right_shares(share: float) -> None:
    noise = tokens(1)

    walked = mix_noises(noise, 1.2 * noise, share)

    assert torch.allclose(walked, (1.0 + 0.2 * share) * noise)


def test_a_walk_is_even() -> None:
    start, end = tokens(1), tokens(2)
    points = [slerp(start, end, share / 10) for share in range(11)]
    ways = [float((after - before).norm()) for before, after in pairwise(points)]

    assert max(ways) < 1.1 * min(ways)


def test_several_are_folded_in_their_order_by_their_shares() -> None:
    numbers = [1.0, 5.0, 100.0]

    assert fold(numbers, [0.2, 0.3, 0.5], mix_numbers) == pytest.approx(0.2 + 1.5 + 50.0)


def test_one_alone_is_itself() -> None:
    only = tokens(1)

    assert fold([only], [1.0], slerp) is only


def test_a_share_next_to_nothing_changes_next_to_nothing() -> None:
    kept, faded = tokens(1), tokens(2)

    mixed = fold([faded, kept], [1e-6, 1.0 - 1e-6], slerp)

    assert float((mixed - kept).abs().max()) < 1e-4

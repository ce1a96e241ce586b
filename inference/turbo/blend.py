"""Mixing what several targets are painted from: embeddings, noises, numbers.

Everything is done in float32, whatever the model's precision: in half precision the angles between
neighbouring prompts drown in rounding. Pure: no model, no device of its own, no time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch


Item = TypeVar("Item")

# Two directions whose cosine lies this near to 1 or -1 are mixed in a straight line: the arc between them
# is as good as straight, or goes nowhere in particular.
_PARALLEL = 1.0 - 1e-5

# Of vectors that are as good as zero, which have no direction.
_TINY = 1e-12


def slerp(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Walk from tokens to tokens, each along the arc between the two, its length mixed in a straight line.

    Args:
        start: ``(..., C)``, any float type.
        end: Of the same shape.
        share: How far to walk, 0 to 1; at 0 and 1 the very tensors are returned.

    Returns:
        Like ``start`` in shape, type and device.
    """
    if share <= 0.0:
        return start
    if share >= 1.0:
        return end
    low, high = start.float(), end.float()
    low_length = low.norm(dim=-1, keepdim=True)
    high_length = high.norm(dim=-1, keepdim=True)
    low_unit, high_unit = low / low_length.clamp_min(_TINY), high / high_length.clamp_min(_TINY)
    cosine = (low_unit * high_unit).sum(dim=-1, keepdim=True)
    is_straight = (cosine.abs() > _PARALLEL) | (low_length < _TINY) | (high_length < _TINY)
    # Where it is straight the angle is not used; a right one keeps the division finite.
    angle = torch.where(is_straight, torch.zeros_like(cosine), cosine).acos()
    low_share = torch.sin((1.0 - share) * angle) / torch.sin(angle)
    high_share = torch.sin(share * angle) / torch.sin(angle)
    length = low_length + share * (high_length - low_length)
    arc = length * (low_share * low_unit + high_share * high_unit)
    walked = torch.where(is_straight, torch.lerp(low, high, share), arc)
    return walked.to(start.dtype)


def mix_noises(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Walk from one noise to another along the arc, so that what lies between is as strong as they are.

    Args:
        start: Of any shape, float32 on the CPU: each noise is one vector, whose angle is a plain number here,
            as a live frame of every canvas needs one.
        end: Likewise.
        share: How far to walk, 0 to 1; at 0 and 1 the very tensors are returned.
    """
    if share <= 0.0:
        return start
    if share >= 1.0:
        return end
    low, high = start.flatten(), end.flatten()
    low_length, high_length = float(torch.linalg.vector_norm(low)), float(torch.linalg.vector_norm(high))
    cosine = float(torch.dot(low, high)) / max(low_length * high_length, _TINY)
    if abs(cosine) > _PARALLEL:
        return torch.lerp(start, end, share)
    angle = math.acos(cosine)
    length = mix_numbers(low_length, high_length, share) / math.sin(angle)
    low_share = math.sin((1.0 - share) * angle) * length / low_length
    high_share = math.sin(share * angle) * length / high_length
    return torch.add(start * low_share, end, alpha=high_share)


def mix_numbers(start: float, end: float, share: float) -> float:
    """Walk from one number to another in a straight line."""
    return end if share >= 1.0 else start + share * (end - start)


def fold(items: Sequence[Item], shares: Sequence[float], mix: Callable[[Item, Item, float], Item]) -> Item:
    """Mix what several targets have by their shares: the first with the second, that with the third, ...

    Args:
        items: One or more, oldest first.
        shares: Of each, above 0; the last one's may be 0.
        mix: Walks from its first argument to its second.
    """
    mixed, held = items[0], shares[0]
    for item, share in zip(items[1:], shares[1:], strict=True):
        held += share
        mixed = mix(mixed, item, share / held)
    return mixed

"""The least time that a stage can take on a device: its arithmetic and its memory traffic. Pure.

A floor is what the stage would take if the device did nothing but the counted multiplications at the
rate of a large matrix product, or nothing but reading the stage's weights once, whichever is longer.
Activations are not counted: the true floor lies a little higher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peak:
    """What a device does at best, measured in the same run."""

    flops_per_s: float  # in the model's precision
    bytes_per_s: float  # read and written, together


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage must do."""

    flops: float  # for one picture; 2 for each multiplication with its addition
    weight_bytes: float  # read once, however many pictures share the call


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage's time beside its floor, both for one picture."""

    stage: str
    bucket: int
    ms: float
    flops: float | None
    floor_ms: float | None  # None: there is none to be computed
    bound: str  # "arithmetic", "memory" or ""

    @property
    def of_floor(self) -> float | None:
        """The floor over the time: 1 is as fast as can be."""
        return self.floor_ms / self.ms if self.floor_ms is not None and self.ms > 0 else None


def floor_s(work: Work, peak: Peak, pictures: int) -> tuple[float, str]:
    """Return the least seconds of so many pictures in one call, and what bounds them."""
    arithmetic_s = work.flops * pictures / peak.flops_per_s
    memory_s = work.weight_bytes / peak.bytes_per_s
    return (arithmetic_s, "arithmetic") if arithmetic_s >= memory_s else (memory_s, "memory")


def stage_rows(
    measured_s: Mapping[str, float], works: Mapping[str, Work], peak: Peak | None, bucket: int
) -> list[StageRow]:
    """Put the stages of a batch beside their floors.

    Args:
        measured_s: Seconds of each stage for the whole batch.
        works: Of the stages that have some.
        peak: The device's; None where it was not measured.
        bucket: Pictures in the batch.
    """
    rows = []
    for stage, seconds in measured_s.items():
        work = works.get(stage)
        least = floor_s(work, peak, bucket) if work is not None and peak is not None else None
        rows.append(
            StageRow(
                stage=stage,
                bucket=bucket,
                ms=seconds * 1000.0 / bucket,
                flops=work.flops if work else None,
                floor_ms=least[0] * 1000.0 / bucket if least else None,
                bound=least[1] if least else "",
            )
        )
    return rows


def images_per_s_at_best(works: Iterable[Work], peak: Peak, bucket: int) -> float:
    """Return how many pictures per second the floors of their stages leave room for."""
    return bucket / sum(floor_s(work, peak, bucket)[0] for work in works)

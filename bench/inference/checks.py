"""What must hold, and whether it does. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.inference.measures import BucketRow, ComparisonRow, LoadRow, OwnCostRow


OURS_ALONE = "own loop, one by one"
OURS_SHARED = "own loop, callers at once"
PLAIN = "diffusers' pipeline"
PLAIN_KEPT = "diffusers' pipeline, embeddings kept"

LIGHT, TWICE_BEAT, TWICE_SPREAD = "light", "twice, one beat", "twice, spread"

CROWD = 16
# A picture taken up at once waits for the event loop and one hop between threads, milliseconds.
NO_WAIT_MS = 2.0
# The fastest caller's pictures over the slowest's.
MOST_RATE_SPREAD = 1.1
# Of what was due, where everything is served but for the ends of the measurement.
SERVED = 0.98


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold."""

    name: str
    wanted: str
    measured: str
    is_met: bool | None  # None: not measured

    @property
    def word(self) -> str:
        """The verdict."""
        return {True: "met", False: "MISSED", None: "not measured"}[self.is_met]


@dataclass(frozen=True)
class Findings:
    """Everything that was measured, by what it is."""

    buckets: Sequence[BucketRow] = ()
    loads: Sequence[LoadRow] = ()
    own_costs: Sequence[OwnCostRow] = ()
    comparison: Sequence[ComparisonRow] = ()
    shared_by: int = 0  # how many callers the own loop was compared with

    def load(self, name: str) -> LoadRow | None:
        """Return the measurement of a name with the crowd."""
        return next((row for row in self.loads if row.load == name and row.callers == CROWD), None)


def scheduler_checks(found: Findings) -> list[Check]:
    """Judge what must hold of the scheduler above any engine."""
    light = found.load(LIGHT)
    return [
        _own_cost(found),
        Check(
            f"{CROWD} callers, light load: added wait",
            f"p50 at most {NO_WAIT_MS:g} ms",
            f"{light.queued_p50_ms:.2f} ms" if light and light.queued_p50_ms is not None else "",
            light.queued_p50_ms <= NO_WAIT_MS if light and light.queued_p50_ms is not None else None,
        ),
        Check(
            f"{CROWD} callers, light load: every caller at its rate",
            f"at least {SERVED:.0%} of what is due",
            f"{light.least_served:.1%} at the least" if light and light.least_served is not None else "",
            light.least_served >= SERVED if light and light.least_served is not None else None,
        ),
    ]


def tiny_checks(found: Findings) -> list[Check]:
    """Judge what must hold of the own loop, on the tiny pipeline on a CPU."""
    twice, spread = found.load(TWICE_BEAT), found.load(TWICE_SPREAD)
    is_crowd = found.shared_by == CROWD
    return [
        _ratio(found, OURS_ALONE, f"batch 1 beside {PLAIN}", 1.0),
        _ratio(found if is_crowd else Findings(), OURS_SHARED, f"{CROWD} callers beside {PLAIN}", 3.0),
        _mean_batch(twice, spread),
        _rates(twice, spread),
    ]


def accelerator_checks(found: Findings) -> list[Check]:
    """Judge what is aimed at with SDXL's full size, 512 pixels, one step, on an H200."""
    first = next((row for row in found.buckets if row.bucket == 1), None)
    rate = max((row.images_per_s for row in found.loads if row.offered_per_s is None), default=None)
    return [
        Check(
            "a frame at batch 1",
            "p50 at most 20 ms",
            f"{first.p50_ms:.1f} ms" if first else "",
            first.p50_ms <= 20.0 if first else None,
        ),
        Check(
            "all callers together",
            "at least 200 images/s",
            f"{rate:.1f} images/s" if rate is not None else "",
            rate >= 200.0 if rate is not None else None,
        ),
        _ratio(found, OURS_SHARED, f"{found.shared_by} callers beside {PLAIN}", 5.0),
    ]


def _own_cost(found: Findings) -> Check:
    row = next((row for row in found.own_costs if row.rows == CROWD), None)
    return Check(
        f"the scheduler's own cost per tick of {CROWD} rows",
        "mean below 1 ms",
        f"mean {row.mean_ms:.3f} ms, p99 {row.p99_ms:.3f} ms" if row else "",
        row.mean_ms < 1.0 if row else None,
    )


def _mean_batch(beat: LoadRow | None, spread: LoadRow | None) -> Check:
    """Judge the batches where all pictures are due at once; the evenly spread load is told beside it."""
    measured = f"{beat.mean_rows:.1f} rows" if beat else ""
    if beat and spread:
        measured += f"; spread evenly {spread.mean_rows:.1f}: without waiting, smaller ones carry it already"
    return Check(
        f"{CROWD} callers offered twice what one by one sustains, all on one beat: mean batch",
        "above 8 rows",
        measured,
        beat.mean_rows > 8 if beat else None,
    )


def _rates(beat: LoadRow | None, spread: LoadRow | None) -> Check:
    return Check(
        f"{CROWD} callers offered twice what one by one sustains, on one beat and spread evenly: rates",
        "within 10 % of each other",
        f"the fastest {beat.rate_spread:.3f} times the slowest on one beat, {spread.rate_spread:.3f} spread"
        if beat and spread
        else "",
        max(beat.rate_spread, spread.rate_spread) <= MOST_RATE_SPREAD if beat and spread else None,
    )


def _ratio(found: Findings, way: str, name: str, wanted: float) -> Check:
    row = next((row for row in found.comparison if row.way == way), None)
    measured = ""
    if row and row.ratio is not None and row.ratio_range is not None:
        low, high = row.ratio_range
        measured = f"{row.ratio:.2f} times ({low:.2f} to {high:.2f})"
    return Check(
        name,
        f"at least {wanted:g} times",
        measured,
        row.ratio >= wanted if row and row.ratio is not None else None,
    )

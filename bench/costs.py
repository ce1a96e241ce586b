"""What a delivered frame costs, from rounds to rows and ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.figures import REACHED
from bench.load.crowd import warn_when_busy
from bench.rounds import BARE, Case, Outcome
from bench.table import Column, number


COLUMNS = (
    Column("case", is_text=True),
    Column("kind", is_text=True),
    Column("screens"),
    Column("rate", "frames/s each"),
    Column("CPU", "us/frame"),
    Column("least", "us/frame"),
    Column("most", "us/frame"),
    Column("of bare", "ratio"),
    Column("per CPU second", "frames"),
    Column("of a core", "%"),
    Column("age p50", "ms"),
    Column("age p99", "ms"),
    Column("load", "% of its core"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind in one case: medians over the rounds."""

    case: str
    kind: str
    screens: int
    asked_fps: float
    fps: float
    cpu_us: float | None
    cpu_least_us: float | None
    cpu_most_us: float | None
    of_bare: float | None  # median of the rounds' ratios
    cpu_share: float
    age_p50_ms: float | None
    age_p99_ms: float | None
    load_share: float  # the highest of the rounds

    @property
    def frames_per_cpu_s(self) -> float | None:
        """Frames that a second of CPU delivers."""
        return 1e6 / self.cpu_us if self.cpu_us else None

    @property
    def is_short(self) -> bool:
        """Whether the asked rate was missed."""
        return self.fps < REACHED * self.asked_fps

    def to_json(self) -> dict[str, Any]:
        """Return the fields, and what follows from them."""
        return {**asdict(self), "frames_per_cpu_s": self.frames_per_cpu_s, "is_short": self.is_short}

    def cells(self) -> list[str]:
        """Return the row of the table."""
        return [
            self.case,
            self.kind,
            str(self.screens),
            f"{number(self.fps, 2)}{' !' if self.is_short else ''}",
            number(self.cpu_us),
            number(self.cpu_least_us),
            number(self.cpu_most_us),
            number(self.of_bare, 2),
            number(self.frames_per_cpu_s, 0),
            number(100.0 * self.cpu_share),
            number(self.age_p50_ms, 2),
            number(self.age_p99_ms, 2),
            number(100.0 * self.load_share, 0),
        ]


def rows_of(case: Case, found: Mapping[str, Sequence[Outcome]]) -> list[Row]:
    """Make the rows of a case.

    Args:
        case: What was measured.
        found: By kind, the outcomes of the rounds in order.
    """
    return [_row(case, kind, outcomes, found.get(BARE.name, ())) for kind, outcomes in found.items()]


def median_ratio(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> float | None:
    """Return the median of the ratios of what a frame costs, round by round."""
    ratios = [
        one.cpu_us / other.cpu_us
        for one, other in zip(ours, theirs, strict=False)
        if one.cpu_us is not None and other.cpu_us
    ]
    return statistics.median(ratios) if ratios else None


def warnings(rows: Sequence[Row]) -> list[str]:
    """Say what makes the rows doubtful."""
    notes = []
    for row in rows:
        if row.is_short:
            notes.append(
                f"{row.case}, {row.kind}: {number(row.fps, 2)} of {row.asked_fps:g} frames/s each; "
                "this is as much as it delivers."
            )
        busy = warn_when_busy(row.load_share)
        if busy:
            notes.append(f"WARNING {row.case}, {row.kind}: {busy}.")
    return notes


def _row(case: Case, kind: str, outcomes: Sequence[Outcome], bare: Sequence[Outcome]) -> Row:
    costs = [outcome.cpu_us for outcome in outcomes if outcome.cpu_us is not None]
    return Row(
        case=case.name,
        kind=kind,
        screens=case.screens,
        asked_fps=case.fps,
        fps=statistics.median(outcome.fps(case) for outcome in outcomes),
        cpu_us=statistics.median(costs) if costs else None,
        cpu_least_us=min(costs, default=None),
        cpu_most_us=max(costs, default=None),
        of_bare=median_ratio(outcomes, bare),
        cpu_share=statistics.median(outcome.cpu_share for outcome in outcomes),
        age_p50_ms=_worst_group(outcomes, "age_p50_ms"),
        age_p99_ms=_worst_group(outcomes, "age_p99_ms"),
        load_share=max(outcome.load_share for outcome in outcomes),
    )


def _worst_group(outcomes: Sequence[Outcome], field: str) -> float | None:
    """Return the median over the rounds of the worst group's age."""
    ages = []
    for outcome in outcomes:
        known = [group[field] for group in outcome.groups.values() if group[field] is not None]
        ages += [max(known)] if known else []
    return statistics.median(ages) if ages else None

"""From what was counted to what is reported: percentiles, costs per frame, ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.sizes import Size


FORMS = ("msgpack", "json")
"""`psyche.v1.msgpack`, and the first clients' JSON with base64 (`?format=json`)."""

# A round that reaches less of the asked rate than this is reported as a shortfall.
REACHED = 0.95


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile, linear between neighbours; None of no values.

    Args:
        values: In any order.
        percent: 0 to 100.
    """
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100.0
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def ratio(part: float | None, whole: float | None) -> float | None:
    """Return part over whole; None where either is missing or the whole is not above 0."""
    return part / whole if part is not None and whole is not None and whole > 0 else None


@dataclass(frozen=True, slots=True)
class Case:
    """One set-up that both forms are measured with."""

    size: Size
    canvases: int
    subscribers: int  # of each canvas
    fps: float  # pushed to each canvas


@dataclass(frozen=True, slots=True)
class Round:
    """What was counted in one round; summed over canvases and subscribers where not said otherwise."""

    published: int  # frames
    cpu_s: float  # of the server process, all of its threads
    dropped: int = 0  # frames that were due and never published
    delivered: int = 0  # frames received
    received_bytes: int = 0  # WebSocket messages of frames
    fps: float | None = None  # received, mean over the subscribers
    ages_ms: tuple[float, ...] = ()  # at receipt, each frame at each subscriber
    replaced: int = 0  # frames conflated in the server's mailboxes
    skipped: int = 0  # frames superseded in the screen before its next refresh
    undelivered: int = 0  # subscribers that did not end on the newest frame in time


@dataclass(frozen=True, slots=True)
class Row:
    """One form in one case: medians over the rounds, sums of what was lost."""

    size: str
    width: int
    height: int
    canvases: int
    subscribers: int
    form: str
    jpeg_bytes: float  # mean weight of the pushed files
    target_fps: float
    fps: float | None
    frames: int  # delivered in all rounds
    age_p50_ms: float | None
    age_p99_ms: float | None
    bytes_per_frame: float | None
    cpu_gross_ms: float | None  # server CPU per delivered frame, with what receiving the push costs
    cpu_gross_range_ms: tuple[float, float] | None  # least and most of the rounds
    cpu_ingest_ms: float  # server CPU per pushed frame without any subscriber
    cpu_net_ms: float | None  # gross without the share of the push
    replaced: int
    dropped: int
    skipped: int
    undelivered: int

    @property
    def is_short(self) -> bool:
        """Whether the asked rate was missed."""
        return self.fps is None or self.fps < REACHED * self.target_fps

    def to_json(self) -> dict[str, Any]:
        """Return the fields, rounded to what was measured."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def summarise(
    case: Case, form: str, jpeg_bytes: float, rounds: Sequence[Round], idle: Sequence[Round]
) -> Row:
    """Make a row of the rounds of one form.

    Args:
        case: What was measured.
        form: One of `FORMS`.
        jpeg_bytes: Mean weight of the pushed files.
        rounds: With subscribers.
        idle: The rounds between them, with the same pushes and without subscribers.
    """
    ingest_s = statistics.median(item.cpu_s / max(1, item.published) for item in idle)
    served = [item for item in rounds if item.delivered]
    gross_ms = [item.cpu_s * 1000.0 / item.delivered for item in served]
    net_ms = [(item.cpu_s - ingest_s * item.published) * 1000.0 / item.delivered for item in served]
    ages_ms = [age for item in rounds for age in item.ages_ms]
    frames = sum(item.delivered for item in rounds)
    return Row(
        size=case.size.name,
        width=case.size.width,
        height=case.size.height,
        canvases=case.canvases,
        subscribers=case.subscribers,
        form=form,
        jpeg_bytes=jpeg_bytes,
        target_fps=case.fps,
        fps=_median([item.fps for item in rounds if item.fps is not None]),
        frames=frames,
        age_p50_ms=percentile(ages_ms, 50),
        age_p99_ms=percentile(ages_ms, 99),
        bytes_per_frame=ratio(sum(item.received_bytes for item in rounds), frames),
        cpu_gross_ms=_median(gross_ms),
        cpu_gross_range_ms=(min(gross_ms), max(gross_ms)) if gross_ms else None,
        cpu_ingest_ms=ingest_s * 1000.0,
        cpu_net_ms=_median(net_ms),
        replaced=sum(item.replaced for item in rounds),
        dropped=sum(item.dropped for item in rounds),
        skipped=sum(item.skipped for item in rounds),
        undelivered=sum(item.undelivered for item in rounds),
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """msgpack over JSON in one case: below 1, msgpack takes less."""

    size: str
    canvases: int
    subscribers: int
    bytes_per_frame: float | None
    cpu_gross: float | None
    cpu_net: float | None
    age_p50: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields, rounded to what was measured."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def compare(ours: Row, theirs: Row) -> Comparison:
    """Put the msgpack row of a case beside its JSON row."""
    return Comparison(
        size=ours.size,
        canvases=ours.canvases,
        subscribers=ours.subscribers,
        bytes_per_frame=ratio(ours.bytes_per_frame, theirs.bytes_per_frame),
        cpu_gross=ratio(ours.cpu_gross_ms, theirs.cpu_gross_ms),
        cpu_net=ratio(ours.cpu_net_ms, theirs.cpu_net_ms),
        age_p50=ratio(ours.age_p50_ms, theirs.age_p50_ms),
    )


def comparisons(rows: Sequence[Row]) -> list[Comparison]:
    """Compare the forms in every case that has both."""
    found = {(row.size, row.canvases, row.subscribers, row.form): row for row in rows}
    pairs = [(row, found.get((row.size, row.canvases, row.subscribers, "json"))) for row in rows]
    return [compare(row, other) for row, other in pairs if row.form == "msgpack" and other is not None]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value

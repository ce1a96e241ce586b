"""From times to figures: rates, latencies, spreads, ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.figures import percentile


def to_json(row: Any) -> dict[str, Any]:
    """Return a row's fields, rounded to what was measured."""
    return {name: rounded(value) for name, value in asdict(row).items()}


def rounded(value: Any) -> Any:
    """Round the numbers in a value, whatever it is made of."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


@dataclass(frozen=True, slots=True)
class BucketRow:
    """Pictures painted straight by the engine, so many at once."""

    bucket: int
    batches: int
    images_per_s: float
    p50_ms: float  # until the whole batch is painted, which is when each of its pictures is
    p99_ms: float


def bucket_row(bucket: int, batch_s: Sequence[float]) -> BucketRow:
    """Make the row of a bucket.

    Args:
        bucket: Pictures in a batch.
        batch_s: Seconds of each batch; at least one.
    """
    return BucketRow(
        bucket=bucket,
        batches=len(batch_s),
        images_per_s=bucket * len(batch_s) / sum(batch_s),
        p50_ms=(percentile(batch_s, 50) or 0.0) * 1000.0,
        p99_ms=(percentile(batch_s, 99) or 0.0) * 1000.0,
    )


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of the scheduler, as its observer is told."""

    rows: int
    bucket: int
    seconds: float
    own_s: float
    outside_s: float | None = (
        None  # since the tick before was told of, but for `seconds`; None: callers rested
    )


@dataclass(frozen=True, slots=True)
class Served:
    """What one caller got."""

    offered: int  # pictures that were due
    latency_s: tuple[float, ...]  # of each finished picture, from asking to pixels
    queued_s: tuple[float, ...]  # of each, until the engine took it up


@dataclass(frozen=True, slots=True)
class LoadRow:
    """Callers under the scheduler in one measurement."""

    load: str
    callers: int
    offered_per_s: float | None  # of all callers; None: as many as the engine paints
    images_per_s: float  # of all callers
    rate_spread: float  # the fastest caller's pictures over the slowest's; infinite: one got none
    least_served: float | None  # of what a caller was due, the least share that one got
    mean_rows: float  # of a tick
    p50_ms: float | None
    p99_ms: float | None
    queued_p50_ms: float | None
    queued_p99_ms: float | None


def load_row(
    load: str, served: Sequence[Served], ticks: Sequence[Tick], seconds: float, offered_per_s: float | None
) -> LoadRow:
    """Make the row of a measurement.

    Args:
        load: What it is called.
        served: Of every caller.
        ticks: Of the same time.
        seconds: How long it was.
        offered_per_s: Pictures due from all callers together; None where there was no clock.
    """
    finished = [len(caller.latency_s) for caller in served]
    latency_s = [value for caller in served for value in caller.latency_s]
    queued_s = [value for caller in served for value in caller.queued_s]
    return LoadRow(
        load=load,
        callers=len(served),
        offered_per_s=offered_per_s,
        images_per_s=sum(finished) / seconds,
        rate_spread=max(finished) / min(finished) if min(finished) else float("inf"),
        least_served=None
        if offered_per_s is None
        else min(len(caller.latency_s) / max(1, caller.offered) for caller in served),
        mean_rows=statistics.mean(tick.rows for tick in ticks) if ticks else 0.0,
        p50_ms=_ms(latency_s, 50),
        p99_ms=_ms(latency_s, 99),
        queued_p50_ms=_ms(queued_s, 50),
        queued_p99_ms=_ms(queued_s, 99),
    )


@dataclass(frozen=True, slots=True)
class OwnCostRow:
    """What the scheduler itself took of each tick of so many rows."""

    rows: int
    ticks: int
    mean_ms: float
    p50_ms: float
    p99_ms: float
    share: float  # of the tick's seconds
    outside_p50_ms: float | None = None  # see `Tick.outside_s`; None: not known


def own_cost_row(ticks: Sequence[Tick], rows: int) -> OwnCostRow | None:
    """Make the row of the ticks of so many rows; None where there was none."""
    chosen = [tick for tick in ticks if tick.rows == rows]
    if not chosen:
        return None
    own_s = [tick.own_s for tick in chosen]
    return OwnCostRow(
        rows=rows,
        ticks=len(chosen),
        mean_ms=statistics.mean(own_s) * 1000.0,
        p50_ms=_ms(own_s, 50) or 0.0,
        p99_ms=_ms(own_s, 99) or 0.0,
        share=sum(own_s) / max(sum(tick.seconds for tick in chosen), 1e-9),
        outside_p50_ms=_ms([tick.outside_s for tick in chosen if tick.outside_s is not None], 50),
    )


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One way of painting beside the plain loop, round by round; above 1 it is faster."""

    way: str
    images_per_s: float  # median of the rounds
    ratio: float | None  # to the plain loop: median of the rounds' ratios; None for that loop itself
    ratio_range: tuple[float, float] | None  # least and most of the rounds


def compare(rates: Mapping[str, Sequence[float]], plain: str) -> list[ComparisonRow]:
    """Put every way beside the plain one.

    Args:
        rates: Pictures per second of each way, one number a round, the rounds in the same order.
        plain: The way that the others are compared with.
    """
    rows = []
    for way, values in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(values, rates[plain], strict=True)]
        is_plain = way == plain
        rows.append(
            ComparisonRow(
                way=way,
                images_per_s=statistics.median(values),
                ratio=None if is_plain else statistics.median(ratios),
                ratio_range=None if is_plain else (min(ratios), max(ratios)),
            )
        )
    return rows


def _ms(values_s: Sequence[float], percent: float) -> float | None:
    value = percentile(values_s, percent)
    return None if value is None else value * 1000.0

"""The report of the inference bench: tables for people, the same as Markdown, and one JSON line last.

The JSON line: `bench` "inference"; `schema`, raised when a field changes its meaning; `machine`,
`engine`, `options`, `peak`; `buckets`, `stages`, `loads`, `own_costs`, `comparison`, `checks`: the fields
of the rows of their names in `measures`, `floors` and `checks`; `notes`, sentences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.inference.checks import Check, Findings
from bench.inference.floors import Peak, StageRow
from bench.inference.measures import to_json
from bench.inference.options import Options
from bench.machine import describe_in_words
from bench.table import Column, number, render


SCHEMA = 1

_BUCKETS = (
    Column("batch", "pictures"),
    Column("rate", "images/s"),
    Column("latency p50", "ms"),
    Column("p99", "ms"),
    Column("batches"),
)
_STAGES = (
    Column("stage", is_text=True),
    Column("batch", "pictures"),
    Column("time", "ms/picture"),
    Column("work", "GFLOP"),
    Column("floor", "ms/picture"),
    Column("bound by", is_text=True),
    Column("of floor", "%"),
)
_LOADS = (
    Column("load", is_text=True),
    Column("callers"),
    Column("offered", "images/s"),
    Column("rate", "images/s"),
    Column("mean batch", "rows"),
    Column("rates", "max/min"),
    Column("least served", "%"),
    Column("latency p50", "ms"),
    Column("p99", "ms"),
    Column("queued p50", "ms"),
    Column("p99", "ms"),
)
_OWN_COSTS = (
    Column("tick", "rows"),
    Column("ticks"),
    Column("own mean", "ms"),
    Column("p50", "ms"),
    Column("p99", "ms"),
    Column("of the tick", "%"),
    Column("outside p50", "ms"),
)
_COMPARISON = (
    Column("way", is_text=True),
    Column("rate", "images/s"),
    Column("ratio"),
    Column("of the rounds", is_text=True),
)
_CHECKS = (
    Column("must hold", is_text=True),
    Column("wanted", is_text=True),
    Column("measured", is_text=True),
    Column("", is_text=True),
)


@dataclass(frozen=True)
class Report:
    """Everything that a run of the inference bench found."""

    machine: Mapping[str, Any]
    engine_words: str
    engine_facts: Mapping[str, Any]
    options: Options
    command: str
    date: str
    found: Findings
    stages: Sequence[StageRow] = ()
    checks: Sequence[Check] = ()
    peak: Peak | None = None
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        found = self.found
        return {
            "bench": "inference",
            "schema": SCHEMA,
            "machine": dict(self.machine),
            "engine": dict(self.engine_facts),
            "options": self.options.to_json(),
            "command": self.command,
            "date": self.date,
            "peak": to_json(self.peak) if self.peak else None,
            "buckets": [to_json(row) for row in found.buckets],
            "stages": [{**to_json(row), "of_floor": row.of_floor} for row in self.stages],
            "loads": [_finite(to_json(row)) for row in found.loads],
            "own_costs": [to_json(row) for row in found.own_costs],
            "comparison": [to_json(row) for row in found.comparison],
            "checks": [to_json(row) for row in self.checks],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class _Table:
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


def write_report(report: Report) -> None:
    """Print the report, the JSON line last."""
    for line in _head(report):
        print(line)
    for table in _tables(report):
        print(f"\n{table.title}")
        for line in render(table.columns, [table.rows]):
            print(line)
    print()
    for note in report.notes:
        print(f"- {note}")
    print(json.dumps(report.to_json(), allow_nan=False))


def markdown(report: Report) -> str:
    """Write the report as Markdown, to be kept with its machine, date and command."""
    lines = [f"### `{report.command}`", ""]
    lines += [f"{line}  " for line in [report.date, *_head(report)[1:]]]
    for table in _tables(report):
        heads = [
            f"{column.title}, {column.unit}" if column.unit else column.title for column in table.columns
        ]
        rules = ["---" if column.is_text else "--:" for column in table.columns]
        lines += ["", f"**{table.title}**", ""]
        lines += [f"| {' | '.join(cells)} |" for cells in (heads, rules, *table.rows)]
    lines += ["", *(f"- {note}" for note in report.notes), ""]
    return "\n".join(lines)


def _head(report: Report) -> list[str]:
    options = report.options
    lines = [f"Psyche, inference bench: {options.engine}, {options.size} x {options.size}, {_steps(options)}"]
    lines += describe_in_words(dict(report.machine))
    lines.append(report.engine_words)
    if report.peak:
        lines.append(
            f"At best, measured in this run: {report.peak.flops_per_s / 1e12:.3g} TFLOP/s, "
            f"{report.peak.bytes_per_s / 1e9:.3g} GB/s"
        )
    return lines


def _steps(options: Options) -> str:
    return "1 step" if options.steps == 1 else f"{options.steps} steps"


def _tables(report: Report) -> list[_Table]:
    found = report.found
    tables = [
        _Table(
            "The engine alone",
            _BUCKETS,
            [
                [
                    str(row.bucket),
                    _rate(row.images_per_s),
                    number(row.p50_ms, 2),
                    number(row.p99_ms, 2),
                    str(row.batches),
                ]
                for row in found.buckets
            ],
        ),
        _Table("Its stages beside their floors", _STAGES, [_stage_cells(row) for row in report.stages]),
        _Table(
            "Callers under the scheduler",
            _LOADS,
            [
                [
                    row.load,
                    str(row.callers),
                    _rate(row.offered_per_s),
                    _rate(row.images_per_s),
                    number(row.mean_rows, 2),
                    number(row.rate_spread, 3),
                    _percent(row.least_served),
                    number(row.p50_ms, 2),
                    number(row.p99_ms, 2),
                    number(row.queued_p50_ms, 2),
                    number(row.queued_p99_ms, 2),
                ]
                for row in found.loads
            ],
        ),
        _Table(
            "The scheduler's own cost per tick",
            _OWN_COSTS,
            [
                [
                    str(row.rows),
                    str(row.ticks),
                    number(row.mean_ms, 3),
                    number(row.p50_ms, 3),
                    number(row.p99_ms, 3),
                    _percent(row.share),
                    number(row.outside_p50_ms, 3),
                ]
                for row in found.own_costs
            ],
        ),
        _Table(
            "Beside diffusers' pipeline, in turn",
            _COMPARISON,
            [
                [
                    row.way,
                    _rate(row.images_per_s),
                    number(row.ratio, 2),
                    f"{row.ratio_range[0]:.2f} to {row.ratio_range[1]:.2f}" if row.ratio_range else "",
                ]
                for row in found.comparison
            ],
        ),
        _Table(
            "Checks",
            _CHECKS,
            [[check.name, check.wanted, check.measured or "-", check.word] for check in report.checks],
        ),
    ]
    return [table for table in tables if table.rows]


def _stage_cells(row: StageRow) -> list[str]:
    return [
        row.stage,
        str(row.bucket),
        number(row.ms, 3),
        number(None if row.flops is None else row.flops / 1e9, 2),
        number(row.floor_ms, 4),
        row.bound or "-",
        _percent(row.of_floor),
    ]


def _rate(per_s: float | None) -> str:
    """Write pictures per second; few need more digits."""
    return number(per_s, 1 if per_s is None or per_s >= 10.0 else 3)


def _percent(share: float | None) -> str:
    return number(None if share is None else share * 100.0)


def _finite(fields: dict[str, Any]) -> dict[str, Any]:
    """Write an infinite spread, of a caller that got nothing, as null: JSON has no infinity."""
    return {name: None if value == float("inf") else value for name, value in fields.items()}

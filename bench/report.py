"""The report of the streaming bench: lines for people, and one JSON line last.

The JSON line: `bench` "streaming"; `schema`, raised when a field changes its meaning; `machine`,
`server`, `options`; `rows`, the fields of `figures.Row`; `ratios`, msgpack over JSON, the fields of
`figures.Comparison`; `notes`, sentences. Times in milliseconds, weights in bytes, rates per second.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import Comparison, Row, comparisons
from bench.machine import describe_in_words
from bench.options import Options
from bench.pictures import GRAIN, JPEG_QUALITY
from bench.table import Column, number, render


SCHEMA = 1

_COLUMNS = (
    Column("size", is_text=True),
    Column("screens", "canvases x each", is_text=True),
    Column("form", is_text=True),
    Column("rate", "frames/s"),
    Column("age p50", "ms"),
    Column("age p99", "ms"),
    Column("weight", "bytes/frame"),
    Column("CPU gross", "ms/delivered"),
    Column("CPU ingest", "ms/pushed"),
    Column("CPU net", "ms/delivered"),
    Column("replaced", "frames"),
    Column("dropped", "frames"),
    Column("skipped", "frames"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a run of the streaming bench found."""

    machine: dict[str, Any]
    server: dict[str, Any]
    options: Options
    rows: tuple[Row, ...]

    @property
    def ratios(self) -> list[Comparison]:
        """The ratios of msgpack to JSON, of every case with both."""
        return comparisons(self.rows)

    def notes(self) -> list[str]:
        """Say what the reader must know to read the figures."""
        options = self.options
        notes = [
            f"JPEG files (a painted picture with grain {GRAIN:g} of 255, quality {JPEG_QUALITY}) are pushed "
            f"by HTTP at {options.fps:g} frames/s to each canvas and passed through; "
            "nothing is painted or encoded.",
            f"Medians of {options.rounds} rounds of {options.seconds:g} s, the kinds in turn; "
            "ages of all rounds together.",
            f"CPU: of the server process, all threads, user and system, by {self.server['cpu_clock']}.",
            "gross: all of it per delivered frame. ingest: per pushed frame in rounds without any "
            "subscriber. net: gross without the ingest of the pushed frames.",
            "replaced: in a mailbox, by a newer frame. dropped: due and never published. "
            "skipped: superseded on the screen within one refresh of 60 Hz.",
            "Ages of JSON are up to 1 ms too high: its timestamps are cut to milliseconds.",
        ]
        return notes + [note for row in self.rows for note in _warnings(row)]

    def to_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "bench": "streaming",
            "schema": SCHEMA,
            "machine": self.machine,
            "server": self.server,
            "options": self.options.to_json(),
            "rows": [row.to_json() for row in self.rows],
            "ratios": [comparison.to_json() for comparison in self.ratios],
            "notes": self.notes(),
        }


def write_report(report: Report) -> None:
    """Print the report, the JSON line last."""
    server = report.server
    own = "started for this run" if server["own"] else server["url"]
    print("Psyche, streaming bench: psyche.v1.msgpack beside the first clients' JSON with base64")
    for line in describe_in_words(report.machine):
        print(line)
    print(f"Server {server['version']} ({own}), JPEG encoder {server['jpeg_encoder']}")
    print()
    for line in table(report.rows):
        print(line)
    print()
    for note in report.notes():
        print(f"- {note}")
    print(json.dumps(report.to_json()))


def table(rows: Sequence[Row]) -> list[str]:
    """Write the rows of each case with their ratio below them."""
    ratios = {(item.size, item.canvases, item.subscribers): item for item in comparisons(rows)}
    blocks: dict[tuple[str, int, int], list[list[str]]] = {}
    for row in rows:
        blocks.setdefault((row.size, row.canvases, row.subscribers), []).append(_cells(row))
    for case, cells in blocks.items():
        if case in ratios:
            cells.append(_ratio_cells(ratios[case]))
    return render(_COLUMNS, list(blocks.values()))


def _cells(row: Row) -> list[str]:
    return [
        row.size,
        f"{row.canvases} x {row.subscribers}",
        row.form,
        f"{number(row.fps, 2)}{' !' if row.is_short else ''}",
        number(row.age_p50_ms, 2),
        number(row.age_p99_ms, 2),
        number(row.bytes_per_frame, 0),
        number(row.cpu_gross_ms, 3),
        number(row.cpu_ingest_ms, 3),
        number(row.cpu_net_ms, 3),
        str(row.replaced),
        str(row.dropped),
        str(row.skipped),
    ]


def _ratio_cells(item: Comparison) -> list[str]:
    ages_and_weight = [number(item.age_p50, 2), "", number(item.bytes_per_frame, 3)]
    costs = [number(item.cpu_gross, 3), "", number(item.cpu_net, 3)]
    return ["", "", "msgpack / json", "", *ages_and_weight, *costs, "", "", ""]


def _warnings(row: Row) -> list[str]:
    about = f"{row.size}, {row.canvases} x {row.subscribers}, {row.form}"
    warnings = []
    if row.is_short:
        warnings.append(
            f"WARNING {about}: {number(row.fps, 2)} of {row.target_fps:g} frames/s reached; "
            "this machine does not carry source, server and screens at that rate."
        )
    if row.undelivered:
        warnings.append(
            f"WARNING {about}: {row.undelivered} subscribers did not end on the newest frame in time."
        )
    return warnings

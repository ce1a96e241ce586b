"""`python -m bench browser`: leaks, stutter and comebacks of our pages in a real Chromium."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.arguments import number
from bench.browser import comeback, soak, tasks
from bench.errors import BenchError
from bench.goals import Goal
from bench.rounds import tell_progress
from bench.sheet import Sheet
from bench.streaming import until_told_to_stop
from bench.table import Column
from bench.table import number as written


PARTS = ("soak", "tasks", "comeback")
PIPELINES = ("worker", "main")
_COLUMNS = (
    Column("part", is_text=True),
    Column("pipeline", is_text=True),
    Column("what", is_text=True),
    Column("measured"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for, checked."""

    parts: tuple[str, ...]
    pipelines: tuple[str, ...]
    minutes: float  # of the soak
    seconds: float  # of the trace
    away_s: float  # that the server is away


def run(arguments: Sequence[str]) -> None:
    """Measure, and print the table, the goals and the JSON line.

    Raises:
        BenchError: If nothing can be measured.
    """
    options = read(arguments)
    sheet = asyncio.run(until_told_to_stop(measure(options)))
    if sheet is None:
        raise KeyboardInterrupt
    sheet.write()


def read(arguments: Sequence[str]) -> Options:
    """Read the command line.

    Raises:
        SystemExit: After `--help`, or with status 2 if an option is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m bench browser", description="Measure what the pages do in a real Chromium."
    )
    add = parser.add_argument
    add("--only", choices=PARTS, help="one part (default: all)")
    add("--pipeline", choices=PIPELINES, help="one way to decode (default: both, but the soak: worker)")
    add("--minutes", type=number(0.05, 600), default=10.0, help="length of the soak (default: 10)")
    add("--seconds", type=number(1, 120), default=15.0, help="length of the trace (default: 15)")
    add("--away", type=number(1, 600), default=60.0, help="how long the server is away (default: 60)")
    words = parser.parse_args(arguments)
    return Options(
        (words.only,) if words.only else PARTS,
        (words.pipeline,) if words.pipeline else PIPELINES,
        words.minutes,
        words.seconds,
        words.away,
    )


async def measure(options: Options) -> Sheet:
    """Measure the parts one after the other.

    Raises:
        BenchError: If one cannot be measured.
    """
    try:
        return await _measure(options)
    except BaseExceptionGroup as errors:
        plain = _plain(errors)
        if plain is None:
            raise
        raise plain from errors


def _plain(errors: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Return the error of ours in a group of tasks that holds nothing else."""
    ours, others = errors.split(BenchError)
    if ours is None or others is not None:
        return None
    first: BaseException = ours
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


async def _measure(options: Options) -> Sheet:
    rows: list[dict[str, Any]] = []
    goals: list[Goal] = []
    for part in options.parts:
        for pipeline in options.pipelines[:1] if part == "soak" else options.pipelines:
            tell_progress(f"{part}, {pipeline}")
            if part == "soak":
                soaked = await soak.measure(pipeline, options.minutes)
                rows.append(soaked.to_json())
                goals += soak.goals(soaked)
            elif part == "tasks":
                traced = await tasks.measure(pipeline, options.seconds)
                rows.append(traced.to_json())
                goals += tasks.goals(traced)
            else:
                back = await comeback.measure(pipeline, options.away_s)
                rows.append(back.to_json())
                goals += comeback.goals(back)
    return Sheet(
        bench="browser",
        title="our pages in Chromium without a GPU, the server and the source on the same machine",
        columns=_COLUMNS,
        blocks=[list(_cells(row)) for row in rows],
        rows=rows,
        goals=goals,
        notes=[
            "Tasks of the main thread come from a DevTools trace, after ten frames of warm-up.",
            "Heap: page and worker, after a collection of garbage; drift: last quarter over the first.",
            "Attempts: probes of /health and WebSockets of the page and its worker, as Chromium counts them.",
        ],
        options=asdict(options),
    )


def _cells(row: dict[str, Any]) -> list[list[str]]:
    """Write a row as lines: its parts have little in common."""
    about = [str(row["part"]), str(row["pipeline"])]
    figures = {name: value for name, value in row.items() if name not in ("part", "pipeline")}
    return [[*about, name, written(value, 3)] for name, value in figures.items()]

"""The isolation bench: what a dead and a slow screen cost the others, and what stuck ones hold.

Runs without and with them in turn, pair by pair; then memory with many screens that have stopped
reading, for minutes.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.arguments import number
from bench.children import check_system, two_cores
from bench.goals import Goal
from bench.load.groups import Group, Mode
from bench.round_options import RoundOptions, parser_of, read
from bench.rounds import (
    BARE,
    OURS,
    SEED_PLAIN,
    SEND_BYTES,
    Case,
    Kind,
    measure_once,
    served,
    tell_progress,
    watched,
)
from bench.sheet import Sheet
from bench.streaming import until_told_to_stop
from bench.table import Column
from bench.table import number as written


FRAME_BYTES = 100_000
FPS = 8.0
OTHERS = 48
SLOW_BYTES_S = 50_000.0
# The others' p99 age may move by that much, whichever is more.
MOVE_MS = 5.0
MOVE_SHARE = 0.10
STUCK = 200
STUCK_LIMIT_KIB = 256.0
# Between the first and the last quarter of the long run, of what the process has then.
DRIFT_LIMIT = 0.05
STUCK_FRAME_BYTES = 500_000
STUCK_FPS = 4.0
SAMPLES = 40
FILL_S = 5.0
SETTLE_S = 10.0
ALTERNATIVES_MINUTES = 0.25

_COLUMNS = (
    Column("kind", is_text=True),
    Column("alone p50", "ms"),
    Column("alone p99", "ms"),
    Column("beside p50", "ms"),
    Column("beside p99", "ms"),
    Column("moved p99", "ms"),
    Column("others' rate", "of alone"),
    Column("stuck"),
    Column("memory", "KiB/stuck"),
    Column("drift", "%"),
    Column("watched", "min"),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One run without and one with a dead and a slow screen: the others' figures."""

    alone: dict[str, Any]
    beside: dict[str, Any]

    @property
    def moved_ms(self) -> float | None:
        """How much the others' p99 age moved."""
        alone, beside = self.alone["age_p99_ms"], self.beside["age_p99_ms"]
        return None if alone is None or beside is None else float(beside - alone)


@dataclass(frozen=True, slots=True)
class Memory:
    """What stuck screens hold in the server's process."""

    stuck: int
    before_bytes: int  # with the others only
    samples: tuple[int, ...]  # bytes in use, evenly over the run, with them
    minutes: float

    @property
    def kib_each(self) -> float:
        """Growth per stuck screen, KiB, at the end."""
        return (statistics.median(self._quarter(-1)) - self.before_bytes) / self.stuck / 1024.0

    @property
    def drift(self) -> float:
        """Growth from the first quarter of the run to the last one, of the first."""
        first, last = statistics.median(self._quarter(0)), statistics.median(self._quarter(-1))
        return (last - first) / first

    def _quarter(self, which: int) -> Sequence[int]:
        size = max(1, len(self.samples) // 4)
        return self.samples[:size] if which == 0 else self.samples[-size:]


def run(arguments: Sequence[str]) -> None:
    """Measure, and print the table, the goals and the JSON line.

    Raises:
        BenchError: If nothing can be measured.
    """
    about = "Measure what dead, slow and stuck screens cost the others and the server."
    parser = parser_of("isolation", about)
    parser.add_argument("--minutes", type=number(0.01, 600), help="with stuck screens, minutes (default: 10)")
    options = read(parser, arguments)
    check_system()
    sheet = asyncio.run(until_told_to_stop(measure(options)))
    if sheet is None:
        raise KeyboardInterrupt
    sheet.write()


async def measure(options: RoundOptions) -> Sheet:
    """Measure pairs of all kinds in turn, then memory."""
    kinds = options.chosen([OURS, BARE, SEND_BYTES, SEED_PLAIN])
    pairs: dict[str, list[Pair]] = {kind.name: [] for kind in kinds}
    for count in range(1, options.rounds + 1):
        for kind in kinds:
            tell_progress(f"pair {count} of {options.rounds}, {kind.name}")
            pairs[kind.name].append(await measure_pair(kind, options))
    memories: dict[str, Memory] = {}
    for kind in kinds:
        tell_progress(f"memory, {kind.name}")
        memories[kind.name] = await measure_memory(kind, options)
    return Sheet(
        bench="isolation",
        title=f"{OTHERS} screens beside a dead and a slow one, and memory with screens that are stuck",
        columns=_COLUMNS,
        blocks=[[_cells(kind.name, pairs[kind.name], memories[kind.name]) for kind in kinds]],
        rows=[_row(kind.name, pairs[kind.name], memories[kind.name]) for kind in kinds],
        goals=goals(pairs, memories),
        notes=notes(options),
        options=options.to_json(),
    )


async def measure_pair(kind: Kind, options: RoundOptions) -> Pair:
    """Measure the others alone, and beside a dead and a slow screen."""
    others = Group("others", "canvas-1", 4 if options.is_quick else OTHERS, _mode(kind))
    bad = (
        Group("dead", "canvas-1", 1, Mode.DEAD),
        Group("slow", "canvas-1", 1, Mode.SLOW, SLOW_BYTES_S),
    )
    # The base64 server's kernel takes some seconds of frames before it notices.
    warm_up_s = options.warm_up_s if options.is_quick else FILL_S
    found = []
    for groups in ((others,), (*bad, others)):
        case = Case("isolation", groups, FRAME_BYTES, FPS)
        outcome = await measure_once(kind, case, warm_up_s=warm_up_s, seconds=options.seconds)
        found.append(outcome.groups["others"])
    return Pair(*found)


async def measure_memory(kind: Kind, options: RoundOptions) -> Memory:
    """Measure a server's memory without and with stuck screens."""
    minutes = options.minutes if kind is OURS else min(options.minutes, ALTERNATIVES_MINUTES)
    stuck = 10 if options.is_quick else STUCK
    settle_s = options.warm_up_s if options.is_quick else SETTLE_S
    # Longer than the run: nobody is sent away, which is the harder case.
    deadline = ("--deadline", f"{max(120.0, minutes * 60.0 + 120.0):g}")
    others = [Group("others", "canvas-1", 8, _mode(kind))]
    held = [Group("stuck", "canvas-1", stuck, Mode.STUCK if kind.form == "msgpack" else Mode.DEAD)]
    case = Case("memory", (*others, *held), STUCK_FRAME_BYTES, STUCK_FPS, arguments=deadline)
    server_core, load_core = two_cores()
    async with (
        served(kind, case, core=server_core) as (server, port),
        watched(kind, others, port, core=load_core),
    ):
        await asyncio.sleep(settle_s)
        before_bytes = server.rss_bytes
        async with watched(kind, held, port, core=load_core):
            await asyncio.sleep(settle_s)
            samples = []
            for _ in range(SAMPLES):
                await asyncio.sleep(minutes * 60.0 / SAMPLES)
                samples.append(server.rss_bytes)
    return Memory(stuck, before_bytes, tuple(samples), minutes)


def goals(pairs: Mapping[str, Sequence[Pair]], memories: Mapping[str, Memory]) -> list[Goal]:
    """Judge what was found of our own server."""
    ours, memory = pairs.get(OURS.name, ()), memories.get(OURS.name)
    alone = [pair.alone["age_p99_ms"] for pair in ours if pair.alone["age_p99_ms"] is not None]
    limit_ms = max(MOVE_MS, MOVE_SHARE * statistics.median(alone)) if alone else MOVE_MS
    return [
        Goal("the others' p99 age moves beside a dead and a slow screen, ms", _moved_ms(ours), limit_ms),
        Goal("memory per stuck screen, KiB", memory.kib_each if memory else None, STUCK_LIMIT_KIB),
        Goal("memory's growth over the run with them", memory.drift if memory else None, DRIFT_LIMIT),
    ]


def notes(options: RoundOptions) -> list[str]:
    """Say what the reader must know to read the figures."""
    return [
        f"Medians of {options.rounds} pairs of runs of {options.seconds:g} s, in turn: {FRAME_BYTES:,} bytes "
        f"at {FPS:g} frames/s to the others alone, and beside one screen that never reads and one that reads "
        f"{SLOW_BYTES_S:,.0f} bytes/s.",
        f"Memory: the process's resident memory with the stuck screens less that without them, shared frames "
        f"included; {STUCK_FRAME_BYTES:,} bytes at {STUCK_FPS:g} frames/s. Stuck screens acknowledge three "
        "frames and never read again; none is sent away meanwhile. The alternatives are watched for "
        f"{ALTERNATIVES_MINUTES:g} minutes at most.",
        "drift: from the first quarter of the run to the last one.",
        "The base64 server sends to one screen after the other: whoever does not read stops all of them.",
    ]


def _mode(kind: Kind) -> Mode:
    return Mode.ACKNOWLEDGING if kind.form == "msgpack" else Mode.SILENT


def _moved_ms(pairs: Sequence[Pair]) -> float | None:
    moves = [pair.moved_ms for pair in pairs]
    known = [move for move in moves if move is not None]
    # A pair that has no figure is one in which nothing came: it must not be left out in silence.
    return statistics.median(known) if known and len(known) == len(moves) else None


def _median(pairs: Sequence[Pair], which: str, name: str) -> float | None:
    values = [getattr(pair, which)[name] for pair in pairs]
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _row(kind: str, pairs: Sequence[Pair], memory: Memory) -> dict[str, Any]:
    alone, beside = _median(pairs, "alone", "frames"), _median(pairs, "beside", "frames")
    return {
        "kind": kind,
        **{
            f"{which}_{name}": _median(pairs, which, name)
            for which in ("alone", "beside")
            for name in ("age_p50_ms", "age_p99_ms")
        },
        "moved_p99_ms": _moved_ms(pairs),
        "others_rate": beside / alone if alone and beside is not None else None,
        "stuck": memory.stuck,
        "kib_each": memory.kib_each,
        "drift": memory.drift,
        "minutes": memory.minutes,
        "before_bytes": memory.before_bytes,
    }


def _cells(kind: str, pairs: Sequence[Pair], memory: Memory) -> list[str]:
    row = _row(kind, pairs, memory)
    ages = ("alone_age_p50_ms", "alone_age_p99_ms", "beside_age_p50_ms", "beside_age_p99_ms", "moved_p99_ms")
    return [
        kind,
        *(written(row[name], 2) for name in ages),
        written(row["others_rate"], 2),
        str(memory.stuck),
        written(memory.kib_each, 0),
        written(100.0 * memory.drift, 1),
        written(memory.minutes, 2),
    ]

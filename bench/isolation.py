"""The isolation bench: what a dead and a slow screen cost the others, and what stuck ones hold.

Runs without and with them in turn, pair by pair, of pictures that the server encodes for the slow one;
then memory with many screens that have stopped reading, for minutes.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.arguments import number
from bench.children import check_system, two_cores
from bench.goals import Goal
from bench.load.groups import Group, Mode
from bench.pictures import make_jpegs, write_jpegs
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
from bench.sizes import Size
from bench.streaming import until_told_to_stop
from bench.table import Column
from bench.table import number as written


# With the grain of photographs its JPEG files weigh about 100 kB.
SIZE = Size("640x480", 640, 480)
QUICK_SIZE = Size("160x120", 160, 120)
# The option has to have a value; pictures take its place.
LEAST_BYTES = 1024
FPS = 8.0
PAIRS, MEMORY = "pairs", "memory"
# Below this share of the frames that the others got alone, it is said in words.
FEWER_SHARE = 0.5
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
    slow_tiers: dict[str, int] = field(default_factory=dict)  # frames of each that the slow one got

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
    parser.add_argument("--only", choices=(PAIRS, MEMORY), help="one part of the two (default: both)")
    options = read(parser, arguments)
    check_system()
    sheet = asyncio.run(until_told_to_stop(measure(options)))
    if sheet is None:
        raise KeyboardInterrupt
    sheet.write()


async def measure(options: RoundOptions) -> Sheet:
    """Measure pairs of all kinds in turn, then memory; or one part of the two."""
    kinds = options.chosen([OURS, BARE, SEND_BYTES, SEED_PLAIN])
    pairs: dict[str, list[Pair]] = {kind.name: [] for kind in kinds}
    memories: dict[str, Memory] = {}
    jpegs = make_jpegs(QUICK_SIZE if options.is_quick else SIZE)
    if options.only != MEMORY:
        with tempfile.TemporaryDirectory(prefix="psyche-bench-") as folder:
            write_jpegs(jpegs, Path(folder))
            for count in range(1, options.rounds + 1):
                for kind in kinds:
                    tell_progress(f"pair {count} of {options.rounds}, {kind.name}")
                    pairs[kind.name].append(await measure_pair(kind, options, folder))
    if options.only != PAIRS:
        for kind in kinds:
            tell_progress(f"memory, {kind.name}")
            memories[kind.name] = await measure_memory(kind, options)
    names = [kind.name for kind in kinds]
    return Sheet(
        bench="isolation",
        title=f"{OTHERS} screens beside a dead and a slow one, and memory with screens that are stuck",
        columns=_COLUMNS,
        blocks=[[_cells(_row(name, pairs[name], memories.get(name))) for name in names]],
        rows=[_row(name, pairs[name], memories.get(name)) for name in names],
        goals=goals(pairs, memories, options.only),
        notes=notes(options, pairs, statistics.mean(map(len, jpegs))),
        options=options.to_json(),
    )


async def measure_pair(kind: Kind, options: RoundOptions, folder: str) -> Pair:
    """Measure the others alone, and beside a dead and a slow screen, with the pictures of a folder."""
    others = Group("others", "canvas-1", 4 if options.is_quick else OTHERS, _mode(kind))
    bad = (
        Group("dead", "canvas-1", 1, Mode.DEAD),
        Group("slow", "canvas-1", 1, Mode.SLOW, SLOW_BYTES_S),
    )
    size = QUICK_SIZE if options.is_quick else SIZE
    shown_as = ("--pictures", folder, "--width", str(size.width), "--height", str(size.height))
    # The base64 server's kernel takes some seconds of frames before it notices.
    warm_up_s = options.warm_up_s if options.is_quick else FILL_S
    found = []
    for groups in ((others,), (*bad, others)):
        case = Case("isolation", groups, LEAST_BYTES, FPS, arguments=(*shown_as, "--tiers", ""))
        # Not on one core: encoding has threads of its own, as it has where the server is used.
        outcome = await measure_once(
            kind, case, warm_up_s=warm_up_s, seconds=options.seconds, is_pinned=False
        )
        found.append(outcome.groups)
    alone, beside = found
    return Pair(alone["others"], beside["others"], beside["slow"]["tiers"])


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


def goals(
    pairs: Mapping[str, Sequence[Pair]], memories: Mapping[str, Memory], only: str | None = None
) -> list[Goal]:
    """Judge what was found of our own server; of a part that was not asked for there is nothing to judge."""
    ours, memory = pairs.get(OURS.name, ()), memories.get(OURS.name)
    alone = [pair.alone["age_p99_ms"] for pair in ours if pair.alone["age_p99_ms"] is not None]
    limit_ms = max(MOVE_MS, MOVE_SHARE * statistics.median(alone)) if alone else MOVE_MS
    judged = []
    if only != MEMORY:
        moved_ms = _moved_ms(ours)
        judged.append(
            Goal("the others' p99 age moves beside a dead and a slow screen, ms", moved_ms, limit_ms)
        )
    if only != PAIRS:
        judged += [
            Goal("memory per stuck screen, KiB", memory.kib_each if memory else None, STUCK_LIMIT_KIB),
            Goal("memory's growth over the run with them", memory.drift if memory else None, DRIFT_LIMIT),
        ]
    return judged


def notes(options: RoundOptions, pairs: Mapping[str, Sequence[Pair]], picture_bytes: float) -> list[str]:
    """Say what the reader must know to read the figures."""
    said = []
    if options.only != MEMORY:
        said += [
            f"Medians of {options.rounds} pairs of runs of {options.seconds:g} s, in turn: JPEG files of "
            f"{picture_bytes:,.0f} bytes (a painted picture with grain, as heavy as photographs) at {FPS:g} "
            "frames/s to the others alone, and beside one screen that never reads and one that reads "
            f"{SLOW_BYTES_S:,.0f} bytes/s.",
            "psyche has its tiers as it has them unless told otherwise, and both cores: what it encodes for "
            "the slow screen is part of what the others may feel.",
            *_slow_in_words(pairs.get(OURS.name, ())),
            *_fewer_in_words(pairs),
        ]
    if options.only != PAIRS:
        said += [
            f"Memory: the process's resident memory with the stuck screens less that without them, shared "
            f"frames included; {STUCK_FRAME_BYTES:,} filling bytes at {STUCK_FPS:g} frames/s, which nothing "
            "can decode: with PSYCHE_TIERS=original. Stuck screens acknowledge three frames and never read "
            "again; none is sent away meanwhile. The alternatives are watched for "
            f"{ALTERNATIVES_MINUTES:g} minutes at most.",
            "drift: from the first quarter of the run to the last one.",
        ]
    return said


def _slow_in_words(pairs: Sequence[Pair]) -> list[str]:
    """Say which tiers the slow screen got, where anything came to it."""
    tiers: Counter[str] = sum((Counter(pair.slow_tiers) for pair in pairs), Counter())
    if not tiers:
        return []
    shares = ", ".join(f"{name} {count / tiers.total():.0%}" for name, count in tiers.most_common())
    return [f"psyche's frames to the slow screen: {shares}."]


def _fewer_in_words(pairs: Mapping[str, Sequence[Pair]]) -> list[str]:
    """Say of which kinds the others got far fewer frames beside the dead and the slow screen."""
    shares = {kind: _others_rate(found) for kind, found in pairs.items()}
    return [
        f"{kind}: beside the dead and the slow screen the others got {share:.0%} of the frames."
        for kind, share in shares.items()
        if share is not None and share < FEWER_SHARE
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


def _others_rate(pairs: Sequence[Pair]) -> float | None:
    alone, beside = _median(pairs, "alone", "frames"), _median(pairs, "beside", "frames")
    return beside / alone if alone and beside is not None else None


def _row(kind: str, pairs: Sequence[Pair], memory: Memory | None) -> dict[str, Any]:
    """Describe a kind; what was not measured is None."""
    return {
        "kind": kind,
        **{
            f"{which}_{name}": _median(pairs, which, name)
            for which in ("alone", "beside")
            for name in ("age_p50_ms", "age_p99_ms")
        },
        "moved_p99_ms": _moved_ms(pairs),
        "others_rate": _others_rate(pairs),
        "slow_tiers": [pair.slow_tiers for pair in pairs],
        "stuck": memory.stuck if memory else None,
        "kib_each": memory.kib_each if memory else None,
        "drift": memory.drift if memory else None,
        "minutes": memory.minutes if memory else None,
        "before_bytes": memory.before_bytes if memory else None,
    }


def _cells(row: Mapping[str, Any]) -> list[str]:
    ages = ("alone_age_p50_ms", "alone_age_p99_ms", "beside_age_p50_ms", "beside_age_p99_ms", "moved_p99_ms")
    drift = row["drift"]
    return [
        row["kind"],
        *(written(row[name], 2) for name in ages),
        written(row["others_rate"], 2),
        written(row["stuck"], 0),
        written(row["kib_each"], 0),
        written(None if drift is None else 100.0 * drift, 1),
        written(row["minutes"], 2),
    ]

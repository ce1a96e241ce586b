"""The age bench: how old the newest frame is when it arrives through a slow link.

Source, server, network and screen are programs of their own: the frames come into being already
encoded inside the server's process, the network is `bench.relay`, the screen acknowledges on receipt.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.arguments import number
from bench.children import Child, child
from bench.errors import BenchError
from bench.goals import Goal
from bench.machine import describe_machine
from bench.receipts import Ages, Receipt, Road, Watcher, settled_after, summarise
from bench.rounds import BARE, OURS, SEND_BYTES, Kind
from bench.sheet import Sheet
from bench.streaming import until_told_to_stop
from bench.table import Column
from bench.table import number as written
from server.streaming.clock import now_ms


KINDS = (OURS, SEND_BYTES, BARE)
FPS = 30.0
LOADS = ((1_000_000, 2.5e6), (300_000, 1.25e6))
RTTS_MS = (0.0, 20.0, 80.0, 200.0)
JITTER_S = 0.02
SLOW_RATE = 0.5e6
AGE_LIMIT = 1.15
GOODPUT_FLOOR = 0.95
# Plain `send_bytes` needs so long until the kernel's buffers are full.
WARM_UP_S = 4.0

COLUMNS = (
    Column("frame", "kB"),
    Column("link", "MB/s"),
    Column("RTT", "ms"),
    Column("", is_text=True),
    Column("kind", is_text=True),
    Column("frames"),
    Column("ideal", "ms"),
    Column("age p50", "ms"),
    Column("age p99", "ms"),
    Column("p50", "of ideal"),
    Column("p99", "of ideal"),
    Column("goodput", "% of link"),
    Column("settled", "after frames"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for, checked."""

    seconds: float
    warm_up_s: float
    is_quick: bool

    def roads(self) -> list[Road]:
        """Return the links that all kinds are measured on."""
        loads, rtts = (LOADS[1:], RTTS_MS[2:3]) if self.is_quick else (LOADS, RTTS_MS)
        return [Road(size, rate, rtt_ms / 1000.0, FPS) for size, rate in loads for rtt_ms in rtts]

    def shaky_roads(self) -> list[Road]:
        """Return the links whose delay varies."""
        return [] if self.is_quick else [Road(size, rate, 0.08, FPS, JITTER_S) for size, rate in LOADS]

    def kinds(self) -> tuple[Kind, ...]:
        """Return what is compared."""
        return KINDS[:2] if self.is_quick else KINDS


@dataclass(frozen=True, slots=True)
class Row:
    """One kind on one link."""

    road: Road
    kind: str
    ages: Ages
    phase: str = ""
    settled_after: int | None = None

    @property
    def ratio(self) -> float | None:
        """The age at p50 over the ideal."""
        return None if self.ages.p50_ms is None else self.ages.p50_ms / self.road.ideal_ms

    def cells(self) -> list[str]:
        """Return the row of the table."""
        road, ages = self.road, self.ages
        p99 = None if ages.p99_ms is None else ages.p99_ms / road.ideal_ms
        share = None if ages.goodput_share is None else 100.0 * ages.goodput_share
        return [
            written(road.frame_bytes / 1000.0, 0),
            written(road.rate_bytes_s / 1e6, 2),
            written(road.rtt_s * 1000.0, 0),
            self.phase,
            self.kind,
            str(ages.frames),
            written(road.ideal_ms, 0),
            written(ages.p50_ms, 0),
            written(ages.p99_ms, 0),
            written(self.ratio, 2),
            written(p99, 2),
            written(share),
            "" if self.settled_after is None else str(self.settled_after),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the fields, flat, and what follows from them."""
        mine = {"kind": self.kind, "phase": self.phase, "settled_after": self.settled_after}
        return {
            **mine,
            **asdict(self.road),
            **asdict(self.ages),
            "ideal_ms": self.road.ideal_ms,
            "ratio": self.ratio,
        }


def run(arguments: Sequence[str]) -> None:
    """Measure, and print the table, the goals and the JSON line.

    Raises:
        BenchError: If nothing can be measured.
    """
    sheet = asyncio.run(until_told_to_stop(measure(read_options(arguments))))
    if sheet is None:
        raise KeyboardInterrupt
    sheet.write()


def read_options(arguments: Sequence[str]) -> Options:
    """Read the command line.

    Raises:
        SystemExit: After `--help`, or with status 2 if an option is wrong.
    """
    parser = argparse.ArgumentParser(
        prog="python -m bench age",
        description="Measure the age of frames at their receipt through a relay of bounded rate, delay and "
        "buffers, beside plain send_bytes and a bare loop with two frames in flight.",
    )
    add = parser.add_argument
    add("--seconds", type=number(0.5, 600), help="length of a measurement, seconds (default: 10)")
    add("--quick", action="store_true", help="one link, short: whether it runs, no more")
    words = parser.parse_args(arguments)
    return Options(
        seconds=words.seconds or (2.0 if words.quick else 10.0),
        warm_up_s=0.5 if words.quick else WARM_UP_S,
        is_quick=words.quick,
    )


async def measure(options: Options) -> Sheet:
    """Measure all links, one kind after the other on each."""
    machine = describe_machine()
    blocks = [
        [Row(road, kind.name, await steady(kind, road, options)) for kind in options.kinds()]
        for road in options.roads()
    ]
    found = [rows[0] for rows in blocks]
    shaky = [
        Row(road, OURS.name, await steady(OURS, road, options), phase=f"jitter ±{JITTER_S * 500.0:.0f} ms")
        for road in options.shaky_roads()
    ]
    if shaky:
        blocks.append(shaky)
    if not options.is_quick:
        blocks.append(await changing(options))
    return Sheet(
        bench="age",
        title="age at receipt, of frames published at 30 FPS and already encoded",
        columns=COLUMNS,
        blocks=[[row.cells() for row in rows] for rows in blocks],
        rows=[row.to_json() for rows in blocks for row in rows],
        goals=goals(found),
        notes=notes(options),
        options=asdict(options),
        machine=machine,
    )


async def steady(kind: Kind, road: Road, options: Options) -> Ages:
    """Measure one kind on a link that stays as it is."""
    async with show(kind, road) as (_, watcher):
        await asyncio.sleep(options.warm_up_s)
        start_ms = now_ms()
        await asyncio.sleep(options.seconds)
        return summarise([item for item in watcher.receipts if item.received_ms >= start_ms], road)


async def changing(options: Options) -> list[Row]:
    """Measure the product on a link whose rate falls to a fifth and rises again."""
    size, rate = LOADS[0]
    fast = Road(size, rate, 0.08, FPS)
    slow = replace(fast, rate_bytes_s=SLOW_RATE)
    rows = []
    async with show(OURS, fast) as (relay, watcher):
        await asyncio.sleep(options.warm_up_s)
        # At a fifth of the rate a fifth of the frames comes: so much longer is looked at.
        for phase, road, factor in (("before", fast, 1.0), ("fallen", slow, 4.0), ("risen", fast, 1.0)):
            await relay.tell(f"rate {road.rate_bytes_s:.0f}")
            changed_ms = now_ms()
            await asyncio.sleep(options.seconds * factor)
            span = [item for item in watcher.receipts if item.received_ms >= changed_ms]
            rows.append(row_of_phase(phase, road, span, changed_ms))
    return rows


def row_of_phase(phase: str, road: Road, span: Sequence[Receipt], changed_ms: float) -> Row:
    """Make the row of the time after a change: ages from when it has settled."""
    settled = settled_after(span, road, changed_ms)
    return Row(road, OURS.name, summarise(span[settled or 0 :], road), phase, settled)


@contextlib.asynccontextmanager
async def show(kind: Kind, road: Road) -> AsyncIterator[tuple[Child, Watcher]]:
    """Run a server, a network and a screen; yields the network and the screen.

    Raises:
        BenchError: If the screen loses its connection, or a program does not start.
    """
    command = ["--bytes", str(road.frame_bytes), "--fps", str(road.fps)]
    async with child(f"bench.alternatives.{kind.program}", command) as server:
        network = [
            *("--to", (await server.line()).removeprefix("listening ")),
            *("--rate", str(road.rate_bytes_s), "--rtt-ms", str(road.rtt_s * 1000.0)),
            *("--jitter-ms", str(road.jitter_s * 1000.0)),
        ]
        async with child("bench.relay", network) as relay:
            port = int((await relay.line()).rpartition(":")[2])
            watcher = Watcher(port, "canvas-1")
            watching = asyncio.create_task(watcher.watch(), name="bench:watch")
            try:
                yield relay, watcher
            finally:
                watching.cancel()
                ended = (await asyncio.gather(watching, return_exceptions=True))[0]
            if isinstance(ended, BenchError):
                raise ended


def goals(rows: Sequence[Row]) -> list[Goal]:
    """Judge the product's rows on the steady links."""
    ratios = [row.ratio for row in rows]
    shares = [row.ages.goodput_share for row in rows]
    worst = None if None in ratios else max(ratio for ratio in ratios if ratio is not None)
    least = None if None in shares else min(share for share in shares if share is not None)
    return [
        Goal("age p50 over the ideal, the worst of the links", worst, AGE_LIMIT),
        Goal("goodput over the link's rate, the worst of the links", least, GOODPUT_FLOOR, is_ceiling=False),
    ]


def notes(options: Options) -> list[str]:
    """Say what the reader must know to read the figures."""
    return [
        "Age: from `published_ms` to the receipt of the whole message, on the clock that all programs of "
        "this machine share.",
        "Ideal: one transmission of the image, half a round trip and half an interval of the source.",
        f"{options.seconds:g} s after {options.warm_up_s:g} s for each row, every row with a server and a "
        "relay of its own; the relay's buffers hold 64 KiB at most.",
        "psyche: PSYCHE_TIERS=original, so that nothing is encoded: flow control alone. bare loop: a fixed "
        "window of two frames.",
        "jitter: each way takes up to twice this longer, at random; the ideal counts the mean.",
        "settled after: frames that were older than 1.25 of the ideal after the link had changed; "
        "ages are those from then on.",
    ]

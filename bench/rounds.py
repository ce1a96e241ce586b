"""Rounds of the benches with many screens: one server and one load of screens at a time, in turn.

Every round starts its server anew, so that no round inherits the buffers of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.children import Child, child, two_cores
from bench.errors import BenchError
from bench.load.groups import Group
from bench.target import process_clock


ANSWER_S = 20.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of serving frames.

    Attributes:
        name: In the tables.
        program: Of `bench.alternatives`.
        form: What its screens read, "msgpack" or "json".
        offers_deflate: Whether they offer compression, as browsers do.
    """

    name: str
    program: str
    form: str = "msgpack"
    offers_deflate: bool = False


OURS = Kind("psyche", "ours")
BARE = Kind("bare loop", "bare")
SEND_BYTES = Kind("send_bytes", "send_bytes")
SEED = Kind("base64 JSON", "seed", "json", offers_deflate=True)
SEED_PLAIN = Kind("base64, no deflate", "seed", "json")
KINDS = (OURS, BARE, SEND_BYTES, SEED, SEED_PLAIN)


@dataclass(frozen=True, slots=True)
class Case:
    """What is shown to how many.

    Attributes:
        name: In the tables.
        groups: The screens.
        frame_bytes: Weight of an image.
        fps: Frames per second of each canvas.
        canvases: How many there are.
        arguments: Further ones for the alternatives' command line.
    """

    name: str
    groups: tuple[Group, ...]
    frame_bytes: int
    fps: float
    canvases: int = 1
    arguments: tuple[str, ...] = ()

    @property
    def screens(self) -> int:
        """How many there are."""
        return sum(group.count for group in self.groups)

    def command(self) -> list[str]:
        """Return the alternatives' command line."""
        numbers = {"--bytes": self.frame_bytes, "--fps": self.fps, "--canvases": self.canvases}
        return [*(word for name, value in numbers.items() for word in (name, str(value))), *self.arguments]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one measurement found."""

    seconds: float
    cpu_s: float  # of the server process, all threads
    load_share: float  # of its core, what the load took
    rss_bytes: int  # of the server process
    groups: dict[str, dict[str, Any]] = field(repr=False)  # by name, what the load reports

    @property
    def frames(self) -> int:
        """Frames delivered to all screens."""
        return sum(group["frames"] for group in self.groups.values())

    @property
    def cpu_us(self) -> float | None:
        """CPU of the server per delivered frame, microseconds."""
        return self.cpu_s * 1e6 / self.frames if self.frames else None

    @property
    def cpu_share(self) -> float:
        """CPU of the server, of one core."""
        return self.cpu_s / self.seconds

    def fps(self, case: Case) -> float:
        """Return frames per second at each screen, on average."""
        return self.frames / self.seconds / case.screens


class Show:
    """A server with its screens."""

    def __init__(self, server: Child, load: Child, port: int) -> None:
        self.server = server
        self.port = port
        self._load = load
        self._read_cpu_s, _ = process_clock(server.pid)

    async def measure(self, seconds: float) -> Outcome:
        """Measure for a while."""
        await self._mark()
        cpu_s = await self._read_cpu_s()
        await asyncio.sleep(seconds)
        cpu_s = await self._read_cpu_s() - cpu_s
        mark = await self._mark()
        return Outcome(mark["seconds"], cpu_s, mark["cpu_share"], self.server.rss_bytes, mark["groups"])

    async def _mark(self) -> dict[str, Any]:
        await self._load.tell("mark")
        report: dict[str, Any] = json.loads(await self._load.line(ANSWER_S))
        return report


@contextlib.asynccontextmanager
async def served(kind: Kind, case: Case, *, core: int | None) -> AsyncIterator[tuple[Child, int]]:
    """Run a server; yields it and its port."""
    async with child(f"bench.alternatives.{kind.program}", case.command(), core=core) as server:
        said = await server.line()
        if not said.startswith("listening "):
            raise BenchError(f"{kind.program} said {said!r} instead of its address")
        yield server, int(said.rpartition(":")[2])


@contextlib.asynccontextmanager
async def watched(
    kind: Kind, groups: Sequence[Group], port: int, *, core: int | None
) -> AsyncIterator[Child]:
    """Run screens that watch a server; yields their process once all are connected."""
    order = {"port": port, "form": kind.form, "offers_deflate": kind.offers_deflate, "core": core}
    async with child("bench.load") as load:
        await load.tell(json.dumps({**order, "groups": [group.to_json() for group in groups]}))
        answer = json.loads(await load.line())
        if "error" in answer:
            raise BenchError(answer["error"])
        yield load


@contextlib.asynccontextmanager
async def shown(kind: Kind, case: Case, *, is_pinned: bool = True) -> AsyncIterator[Show]:
    """Run a server with its screens, each on a core of its own where there are two."""
    server_core, load_core = two_cores() if is_pinned else (None, None)
    async with (
        served(kind, case, core=server_core) as (server, port),
        watched(kind, case.groups, port, core=load_core) as load,
    ):
        yield Show(server, load, port)


async def measure_once(
    kind: Kind, case: Case, *, warm_up_s: float, seconds: float, is_pinned: bool = True
) -> Outcome:
    """Run one round: a fresh server, its screens, a warm-up, a measurement."""
    async with shown(kind, case, is_pinned=is_pinned) as show:
        await show.measure(warm_up_s)
        return await show.measure(seconds)


async def measure_in_turn(
    kinds: Sequence[Kind], case: Case, *, rounds: int, warm_up_s: float, seconds: float
) -> dict[str, list[Outcome]]:
    """Run rounds of all kinds in turn, so that what else the machine does meets them alike.

    Returns:
        By the kind's name, one outcome for each round.
    """
    found: dict[str, list[Outcome]] = {kind.name: [] for kind in kinds}
    for number in range(1, rounds + 1):
        for kind in kinds:
            tell_progress(f"{case.name}, round {number} of {rounds}, {kind.name}")
            found[kind.name].append(await measure_once(kind, case, warm_up_s=warm_up_s, seconds=seconds))
    return found


def tell_progress(what: str) -> None:
    """Show people that something happens; a file gets the report only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what} ", end="", file=sys.stderr, flush=True)

"""The streaming bench: msgpack frames beside the base64 JSON of the first clients, in one run.

For each case, rounds of three kinds follow each other on the same server: the pushes alone, then
the same pushes with screens of each form. What a delivered frame costs is told three times: gross,
the cost of receiving a push, and net, which is gross without the share of the pushes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import statistics
import sys
import uuid
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from bench.crew import Crew, crew_of, processes_for
from bench.errors import BenchError
from bench.figures import Case, Round, Row, summarise
from bench.machine import describe_machine
from bench.options import Options, read_options
from bench.pictures import make_jpegs
from bench.plot import check_plot, plot
from bench.report import Report, write_report
from bench.source import Pushed, push_to_all, remove
from bench.target import Target, own_server, running_server


# Frames before each measurement: connections, buffers and caches are warm after a few.
WARM_UP_FRAMES = 4
# How long the last frame may take to all screens, seconds; JSON in 4K to many takes the longest.
SETTLE_S = 10.0
# Acknowledgements of the last frames still arrive, seconds.
LAST_ACKS_S = 0.05

T = TypeVar("T")


def run(arguments: Sequence[str]) -> None:
    """Measure, print the table and the JSON line, and draw the picture where one is asked for.

    Raises:
        BenchError: If nothing can be measured.
    """
    options = read_options(arguments)
    if options.plot:
        check_plot(options.plot)
    machine = describe_machine()
    report = asyncio.run(until_told_to_stop(measure(options, machine)))
    if report is None:
        raise KeyboardInterrupt
    write_report(report)
    if options.plot:
        plot(report, options.plot)


async def until_told_to_stop(measuring: Coroutine[Any, Any, T]) -> T | None:
    """Measure; SIGTERM ends in order what was started, as Ctrl-C does.

    Returns:
        What was measured, or None after SIGTERM.
    """
    task = asyncio.ensure_future(measuring)
    is_told = False

    def stop() -> None:
        nonlocal is_told
        is_told = True
        task.cancel()

    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows
        loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if is_told:
            return None
        raise
    finally:
        with contextlib.suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGTERM)


async def measure(options: Options, machine: dict[str, Any]) -> Report:
    """Measure all cases.

    Raises:
        BenchError: If nothing can be measured.
    """
    cases = options.cases()
    async with _target(options, cases) as target:
        screens = max(case.canvases * case.subscribers for case in cases)
        async with crew_of(processes_for(screens)) as crew:
            rows: list[Row] = []
            for case in cases:
                jpegs = make_jpegs(case.size, options.grain)
                rows += await Measurement(target, crew, case, jpegs, options).rows()
        # Last: it makes the server look for its inference service, and it goes on looking for a
        # while, which costs 2 ms of CPU a second.
        state = await target.state()
    server = {"version": state["version"], "jpeg_encoder": state["jpeg_encoder"], "url": target.url}
    server |= {"own": options.url is None, "cpu_clock": target.cpu_clock}
    return Report(machine, server, options, tuple(rows))


def _target(options: Options, cases: Sequence[Case]) -> AbstractAsyncContextManager[Target]:
    if options.url:
        return running_server(options.url, options.token)
    return own_server(
        canvases=max(case.canvases for case in cases), subscribers=max(case.subscribers for case in cases)
    )


class Measurement:
    """The rounds of one case, on canvases of its own."""

    def __init__(
        self, target: Target, crew: Crew, case: Case, jpegs: Sequence[bytes], options: Options
    ) -> None:
        self._target = target
        self._crew = crew
        self._case = case
        self._jpegs = jpegs
        self._hashes = frozenset(hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs)
        self._options = options
        run = uuid.uuid4().hex[:8]
        self._slugs = [f"bench-{run}-{number}" for number in range(1, case.canvases + 1)]
        self._frames = max(2, round(options.seconds * case.fps))

    async def rows(self) -> list[Row]:
        """Measure: rounds without screens, and with screens of each form, in turn."""
        idle: list[Round] = []
        served: dict[str, list[Round]] = {form: [] for form in self._options.forms}
        async with self._canvases():
            for number in range(1, self._options.rounds + 1):
                self._tell(f"round {number} of {self._options.rounds}")
                idle.append(await self._round(None))
                for form in self._options.forms:
                    served[form].append(await self._round(form))
        weight = statistics.mean(len(jpeg) for jpeg in self._jpegs)
        return [summarise(self._case, form, weight, rounds, idle) for form, rounds in served.items()]

    @contextlib.asynccontextmanager
    async def _canvases(self) -> AsyncIterator[None]:
        """Have canvases, and leave none on a server that is not ours."""
        try:
            # The first push makes them.
            await self._push(1)
            yield
        finally:
            for slug in self._slugs:
                await remove(self._target, slug)

    async def _round(self, form: str | None) -> Round:
        """Push for the asked time, with screens of a form or with none."""
        if form is None:
            return await self._measure(form)
        screens = [slug for slug in self._slugs for _ in range(self._case.subscribers)]
        await self._crew.open(self._target, screens, form)
        try:
            return await self._measure(form)
        finally:
            await self._crew.close()

    async def _measure(self, form: str | None) -> Round:
        before = await self._push(WARM_UP_FRAMES)
        after = {pushed.slug: pushed.last_sequence for pushed in before}
        if form:
            await self._crew.collect(dict.fromkeys(after, 0), after, deadline_s=SETTLE_S)
        cpu_s = await self._target.read_cpu_s()
        pushes = await self._push(self._frames)
        screens: list[dict[str, Any]] = []
        if form:
            until = {pushed.slug: pushed.last_sequence for pushed in pushes}
            screens = await self._crew.collect(after, until, deadline_s=SETTLE_S)
            await asyncio.sleep(LAST_ACKS_S)
        cpu_s = await self._target.read_cpu_s() - cpu_s
        return self._count(pushes, screens, cpu_s)

    def _count(self, pushes: Sequence[Pushed], screens: Sequence[dict[str, Any]], cpu_s: float) -> Round:
        for screen in screens:
            if screen["frames"] and screen["image_sha256"] not in self._hashes:
                raise BenchError(f"canvas {screen['slug']!r} showed other bytes than were pushed")
        rates = [
            (screen["frames"] - 1) * 1000.0 / (screen["last_ms"] - screen["first_ms"])
            for screen in screens
            if screen["frames"] > 1 and screen["last_ms"] > screen["first_ms"]
        ]
        return Round(
            published=sum(pushed.published for pushed in pushes),
            cpu_s=cpu_s,
            dropped=sum(pushed.dropped for pushed in pushes),
            delivered=sum(screen["frames"] for screen in screens),
            received_bytes=sum(screen["bytes"] for screen in screens),
            fps=statistics.mean(rates) if rates else None,
            ages_ms=tuple(age for screen in screens for age in screen["ages_ms"]),
            replaced=sum(screen["replaced"] for screen in screens),
            skipped=sum(screen["skipped"] for screen in screens),
            undelivered=sum(not screen["is_newest"] for screen in screens),
        )

    async def _push(self, count: int) -> list[Pushed]:
        return await push_to_all(self._target, self._slugs, self._jpegs, count=count, fps=self._case.fps)

    def _tell(self, what: str) -> None:
        """Show people that something happens; a file gets the report only."""
        if sys.stderr.isatty():
            case = self._case
            screens = f"{case.canvases} x {case.subscribers} screens"
            print(f"\r\033[K{case.size.name}, {screens}, {what} ", end="", file=sys.stderr, flush=True)

"""Callers with live pictures under the real scheduler: as fast as it goes, and by the clock.

Each caller has a slot whose newest picture wins and a few credits, as a canvas has: a picture that is
due while all credits are out is not asked for.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.inference.measures import LoadRow, Served, Tick, load_row
from bench.inference.painting import Length, Subject
from inference.errors import first_error
from inference.scheduler import Caller, Scheduler, Slot, Work


# Unanswered pictures of one caller: one is painted while the next is asked for.
CREDITS = 2
# Before the measurement, pictures of each caller: the cost model learns the buckets.
_WARM_UP_PICTURES = 8


class Watch:
    """The scheduler's observer: keeps every tick."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.ticks: list[Tick] = []
        self._clock = clock
        self._is_busy = False
        self._told_at: float | None = None  # of the tick before, where callers never rest

    def on_tick(self, model: str, rows: int, bucket: int, seconds: float, own_s: float) -> None:
        """Keep a tick."""
        now = self._clock()
        outside_s = None if self._told_at is None else now - self._told_at - seconds
        self._told_at = now if self._is_busy else None
        self.ticks.append(Tick(rows, bucket, seconds, own_s, outside_s))

    def on_painted(self, model: str, queued_s: float, painted_s: float) -> None:
        """Nothing: what was painted is counted where it was asked for."""

    def on_given_up(self, reason: str) -> None:
        """Nothing: what failed is raised where it was asked for."""

    @contextmanager
    def watching(self, *, is_busy: bool = False) -> Iterator[list[Tick]]:
        """Collect the ticks of a measurement; the list is whole when the block ends.

        Args:
            is_busy: Whether there is always something to paint: what lies between two ticks is told then.
        """
        first = len(self.ticks)
        seen: list[Tick] = []
        self._is_busy = is_busy
        try:
            yield seen
        finally:
            self._is_busy, self._told_at = False, None
            seen += self.ticks[first:]


@dataclass(eq=False)
class _Canvas:
    """One caller and what it got."""

    number: int
    caller: Caller
    slot: Slot
    offered: int = 0
    asked: int = 0
    unanswered: int = 0
    latency_s: list[float] = field(default_factory=list)
    queued_s: list[float] = field(default_factory=list)

    @property
    def served(self) -> Served:
        return Served(self.offered, tuple(self.latency_s), tuple(self.queued_s))


_Wants = Callable[[_Canvas], bool]


class Crowd:
    """So many callers of one subject; alike in everything but their prompts."""

    def __init__(self, scheduler: Scheduler, watch: Watch, subject: Subject, callers: int) -> None:
        self._scheduler = scheduler
        self._watch = watch
        self._subject = subject
        self._pictures = 0  # asked for so far: no two measurements paint the same ones
        self._callers = [scheduler.caller("") for _ in range(callers)]
        self._canvases = self._fresh()

    def _fresh(self) -> list[_Canvas]:
        engine = self._subject.engine
        return [
            _Canvas(number, caller, Slot(Work(engine, self._subject.moment(number, 0)[0])))
            for number, caller in enumerate(self._callers)
        ]

    async def warm_up(self) -> None:
        """Let the scheduler learn what its batches cost."""
        await self._ask_for(lambda canvas: canvas.asked < _WARM_UP_PICTURES)

    async def at_full_speed(self, length: Length) -> LoadRow:
        """Ask for the next picture as soon as one is there; credits never rest.

        Returns:
            What was finished within the length.
        """
        each = None if length.pictures is None else max(1, length.pictures // len(self._callers))
        started_at = time.monotonic()
        ends_at = started_at + length.seconds if each is None else math.inf
        with self._watch.watching(is_busy=True) as ticks:
            await self._ask_for(
                lambda canvas: time.monotonic() < ends_at if each is None else canvas.asked < each, ends_at
            )
        seconds = length.seconds if each is None else time.monotonic() - started_at
        served = [canvas.served for canvas in self._canvases]
        return load_row("full speed", served, ticks, seconds, None)

    async def by_the_clock(self, load: str, per_s: float, length: Length, *, on_one_beat: bool) -> LoadRow:
        """Ask for pictures at a rate, whatever becomes of them.

        Args:
            load: What the measurement is called.
            per_s: Pictures per second of all callers together, each an equal share.
            length: How long; a picture count means all callers' together.
            on_one_beat: Whether every caller's pictures are due at the same moments; else the moments of
                the callers are spread evenly.
        """
        count = len(self._callers)
        seconds = length.seconds if length.pictures is None else length.pictures / per_s
        each = max(1, round(seconds * per_s / count))
        period_s = count / per_s
        due = sorted(
            (index * period_s + (0.0 if on_one_beat else number * period_s / count), number)
            for index in range(each)
            for number in range(count)
        )
        self._canvases = self._fresh()
        started_at = time.monotonic()
        with self._watch.watching() as ticks, first_error():
            async with asyncio.TaskGroup() as tasks:
                for at_s, number in due:
                    wait_s = started_at + at_s - time.monotonic()
                    if wait_s > 0:
                        await asyncio.sleep(wait_s)
                    canvas = self._canvases[number]
                    canvas.offered += 1
                    if canvas.unanswered < CREDITS:
                        canvas.unanswered += 1
                        tasks.create_task(self._paint(canvas, started_at + at_s, math.inf))
        # The last pictures take longer than their turn where the engine is behind.
        elapsed_s = max(each * period_s, time.monotonic() - started_at)
        return load_row(load, [canvas.served for canvas in self._canvases], ticks, elapsed_s, per_s)

    async def _ask_for(self, wants: _Wants, ends_at: float = math.inf) -> None:
        """Keep every credit busy for as long as its canvas wants pictures."""
        self._canvases = self._fresh()

        async def use_credit(canvas: _Canvas) -> None:
            while wants(canvas):
                canvas.unanswered += 1
                await self._paint(canvas, time.monotonic(), ends_at)

        with first_error():
            async with asyncio.TaskGroup() as tasks:
                for _ in range(CREDITS):
                    for canvas in self._canvases:
                        tasks.create_task(use_credit(canvas))

    async def _paint(self, canvas: _Canvas, asked_at: float, ends_at: float) -> None:
        """Ask for one picture; it counts if it is there before the measurement ends."""
        canvas.asked += 1
        self._pictures += 1
        timeline, time_s = self._subject.moment(canvas.number, self._pictures)
        canvas.slot.offer(Work(self._subject.engine, timeline))
        try:
            painted = await self._scheduler.paint(canvas.slot, time_s, caller=canvas.caller)
        finally:
            canvas.unanswered -= 1
        now = time.monotonic()
        if now <= ends_at:
            canvas.latency_s.append(now - asked_at)
            canvas.queued_s.append(painted.queued_s)

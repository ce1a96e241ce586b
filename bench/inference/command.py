"""`python -m bench inference`: an engine alone, under the scheduler, and beside diffusers' own loop.

Everything that an engine or a pipeline does runs in the scheduler's one engine thread, the plain loop
too, so that all have the same threads and nobody else's work beside them.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeVar

from bench.errors import BenchError, reason
from bench.inference.checks import (
    CROWD,
    LIGHT,
    OURS_ALONE,
    OURS_SHARED,
    PLAIN,
    PLAIN_KEPT,
    TWICE_BEAT,
    TWICE_SPREAD,
    Check,
    Findings,
    accelerator_checks,
    scheduler_checks,
    tiny_checks,
)
from bench.inference.floors import Peak, StageRow, images_per_s_at_best, stage_rows
from bench.inference.loads import Crowd, Watch
from bench.inference.measures import BucketRow, ComparisonRow, LoadRow, bucket_row, compare, own_cost_row
from bench.inference.options import Options, read_options
from bench.inference.painting import (
    PROMPTS,
    Batch,
    Length,
    Subject,
    batches,
    one_by_one,
    rare_stages,
    rate_of,
    stages,
)
from bench.inference.report import Report, markdown, write_report
from bench.inference.rig import Rig, build_rig
from bench.machine import describe_machine
from bench.streaming import until_told_to_stop
from inference.engine import Engine, EngineError, OutOfMemoryError
from inference.models.house import house_of
from inference.scheduler import Scheduler, scheduling


_T = TypeVar("_T")

# Of what one by one sustains.
_LIGHT_SHARE, _TWICE_SHARE = 0.25, 2.0
# Of the stages that a live picture has only at times, pictures painted to find their times.
_RARE_TRIES = 3
# Stages whose work every live picture has.
_EACH_TIME = ("denoise", "decode")


def run(arguments: Sequence[str]) -> None:
    """Measure, print the tables and the JSON line, and write the Markdown where it is asked for.

    Raises:
        BenchError: If nothing can be measured.
    """
    options = read_options(arguments)
    if options.table is not None and not options.table.resolve().parent.is_dir():
        raise BenchError(f"there is no folder for --table {options.table}")
    machine = describe_machine()
    rig = build_rig(options)
    command = shlex.join(["python", "-m", "bench", "inference", *arguments])
    blank = Report(
        machine=machine,
        engine_words=rig.words,
        engine_facts=rig.facts,
        options=options,
        command=command,
        date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        found=Findings(),
    )
    try:
        report = asyncio.run(until_told_to_stop(_measure(options, rig, blank)))
    except EngineError as exc:
        raise BenchError(f"the engine failed: {reason(exc)}") from exc
    if report is None:
        raise KeyboardInterrupt
    write_report(report)
    if options.table is not None:
        options.table.write_text(markdown(report), encoding="utf-8")


async def _measure(options: Options, rig: Rig, blank: Report) -> Report:
    watch = Watch()
    async with scheduling(observer=watch, max_waiting=4 * max(CROWD, *options.callers)) as scheduler:
        return await _Bench(options, rig, scheduler, watch).measure(blank)


class _Bench:
    """One run, step by step."""

    def __init__(self, options: Options, rig: Rig, scheduler: Scheduler, watch: Watch) -> None:
        self._options = options
        self._rig = rig
        self._scheduler = scheduler
        self._watch = watch
        self._length = Length(options.seconds, options.pictures)
        self._notes: list[str] = []
        self._taken_bytes: int | None = None

    @property
    def _most_callers(self) -> int:
        return max((count for count in self._options.callers if self._length.allows(count)), default=1)

    async def measure(self, blank: Report) -> Report:
        """Measure everything, the engine alone first: what it paints alone says what callers are offered."""
        between_ticks = self._scheduler.between_ticks
        await between_ticks(lambda: _prepare(self._rig.engine))
        async with house_of(self._rig.engine, between_ticks=between_ticks) as house:
            with await house.lease(self._rig.engine.model.name) as lease:
                subject = Subject(lease.engine, self._options.size, self._options.steps)
                find_peak = self._rig.find_peak
                peak = await between_ticks(find_peak) if find_peak else None
                painted = await self._buckets(subject)
                buckets = [
                    bucket_row(size, [batch.seconds for batch in some]) for size, some in painted.items()
                ]
                rows = await self._stages(subject, painted, peak)
                # Before diffusers' own loop takes any.
                self._taken_bytes = self._rig.peak_memory()
                comparison = await self._compare(subject)
                loads = await self._loads(subject, buckets)
        own_costs = [own_cost_row(self._watch.ticks, rows) for rows in self._options.callers]
        found = Findings(buckets, loads, [row for row in own_costs if row], comparison, self._most_callers)
        return replace(
            blank,
            found=found,
            stages=rows,
            peak=peak,
            checks=self._checks(found),
            notes=[*self._notes, *self._explain(peak, buckets)],
        )

    async def _buckets(self, subject: Subject) -> dict[int, list[Batch]]:
        """Paint full batches of every bucket that the length and the device allow."""
        painted: dict[int, list[Batch]] = {}
        for bucket in subject.engine.buckets:
            if not self._length.allows(bucket):
                self._notes.append(f"Batches of {bucket} and more were left out: more than --pictures.")
                break
            try:
                painted[bucket] = await self._scheduler.between_ticks(
                    lambda bucket=bucket: batches(subject, bucket, self._length)  # type: ignore[misc]
                )
            except OutOfMemoryError as exc:
                self._notes.append(f"Batches of {bucket} and more were left out: {reason(exc)}.")
                break
        if not painted:
            raise BenchError(f"not even one picture could be painted: {self._notes[-1]}")
        return painted

    async def _stages(
        self, subject: Subject, painted: dict[int, list[Batch]], peak: Peak | None
    ) -> list[StageRow]:
        rows: list[StageRow] = []
        works = self._rig.works
        # Prompts and sources are known already: what is left of their stages is looking them up.
        each_time = {name: works[name] for name in _EACH_TIME if name in works}
        for bucket in dict.fromkeys((min(painted), max(painted))):
            timed = painted[bucket]
            if self._rig.exact_stages is not None:
                # Painted once more: their rates must not be made with it.
                timed = await self._exactly(partial(batches, subject, bucket, self._length))
            rows += stage_rows(stages(timed), each_time, peak, bucket)
        tries = min(_RARE_TRIES, self._length.pictures or _RARE_TRIES)
        rare = await self._exactly(lambda: rare_stages(subject, tries))
        return rows + stage_rows(
            {f"{name} (rare)": seconds for name, seconds in rare.items()},
            {f"{name} (rare)": work for name, work in works.items()},
            peak,
            1,
        )

    async def _exactly(self, work: Callable[[], _T]) -> _T:
        """Do some of the engine's work with stages that wait for the device."""
        exact_stages = self._rig.exact_stages or nullcontext

        def do() -> _T:
            with exact_stages():
                return work()

        return await self._scheduler.between_ticks(do)

    async def _compare(self, subject: Subject) -> list[ComparisonRow]:
        """Paint in every way in turn, round after round, so that what else the machine does hits all."""
        if not self._options.has_baseline or self._rig.make_plain_loop is None:
            return []
        between_ticks = self._scheduler.between_ticks
        length = self._length
        plain = await between_ticks(self._rig.make_plain_loop)
        crowd = Crowd(self._scheduler, self._watch, subject, self._most_callers)
        anew, kept = partial(plain.paint, keeps_text=False), partial(plain.paint, keeps_text=True)
        await between_ticks(lambda: anew(0))
        if length.pictures is None:
            await between_ticks(lambda: rate_of(kept, Length(0.0, len(PROMPTS))))
            await crowd.warm_up()
        rates: dict[str, list[float]] = {PLAIN: [], PLAIN_KEPT: [], OURS_ALONE: [], OURS_SHARED: []}
        for _ in range(self._options.rounds):
            rates[OURS_ALONE].append(await between_ticks(lambda: one_by_one(subject, length)))
            rates[PLAIN].append(await between_ticks(lambda: rate_of(anew, length)))
            rates[OURS_SHARED].append((await crowd.at_full_speed(length)).images_per_s)
            rates[PLAIN_KEPT].append(await between_ticks(lambda: rate_of(kept, length)))
        return compare(rates, PLAIN)

    async def _loads(self, subject: Subject, buckets: Sequence[BucketRow]) -> list[LoadRow]:
        rows = []
        for callers in self._options.callers:
            if not self._length.allows(callers):
                self._notes.append(f"{callers} callers were left out: more than --pictures.")
                continue
            crowd = Crowd(self._scheduler, self._watch, subject, callers)
            if self._length.pictures is None:
                await crowd.warm_up()
            rows.append(await crowd.at_full_speed(self._length))
        if CROWD not in self._options.callers or not self._length.allows(CROWD):
            return rows
        crowd = Crowd(self._scheduler, self._watch, subject, CROWD)
        alone = buckets[0].images_per_s
        for name, share, is_beat in (
            (LIGHT, _LIGHT_SHARE, False),
            (TWICE_BEAT, _TWICE_SHARE, True),
            (TWICE_SPREAD, _TWICE_SHARE, False),
        ):
            # What one by one sustains is measured again, next to what it is the measure of.
            if self._length.pictures is None:
                alone = await self._scheduler.between_ticks(lambda: one_by_one(subject, self._length))
            rows.append(await crowd.by_the_clock(name, share * alone, self._length, on_one_beat=is_beat))
        return rows

    def _checks(self, found: Findings) -> list[Check]:
        device = str(self._rig.facts.get("device", ""))
        checks: list[Check] = []
        if self._options.engine == "tiny" and device == "cpu":
            checks = tiny_checks(found)
        elif self._options.engine == "sdxl-random" and device.startswith("cuda"):
            checks = accelerator_checks(found)
        return [*checks, *scheduler_checks(found)]

    def _explain(self, peak: Peak | None, buckets: Sequence[BucketRow]) -> list[str]:
        length = self._length
        each = f"{length.seconds:g} s" if length.pictures is None else f"{length.pictures} pictures"
        notes = [
            f"{each} each; every picture a new one, its prompt known already but in the rows marked rare, "
            "which show the least of a few.",
            "latency of the engine alone: of the whole batch. rest: what the engine puts under no stage.",
            "full speed: as soon as a picture is there the next is asked for, two at once per caller. light: "
            f"{_LIGHT_SHARE:g} of what one by one sustains, offered by the clock; latency counts from when "
            "the picture was due. one beat: all callers' pictures are due at the same moments; spread: the "
            "callers' moments lie evenly. Nothing waits for more to come: a batch is what came in during the "
            "tick before. Shares are of the engine's time: a dearer picture makes its caller's rate lower.",
            "outside: at full speed, from one tick's report to the next but for the tick itself: two hops "
            "between threads, the scheduler's part on the event loop, and what the callers do there.",
        ]
        if self._rig.exact_stages is not None:
            notes.append(
                "Stages were timed apart from the rates, waiting for the device at every border. The service "
                "does not wait: there text, noise and source are what it took to launch them, and denoise, "
                "which is waited for as decode is, holds the rest."
            )
        if peak is not None:
            works = [self._rig.works[name] for name in _EACH_TIME if name in self._rig.works]
            largest = buckets[-1].bucket
            notes.append(
                "floor: counted multiplications at the rate of a wide matrix product, or reading the weights "
                f"once, whichever is longer; activations are not counted. Floors of denoise and decode at "
                f"batch {largest}: {images_per_s_at_best(works, peak, largest):.1f} images/s."
            )
        if self._options.has_baseline:
            notes.append(
                f"{PLAIN}: pipe(prompt).images[0], the networks as the engine has laid them out, the same "
                "tiny autoencoder, size and steps, one after the other, PIL images; medians over "
                f"{self._options.rounds} round(s), the ways in turn. It "
                "encodes each prompt anew; with embeddings kept it is passed them. The own loop keeps them; "
                f"its callers at once are {self._most_callers}."
            )
        if hasattr(os, "getloadavg"):
            notes.append(f"Load of the machine at the end: {os.getloadavg()[0]:.2f}.")
        size_gb = self._rig.engine.size_bytes / 1e9
        if taken_bytes := self._taken_bytes:
            taken_gb = taken_bytes / 1e9
            notes.append(f"Memory: the model {size_gb:.2f} GB; with full batches {taken_gb:.2f} GB at most.")
        return notes


def _prepare(engine: Engine) -> None:
    for word in engine.prepare():
        # Of a network that is copied in pieces only the last is told.
        if " of " not in word:
            print(f"bench: prepared {word}", file=sys.stderr)

"""Everybody's pictures through the loaded models, step by step.

Each tick takes unfinished pictures of all callers in turn, as many of one kind as a step is worth,
and advances them by one step in the engines' own thread: one hop a tick, whatever it begins, steps
and finishes. Nothing ever waits for more to come: what arrives during a tick shares the next one.
Knows no request's fields, no encoding and no transport. The one rule: between two ticks everything
happens synchronously on the event loop, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import NoReturn, TypeVar
from weakref import WeakValueDictionary

from inference.engine import EngineError
from inference.errors import CancelledByIdError, LateError, StoppingError, first_error
from inference.scheduling.accounts import Accounts
from inference.scheduling.admission import Admission
from inference.scheduling.batch import choose
from inference.scheduling.errands import Errands
from inference.scheduling.failures import Failures
from inference.scheduling.fairness import Caller, FairQueue
from inference.scheduling.jobs import Job, OnStep, Painted, Slot, Take, Work
from inference.scheduling.observer import NullObserver, Observer
from inference.scheduling.ticks import Advance, Clock, Tick, run_tick


__all__ = ["Caller", "Observer", "OnStep", "Painted", "Scheduler", "Slot", "Take", "Work", "scheduling"]

T = TypeVar("T")

DEFAULT_MAX_WAITING = 64


class Scheduler:
    """Shares the engines among callers; made by `scheduling`, which owns its task and thread."""

    def __init__(
        self,
        *,
        max_waiting: int = DEFAULT_MAX_WAITING,
        observer: Observer | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._observer: Observer = observer or NullObserver()
        self._clock = clock
        self._admission = Admission(max_waiting, self._expect_s)
        self._queue: FairQueue[Job] = FairQueue()
        self._users: WeakValueDictionary[str, Caller] = WeakValueDictionary()
        self._named: dict[str, list[Job]] = {}  # by request id
        self._errands = Errands()
        self._work = asyncio.Event()
        self._stopping = False
        self._accounts = Accounts()
        self._failures = Failures()
        # Instants are wall time at the start, moved on by the monotonic clock: a corrected clock
        # must not make pictures older than the ones before them.
        self._epoch_s = time.time() - clock()

    @property
    def max_waiting(self) -> int:
        """How many pictures `admit` lets in at once."""
        return self._admission.most

    @property
    def unfinished(self) -> int:
        """How many pictures wait or are being painted."""
        return len(self._queue)

    def megapixels_per_s(self, model: str) -> float:
        """Tell how fast a model has painted so far; 0 where it has not."""
        return self._accounts.megapixels_per_s(model)

    def step_times(self, model: str) -> dict[int, float]:
        """Tell the mean seconds of a step by its bucket, of the size that a loaded model painted last."""
        return self._accounts.step_times(model)

    def sustainable_fps(self, caller: Caller) -> float:
        """Tell what rate each open picture of a caller can have beside what the others use; 0 unknown."""
        return self._accounts.sustainable_fps(caller, self._clock())

    def caller(self, user_id: str) -> Caller:
        """Return the caller of a user: the same as long as anybody holds it; for "" a new one."""
        if not user_id:
            return Caller()
        caller = self._users.get(user_id)
        if caller is None:
            caller = self._users[user_id] = Caller()
        return caller

    def admit(self, pictures: int) -> AbstractContextManager[None]:
        """Hold places for so many pictures, before anything is spent on them.

        Raises:
            BusyError: As it is entered, if that many are not free.
        """
        return self._admission.admit(pictures)

    def _expect_s(self) -> float:
        now_s = self._clock()
        return sum(self._accounts.expect_s(job, now_s) for job in self._queue)

    async def paint(
        self,
        take: Take | Work,
        time_s: float = 0.0,
        *,
        caller: Caller,
        on_step: OnStep | None = None,
        previews: bool = False,
        deadline_at: float | None = None,
        request_id: str = "",
    ) -> Painted:
        """Paint the picture of a timeline at a time.

        Args:
            take: What is painted, or what tells it when the picture is taken up; see `Slot`.
            time_s: When, seconds of the timeline.
            caller: Who is served in turn with the others; one caller's pictures go in order.
            on_step: See `OnStep`; must not raise.
            previews: Whether `on_step` wants previews.
            deadline_at: The latest that it may be finished, seconds of the event loop's clock.
            request_id: What `cancel` knows it by; need not be unique.

        Raises:
            EngineError: If the engine refuses or fails.
            LateError: If the deadline passes first.
            CancelledByIdError: If it was cancelled by its id.
            StoppingError: If the service ends first.

        Cancellation:
            Gives the picture up between two steps, as a deadline and `cancel` do; a step that runs
            ends, and nobody else's picture is touched.
        """
        if self._stopping:
            raise StoppingError
        loop = asyncio.get_running_loop()
        painted: asyncio.Future[Painted] = loop.create_future()
        job = Job(take, time_s, caller, painted, self._clock(), on_step=on_step, previews=previews)
        try:
            with self._deadline(job, deadline_at), self._name(job, request_id):
                self._queue.add(caller, job)
                self._accounts.see(caller, job.submitted_at)
                self._work.set()
                return await painted
        except (asyncio.CancelledError, CancelledByIdError):
            self._observer.on_given_up("cancelled")
            raise
        except LateError:
            self._observer.on_given_up("deadline")
            raise
        except EngineError:
            self._observer.on_given_up("failed")
            raise
        finally:
            self._queue.drop(caller, job)

    @contextmanager
    def _deadline(self, job: Job, deadline_at: float | None) -> Iterator[None]:
        if deadline_at is None:
            yield
            return
        loop = asyncio.get_running_loop()
        if deadline_at <= loop.time():
            raise LateError
        late = loop.call_at(deadline_at, self._give_up, job, LateError())
        try:
            yield
        finally:
            late.cancel()

    @contextmanager
    def _name(self, job: Job, request_id: str) -> Iterator[None]:
        if not request_id:
            yield
            return
        jobs = self._named.setdefault(request_id, [])
        jobs.append(job)
        try:
            yield
        finally:
            jobs.remove(job)
            if not jobs:
                del self._named[request_id]

    def cancel(self, request_id: str) -> int:
        """Cancel the pictures of a request: those that wait at once, the others after the step that runs.

        Returns:
            How many; 0 where there are none any more.
        """
        jobs = self._named.get(request_id, [])
        return sum(self._give_up(job, CancelledByIdError(request_id)) for job in jobs)

    def _give_up(self, job: Job, error: Exception) -> bool:
        self._queue.drop(job.caller, job)
        return job.fail(error)

    async def between_ticks(self, work: Callable[[], T], caller: Caller | None = None) -> T:
        """Run something in the engines' thread between two ticks; of several, a tick comes between two.

        Args:
            work: Not longer than everybody's pictures may wait.
            caller: Whose share of the engines it takes, which it waits for; None: nobody's, such as a
                model's preparation.

        Raises:
            Exception: What the work raises.
            StoppingError: If the service ends first.

        Cancellation:
            Work that has not begun is dropped; work that runs ends, and its result is lost.
        """
        if self._stopping:
            raise StoppingError
        if caller is not None:
            self._queue.join(caller)
            self._accounts.see(caller, self._clock())
        done = self._errands.add(work, caller)
        self._work.set()
        return await done

    async def tick_forever(self, thread: ThreadPoolExecutor) -> NoReturn:
        """Paint whatever is there, without ever waiting for more.

        Args:
            thread: The engines' own, of one thread.
        """
        try:
            while True:
                await self._run_errand(thread)
                if not await self._run_tick(thread) and not self._errands:
                    self._work.clear()
                    await self._work.wait()
        finally:
            self.close()

    async def _run_errand(self, thread: ThreadPoolExecutor) -> None:
        """Do one piece of other work, if there is one whose turn it is."""
        began_at = self._clock()
        caller = await self._errands.run_next(thread, self._queue.is_due)
        if caller is not None:
            ended_at = self._clock()
            self._queue.serve(caller, ended_at - began_at)
            self._accounts.add_use(caller, ended_at - began_at, ended_at)

    async def _run_tick(self, thread: ThreadPoolExecutor) -> bool:
        """Do one tick; False where there is nothing to do."""
        began_at = self._clock()
        tick = choose(self._queue, self._accounts.costs, began_at)
        if tick is None:
            return False
        chosen_at = self._clock()
        await asyncio.get_running_loop().run_in_executor(thread, run_tick, tick, self._clock)
        settling_at = self._clock()
        self._settle(tick, settling_at - began_at)
        seconds = tick.ended_at - tick.begun_at
        own_s = (chosen_at - began_at) + (seconds - tick.engine_s) + (self._clock() - settling_at)
        self._observer.on_tick(tick.engine.model.name, tick.rows, tick.bucket, seconds, own_s)
        return True

    def _settle(self, tick: Tick, round_s: float) -> None:
        """Tell everybody what a tick did to their pictures. Runs on the event loop."""
        self._accounts.add_step(tick)
        for caller, seconds in self._accounts.charge(tick, round_s).items():
            self._queue.charge(caller, seconds)
        for advance in tick.advances:
            job = advance.job
            if job.begun_at is None:
                job.begun_at = tick.begun_at
            if job.painted.done():
                continue
            if advance.error is not None:
                self._give_up(job, self._failures.translate(advance.error))
                continue
            if tick.out_of_memory is not None:
                continue
            if job.on_step is not None:
                job.on_step(advance.step, advance.total_steps, advance.preview)
            if advance.pixels is not None:
                self._finish(advance, tick)

    def _finish(self, advance: Advance, tick: Tick) -> None:
        job, pixels = advance.job, advance.pixels
        assert pixels is not None
        assert job.begun_at is not None
        self._queue.drop(job.caller, job)
        model = tick.engine.model.name
        self._accounts.add_picture(advance, tick, pixels)
        painted = Painted(
            pixels=pixels,
            work=job.look(),
            caller=job.caller,
            queued_s=job.begun_at - job.submitted_at,
            painted_s=tick.ended_at - job.begun_at,
            finished_ms=(self._epoch_s + tick.ended_at) * 1000.0,
            stage_s=advance.stage_s,
            warnings=advance.warnings,
        )
        self._observer.on_painted(model, painted.queued_s, painted.painted_s)
        job.painted.set_result(painted)

    def close(self) -> None:
        """Give up whatever is unfinished and take nothing more."""
        self._stopping = True
        for job in self._queue:
            job.fail(StoppingError())
        self._queue.clear()
        self._errands.close()


@asynccontextmanager
async def scheduling(
    *,
    max_waiting: int = DEFAULT_MAX_WAITING,
    observer: Observer | None = None,
    clock: Clock = time.monotonic,
) -> AsyncIterator[Scheduler]:
    """Run a scheduler, its task and the engines' thread.

    A scheduler that dies of a bug cancels the body, and raises what it died of.

    Args:
        max_waiting: See `Scheduler.admit`.
        observer: What is told of ticks and pictures.
        clock: What the engines' time is measured with; deadlines go by the event loop's own.
    """
    scheduler = Scheduler(max_waiting=max_waiting, observer=observer, clock=clock)
    thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
    try:
        with first_error():
            async with asyncio.TaskGroup() as tasks:
                ticking = tasks.create_task(scheduler.tick_forever(thread), name="scheduler")
                try:
                    yield scheduler
                finally:
                    scheduler.close()
                    ticking.cancel()
    finally:
        # A step that runs cannot be stopped; the loop must not stand still until it ends.
        await asyncio.to_thread(thread.shutdown)

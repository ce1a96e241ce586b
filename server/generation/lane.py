"""The order in which jobs are done: one lane per canvas, with one running job and a queue.

Pure state but for the event that wakes its producer. The rules:

- A job that asks for `now` ends a running one that goes on for ever (live, playlist, ingest, test) and is
  done before all that wait. A running job that ends by itself (once, variations) runs to its end.
- A job that asks for `queue` waits behind the others; a running job that goes on for ever yields to it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from server.errors import ServerFullError
from server.generation.job import Job, Kind


MAX_WAITING = 32


class Lane:
    """The running job and the waiting ones.

    Attributes:
        running: The job that is being done, or None.
        stop_reason: Why the running job must end, or None while it may go on.
        on_change: Called with each job whose state changed.
        on_move: Called with each waiting job whose place alone changed.
    """

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self.max_waiting = max_waiting
        self.running: Job | None = None
        self.stop_reason: str | None = None
        self.on_change: Callable[[Job], None] = lambda job: None
        self.on_move: Callable[[Job], None] = lambda job: None
        self._waiting: deque[Job] = deque()
        self._places: dict[str, int] = {}  # as they were told last, by job
        # The newest job that asked for `now`; it may have begun or ended.
        self._urgent: Job | None = None
        self._changed = asyncio.Event()
        # Ends what the running job waits for; a live job is asked to end after its frame instead.
        self._interrupt: Callable[[], object] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> tuple[Job, ...]:
        """The jobs that wait, next first."""
        return tuple(self._waiting)

    def position(self, job: Job) -> int | None:
        """Return a job's place in the queue, from 1, or None if it does not wait."""
        return self._waiting.index(job) + 1 if job in self._waiting else None

    def submit(self, job: Job, *, now: bool) -> None:
        """Add a job.

        Raises:
            ServerFullError: If as many wait as may wait.
        """
        self.check_room(now=now)
        if now and (replaced := self._replaceable()):
            self._drop(replaced, "superseded")
        if now:
            self._urgent = job
            self._waiting.appendleft(job)
            self.supersede()
        else:
            self._waiting.append(job)
            self.yield_to_waiting()
        self._tell(job)
        self.wake()

    def check_room(self, *, now: bool) -> None:
        """Tell whether one more job can be taken.

        Raises:
            ServerFullError: If as many wait as may wait.
        """
        replaced = self._replaceable() if now else None
        if len(self._waiting) - (replaced is not None) >= self.max_waiting:
            raise ServerFullError("waiting jobs", self.max_waiting)

    def supersede(self) -> None:
        """End the running job if it is of the kind that goes on for ever."""
        if self.running and self.running.is_superseded_by_now:
            self.stop("superseded")

    def yield_to_waiting(self) -> None:
        """End the running job if it would never end by itself and others wait."""
        if self._waiting and self.running and not self.running.is_finite:
            self.stop("superseded")

    def stop(self, reason: str) -> None:
        """End the running job, if there is one."""
        if self.running and self.stop_reason is None:
            self.stop_reason = reason
            if self._interrupt:
                self._interrupt()
            self.wake()

    def cancel(self, job: Job, reason: str) -> None:
        """End a job, be it running or waiting; one that has ended stays as it is."""
        if job is self.running:
            self.stop(reason)
        elif job in self._waiting:
            self._drop(job, reason)

    def clear(self, reason: str = "cleared") -> list[Job]:
        """End all that wait."""
        dropped = list(self._waiting)
        self._waiting.clear()
        for job in dropped:
            job.cancel(reason)
            self._tell(job)
        return dropped

    def take(self, *, kind: Kind | None = None) -> Job | None:
        """Make the next job the running one; None if there is none, or none of that kind."""
        assert self.running is None
        if not self._waiting or (kind and self._waiting[0].kind is not kind):
            return None
        job = self._waiting.popleft()
        self.running = job
        self.stop_reason = None
        job.start()
        self._tell(job)
        return job

    def interruptible(self, interrupt: Callable[[], object] | None) -> None:
        """Tell what ends the running job at once; None where it ends by looking at `stop_reason`."""
        self._interrupt = interrupt
        if interrupt and self.stop_reason:
            interrupt()

    def finish(self, end: Callable[[Job], None]) -> None:
        """End the running job; `end` tells how, unless it is to stop or has ended already."""
        job, self.running = self.running, None
        assert job is not None
        if not job.is_ended:
            if self.stop_reason:
                job.cancel(self.stop_reason)
            else:
                end(job)
        self.stop_reason = None
        self._interrupt = None
        self.on_change(job)

    def wake(self) -> None:
        """Make whoever waits for a change look again."""
        self._changed.set()

    async def changed(self, within_s: float | None = None) -> None:
        """Wait for a change, or for a time to pass.

        Cancellation:
            Loses nothing.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        # Not where it is cancelled: what woke it is left to whoever waits next.
        self._changed.clear()

    def _replaceable(self) -> Job | None:
        """Return the job that a new one for `now` replaces while both wait.

        Of two that want to be next and go on for ever, the newer one wins.
        """
        urgent = self._urgent
        is_waiting = urgent is not None and urgent in self._waiting
        return urgent if urgent and is_waiting and urgent.is_superseded_by_now else None

    def _drop(self, job: Job, reason: str) -> None:
        self._waiting.remove(job)
        job.cancel(reason)
        self._tell(job)

    def _tell(self, changed: Job) -> None:
        """Tell that a job has changed, and which others have moved up or back by that."""
        before, self._places = self._places, {job.id: index + 1 for index, job in enumerate(self._waiting)}
        self.on_change(changed)
        for job_id, place in self._places.items():
            if before.get(job_id, place) != place:
                self.on_move(self._waiting[place - 1])

"""What happens to jobs and canvases, told to whoever listens.

Progress conflates: of two steps of one job not yet taken, only the newer is told. Ends are never
lost: a listener that falls too far behind is closed instead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from server.generation.job import Job


# Events of one listener that were not taken. Each job has at most one entry of its own.
MAX_WAITING = 2000


class ListenerTooSlow(Exception):
    """The listener did not take what it was told."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed: a job, or, where that is None, the list of canvases."""

    job: Job | None = None
    is_move: bool = False  # of the job only its place in the queue has changed


class Listener:
    """What one listener has not yet taken.

    Attributes:
        wants: Tells which events it is told; the others never wait for it.
    """

    def __init__(self, wants: Callable[[Event], bool] = lambda event: True) -> None:
        self.wants = wants
        self._events: OrderedDict[str | None, Event] = OrderedDict()
        self._wake = asyncio.Event()
        self._is_too_slow = False

    def tell(self, event: Event) -> None:
        """Put an event in, in the place of an older one of the same job."""
        if self._is_too_slow:
            # It will be closed as soon as it looks; until then nothing piles up.
            return
        if not self.wants(event):
            return
        key = event.job.id if event.job else None
        if event.is_move and key in self._events:
            # What waits tells the place, too, and more.
            return
        self._events[key] = event
        self._is_too_slow = len(self._events) > MAX_WAITING
        self._wake.set()

    async def next(self) -> Event:
        """Take the oldest event.

        Raises:
            ListenerTooSlow: If more than `MAX_WAITING` waited.

        Cancellation:
            Loses nothing.
        """
        while not self._events:
            self._wake.clear()
            await self._wake.wait()
        if self._is_too_slow:
            raise ListenerTooSlow
        _, event = self._events.popitem(last=False)
        return event


class EventBus:
    """Tells every listener of every change."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def tell(self, event: Event) -> None:
        """Tell everybody; never blocks."""
        for listener in self._listeners:
            listener.tell(event)

    @contextlib.contextmanager
    def listen(self, wants: Callable[[Event], bool] = lambda event: True) -> Iterator[Listener]:
        """Be told of what happens from now on, as far as it is wanted."""
        listener = Listener(wants)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

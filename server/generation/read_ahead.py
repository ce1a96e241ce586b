"""Pictures that are shown at a rate: when each is due, and loaded in a pool before it is.

Where they cannot be loaded as fast as they are due, places are left out: what is shown lags by
`LATE_S` at most, and no more and more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from server.errors import InvalidError, PsycheError
from server.streaming.clock import Clock
from server.streaming.frame import EncodedImage


# How late a picture may be before later ones take its place, seconds: what was held up for less is
# caught up with, picture by picture.
LATE_S = 0.1
# Places that are loaded ahead: at 60 FPS, 50 ms in which a disk may do something else.
AHEAD = 3
# Pictures of one folder that stay in memory while they are shown in turn; of larger folders each
# is read when it is due.
CACHE_BYTES = 64 * 1024 * 1024


class Pace:
    """When each place is due: the first at once, and each an interval after the one before."""

    def __init__(self, clock: Clock, interval_s: Callable[[], float], place: int) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._place = place
        self._due_s = clock()

    def due_s(self, place: int) -> float:
        """Return when a place is due, monotonic seconds."""
        return self._due_s + (place - self._place) * self._interval_s()

    def reach(self, place: int) -> None:
        """Count on from a place that is shown; from its due time, so that nothing drifts."""
        self._place, self._due_s = place, self.due_s(place)

    def restart(self, place: int) -> None:
        """Count on from a place that is shown at this moment, whenever it was due."""
        self._place, self._due_s = place, self._clock()

    @property
    def overdue(self) -> int:
        """The last place that is late by `LATE_S` or more; one that is shown already, if none is."""
        late_s = self._clock() - LATE_S - self._due_s
        return self._place + int(late_s // self._interval_s())


@dataclass(eq=False, slots=True)
class _Loading:
    place: int
    path: Path
    image: asyncio.Future[EncodedImage | Exception]

    @property
    def is_loaded(self) -> bool:
        return self.image.done() and not isinstance(self.image.result(), Exception)


class ReadAhead:
    """Files in turn, each with its place, loaded before they are asked for. Close it.

    Args:
        executor: Where they are loaded; it belongs to the caller.
        load: Loads one; blocking. Raises what the caller wants told of a file.
        files: The files, one round of them.
        number: How many places there are; None is without end.
        on_failure: Called with each file that could not be loaded, and why.

    Attributes:
        dropped: Places that were left out because later ones were due.
    """

    def __init__(
        self,
        executor: Executor,
        load: Callable[[Path], EncodedImage],
        files: Sequence[Path],
        number: int | None,
        *,
        on_failure: Callable[[Path, Exception], None],
    ) -> None:
        self.dropped = 0
        self._executor = executor
        self._load = load
        self._files = files
        self._number = number
        # No file is loaded twice at a time.
        self._depth = min(AHEAD, len(files))
        self._on_failure = on_failure
        self._ahead: deque[_Loading] = deque()
        self._next_place = 0
        self._failures = 0  # since the last picture that could be loaded
        self._cached: dict[Path, EncodedImage] = {}
        self._cached_bytes = 0

    @property
    def is_spent(self) -> bool:
        """Whether no more will come."""
        return not self._ahead and self._number is not None and self._next_place >= self._number

    def close(self) -> None:
        """Give up what is not being loaded yet."""
        for loading in self._ahead:
            loading.image.cancel()
        self._ahead.clear()

    async def take(self, overdue: Callable[[], int]) -> tuple[int, EncodedImage] | None:
        """Return the next picture with its place, or None after the last.

        Args:
            overdue: Gives the last place that is too late to be shown if there is a later one.

        Raises:
            InvalidError: If a whole round of files could not be loaded.

        Cancellation:
            Loses nothing.
        """
        taken: tuple[int, EncodedImage] | None = None
        while taken is None and not self.is_spent:
            self._fill(overdue())
            await asyncio.wait([self._ahead[0].image])
            taken = self._settle()
        # A later one that is loaded and overdue itself is what should be seen.
        while taken and self._ahead and self._ahead[0].is_loaded and self._ahead[0].place <= overdue():
            self.dropped += 1
            taken = self._settle() or taken
        self._fill(overdue())
        return taken

    def _fill(self, overdue: int) -> None:
        """Begin to load what is due next; what is overdue already is left out, but for the last one."""
        due = overdue if self._number is None else min(overdue, self._number - 1)
        if due > self._next_place:
            self.dropped += due - self._next_place
            self._next_place = due
        while len(self._ahead) < self._depth and (self._number is None or self._next_place < self._number):
            path = self._files[self._next_place % len(self._files)]
            self._ahead.append(_Loading(self._next_place, path, self._begin(path)))
            self._next_place += 1

    def _begin(self, path: Path) -> asyncio.Future[EncodedImage | Exception]:
        loop = asyncio.get_running_loop()
        cached = self._cached.get(path)
        if cached is None:
            return loop.run_in_executor(self._executor, self._attempt, path)
        there: asyncio.Future[EncodedImage | Exception] = loop.create_future()
        there.set_result(cached)
        return there

    def _attempt(self, path: Path) -> EncodedImage | Exception:
        try:
            return self._load(path)
        except (PsycheError, OSError) as exc:
            # Returned and not raised: nobody may ever ask for what was loaded ahead.
            return exc

    def _settle(self) -> tuple[int, EncodedImage] | None:
        """Take the first of those ahead, which is loaded; None if it could not be."""
        loading = self._ahead.popleft()
        image = loading.image.result()
        if isinstance(image, Exception):
            self._on_failure(loading.path, image)
            self._failures += 1
            if self._failures >= len(self._files):
                folder = loading.path.parent.name
                raise InvalidError(f"no picture of {folder!r} can be shown", field="folder") from image
            return None
        self._failures = 0
        if loading.path not in self._cached and self._cached_bytes + len(image.data) <= CACHE_BYTES:
            self._cached[loading.path] = image
            self._cached_bytes += len(image.data)
        return loading.place, image

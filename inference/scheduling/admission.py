"""Who is let in: so many pictures at once, and what a refused caller is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inference.errors import BusyError


# What a refused caller is told to wait, milliseconds: at least so that it does not spin, at most so
# that it notices when the rush is over.
MIN_RETRY_MS, MAX_RETRY_MS = 100, 60_000

# What a refused caller is told while nothing has been painted yet, milliseconds.
UNKNOWN_RETRY_MS = 1000


class Admission:
    """Places for pictures, live ones apart.

    Attributes:
        most: How many there are.
    """

    def __init__(self, most: int, expect_s: Callable[[], float]) -> None:
        """Begin with all places free.

        Args:
            most: How many there are.
            expect_s: Tells when all that is under way will be done, seconds from now; 0 unknown.
        """
        self.most = most
        self._expect_s = expect_s
        self._taken = 0

    @contextmanager
    def admit(self, pictures: int) -> Iterator[None]:
        """Hold places for so many pictures.

        Raises:
            BusyError: If that many are not free.
        """
        if self._taken + pictures > self.most:
            raise BusyError(self.most, self._retry_after_ms())
        self._taken += pictures
        try:
            yield
        finally:
            self._taken -= pictures

    def _retry_after_ms(self) -> int:
        expected_ms = 1000.0 * self._expect_s() or UNKNOWN_RETRY_MS
        return int(min(max(expected_ms, MIN_RETRY_MS), MAX_RETRY_MS))

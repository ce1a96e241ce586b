"""The calls that are being answered, each known by its request's id: how one is ended by it.

Knows no message, picture or transport. A call is ended wherever it is: while it waits for its model,
is painted, encoded or sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inference.errors import CancelledByIdError, LateError


# The scheduler gives up a picture at the deadline itself, and counts it; whatever else a call is doing
# is ended this much later, seconds.
DEADLINE_SLACK_S = 0.01


class Call:
    """One call.

    Attributes:
        request_id: What it is known by; may be set later.
        pictures: How many of its pictures have not been sent.
    """

    def __init__(self, request_id: str, pictures: int, scope: asyncio.Timeout) -> None:
        self.request_id = request_id
        self.pictures = pictures
        self.is_cancelled = False
        self._scope = scope

    def cancel(self) -> int:
        """End it; returns how many pictures that gives up: none where it ends already, or all are sent."""
        if self.is_cancelled or self._scope.expired() or not self.pictures:
            return 0
        self.is_cancelled = True
        self._scope.reschedule(0.0)
        return self.pictures


class Calls:
    """Every call that is being answered."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()

    def cancel(self, request_id: str) -> int:
        """End the calls of an id; returns how many pictures were given up."""
        return sum(call.cancel() for call in list(self._calls) if call.request_id == request_id)

    @asynccontextmanager
    async def following(
        self, request_id: str = "", *, pictures: int = 1, deadline_at: float | None = None
    ) -> AsyncIterator[Call]:
        """Answer a call in the body, which is cancelled where the call is ended.

        Args:
            request_id: What the call is known by; empty: not yet by anything.
            pictures: How many it makes.
            deadline_at: When it ends by itself, monotonic seconds.

        Raises:
            CancelledByIdError: If it was cancelled by its id.
            LateError: If the deadline passed.
        """
        scope = asyncio.timeout_at(None if deadline_at is None else deadline_at + DEADLINE_SLACK_S)
        call = Call(request_id, pictures, scope)
        try:
            async with scope:
                self._calls.add(call)
                try:
                    yield call
                finally:
                    self._calls.discard(call)
            if call.is_cancelled:  # In its last moment: whoever did it was told so.
                raise CancelledByIdError(call.request_id)
        except TimeoutError:
            if call.is_cancelled:
                raise CancelledByIdError(call.request_id) from None
            if scope.expired():
                raise LateError from None
            raise

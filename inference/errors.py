"""Everything that the service raises on purpose, beside what engines do, and how each is told.

    ConfigurationError     exit status 2, one line
    CoreError
     ├─ BusyError          RESOURCE_EXHAUSTED with "retry-after-ms"
     ├─ TooManyCreditsError    RESOURCE_EXHAUSTED
     ├─ NotOpenError       FAILED_PRECONDITION
     ├─ ModelLoadError     FAILED_PRECONDITION
     ├─ LateError          DEADLINE_EXCEEDED
     ├─ CancelledByIdError CANCELLED
     └─ StoppingError      UNAVAILABLE
    engine.EngineError
     ├─ RejectedError      INVALID_ARGUMENT with "psyche-field"
     ├─ OutOfMemoryError   RESOURCE_EXHAUSTED
     └─ PaintingFailedError    INTERNAL

This module knows no transport; `service` holds the same table as code. Messages are one
lower-case sentence with the values in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ConfigurationError(Exception):
    """The settings do not allow a start."""


class CoreError(Exception):
    """A call that cannot be served now, or not in this order; its fields are fine."""


class BusyError(CoreError):
    """As many pictures are waiting as may wait.

    Attributes:
        retry_after_ms: When another try is likely to be taken, milliseconds.
    """

    def __init__(self, limit: int, retry_after_ms: int) -> None:
        super().__init__(f"already {limit} pictures are waiting or being painted, which is the limit")
        self.retry_after_ms = retry_after_ms


class TooManyCreditsError(CoreError):
    """A live caller asks for more frames at once than may be unanswered."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"already {limit} credits are unanswered, which is the limit")


class NotOpenError(CoreError):
    """A live caller's commands are out of order."""


class ModelLoadError(CoreError):
    """A model cannot be loaded, and no other one takes its place.

    Attributes:
        model: Its name.
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model} could not be loaded: {reason}")
        self.model = model
        self.reason = reason


class LateError(CoreError):
    """The caller's deadline passed before the picture was finished."""

    def __init__(self) -> None:
        super().__init__("the deadline passed before the picture was finished")


class CancelledByIdError(CoreError):
    """Somebody cancelled the request by its id."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"request {request_id} was cancelled")


class StoppingError(CoreError):
    """The service is about to end; another one may take the call."""

    def __init__(self) -> None:
        super().__init__("the service is shutting down")


@contextmanager
def first_error() -> Iterator[None]:
    """Let the first error of a task group out as itself: callers tell errors by their type."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = group.exceptions[0]
        raise error from error.__cause__

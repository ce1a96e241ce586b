"""What callers and the log are told of an engine's errors."""

from __future__ import annotations

import math
import time

import structlog

from inference.engine import OutOfMemoryError, PaintingFailedError, RejectedError


# Failures of the engines are logged with their traceback at most this often, seconds: a broken
# engine fails at every frame.
LOG_INTERVAL_S = 10.0


class Failures:
    """Translates errors, and counts them for the log."""

    def __init__(self) -> None:
        self._pictures = 0  # not logged yet
        self._logged_at = -math.inf

    def translate(self, error: Exception) -> Exception:
        """Make what a caller is told: a new error for each, since each is raised in its own task."""
        if isinstance(error, RejectedError):
            return RejectedError(error.field, str(error))
        self._log(error)
        if isinstance(error, (PaintingFailedError, OutOfMemoryError)):
            return type(error)(str(error))
        return PaintingFailedError(f"the engine failed: {type(error).__name__}: {error}")

    def _log(self, error: Exception) -> None:
        self._pictures += 1
        now_s = time.monotonic()
        if now_s - self._logged_at >= LOG_INTERVAL_S:
            log = structlog.get_logger("inference")
            log.error("painting_failed", pictures=self._pictures, exc_info=error)
            self._pictures, self._logged_at = 0, now_s

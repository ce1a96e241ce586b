"""Log lines: their form, and the counts that stand for what happens too often to be told each time.

A prompt is never logged, only its length: what people ask for is theirs.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

from protos import psyche_inference_v1_pb2 as pb


# Live frames are logged as counts of this long, seconds.
COUNTS_INTERVAL_S = 10.0


def configure(log_format: Literal["auto", "console", "json"]) -> None:
    """Send every log line of the process to standard error in one form.

    Args:
        log_format: "auto" is "console" on a terminal, else "json".
    """
    if log_format == "auto":
        log_format = "console" if sys.stderr.isatty() else "json"
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor]
    if log_format == "json":
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # The plain form: the other one prints local variables, prompts among them.
        plain = structlog.dev.plain_traceback
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


class FrameCounts:
    """What live callers got since the last report."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._frames = 0
        self._errors = 0
        self._queued_ms = 0.0
        self._painted_ms = 0.0
        self._encoded_ms = 0.0

    def add(self, event: pb.PaintEvent) -> None:
        """Count an event that was sent."""
        if event.HasField("frame"):
            metadata = event.frame.metadata
            self._frames += 1
            self._queued_ms += metadata.queued_for_ms
            self._painted_ms += metadata.painted_for_ms
            self._encoded_ms += metadata.encoded_for_ms
        elif event.HasField("error"):
            self._errors += 1

    def report(self, live_sessions: int) -> None:
        """Log the counts and start anew; says nothing where nothing happened."""
        frames, errors = self._frames, self._errors
        if frames or errors:
            each = max(frames, 1)
            structlog.get_logger("inference").info(
                "frames",
                live_sessions=live_sessions,
                frames=frames,
                errors=errors,
                mean_queued_ms=round(self._queued_ms / each, 2),
                mean_painted_ms=round(self._painted_ms / each, 2),
                mean_encoded_ms=round(self._encoded_ms / each, 2),
            )
        self._reset()

"""Structured logs: for people on a terminal, as JSON lines elsewhere.

Secrets, prompts and image bytes never get into a line.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


# A value that is longer is cut: nothing that a client sends may flood the log.
MAX_VALUE_CHARS = 500


def configure(*, level: str, style: str) -> None:
    """Set the logs up, those of the libraries included.

    Args:
        level: The least important level that is written.
        style: ``auto``, ``console`` or ``json``.
    """
    is_console = style == "console" or (style == "auto" and sys.stderr.isatty())
    renderer: Any = (
        # Its own way with tracebacks shows the values of local variables, the token among them.
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if is_console
        else structlog.processors.JSONRenderer(default=str)
    )
    # The console's renderer writes tracebacks itself.
    tracebacks: list[Any] = [] if is_console else [structlog.processors.format_exc_info]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _cut,
    ]
    structlog.configure(
        processors=[*shared, *tracebacks, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tracebacks, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(
        handlers=[handler], level=max(logging.WARNING, logging.getLevelName(level.upper())), force=True
    )


def _cut(_logger: Any, _method: str, event: Any) -> Any:
    """Cut long values, and tell only how long bytes are."""
    for key, value in event.items():
        if isinstance(value, bytes | bytearray | memoryview):
            event[key] = f"{len(value)} bytes"
        elif isinstance(value, str) and len(value) > MAX_VALUE_CHARS:
            event[key] = value[:MAX_VALUE_CHARS] + "…"
    return event

"""What ends a bench: one kind of error, told in one line."""

from __future__ import annotations


class BenchError(Exception):
    """Nothing can be measured; the message says why in one sentence."""


def reason(exc: BaseException) -> str:
    """Say what an error says, or what it is where it says nothing, as `TimeoutError` does."""
    return str(exc) or type(exc).__name__

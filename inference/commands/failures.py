"""How a command fails: one line for people, and an exit status for programs."""

from __future__ import annotations


class CommandError(Exception):
    """A command that could not do what it was asked for.

    Attributes:
        exit_status: 1 where the service or the machine failed, 2 where a flag is wrong.
    """

    def __init__(self, message: str, *, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status

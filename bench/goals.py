"""What a bench is meant to show, and whether it does. Pure: nothing here is decided beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """One number and its limit.

    Attributes:
        what: What was measured, with its unit.
        measured: None where it could not be.
        limit: What it may be at most, or must be at least.
        is_ceiling: Whether the limit is one from above.
    """

    what: str
    measured: float | None
    limit: float
    is_ceiling: bool = True

    @property
    def is_met(self) -> bool:
        """Whether it holds; what was not measured does not."""
        if self.measured is None:
            return False
        return self.measured <= self.limit if self.is_ceiling else self.measured >= self.limit

    def line(self) -> str:
        """Say it in words."""
        word = "not measured" if self.measured is None else "met" if self.is_met else "not met"
        measured = "" if self.measured is None else f" {_short(self.measured)},"
        bound = "at most" if self.is_ceiling else "at least"
        return f"{word}: {self.what}:{measured} {bound} {_short(self.limit)}"

    def to_json(self) -> dict[str, Any]:
        """Describe it for the JSON line."""
        return {
            "what": self.what,
            "measured": None if self.measured is None else round(self.measured, 4),
            "limit": self.limit,
            "is_ceiling": self.is_ceiling,
            "is_met": self.is_met,
        }


def _short(value: float) -> str:
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"

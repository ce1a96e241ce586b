"""The report of the benches with many screens: lines for people, and one JSON line last.

The JSON line: `bench`, `schema`, `date`, `machine`, `options`, `rows`, `goals` (the fields of `Goal`) and
`notes`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.goals import Goal
from bench.machine import describe_in_words, describe_machine
from bench.table import Column, render


SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a bench has found."""

    bench: str
    title: str
    columns: Sequence[Column]
    blocks: Sequence[Sequence[Sequence[str]]]
    rows: Sequence[dict[str, Any]]  # the same for programs
    goals: Sequence[Goal]
    notes: Sequence[str]
    options: dict[str, Any]
    machine: dict[str, Any] = field(default_factory=describe_machine)
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))

    def write(self) -> None:
        """Print it."""
        print(f"Psyche, {self.bench} bench: {self.title}")
        for line in describe_in_words(self.machine):
            print(line)
        print(self.date)
        print()
        for line in render(self.columns, self.blocks):
            print(line)
        print()
        for goal in self.goals:
            print(goal.line())
        if self.goals:
            print()
        for note in self.notes:
            print(f"- {note}")
        print(json.dumps(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "bench": self.bench,
            "schema": SCHEMA,
            "date": self.date,
            "machine": self.machine,
            "options": self.options,
            "rows": [{name: rounded(value) for name, value in row.items()} for row in self.rows],
            "goals": [goal.to_json() for goal in self.goals],
            "notes": list(self.notes),
        }


def rounded(value: Any) -> Any:
    """Round what was measured to what it is worth."""
    return round(value, 4) if isinstance(value, float) else value

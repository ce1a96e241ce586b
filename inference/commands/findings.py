"""What `python -m inference doctor` finds, and how it is told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


Level = Literal["ok", "note", "problem"]

_MARKS: dict[Level, str] = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    topic: str  # one or two words
    level: Level
    text: str
    advice: str = ""  # what to do about it; empty where nothing need be done


def ok(topic: str, text: str) -> Finding:
    """Find something as it should be."""
    return Finding(topic, "ok", text)


def note(topic: str, text: str, advice: str = "") -> Finding:
    """Find something that may be meant, and that limits what can be had."""
    return Finding(topic, "note", text, advice)


def problem(topic: str, text: str, advice: str) -> Finding:
    """Find something that keeps the service from doing what it is set up for."""
    return Finding(topic, "problem", text, advice)


def count_problems(findings: Sequence[Finding]) -> int:
    """Return how many of them are problems."""
    return sum(finding.level == "problem" for finding in findings)


def described(findings: Sequence[Finding]) -> str:
    """Return findings as lines for people."""
    width = max(len(finding.topic) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.level]:<7}  {finding.topic:<{width}}  {finding.text}")
        if finding.advice:
            lines.append(f"{'':<7}  {'':<{width}}  -> {finding.advice}")
    problems = count_problems(findings)
    lines += [
        "",
        f"{problems} problem{'s' if problems != 1 else ''} found" if problems else "no problem found",
    ]
    return "\n".join(lines)

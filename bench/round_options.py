"""The options that the benches with many screens share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.arguments import number, whole
from bench.rounds import KINDS, Kind


WARM_UP_S = 1.5


@dataclass(frozen=True, slots=True)
class RoundOptions:
    """What is asked for, checked."""

    seconds: float  # of a measurement
    warm_up_s: float
    rounds: int
    is_quick: bool
    kinds: tuple[str, ...] | None = None  # names; None for those that the bench is for
    minutes: float = 0.0  # of the long measurement, where the bench has one
    only: str | None = None  # the one part that is measured, where the bench has several

    def chosen(self, kinds: Sequence[Kind]) -> list[Kind]:
        """Return those of a bench's kinds that were asked for."""
        return [kind for kind in kinds if self.kinds is None or kind.program in self.kinds]

    def to_json(self) -> dict[str, Any]:
        """Return the options."""
        return asdict(self)


def parser_of(bench: str, description: str) -> argparse.ArgumentParser:
    """Make a reader of the shared options."""
    parser = argparse.ArgumentParser(prog=f"python -m bench {bench}", description=description)
    add = parser.add_argument
    add("--seconds", type=number(0.2, 600), help="length of a measurement, seconds (default: 3)")
    add("--rounds", type=whole(1, 100), help="rounds of each kind, in turn (default: 5)")
    add(
        "--kinds",
        type=_kinds,
        metavar="KIND,...",
        help=f"of: {', '.join(_programs())} (default: all that the bench compares)",
    )
    add("--quick", action="store_true", help="one short round with few screens: whether it runs, no more")
    return parser


def read(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> RoundOptions:
    """Read the command line.

    Raises:
        SystemExit: After `--help`, or with status 2 if an option is wrong.
    """
    words = parser.parse_args(arguments)
    quick = words.quick
    minutes = getattr(words, "minutes", None)
    return RoundOptions(
        seconds=words.seconds or (0.5 if quick else 3.0),
        warm_up_s=0.3 if quick else WARM_UP_S,
        rounds=words.rounds or (1 if quick else 5),
        is_quick=quick,
        kinds=words.kinds,
        minutes=minutes or (0.02 if quick else 10.0),
        only=getattr(words, "only", None),
    )


def _programs() -> list[str]:
    return list(dict.fromkeys(kind.program for kind in KINDS))


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in text.split(","))
    for kind in kinds:
        if kind not in _programs():
            raise argparse.ArgumentTypeError(f"{kind!r} is no kind; accepted are {', '.join(_programs())}")
    return kinds

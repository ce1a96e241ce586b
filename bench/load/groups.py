"""What screens there are and what came to them. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.figures import percentile


# Of one group between two marks; beyond, ages are no longer noted, frames still counted.
MAX_AGES = 2_000_000


class Mode(enum.StrEnum):
    """How a screen behaves."""

    ACKNOWLEDGING = "acknowledging"
    SILENT = "silent"  # reads everything, says nothing
    DEAD = "dead"  # never reads
    STUCK = "stuck"  # acknowledges its first frames and never reads again
    SLOW = "slow"  # reads at a limited rate, and acknowledges


@dataclass(frozen=True, slots=True)
class Group:
    """Screens of one kind on one canvas.

    Attributes:
        name: What the report calls them; groups of one name are counted together.
        slug: Their canvas.
        count: How many there are.
        mode: How they behave.
        rate_bytes_s: What a slow one reads.
        viewport: Device pixels that they say they have.
        port: Of another door to the server, as a relay is one; None for the server's own.
    """

    name: str
    slug: str
    count: int
    mode: Mode = Mode.ACKNOWLEDGING
    rate_bytes_s: float | None = None
    viewport: tuple[int, int] = (3840, 2160)
    port: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Describe it for the process of the load."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Group:
        """Read what `to_json` wrote."""
        width, height = fields["viewport"]
        return cls(**{**fields, "mode": Mode(fields["mode"]), "viewport": (width, height)})


@dataclass(eq=False, slots=True)
class Tally:
    """What came to the screens of one name since the last mark."""

    screens: int = 0
    frames: int = 0
    bytes: int = 0  # of frame messages
    conflated: int = 0  # sequences that never came although a newer one did
    closed: int = 0  # connections that the server ended
    ages_ms: list[float] = field(default_factory=list)  # at receipt
    tiers: Counter[str] = field(default_factory=Counter)  # frames of each

    def reset(self) -> None:
        """Begin to count anew; the screens stay."""
        self.frames = self.bytes = self.conflated = self.closed = 0
        self.ages_ms.clear()
        self.tiers.clear()

    def to_json(self) -> dict[str, Any]:
        """Report."""
        shares = {f"age_p{percent}_ms": percentile(self.ages_ms, percent) for percent in (50, 99)}
        return {
            "screens": self.screens,
            "frames": self.frames,
            "bytes": self.bytes,
            "conflated": self.conflated,
            "closed": self.closed,
            **shares,
            "age_max_ms": max(self.ages_ms, default=None),
            "tiers": dict(self.tiers),
        }

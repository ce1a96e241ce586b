"""How screens go from one picture of a canvas to the next."""

from __future__ import annotations

from dataclasses import dataclass


KINDS = ("cut", "cross-fade", "dissolve", "wipe")
MAX_TRANSITION_S = 10.0


@dataclass(frozen=True, slots=True)
class Transition:
    """Screens do this with every picture; where the next one is due sooner they cut."""

    kind: str = "cut"  # one of KINDS
    duration_s: float = 0.0  # 0 to MAX_TRANSITION_S


CUT = Transition()

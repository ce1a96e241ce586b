"""How screens go from one picture of a canvas to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args


Kind = Literal["cut", "cross-fade", "dissolve", "wipe"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_TRANSITION_S = 10.0


@dataclass(frozen=True, slots=True)
class Transition:
    """Screens do this with every picture; where the next one is due sooner they cut."""

    kind: Kind = "cut"
    duration_s: float = 0.0  # 0 to MAX_TRANSITION_S


CUT = Transition()

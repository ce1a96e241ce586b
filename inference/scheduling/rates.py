"""What rate each caller can have, told from what steps cost and who else is there. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from inference.cost import CostModel
from inference.scheduling.fairness import Caller


# Who asked for nothing and got nothing for so long, seconds, takes no part of the engines any more.
ACTIVE_S = 2.0


@dataclass(slots=True)
class _Activity:
    """What a caller has had painted last."""

    seen_at_s: float
    cost: CostModel | None = None
    rows: int = 1
    steps: int = 1


class Rates:
    """Remembers who was active lately; every `at_s` is an instant of one clock, seconds."""

    def __init__(self) -> None:
        # In the order of their last activity.
        self._active: OrderedDict[Caller, _Activity] = OrderedDict()

    def see(self, caller: Caller, at_s: float) -> None:
        """Note that a caller asked for a picture or got one."""
        self._forget(at_s)
        activity = self._active.setdefault(caller, _Activity(at_s))
        activity.seen_at_s = at_s
        self._active.move_to_end(caller)

    def add_picture(self, caller: Caller, cost: CostModel, rows: int, steps: int, at_s: float) -> None:
        """Note what a caller's picture needed: so many steps of so many rows each."""
        self.see(caller, at_s)
        self._active[caller] = _Activity(at_s, cost, rows, steps)

    def sustainable_fps(self, caller: Caller, at_s: float) -> float:
        """Tell what rate of pictures like its last one a caller has if everybody wants all they can get.

        Returns:
            Pictures per second; 0 while unknown.
        """
        self._forget(at_s)
        activity = self._active.get(caller)
        if activity is None or activity.cost is None:
            return 0.0
        cost = activity.cost
        # Who shares its steps also shares their cost.
        rows = sum(other.rows for other in self._active.values() if other.cost is cost)
        bucket = cost.pick(rows, cost.largest(at_s), at_s, activity.rows)
        row_s = cost.seconds(bucket, at_s) / min(bucket, rows)
        picture_s = activity.steps * activity.rows * row_s + cost.picture_s
        weights = sum(other.weight for other in self._active)
        return caller.weight / weights / picture_s if picture_s else 0.0

    def __len__(self) -> int:
        """Return how many callers are remembered."""
        return len(self._active)

    def _forget(self, at_s: float) -> None:
        while self._active:
            _, activity = next(iter(self._active.items()))
            if at_s - activity.seen_at_s <= ACTIVE_S:
                break
            self._active.popitem(last=False)

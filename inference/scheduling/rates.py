"""What rate each caller can have, told from what it and the others have used lately. Pure.

A caller may have its fair share of the engines and whatever the others leave of theirs (max-min
fairness by weight). The others count with what they use, not with what they might; a caller's own
present use counts for nothing, so that who asks for little is not told that it can have no more.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from statistics import median_low

from inference.scheduling.fairness import Caller


# Who asked for nothing and got nothing for so many windows takes no part of the engines any more.
ACTIVE_WINDOWS = 1.5

# Over how long use is measured, seconds: older use counts for less and less. Who paints once a second
# must count about evenly all the time.
WINDOW_S = 2.0

# ... or over so many times what was had at once, where steps take seconds, up to the most.
WINDOW_CHARGES, MAX_WINDOW_S = 4.0, 30.0

# With every use the window shrinks at most to this part: one slow step is soon forgotten.
_WINDOW_KEPT = 0.9

# Of so many of a caller's last pictures the middle one tells what its next ones take: a first one may
# have compiled something.
_KEPT_PICTURES = 5


@dataclass(slots=True)
class _Activity:
    """What a caller has had lately."""

    seen_at_s: float
    used_at_s: float
    used_s: float = 0.0  # of the engines; older seconds count for less
    window_s: float = WINDOW_S
    pictures: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_PICTURES))  # seconds each

    def is_over(self, at_s: float) -> bool:
        return at_s - self.seen_at_s > ACTIVE_WINDOWS * self.window_s

    def use(self, at_s: float) -> float:
        """Return the part of the engines' time that it has, 0 or more."""
        return self._left_s(at_s) / self.window_s

    def add(self, seconds: float, at_s: float) -> None:
        self.used_s = self._left_s(at_s) + seconds
        self.used_at_s = at_s
        wanted_s = max(WINDOW_S, WINDOW_CHARGES * seconds, _WINDOW_KEPT * self.window_s)
        self.window_s = min(wanted_s, MAX_WINDOW_S)

    def _left_s(self, at_s: float) -> float:
        return self.used_s * math.exp(-(at_s - self.used_at_s) / self.window_s)


class Rates:
    """Remembers who used what lately; every `at_s` is an instant of one clock, seconds."""

    def __init__(self) -> None:
        # In the order of their last activity.
        self._active: OrderedDict[Caller, _Activity] = OrderedDict()

    def see(self, caller: Caller, at_s: float) -> None:
        """Note that a caller asked for something or got it."""
        self._forget(at_s)
        self._active.setdefault(caller, _Activity(at_s, at_s)).seen_at_s = at_s
        self._active.move_to_end(caller)

    def add_use(self, caller: Caller, seconds: float, at_s: float) -> None:
        """Note how long the engines were a caller's own; of time that was shared its part."""
        self.see(caller, at_s)
        self._active[caller].add(seconds, at_s)

    def add_picture(self, caller: Caller, seconds: float, at_s: float) -> None:
        """Note what a caller's finished picture took, of time that was shared its part."""
        self.see(caller, at_s)
        self._active[caller].pictures.append(seconds)

    def sustainable_fps(self, caller: Caller, at_s: float) -> float:
        """Tell what rate of pictures like its last ones each open picture of a caller can have.

        Returns:
            Pictures per second; 0 while unknown.
        """
        self._forget(at_s)
        activity = self._active.get(caller)
        if activity is None or not activity.pictures:
            return 0.0
        picture_s = median_low(activity.pictures) * max(1, caller.open_pictures)
        return self._share(caller, at_s) / picture_s if picture_s else 0.0

    def _share(self, caller: Caller, at_s: float) -> float:
        """Return the part of the engines' time that a caller has if it wants all that it can get."""
        others = sorted(
            (activity.use(at_s) / other.weight, other.weight)
            for other, activity in self._active.items()
            if other is not caller and not activity.is_over(at_s)
        )
        left, weights = 1.0, caller.weight + sum(weight for _, weight in others)
        # Who uses the least for its weight first: what it leaves is shared by the rest.
        for use, weight in others:
            if use >= left / weights:
                break
            left -= use * weight
            weights -= weight
        return left * caller.weight / weights

    def __len__(self) -> int:
        """Return how many callers are remembered."""
        return len(self._active)

    def _forget(self, at_s: float) -> None:
        # One that is remembered for longer holds up those behind it, for `MAX_WINDOW_S` twice at most.
        while self._active:
            _, activity = next(iter(self._active.items()))
            if not activity.is_over(at_s):
                break
            self._active.popitem(last=False)

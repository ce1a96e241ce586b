"""Whose turn it is: weighted start-time fair queueing of callers, each with items in order.

Pure: knows no engine and no clock. Every caller has a virtual time, the seconds of the engine that it
has had, over its weight; the one with the least comes next. Who was away begins at the present and
brings no credit along.

Source: Goyal, Vin, Cheng: Start-time Fair Queueing, 1996; here whole ticks are charged to several
callers at once, after they were measured.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar


T = TypeVar("T")

MIN_WEIGHT, MAX_WEIGHT = 0.1, 10.0

# How far a caller may be ahead of the present, virtual seconds: rows that would have been empty cost
# nobody anything, so whoever filled them for long is not kept waiting as long once others come.
MAX_LEAD_S = 1.0

# ... or so many times what it was charged last, where steps take seconds.
MAX_LEAD_CHARGES = 4.0

# What a row is taken to cost while nobody knows, seconds; only its being above 0 counts.
_UNKNOWN_ROW_S = 0.001


@dataclass(eq=False)
class Caller:
    """Somebody who gets one share of the engines; lives as long as its pictures or its session.

    Attributes:
        weight: Of its share against the others', 0.1 to 10.
        open_pictures: How many live pictures have a part of its share; see `opened`.
    """

    weight: float = 1.0
    open_pictures: int = field(default=0, init=False)
    # Both belong to the queue.
    virtual_s: float = field(default=0.0, init=False, repr=False)
    turn: int = field(default=0, init=False, repr=False)  # of callers at one time, the least comes first

    def __post_init__(self) -> None:
        """Check the weight.

        Raises:
            ValueError: If it is not 0.1 to 10.
        """
        if not MIN_WEIGHT <= self.weight <= MAX_WEIGHT:  # False for NaN as well.
            raise ValueError(f"weight must be a number from {MIN_WEIGHT} to {MAX_WEIGHT}, got {self.weight}")

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Count a live picture as one of its own: each is told its part of the rate that they can have."""
        self.open_pictures += 1
        try:
            yield
        finally:
            self.open_pictures -= 1


class FairQueue(Generic[T]):
    """Callers with something to do, and the virtual time."""

    def __init__(self) -> None:
        self._waiting: dict[Caller, deque[T]] = {}
        self._now_s = 0.0  # the virtual time of whoever was served last, as it began
        self._latest_s = 0.0  # of any caller
        self._turns = count(1)

    def __len__(self) -> int:
        """Return how many items there are."""
        return sum(len(items) for items in self._waiting.values())

    def __iter__(self) -> Iterator[T]:
        """Go through all items, each caller's in order."""
        return (item for items in self._waiting.values() for item in items)

    @property
    def callers(self) -> int:
        """How many callers have something to do."""
        return len(self._waiting)

    def add(self, caller: Caller, item: T) -> None:
        """Add a caller's newest item; a caller who had none begins at the present."""
        self.join(caller)
        self._waiting.setdefault(caller, deque()).append(item)

    def join(self, caller: Caller) -> None:
        """Let a caller who has no item here begin at the present, for what is not in this queue."""
        if caller not in self._waiting:
            caller.virtual_s = max(caller.virtual_s, self._now_s)
            caller.turn = next(self._turns)

    def is_due(self, caller: Caller) -> bool:
        """Tell whether nobody who waits here comes before a caller."""
        return all(caller.virtual_s <= other.virtual_s for other in self._waiting)

    def serve(self, caller: Caller, seconds: float) -> None:
        """Charge a caller for what is not in this queue, and was its turn."""
        self._now_s = max(self._now_s, caller.virtual_s)
        self.charge(caller, seconds)

    def drop(self, caller: Caller, item: T) -> bool:
        """Remove an item, and tell whether it was there."""
        items = self._waiting.get(caller)
        if items is None or item not in items:
            return False
        items.remove(item)
        if not items:
            del self._waiting[caller]
            if not self._waiting:
                # Nobody is kept waiting any more, so nobody owes anything to anybody.
                self._now_s = self._latest_s
        return True

    def clear(self) -> None:
        """Forget all items."""
        self._waiting.clear()

    def first(self) -> T | None:
        """Return the oldest item of whoever comes next; None where there is nothing."""
        if not self._waiting:
            return None
        caller = min(self._waiting, key=_place)
        self._now_s = max(self._now_s, caller.virtual_s)
        return self._waiting[caller][0]

    def in_turn(self, is_wanted: Callable[[T], bool], item_s: float) -> Iterator[T]:
        """Go through items in the order in which they are served.

        Args:
            is_wanted: Which of them; the others keep their places.
            item_s: What each is expected to cost, seconds: a caller's second item comes after
                whoever is behind it by then.
        """
        expected_s = item_s or _UNKNOWN_ROW_S
        heap = [
            (caller.virtual_s, caller.turn, caller, iter(items)) for caller, items in self._waiting.items()
        ]
        heapq.heapify(heap)
        while heap:
            virtual_s, turn, caller, items = heap[0]
            item = next((item for item in items if is_wanted(item)), None)
            if item is None:
                heapq.heappop(heap)
                continue
            yield item
            heapq.heapreplace(heap, (virtual_s + expected_s / caller.weight, turn, caller, items))

    def charge(self, caller: Caller, seconds: float) -> None:
        """Charge a caller for what it was served, seconds of the engine; it goes behind its equals."""
        cost_s = seconds / caller.weight
        lead_s = max(MAX_LEAD_S, MAX_LEAD_CHARGES * cost_s)
        caller.virtual_s = max(caller.virtual_s, min(caller.virtual_s + cost_s, self._now_s + lead_s))
        caller.turn = next(self._turns)
        self._latest_s = max(self._latest_s, caller.virtual_s)


def _place(caller: Caller) -> tuple[float, int]:
    return caller.virtual_s, caller.turn

"""A bounded memory for what is worth keeping between two pictures.

Everything in it can be made again from its key, so what it forgets costs time and never
changes a picture.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar


Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """Keeps the most recently used values within a number of bytes.

    Args:
        limit_bytes: What all values together may take. The newest value is kept even if it
            alone takes more: the next picture most likely needs it.
        size_bytes: Tells what a value takes.
    """

    def __init__(self, limit_bytes: int, size_bytes: Callable[[Value], int]) -> None:
        self.limit_bytes = limit_bytes
        self._size_bytes = size_bytes
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    @property
    def held_bytes(self) -> int:
        """What the kept values take together."""
        return self._held_bytes

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, making it if it is not kept."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key][0]
        value = make()
        size = self._size_bytes(value)
        self._values[key] = (value, size)
        self._held_bytes += size
        while self._held_bytes > self.limit_bytes and len(self._values) > 1:
            _, (_, freed) = self._values.popitem(last=False)
            self._held_bytes -= freed
        return value

"""The state of every model on offer, and who uses it. Pure: no task, no thread, no file.

Its one rule: every change is synchronous and happens on the event loop, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inference.engine import Engine, RejectedError
from inference.errors import ConfigurationError
from inference.models.entry import CatalogueEntry, ModelStatus, State


# A model whose load failed is not tried again before this, seconds: a broken folder must not be read at
# every request.
FAILURE_MEMORY_S = 60.0

OnState = Callable[[str, State], None]
"""Called on the event loop after each change: the model's name and its new state."""


@dataclass(slots=True, eq=False)
class Room:
    """One model on offer.

    Attributes:
        is_kept: It stays for good, and counts neither as a loaded model nor as memory.
        leases: How many hold it.
        waiters: How many wait for it to be loaded; they count as users, so that it stays until they have it.
        is_wanted: It is to be loaded even if nobody waits for it.
        used_at: When it was leased or released last, monotonic seconds.
        failed_at: When its last load failed, monotonic seconds.
        lacked_room: Whether it failed because the others were in use.
        settled: Done when the load that runs or is queued has ended: with the reason it failed, or "".
        is_queued: Whether that load runs or waits for its turn; not while it is fetched.
        crowded: Of that load: done while it, or the one that it waits for, waits for a model in use.
    """

    entry: CatalogueEntry
    is_kept: bool = False
    state: State = State.NOT_LOADED
    engine: Engine | None = None
    error: str = ""
    leases: int = 0
    waiters: int = 0
    is_wanted: bool = False
    used_at: float = 0.0
    failed_at: float = -math.inf
    lacked_room: bool = False
    settled: asyncio.Future[str] | None = None
    is_queued: bool = False
    crowded: asyncio.Future[None] | None = None
    weights_found: bool = True
    disk_bytes: int = 0

    @property
    def name(self) -> str:
        """The model's name."""
        return self.entry.model.name

    @property
    def is_idle(self) -> bool:
        """Whether it is loaded and may be unloaded."""
        return self.engine is not None and not (self.is_kept or self.leases or self.waiters)

    @property
    def size_bytes(self) -> int:
        """The memory that it takes now."""
        return self.engine.size_bytes if self.engine is not None else 0

    def has_failed_lately(self) -> bool:
        """Tell whether it is too early to try again."""
        return self.state is State.FAILED and time.monotonic() - self.failed_at < FAILURE_MEMORY_S

    def describe(self) -> ModelStatus:
        """Tell its state."""
        return ModelStatus(
            entry=self.entry,
            state=self.state,
            size_bytes=self.size_bytes or self.disk_bytes,
            error=self.error if self.state is State.FAILED else "",
            weights_found=self.weights_found,
            engine=self.engine,
        )


class Rooms:
    """All models on offer, by name and alias.

    Args:
        entries: What is offered; names and aliases differ from one another.
        default_model: The name of the first among them, or an alias; empty: the first entry.

    Raises:
        ConfigurationError: If there is no such model, or none at all.

    Attributes:
        on_state: See `OnState`.
        released: Set whenever a model may have become idle.
    """

    def __init__(self, entries: Iterable[CatalogueEntry], default_model: str) -> None:
        rooms = {entry.model.name: Room(entry, is_kept=entry.family == "procedural") for entry in entries}
        if not rooms:
            raise ConfigurationError("there is no model to offer")
        self.aliases = {alias: name for name, room in rooms.items() for alias in room.entry.aliases}
        self._rooms = rooms
        self.default_model = self.accept("model", default_model or next(iter(rooms)))
        self._rooms = {self.default_model: rooms.pop(self.default_model), **rooms}
        self.on_state: OnState | None = None
        self.released = asyncio.Event()
        self._is_crowded = False

    def accept(self, setting: str, name: str) -> str:
        """Return the name of a model that a setting names.

        Raises:
            ConfigurationError: If it is not on offer.
        """
        known = self.aliases.get(name, name)
        if known not in self._rooms:
            raise ConfigurationError(f"{setting} must be one of {', '.join(self._rooms)}, got {name!r}")
        return known

    def all(self) -> tuple[Room, ...]:
        """Return every model, the default one first."""
        return tuple(self._rooms.values())

    def find(self, name: str) -> Room:
        """Return the model of a name or alias; an empty one is the default.

        Raises:
            RejectedError: If it is not on offer.
        """
        known = self.aliases.get(name, name) or self.default_model
        if known not in self._rooms:
            raise RejectedError("model", f"model must be one of {', '.join(self._rooms)}, got {name[:64]!r}")
        return self._rooms[known]

    def loaded(self) -> list[Room]:
        """Return the loaded models that count, the least recently used first."""
        counted = (room for room in self._rooms.values() if room.engine is not None and not room.is_kept)
        return sorted(counted, key=lambda room: room.used_at)

    def idle(self) -> list[Room]:
        """Return the loaded models that nobody uses, the least recently used first."""
        return [room for room in self.loaded() if room.is_idle]

    def expect(self, room: Room) -> asyncio.Future[str]:
        """Note that a load of it is to come."""
        loop = asyncio.get_running_loop()
        room.settled, room.crowded = loop.create_future(), loop.create_future()
        room.error, room.lacked_room = "", False
        self._change(room, State.LOADING)
        return room.settled

    def note_queued(self, room: Room, *, is_queued: bool) -> None:
        """Note that its load waits for its turn, or does not any more because it is fetched first."""
        room.is_queued = is_queued
        self._tell_crowded(room)

    def note_crowded(self, *, is_crowded: bool) -> None:
        """Note that the load that runs waits for a model in use to be released, or does no longer."""
        self._is_crowded = is_crowded
        for room in self._rooms.values():
            self._tell_crowded(room)

    def settle(self, room: Room, engine: Engine) -> None:
        """Note that it is loaded."""
        room.engine, room.used_at = engine, time.monotonic()
        self._end_load(room, State.READY)

    def fail(self, room: Room, reason: str, *, lacked_room: bool = False) -> None:
        """Note that it could not be loaded."""
        room.error, room.failed_at, room.lacked_room = reason, time.monotonic(), lacked_room
        self._end_load(room, State.FAILED)

    def drop(self, room: Room) -> None:
        """Note that a load that was to come does not."""
        self._end_load(room, State.NOT_LOADED)

    def drop_forsaken(self, room: Room) -> bool:
        """Drop a load that nobody waits for any more before its turn has come; tell whether it was."""
        if room.waiters or room.is_wanted:
            return False
        self.drop(room)
        return True

    def vacate(self, room: Room) -> Engine:
        """Note that a loaded model goes; nobody gets it from now on.

        Returns:
            What is to be closed.
        """
        assert room.engine is not None
        assert not room.leases
        engine, room.engine = room.engine, None
        self._change(room, State.NOT_LOADED)
        return engine

    def note_release(self, room: Room) -> None:
        """Note that somebody uses it no longer, and wake who waits for that."""
        room.used_at = time.monotonic()
        self.released.set()
        if room.is_idle:
            for other in self._rooms.values():
                if other.lacked_room:  # Now there may be room for it: no need to wait.
                    other.failed_at = -math.inf

    def _tell_crowded(self, room: Room) -> None:
        is_crowded = self._is_crowded and room.is_queued
        if room.crowded is None or room.crowded.done() == is_crowded:
            return
        if is_crowded:
            room.crowded.set_result(None)
        else:
            room.crowded = asyncio.get_running_loop().create_future()

    def _end_load(self, room: Room, state: State) -> None:
        settled, room.settled, room.is_wanted = room.settled, None, False
        room.crowded, room.is_queued = None, False
        self._change(room, state)
        if settled is not None and not settled.done():
            settled.set_result(room.error if state is State.FAILED else "")

    def _change(self, room: Room, state: State) -> None:
        room.state = state
        if self.on_state is not None:
            self.on_state(room.name, state)

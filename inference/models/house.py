"""Loaded models: on demand, one load at a time, the least recently used out.

Knows no file, no library and no request. Its one rule: what somebody holds a lease of, or waits for, is
never unloaded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType

import structlog

from inference.engine import Engine, ModelDescription
from inference.errors import CoreError, ModelLoadError, StoppingError, first_error
from inference.models.entry import (
    BetweenTicks,
    CatalogueEntry,
    Family,
    Loader,
    ModelStatus,
    State,
    WeightSource,
)
from inference.models.loading import DEFAULT_MAX_MODELS, ROOM_WAIT_S, Limits, Loading
from inference.models.rooms import OnState, Room, Rooms


DEFAULT_FALLBACK_MODEL = "procedural"

# How often the disk is tidied, seconds.
DEFAULT_CLEANUP_INTERVAL_S = 300.0


class CrowdedError(CoreError):
    """A load waits for a model in use to be released, and whoever asked does not want to wait for that."""


class Lease:
    """A loaded model that stays loaded while somebody holds this.

    As a context manager it is released at the end of the block.

    Attributes:
        engine: What paints.
        warnings: One sentence where another model than the one asked for paints.
        load_s: Seconds waited for it.
    """

    def __init__(self, rooms: Rooms, room: Room, warnings: tuple[str, ...], load_s: float) -> None:
        assert room.engine is not None
        self._rooms = rooms
        self._room = room
        self._is_held = True
        self.engine: Engine = room.engine
        self.warnings = warnings
        self.load_s = load_s
        room.leases += 1
        room.used_at = time.monotonic()

    @property
    def model(self) -> ModelDescription:
        """The model that paints: the one asked for, or the fallback."""
        return self.engine.model

    @property
    def takes_room(self) -> bool:
        """Whether another model could be loaded instead of this one."""
        return self._is_held and not self._room.is_kept

    def share(self) -> Lease:
        """Return another lease of the same engine, released on its own."""
        assert self._is_held, "a lease that was released cannot be shared"
        return Lease(self._rooms, self._room, self.warnings, self.load_s)

    def release(self) -> None:
        """Let the model go; a second call does nothing. Synchronous."""
        if self._is_held:
            self._is_held = False
            self._room.leases -= 1
            self._rooms.note_release(self._room)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class ModelHouse:
    """Made by `keeping_models`, which owns its tasks and threads.

    Attributes:
        counts: "loads", "load_failures", "evictions" and "fallbacks" so far.
    """

    def __init__(
        self, rooms: Rooms, counts: Mapping[str, int], fallback_model: str, begin: Callable[[Room], None]
    ) -> None:
        self._rooms = rooms
        self._fallback_model = rooms.accept("fallback-model", fallback_model) if fallback_model else ""
        self._begin = begin
        self._fallbacks = 0
        self._counts = counts
        self._is_stopping = False

    @property
    def counts(self) -> Mapping[str, int]:
        """Counters for the metrics, by name."""
        return {**self._counts, "fallbacks": self._fallbacks}

    @property
    def on_state(self) -> OnState | None:
        """Called on the event loop after each change of a model's state; must not raise."""
        return self._rooms.on_state

    @on_state.setter
    def on_state(self, callback: OnState | None) -> None:
        self._rooms.on_state = callback

    @property
    def default_model(self) -> str:
        """What an empty name means."""
        return self._rooms.default_model

    @property
    def fallback_model(self) -> str:
        """What paints instead of a model that cannot be loaded; empty: nothing."""
        return self._fallback_model

    @property
    def models(self) -> dict[str, ModelDescription]:
        """Every model on offer by its name, the default one first; ``[]`` takes aliases as well."""
        return _Offer({room.name: room.entry.model for room in self._rooms.all()}, self._rooms.aliases)

    @property
    def aliases(self) -> Mapping[str, str]:
        """Other names that the calls of this house take, each with the name that it means."""
        return self._rooms.aliases

    def describe(self) -> tuple[ModelStatus, ...]:
        """Tell the state of every model on offer, in the order of `models`."""
        return tuple(room.describe() for room in self._rooms.all())

    def state(self, name: str) -> State:
        """Tell the state of one model."""
        return self._rooms.find(name).state

    def lease_now(self, name: str) -> Lease | None:
        """Lease a model that is loaded; None where it is not. Begins no load."""
        room = self._rooms.find(name)
        return None if room.engine is None else Lease(self._rooms, room, (), 0.0)

    def preload(self, name: str) -> None:
        """Begin to load a model that nobody waits for yet; does nothing where it is loaded or loading."""
        room = self._rooms.find(name)
        if room.engine is None and not self._is_stopping:
            self._expect(room)
            room.is_wanted = True

    async def lease(self, name: str, *, waits_for_room: bool = True) -> Lease:
        """Lease a model, loading it first where it must be.

        Who waits for a load that fails gets the fallback model, with a warning that says why.

        Args:
            name: Which; empty: the default one.
            waits_for_room: False: for whoever may itself hold what is in the way, and can let it go.

        Raises:
            RejectedError: If it is not on offer.
            CrowdedError: If ``waits_for_room`` is False, and the load, which goes on, waits for a model in
                use to be released, or for another load that does.
            ModelLoadError: If it cannot be loaded and there is no fallback, or that failed as well.
            StoppingError: If the service ends first.

        Cancellation:
            Gives up the wait, not a load that has begun: the next caller finds it further on. A load that
            has not begun, and that nobody else waits for, never does.
        """
        room, asked_at = self._rooms.find(name), time.monotonic()
        reason = await self._load(room, waits_for_room=waits_for_room)
        if not reason:
            return Lease(self._rooms, room, (), time.monotonic() - asked_at)
        fallback = self._rooms.find(self._fallback_model) if self._fallback_model else room
        if fallback is room:
            raise ModelLoadError(room.name, reason)
        if other_reason := await self._load(fallback):
            raise ModelLoadError(room.name, f"{reason}; nor could {fallback.name}: {other_reason}")
        self._fallbacks += 1
        warning = f"model {room.name} could not be loaded, painted by {fallback.name}: {reason}"
        return Lease(self._rooms, fallback, (warning,), time.monotonic() - asked_at)

    async def _load(self, room: Room, *, waits_for_room: bool = True) -> str:
        """Wait until a model is loaded; return why it is not, or "".

        Whoever calls this takes its lease before anything else is awaited.
        """
        if self._is_stopping:
            raise StoppingError
        if room.engine is not None:
            return ""
        if room.has_failed_lately():
            return room.error
        settled = self._expect(room)
        room.waiters += 1
        try:
            if not waits_for_room and room.crowded is not None:
                # Waits, and cancels neither.
                await asyncio.wait((settled, room.crowded), return_when=asyncio.FIRST_COMPLETED)
                if not settled.done():
                    raise CrowdedError
            reason = await asyncio.shield(settled)
        finally:
            room.waiters -= 1
            self._rooms.note_release(room)
        if self._is_stopping:
            raise StoppingError
        return reason

    def _expect(self, room: Room) -> asyncio.Future[str]:
        if room.settled is not None:
            return room.settled
        settled = self._rooms.expect(room)
        self._begin(room)
        return settled

    def close(self) -> None:
        """Load nothing more, and tell who waits that nothing comes."""
        self._is_stopping = True
        for room in self._rooms.all():
            if room.settled is not None:
                self._rooms.drop(room)


class _Offer(dict[str, ModelDescription]):
    """Models by name, that know their aliases but do not list them."""

    def __init__(self, models: Mapping[str, ModelDescription], aliases: Mapping[str, str]) -> None:
        super().__init__(models)
        self._aliases = aliases

    def __missing__(self, name: str) -> ModelDescription:
        return self[self._aliases[name]]


@asynccontextmanager
async def house_of(
    *engines: Engine,
    between_ticks: BetweenTicks | None = None,
    default_model: str = "",
    fallback_model: str = "",
) -> AsyncIterator[ModelHouse]:
    """Make a house of engines that are ready to paint, and stay so.

    Args:
        engines: At least one, each of a model of its own.
        between_ticks: Not needed: nothing is loaded or unloaded here.
        default_model: Absent: the first engine's.
        fallback_model: Absent: none.

    Resources:
        Whoever made the engines closes them.
    """
    entries = [CatalogueEntry(engine.model, "procedural") for engine in engines]
    rooms = Rooms(entries, default_model)
    for room, engine in zip((rooms.find(engine.model.name) for engine in engines), engines, strict=True):
        rooms.settle(room, engine)
    counts = dict.fromkeys(("loads", "load_failures", "evictions"), 0)
    house = ModelHouse(rooms, counts, fallback_model, begin=lambda room: None)
    try:
        yield house
    finally:
        house.close()


@asynccontextmanager
async def keeping_models(
    entries: Iterable[CatalogueEntry],
    loaders: Mapping[Family, Loader],
    between_ticks: BetweenTicks,
    *,
    default_model: str,
    weights: WeightSource,
    fallback_model: str = DEFAULT_FALLBACK_MODEL,
    max_models: int = DEFAULT_MAX_MODELS,
    max_bytes: int | None = None,
    idle_unload_s: float = 0.0,
    room_wait_s: float = ROOM_WAIT_S,
    cleanup_interval_s: float = DEFAULT_CLEANUP_INTERVAL_S,
) -> AsyncIterator[ModelHouse]:
    """Keep models: load what is asked for, unload what is not needed.

    Args:
        entries: What may be asked for; those of a family without a loader are not offered.
        loaders: By the families that they load.
        between_ticks: Runs something in the engines' thread; works until this context has ended.
        default_model: What an empty name means; empty: the first entry's.
        weights: Where the files come from.
        fallback_model: What paints instead of a model that cannot be loaded; empty: nothing.
        max_models: How many may be loaded at once, the painter apart; 1 or more.
        max_bytes: The memory that they may take together; None: what the device has.
        idle_unload_s: After how many seconds without use a model is unloaded; 0: never.
        room_wait_s: How long a load waits for a model in use to be released where there is no other way.
        cleanup_interval_s: How often the disk is tidied, seconds.

    Raises:
        ConfigurationError: If the default or the fallback model is not on offer.

    Cancellation:
        Gives up a download; waits for a load that runs, then closes every engine.
    """
    rooms = Rooms([entry for entry in entries if entry.family in loaders], default_model)
    limits = Limits(max_models=max_models, max_bytes=max_bytes, room_wait_s=room_wait_s)
    loading = Loading(rooms, loaders, weights, between_ticks, limits)
    house = ModelHouse(rooms, loading.counts, fallback_model, begin=loading.begin)
    try:
        await loading.open()
        with first_error():
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(loading.load_forever(), name="model loading"),
                    tasks.create_task(loading.fetch_forever(), name="model fetching"),
                    tasks.create_task(loading.tidy_forever(cleanup_interval_s), name="disk cleanup"),
                ]
                if idle_unload_s > 0.0:
                    idling = loading.unload_idle_forever(idle_unload_s)
                    running.append(tasks.create_task(idling, name="model unloading"))
                try:
                    yield house
                finally:
                    # First: what nobody waits for any more looks unused, and may still be read.
                    weights.stop()
                    house.close()
                    for task in running:
                        task.cancel()
    finally:
        house.close()
        await loading.close()
        structlog.get_logger("inference").debug("models_closed")

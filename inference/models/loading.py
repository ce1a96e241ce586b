"""How a model comes into memory and leaves it: one load at a time, room made before, retried once.

Files are read in a thread of its own; what an engine does runs between two ticks, piece by piece, so that
the other models go on painting. What must be downloaded is so in another thread (`fetching`), and holds up
no load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, TypeVar

import structlog

from inference.engine import Engine, OutOfMemoryError
from inference.errors import CoreError, ModelLoadError
from inference.models.entry import (
    BetweenTicks,
    CatalogueEntry,
    Family,
    Loader,
    Weights,
    WeightSource,
)
from inference.models.fetching import Fetching
from inference.models.rooms import Room, Rooms


DEFAULT_MAX_MODELS = 2

# How long a load waits for a model in use to be released, seconds: longer than a picture takes, and short
# enough for the caller to learn that a live canvas holds it.
ROOM_WAIT_S = 30.0

# What a device must have free beside a model's own size: the steps need it. As a share of the model and in
# bytes, as ComfyUI keeps it.
WORKING_SHARE, WORKING_BYTES = 0.1, 800 * 10**6

# Where `free_bytes` is less by a model as soon as it is read: on the other devices it is once it is copied.
READ_INTO_DEVICE = "cpu"

# How often idle models are looked for, seconds, at most.
IDLE_LOOK_S = 5.0

_T = TypeVar("_T")


class _NoRoomError(ModelLoadError):
    """Everything that would have to go is in use."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be loaded at once."""

    max_models: int = DEFAULT_MAX_MODELS
    max_bytes: int | None = None  # None: what the device has
    room_wait_s: float = ROOM_WAIT_S


@dataclass(frozen=True, slots=True)
class _Shortage:
    """Why a model does not fit now."""

    reason: str
    is_certain: bool  # False: by an estimate; it may be tried where nothing can be done about it


class Loading:
    """Loads and unloads the models of `Rooms`; its tasks are owned by whoever made it."""

    def __init__(
        self,
        rooms: Rooms,
        loaders: Mapping[Family, Loader],
        weights: WeightSource,
        between_ticks: BetweenTicks,
        limits: Limits,
    ) -> None:
        self._rooms = rooms
        self._loaders = loaders
        self._weights = weights
        self._between_ticks = between_ticks
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loading")
        self._fetching = Fetching(rooms, weights, self._in_use, self._queue, self._failing)
        # Each model is here or with `Fetching`, at most once.
        self._waiting: asyncio.Queue[Room] = asyncio.Queue()
        self._fetched: dict[str, Weights] = {}  # by model, of those that were fetched and wait to be loaded
        # Every engine that is not closed yet, by its identity. Entries go in the engines' thread only.
        self._open: dict[int, Engine] = {}
        self._log = structlog.get_logger("inference")
        self.counts = dict.fromkeys(("loads", "load_failures", "evictions"), 0)

    def begin(self, room: Room) -> None:
        """Load a model as soon as those before it are."""
        self._queue(room, None)

    async def open(self) -> None:
        """Load what stays for good, and look which weights there are.

        Raises:
            ModelLoadError: If a model that needs no weights cannot be loaded.
        """
        for room in self._rooms.all():
            if room.is_kept:
                engine = await self._bring_up(room, Weights())
                self._rooms.settle(room, engine)
        await self._look()

    async def load_forever(self) -> NoReturn:
        """Load what is queued, one after the other; what must be fetched is handed on first."""
        while True:
            room = await self._waiting.get()
            weights = self._fetched.pop(room.name, None)
            if self._rooms.drop_forsaken(room):
                continue
            with self._failing(room):
                if weights is None and await self._is_handed_on(room):
                    continue
                began_at = time.monotonic()
                engine = await self._load(room, weights)
                self.counts["loads"] += 1
                self._rooms.settle(room, engine)
                self._log.info(
                    "model_loaded",
                    model=room.name,
                    device=engine.device,
                    dtype=engine.dtype,
                    size_bytes=engine.size_bytes,
                    seconds=round(time.monotonic() - began_at, 3),
                )
            await self._look()

    async def fetch_forever(self) -> NoReturn:
        """Fetch what is not on this machine, while other models are loaded."""
        await self._fetching.fetch_forever()

    async def _is_handed_on(self, room: Room) -> bool:
        """Hand a model on that should be fetched first; tell whether it was."""
        found = await self._in_thread(partial(self._weights.find, room.entry))
        is_handed_on = self._fetching.offer(room, found)
        self._rooms.note_queued(room, is_queued=not is_handed_on)
        return is_handed_on

    def _queue(self, room: Room, weights: Weights | None) -> None:
        if weights is not None:
            self._fetched[room.name] = weights
        self._waiting.put_nowait(room)
        self._rooms.note_queued(room, is_queued=True)

    @contextmanager
    def _failing(self, room: Room) -> Iterator[None]:
        """Note what is raised as why a model could not be loaded."""
        try:
            yield
        except _NoRoomError as exc:
            self._fail(room, exc.reason, exc, lacked_room=True)
        except ModelLoadError as exc:
            self._fail(room, exc.reason, exc)
        except OutOfMemoryError as exc:
            self._fail(room, str(exc), exc)
        except Exception as exc:  # noqa: BLE001 - a loader's bug costs its model, never the service.
            self._fail(room, f"{type(exc).__name__}: {exc}", exc)

    async def unload_idle_forever(self, idle_s: float) -> NoReturn:
        """Unload what nobody has used for a while."""
        while True:
            await asyncio.sleep(min(idle_s, IDLE_LOOK_S))
            for room in self._rooms.idle():
                if room.is_idle and time.monotonic() - room.used_at >= idle_s:
                    await self._unload(room, "idle")

    async def tidy_forever(self, interval_s: float) -> NoReturn:
        """Hold the downloads in their bounds, at once and in intervals; a load does it before its own."""
        while True:
            await self._fetching.tidy()
            await self._look()
            await asyncio.sleep(interval_s)

    async def close(self) -> None:
        """Close every engine, once the loading thread has ended.

        Cancellation:
            Waits for a load that runs: reading files cannot be given up. A download is.
        """
        await self._fetching.close()
        await asyncio.to_thread(partial(self._thread.shutdown, cancel_futures=True))
        for engine in list(self._open.values()):
            await self._close_engine(engine)

    async def _load(self, room: Room, weights: Weights | None) -> Engine:
        self._log.info("model_loading", model=room.name)
        if weights is None:
            provide = partial(self._weights.provide, room.entry, self._in_use, fetch=False)
            weights = await self._in_thread(provide)
        await self._make_room(room, weights.size_bytes)
        try:
            return await self._bring_up(room, weights)
        except OutOfMemoryError as exc:
            self._log.warning("model_out_of_memory", model=room.name, reason=str(exc))
        # Not above: as long as the error is handled, its traceback holds what the first try has loaded.
        while idle := self._rooms.idle():
            await self._unload(idle[0], "out of memory")
        return await self._bring_up(room, weights)

    async def _bring_up(self, room: Room, weights: Weights) -> Engine:
        """Load a model and take it to its device."""

        def load() -> Engine:
            engine = self._loaders[room.entry.family].load(room.entry, weights)
            # Here, and not by whoever waits: a load ends though the wait for it was given up.
            self._open[id(engine)] = engine
            return engine

        engine = await self._in_thread(load)
        try:
            if not room.is_kept:
                await self._make_room(room, engine.size_bytes, is_there=engine.device == READ_INTO_DEVICE)
            pieces = await self._between_ticks(engine.prepare)
            while (piece := await self._between_ticks(partial(next, pieces, None))) is not None:
                self._log.debug("model_prepared", model=room.name, piece=piece)
        except Exception:
            await self._close_engine(engine)
            raise
        return engine

    async def _make_room(self, room: Room, size_bytes: int, *, is_there: bool = False) -> None:
        """Unload idle models, the least recently used first, until another one fits.

        Args:
            room: The model.
            size_bytes: The memory that it takes.
            is_there: Whether it is in the device's memory already, and only the steps need some more.

        Raises:
            ModelLoadError: If it never will, or not before those in use are released.
        """
        max_bytes = self._limits.max_bytes
        if max_bytes is not None and size_bytes > max_bytes:
            reason = f"it takes {_gigabytes(size_bytes)} of the {_gigabytes(max_bytes)} that models may have"
            raise ModelLoadError(room.name, reason)
        deadline_at = asyncio.get_running_loop().time() + self._limits.room_wait_s
        while (shortage := await self._find_shortage(room, size_bytes, is_there)) is not None:
            if idle := self._rooms.idle():
                await self._unload(idle[0], "room")
                continue
            if not shortage.is_certain:
                return
            in_use = self._rooms.loaded()
            self._rooms.released.clear()
            self._rooms.note_crowded(is_crowded=True)
            try:
                async with asyncio.timeout_at(deadline_at):
                    await self._rooms.released.wait()
            except TimeoutError:
                if self._rooms.idle():  # Released in the last moment.
                    continue
                names = ", ".join(other.name for other in in_use)
                raise _NoRoomError(room.name, f"{shortage.reason}, and in use is: {names}") from None
            finally:
                self._rooms.note_crowded(is_crowded=False)

    async def _find_shortage(self, room: Room, size_bytes: int, is_there: bool) -> _Shortage | None:
        loaded = self._rooms.loaded()
        if len(loaded) >= self._limits.max_models:
            return _Shortage(f"at most {self._limits.max_models} models may be loaded at once", True)
        taken_bytes = sum(other.size_bytes for other in loaded)
        max_bytes = self._limits.max_bytes
        if max_bytes is not None and taken_bytes + size_bytes > max_bytes:
            return _Shortage(
                f"it takes {_gigabytes(size_bytes)} and {_gigabytes(taken_bytes)} are taken "
                f"of the {_gigabytes(max_bytes)} that models may have",
                True,
            )
        free_bytes = await self._in_thread(self._loaders[room.entry.family].free_bytes)
        needed_bytes = size_bytes * WORKING_SHARE + WORKING_BYTES + (0 if is_there else size_bytes)
        if free_bytes is not None and free_bytes < needed_bytes:
            return _Shortage(f"the device has {_gigabytes(free_bytes)} free", False)
        return None

    async def _unload(self, room: Room, why: str) -> None:
        engine = self._rooms.vacate(room)
        self.counts["evictions"] += 1
        self._log.info("model_unloaded", model=room.name, why=why)
        await self._close_engine(engine)

    async def _close_engine(self, engine: Engine) -> None:
        def close() -> None:
            # Once, though whoever asked for it may have been cancelled before it came to it.
            if self._open.pop(id(engine), None) is not None:
                engine.close()

        try:
            await self._between_ticks(close)
        except CoreError:
            # The scheduler has ended: the engines' memory ends with the process.
            self._log.debug("engine_left_open", model=engine.model.name)
        except Exception as exc:  # noqa: BLE001 - the model is out of use, whatever closing it raises.
            self._log.error("engine_close_failed", model=engine.model.name, exc_info=exc)

    def _fail(self, room: Room, reason: str, error: Exception, *, lacked_room: bool = False) -> None:
        self.counts["load_failures"] += 1
        self._rooms.fail(room, reason, lacked_room=lacked_room)
        is_expected = isinstance(error, ModelLoadError | OutOfMemoryError)
        self._log.error(
            "model_load_failed", model=room.name, reason=reason, exc_info=None if is_expected else error
        )

    def _in_use(self) -> list[CatalogueEntry]:
        """Return what is loaded, and what is to be or is being read. Safe from any thread."""
        # In this order: a load that ends between the two leaves an engine before it is no longer awaited.
        return [
            room.entry for room in self._rooms.all() if room.settled is not None or room.engine is not None
        ]

    async def _look(self) -> None:
        """Look which weights there are."""

        def look() -> list[Weights | None]:
            return [
                Weights() if room.is_kept else self._weights.find(room.entry) for room in self._rooms.all()
            ]

        for room, weights in zip(self._rooms.all(), await self._in_thread(look), strict=True):
            room.weights_found = weights is not None
            room.disk_bytes = weights.size_bytes if weights is not None else 0

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 10**9:.1f} GB"

"""What must be downloaded before it can be loaded, and the disk that is tidied between two downloads.

One thread of its own does both, so that no load waits for another model's download. A model that lacks
only what it can be painted without does not wait behind one either, and for its own a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import NoReturn

import structlog

from inference.models.entry import InUse, Weights, WeightSource
from inference.models.rooms import Room, Rooms


# How long a model that could be loaded waits for a download of what it can do without, seconds. Its tiny
# autoencoder, the most of the gain, is some megabytes; what comes later is there for the next load.
PARTS_WAIT_S = 20.0


class Fetching:
    """Fetches weights, one model after the other; its task is owned by whoever made it.

    Args:
        rooms: The models.
        weights: Where the files come from.
        in_use: What no download may replace on the disk.
        hand_on: Called with a model that is to be loaded now, and with its weights; without them, they are
            taken as they lie.
        failing: Notes what is raised in it as why a model could not be loaded.
    """

    def __init__(
        self,
        rooms: Rooms,
        weights: WeightSource,
        in_use: InUse,
        hand_on: Callable[[Room, Weights | None], None],
        failing: Callable[[Room], AbstractContextManager[None]],
    ) -> None:
        self._rooms = rooms
        self._weights = weights
        self._in_use = in_use
        self._hand_on = hand_on
        self._failing = failing
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fetching")
        # Each with whether it could be loaded as it is.
        self._waiting: asyncio.Queue[tuple[Room, bool]] = asyncio.Queue()
        self._is_running = False
        self._log = structlog.get_logger("inference")

    def offer(self, room: Room, found: Weights | None) -> bool:
        """Take a model that is to be loaded if it needs a download, or would gain from one now.

        Args:
            room: The model.
            found: What of it is on this machine; None: not enough.

        Returns:
            False where it is to be loaded as it is.
        """
        is_busy = self._is_running or not self._waiting.empty()
        if found is not None and (is_busy or not found.lacks_parts):
            return False
        self._waiting.put_nowait((room, found is not None))
        return True

    async def fetch_forever(self) -> NoReturn:
        """Fetch what is taken."""
        while True:
            room, is_loadable = await self._waiting.get()
            if self._rooms.drop_forsaken(room):
                continue
            self._is_running = True
            try:
                with self._failing(room):
                    await self._fetch(room, PARTS_WAIT_S if is_loadable else None)
            finally:
                self._is_running = False

    async def tidy(self) -> None:
        """Hold the downloads in their bounds, after the one that runs."""
        # What is in use is asked for when it begins: a download before it may take an hour.
        work = partial(self._weights.tidy, self._in_use)
        await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Give up a download that runs, and wait for its end."""
        self._weights.stop()
        await asyncio.to_thread(partial(self._thread.shutdown, cancel_futures=True))

    async def _fetch(self, room: Room, wait_s: float | None) -> None:
        """Fetch what a model lacks; after so many seconds it is loaded as it is meanwhile."""
        work = partial(self._weights.provide, room.entry, self._in_use)
        fetching = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            await asyncio.wait([fetching], timeout=wait_s)
            if not fetching.done():
                self._log.warning("model_parts_late", model=room.name, waited_s=wait_s)
            self._hand_on(room, fetching.result() if fetching.done() else None)
            # The next download waits for this one. An error costs nothing now: the model is loaded.
            await asyncio.wait([fetching])
        finally:
            fetching.cancel()  # Does not end it, but lets asyncio say nothing of an error nobody looks at.

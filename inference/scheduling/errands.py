"""Other work of the engines' thread, such as taking a model to the device: one piece between two ticks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from inference.errors import StoppingError


T = TypeVar("T")


@dataclass(slots=True)
class _Errand(Generic[T]):
    work: Callable[[], T]
    done: asyncio.Future[T]

    def run(self) -> tuple[T | None, Exception | None]:
        try:
            return self.work(), None
        except StopIteration:
            # A future cannot hold one.
            return None, RuntimeError("the work raised StopIteration")
        except Exception as exc:  # noqa: BLE001 - whoever asked for it is told.
            return None, exc


class Errands:
    """Waiting work, in order."""

    def __init__(self) -> None:
        self._waiting: deque[_Errand[Any]] = deque()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Add work; what is returned gets its result or error, and may be cancelled while it waits."""
        errand = _Errand(work, asyncio.get_running_loop().create_future())
        self._waiting.append(errand)
        return errand.done

    async def run_next(self, thread: Executor) -> None:
        """Do the oldest piece that somebody still waits for, if there is one."""
        while self._waiting:
            errand = self._waiting.popleft()
            if not errand.done.done():
                await self._run(errand, thread)
                return

    async def _run(self, errand: _Errand[Any], thread: Executor) -> None:
        try:
            result, error = await asyncio.get_running_loop().run_in_executor(thread, errand.run)
        except asyncio.CancelledError:
            _fail(errand, StoppingError())
            raise
        if error is not None:
            _fail(errand, error)
        elif not errand.done.done():
            errand.done.set_result(result)

    def close(self) -> None:
        """Fail all that waits."""
        while self._waiting:
            _fail(self._waiting.popleft(), StoppingError())


def _fail(errand: _Errand[Any], error: Exception) -> None:
    if not errand.done.done():
        errand.done.set_exception(error)

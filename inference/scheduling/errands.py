"""Other work of the engines' thread, one piece between two ticks.

Such as taking a model to the device, which is nobody's, or making a caller's picture larger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from inference.errors import StoppingError
from inference.scheduling.fairness import Caller


T = TypeVar("T")


@dataclass(slots=True)
class _Errand(Generic[T]):
    work: Callable[[], T]
    done: asyncio.Future[T]
    caller: Caller | None  # whose share of the engines it takes; None: nobody's

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

    def add(self, work: Callable[[], T], caller: Caller | None = None) -> asyncio.Future[T]:
        """Add work; what is returned gets its result or error, and may be cancelled while it waits."""
        errand = _Errand(work, asyncio.get_running_loop().create_future(), caller)
        self._waiting.append(errand)
        return errand.done

    async def run_next(self, thread: Executor, is_due: Callable[[Caller], bool]) -> Caller | None:
        """Do the oldest piece that somebody still waits for and whose turn it is, if there is one.

        Args:
            thread: The engines' own.
            is_due: Whether it is a caller's turn; what is nobody's is always due.

        Returns:
            Whose piece was done; None where it was nobody's, or there was none.
        """
        for errand in [errand for errand in self._waiting if errand.done.done()]:
            self._waiting.remove(errand)
        for errand in self._waiting:
            if errand.caller is None or is_due(errand.caller):
                self._waiting.remove(errand)
                await self._run(errand, thread)
                return errand.caller
        return None

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

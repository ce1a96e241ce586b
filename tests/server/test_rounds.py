"""The turns of writers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes import FakeClock

from server.streaming.delivery.rounds import MAX_SLICE_S, SLICE_PER_WAITING_S, SLICE_S, Rounds


class Writer:
    """Notes its turns, each of which takes a while."""

    def __init__(self, name: str, log: list[str], clock: FakeClock, turn_s: float = 0.0) -> None:
        self.name, self.is_enqueued = name, False
        self.errors: list[Exception] = []
        self._log, self._clock, self._turn_s = log, clock, turn_s
        self.during: Callable[[], None] = lambda: None

    def pump(self) -> None:
        self._log.append(self.name)
        self._clock.advance(self._turn_s)
        self.during()

    def fail(self, error: Exception) -> None:
        self.errors.append(error)


class Loop:
    """An event loop that goes round when it is told to."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log: list[str] = []
        self.calls: list[Callable[[], None]] = []
        self.rounds = Rounds(self.calls.append, self.clock)

    def writer(self, name: str, turn_s: float = 0.0) -> Writer:
        return Writer(name, self.log, self.clock, turn_s)

    def iterate(self) -> None:
        calls, self.calls[:] = self.calls[:], []
        for call in calls:
            call()


def test_turns_are_taken_in_the_order_of_the_calls_and_once_each() -> None:
    loop = Loop()
    writers = [loop.writer(name) for name in "abc"]
    for writer in [*writers, *writers]:
        loop.rounds.enqueue(writer)

    assert loop.log == [], "never within the call: whoever publishes is not held up"
    loop.iterate()

    assert loop.log == ["a", "b", "c"]
    assert (len(loop.rounds), loop.calls) == (0, [])


@pytest.mark.parametrize("count", [100, 1000, 3000])
def test_others_get_the_loop_after_a_slice_that_is_longer_for_a_longer_line(count: int) -> None:
    loop = Loop()
    for index in range(count):
        loop.rounds.enqueue(loop.writer(str(index), turn_s=SLICE_S / 20))

    iterations = 0
    while loop.calls:
        before, slice_s = loop.clock(), SLICE_S + SLICE_PER_WAITING_S * len(loop.rounds)
        loop.iterate()
        iterations += 1
        assert loop.clock() - before <= min(slice_s, MAX_SLICE_S) + SLICE_S / 10

    assert loop.log == [str(index) for index in range(count)]
    assert iterations >= count * SLICE_S / 20 / MAX_SLICE_S


def test_who_is_enqueued_during_its_own_turn_comes_again_after_the_others() -> None:
    loop = Loop()
    first, second = loop.writer("first", turn_s=2 * SLICE_S), loop.writer("second", turn_s=2 * SLICE_S)
    first.during = lambda: loop.rounds.enqueue(first)
    loop.rounds.enqueue(first)
    loop.rounds.enqueue(second)

    for _ in range(3):
        loop.iterate()

    assert loop.log == ["first", "second", "first"]


def test_a_writer_that_fails_takes_nobody_elses_turn() -> None:
    loop = Loop()
    bad, good = loop.writer("bad"), loop.writer("good")
    error = RuntimeError("a bug")

    def raise_it() -> None:
        raise error

    bad.during = raise_it
    loop.rounds.enqueue(bad)
    loop.rounds.enqueue(good)

    loop.iterate()

    assert loop.log == ["bad", "good"]
    assert bad.errors == [error]
    loop.rounds.enqueue(good)
    loop.iterate()
    assert loop.log[-1] == "good"

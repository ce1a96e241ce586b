"""Files that are loaded before they are due, and the times at which they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes import FakeClock, until

from server.errors import InvalidError
from server.generation.read_ahead import AHEAD, LATE_S, Pace, ReadAhead
from server.streaming.frame import EncodedImage


FILES = [Path(f"show/{name}") for name in "abcdefgh"]


def image_of(path: Path) -> EncodedImage:
    return EncodedImage(path.name.encode(), "jpeg", 8, 8)


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def never() -> int:
    return -1


async def test_pictures_come_in_turn_and_end(executor: ThreadPoolExecutor) -> None:
    ahead = ReadAhead(executor, image_of, FILES[:2], 5, on_failure=lambda path, error: None)
    taken = []
    while picture := await ahead.take(never):
        taken.append((picture[0], picture[1].data))

    assert taken == [(0, b"a"), (1, b"b"), (2, b"a"), (3, b"b"), (4, b"a")]
    assert ahead.is_spent
    assert ahead.dropped == 0


async def test_some_are_loaded_before_they_are_asked_for_and_no_more(executor: ThreadPoolExecutor) -> None:
    begun: list[str] = []

    def load(path: Path) -> EncodedImage:
        begun.append(path.name)
        return image_of(path)

    ahead = ReadAhead(executor, load, FILES, None, on_failure=lambda path, error: None)
    await ahead.take(never)
    await until(lambda: len(begun) == 1 + AHEAD)
    await asyncio.sleep(0)
    ahead.close()

    assert sorted(begun) == ["a", "b", "c", "d"]


async def test_of_two_that_are_loaded_and_overdue_the_newer_one_comes(executor: ThreadPoolExecutor) -> None:
    ahead = ReadAhead(executor, image_of, FILES, 8, on_failure=lambda path, error: None)
    assert await ahead.take(never) == (0, image_of(FILES[0]))
    await until(lambda: all(loading.is_loaded for loading in ahead._ahead))

    picture = await ahead.take(lambda: 2)

    assert picture == (2, image_of(FILES[2]))
    assert ahead.dropped == 1
    ahead.close()


async def test_what_is_overdue_before_it_is_loaded_is_left_out_but_not_the_last(
    executor: ThreadPoolExecutor,
) -> None:
    ahead = ReadAhead(executor, image_of, FILES, 8, on_failure=lambda path, error: None)
    await ahead.take(never)
    places = []
    while picture := await ahead.take(lambda: 100):
        places.append(picture[0])

    assert places[-1] == 7
    assert 4 not in places
    assert len(places) + ahead.dropped == 7


async def test_files_that_cannot_be_loaded_are_told_and_left_out(executor: ThreadPoolExecutor) -> None:
    def load(path: Path) -> EncodedImage:
        if path.name in "bc":
            raise OSError("no such file")
        return image_of(path)

    told: list[str] = []
    ahead = ReadAhead(
        executor, load, FILES[:4], 8, on_failure=lambda path, error: told.append(f"{path.name}: {error}")
    )
    places = []
    while picture := await ahead.take(never):
        places.append(picture[0])

    assert places == [0, 3, 4, 7]
    assert set(told) == {"b: no such file", "c: no such file"}


async def test_a_round_of_which_nothing_can_be_loaded_is_an_error(executor: ThreadPoolExecutor) -> None:
    def load(path: Path) -> EncodedImage:
        raise OSError("no such file")

    ahead = ReadAhead(executor, load, FILES, None, on_failure=lambda path, error: None)
    with pytest.raises(InvalidError, match="no picture of 'show'"):
        await ahead.take(never)
    ahead.close()


def test_places_are_due_an_interval_apart_and_overdue_a_little_later() -> None:
    clock = FakeClock()
    pace = Pace(clock, lambda: 0.25, 0)

    assert [pace.due_s(place) - clock() for place in range(3)] == [0.0, 0.25, 0.5]
    assert pace.overdue < 0
    clock.advance(0.25 + LATE_S + 0.001)
    assert pace.overdue == 1
    # From its due time, however late it is shown.
    pace.reach(1)
    assert pace.due_s(2) == pytest.approx(1000.5)
    pace.restart(2)
    assert pace.due_s(3) == pytest.approx(clock() + 0.25)

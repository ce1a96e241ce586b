"""What the screens of a canvas want, all of them together."""

from __future__ import annotations

import random

import pytest

from server.streaming.demand import Demand


INF = float("inf")


def test_nobody_wants_nothing() -> None:
    demand = Demand()

    assert demand.fps == 0.0
    assert not demand.forget("never there")


def test_the_fastest_screen_decides() -> None:
    demand = Demand()
    for screen, wants_fps in (("phone", 2.0), ("wall", 30.0), ("hidden", 0.0)):
        demand.note(screen, wants_fps)
    assert demand.fps == 30.0

    demand.forget("wall")
    assert demand.fps == 2.0

    demand.note("phone", 1.5)
    assert demand.fps == 1.5


@pytest.mark.parametrize(
    ("before", "after", "is_told"),
    [
        (0.0, 0.5, True),
        (0.5, 0.0, True),
        (INF, 30.0, True),
        (30.0, INF, True),
        (INF, INF, False),
        (10.0, 10.0, False),
        (10.0, 10.4, False),
        (10.0, 9.6, False),
        (10.0, 10.6, True),
        (10.0, 9.4, True),
    ],
)
def test_a_producer_is_told_of_what_matters(before: float, after: float, is_told: bool) -> None:
    demand = Demand()
    demand.note("screen", before)

    assert demand.note("screen", after) is is_told
    assert demand.fps == after


def test_small_steps_add_up() -> None:
    demand = Demand()
    demand.note("screen", 10.0)

    told = [demand.note("screen", 10.0 + step / 10) for step in range(1, 11)]

    assert told.count(True) == 1


def test_after_any_number_of_changes_the_demand_is_the_greatest_wish() -> None:
    demand, wants = Demand(), {}
    generator = random.Random(4)
    for _ in range(2000):
        screen = generator.randrange(20)
        if generator.random() < 0.2:
            wants.pop(screen, None)
            demand.forget(screen)
        else:
            wants[screen] = generator.choice([0.0, 0.5, 2.0, 29.0, 30.0, INF])
            demand.note(screen, wants[screen])
        assert demand.fps == max(wants.values(), default=0.0)

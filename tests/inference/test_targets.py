"""How the targets of a live picture follow one another."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fakes import FakeEngine

from inference.models.house import ModelHouse, house_of
from inference.pictures import Commission, Sources
from inference.requests import Catalogue, parse
from inference.targets import Course, Target, Wish
from protos import psyche_inference_v1_pb2 as pb


@pytest.fixture
async def house() -> AsyncIterator[ModelHouse]:
    async with house_of(FakeEngine(), FakeEngine("other")) as house:
        yield house


def wish(
    house: ModelHouse, revision: int, *, model: str = "fake", at_s: float = 0.0, transition_s: float = 0.0
) -> Wish:
    request = pb.ImageRequest(prompt=f"target {revision}", model=model)
    order = parse(request, Catalogue(house.models, house.default_model))
    return Wish(request, order, Sources(), revision, at_s, transition_s)


def begin(house: ModelHouse, first: Wish, *, painter: str = "fake") -> Target:
    lease = house.lease_now(painter)
    assert lease is not None
    return Target.begin(first, Commission(first.order, lease))


async def test_a_target_begins_as_a_cut(house: ModelHouse) -> None:
    target = begin(house, wish(house, 1, at_s=5.0, transition_s=3.0))

    (keyframe,) = target.work.timeline.keyframes
    assert (keyframe.at_s, keyframe.transition_s, keyframe.revision) == (5.0, 0.0, 1)
    assert target.at(0.0)[0] == 1
    assert not target.stands_in


async def test_what_follows_begins_in_its_time_and_the_first_one_stays_as_it_was(house: ModelHouse) -> None:
    first = begin(house, wish(house, 1))
    second = wish(house, 2, at_s=5.0, transition_s=3.0)

    target = first.then(second, second.order)

    assert [target.at(time_s)[0] for time_s in (0.0, 4.9, 5.0, 100.0)] == [1, 1, 2, 2]
    assert target.at(5.0)[1] is second.order
    assert first.at(5.0)[0] == 1
    assert target.lease is first.lease


async def test_orders_of_targets_that_are_forgotten_go_as_well(house: ModelHouse) -> None:
    target = begin(house, wish(house, 0))
    for revision in range(1, 50):
        later = wish(house, revision, at_s=float(revision), transition_s=600.0)
        target = target.then(later, later.order)

    assert [aim.keyframe for aim in target.aims] == list(target.work.timeline.keyframes)
    assert len(target.aims) <= 6


async def test_a_model_stands_in_where_another_was_asked_for(house: ModelHouse) -> None:
    target = begin(house, wish(house, 1, model="other"))

    assert target.stands_in
    assert (target.asked, target.lease.model.name) == ("other", "fake")


async def test_a_target_may_be_warned_of_later_and_is_painted_on(house: ModelHouse) -> None:
    second = wish(house, 2, at_s=5.0)
    target = begin(house, wish(house, 1)).then(second, second.order)

    warned = target.warned(2, ("it could not be loaded",))

    assert warned.at(0.0)[1].warnings == ()
    assert warned.at(5.0)[1].warnings == ("it could not be loaded",)
    assert warned.work is target.work


def course_of(house: ModelHouse, *wishes: Wish) -> Course:
    course = Course()
    for wished in wishes:
        lease = house.lease_now(wished.model)
        assert lease is not None
        course.follow(wished, Commission(wished.order, lease))
    return course


def leases(house: ModelHouse) -> dict[str, int]:
    return {room.name: room.leases for room in house._rooms.all()}


async def test_targets_of_several_models_begin_in_their_time(house: ModelHouse) -> None:
    course = course_of(
        house, wish(house, 1), wish(house, 2, model="other", at_s=5.0), wish(house, 3, at_s=8.0)
    )

    assert [course.at(time_s).at(time_s)[0] for time_s in (0.0, 4.9, 5.0, 7.9, 8.0)] == [1, 1, 2, 2, 3]
    assert leases(house) == {"fake": 2, "other": 1}


async def test_a_model_is_held_until_a_frame_of_the_next_one_is_taken_up(house: ModelHouse) -> None:
    course = course_of(house, wish(house, 1), wish(house, 2, model="other", at_s=5.0))

    assert course.take(4.9).at(4.9)[0] == 1
    assert leases(house) == {"fake": 1, "other": 1}
    assert course.take(5.0).at(5.0)[0] == 2
    assert leases(house) == {"fake": 0, "other": 1}
    assert course.at(0.0).at(0.0)[0] == 2  # What is forgotten cannot be painted any more.
    course.close()
    assert leases(house) == {"fake": 0, "other": 0}


async def test_a_target_whose_time_has_come_takes_over_without_a_frame(house: ModelHouse) -> None:
    course = course_of(house, wish(house, 1), wish(house, 2, model="other"))

    assert leases(house) == {"fake": 0, "other": 1}
    assert course.at(0.0).at(0.0)[0] == 2


async def test_a_target_covers_those_that_would_begin_later(house: ModelHouse) -> None:
    course = course_of(
        house,
        wish(house, 1),
        wish(house, 2, model="other", at_s=5.0),
        wish(house, 3, at_s=4.0, transition_s=2.0),
    )

    assert leases(house) == {"fake": 1, "other": 0}
    assert len(course.at(4.0).work.timeline.keyframes) == 2  # As a transition of the same model.


async def test_targets_to_come_are_bounded(house: ModelHouse) -> None:
    models = ("fake", "other")
    course = course_of(
        house, *(wish(house, turn, model=models[turn % 2], at_s=float(turn + 1)) for turn in range(50))
    )

    assert sum(leases(house).values()) <= 6
    assert course.at(100.0).at(100.0)[0] == 49

"""How the targets of a live picture follow one another."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fakes import FakeEngine

from inference.models.house import ModelHouse, house_of
from inference.pictures import Commission, Sources
from inference.requests import Catalogue, parse
from inference.targets import Target, Wish
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

    assert [keyframe for keyframe, _ in target.orders] == list(target.work.timeline.keyframes)
    assert len(target.orders) <= 6


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

"""Loaded models, where somebody gives up: who waits for a load, and the service that ends."""

from __future__ import annotations

import asyncio
import gc
import random

import pytest
from fakes import until
from houses import PAINTER, FakeLoader, OpenHouse, network, open_house

from inference.errors import ModelLoadError, StoppingError
from inference.models import fetching
from inference.models.entry import State


A, B = network("a"), network("b")


async def give_up(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_giving_up_the_wait_leaves_the_load_to_the_next_caller() -> None:
    async with open_house(A) as it:
        it.loader.gate.clear()
        waiting = asyncio.create_task(it.house.lease("a"))
        await it.loader.wait_until_loading()

        await give_up(waiting)
        next_one = asyncio.create_task(it.house.lease("a"))
        it.loader.gate.set()

        assert (await next_one).model == A.model
        assert it.loader.loads == ["a"]


async def test_a_load_that_nobody_waits_for_any_more_goes_on() -> None:
    async with open_house(A) as it:
        it.loader.gate.clear()
        waiting = asyncio.create_task(it.house.lease("a"))
        await it.loader.wait_until_loading()

        await give_up(waiting)
        it.loader.gate.set()

        await until(lambda: it.house.state("a") is State.READY)


async def test_one_of_two_who_wait_may_give_up() -> None:
    async with open_house(A) as it:
        it.loader.gate.clear()
        first, second = (asyncio.create_task(it.house.lease("a")) for _ in range(2))
        await it.loader.wait_until_loading()

        await give_up(first)
        it.loader.gate.set()

        assert (await second).model == A.model


async def test_a_queued_load_that_nobody_waits_for_never_begins() -> None:
    async with open_house(A, B) as it:
        it.loader.gate.clear()
        first = asyncio.create_task(it.house.lease("a"))
        await it.loader.wait_until_loading()
        second = asyncio.create_task(it.house.lease("b"))
        await until(lambda: it.house.state("b") is State.LOADING)

        await give_up(second)
        it.loader.gate.set()
        await first

        await until(lambda: it.house.state("b") is State.NOT_LOADED)
        assert it.loader.loads == ["a"]
        assert (await it.house.lease("b")).model == B.model


async def test_giving_up_in_the_moment_of_success_leaves_no_lease() -> None:
    async with open_house(A, B, max_models=1, room_wait_s=0.0) as it:
        it.loader.gate.clear()
        waiting = asyncio.create_task(it.house.lease("a"))
        await it.loader.wait_until_loading()

        def cancel(name: str, state: State) -> None:
            waiting.cancel()  # Whoever hears of the success first: the waiting task has not run since.

        it.house.on_state = cancel
        it.loader.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        it.house.on_state = None

        assert (await it.house.lease("b")).model == B.model
        assert it.loader.engine("a").closed == 1


async def test_giving_up_the_wait_for_room_leaves_the_load_waiting() -> None:
    async with open_house(A, B, max_models=1) as it:
        lease = await it.house.lease("a")
        waiting = asyncio.create_task(it.house.lease("b"))
        await until(lambda: "b" in it.weights.in_use)

        await give_up(waiting)
        lease.release()

        await until(lambda: it.house.state("b") is State.READY)


async def test_an_end_while_a_model_is_read_waits_for_it_and_closes_it() -> None:
    loader = FakeLoader()
    loader.gate.clear()
    async with open_house(A, PAINTER, loader=loader) as it:
        waiting = asyncio.create_task(it.house.lease("a"))
        await loader.wait_until_loading()
        # The house ends before the reading does.
        asyncio.get_running_loop().call_soon(loader.gate.set)

    with pytest.raises(StoppingError):
        await waiting
    assert it.weights.stopped
    assert loader.engine("a").closed == 1
    assert loader.engine("a").prepared == []
    assert loader.engine("a").threads == {"engine_0"}


async def test_an_end_while_a_model_is_prepared_closes_it() -> None:
    async with open_house(A) as it:
        it.ticks.hold.clear()
        waiting = asyncio.create_task(it.house.lease("a"))
        await it.ticks.held.wait()
        asyncio.get_running_loop().call_soon(it.ticks.hold.set)

    with pytest.raises(StoppingError):
        await waiting
    assert it.loader.engine("a").closed == 1


async def test_an_end_while_a_model_is_downloaded_gives_the_download_up() -> None:
    async with open_house(A) as it:
        it.weights.remote.add("a")
        it.weights.fetched.clear()
        waiting = asyncio.create_task(it.house.lease("a"))
        await until(lambda: "a" in it.weights.in_use)

    with pytest.raises(StoppingError):
        await waiting
    assert it.weights.stopped
    assert it.loader.loads == []


async def test_an_end_while_a_late_part_is_downloaded_gives_it_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fetching, "PARTS_WAIT_S", 0.0)
    async with open_house(A) as it:
        it.weights.plain.add("a")
        it.weights.fetched.clear()
        await it.house.lease("a")

    assert it.weights.stopped
    assert it.loader.engine("a").closed == 1
    gc.collect()
    assert caplog.records == []


async def test_downloads_are_stopped_before_what_is_read_is_forgotten() -> None:
    # What is in use would otherwise look unused to a cleanup that runs.
    loader = FakeLoader()
    loader.gate.clear()
    stopped: list[bool] = []
    async with open_house(A, loader=loader) as it:
        waiting = asyncio.create_task(it.house.lease("a"))
        await loader.wait_until_loading()
        it.house.on_state = lambda name, state: stopped.append(it.weights.stopped)
        asyncio.get_running_loop().call_soon(loader.gate.set)

    with pytest.raises(StoppingError):
        await waiting
    assert stopped[0]


async def test_a_download_that_nobody_waits_for_any_more_is_not_loaded() -> None:
    async with open_house(A, B) as it:
        it.weights.remote.add("a")
        it.weights.fetched.clear()
        waiting = asyncio.create_task(it.house.lease("a"))
        await until(lambda: "a" in it.weights.in_use)

        await give_up(waiting)
        it.weights.fetched.set()

        await until(lambda: it.house.state("a") is State.NOT_LOADED)
        assert it.loader.loads == []
        assert (await it.house.lease("a")).model == A.model


async def test_an_end_while_a_model_waits_for_room_tells_who_waits() -> None:
    async with open_house(A, B, max_models=1) as it:
        await it.house.lease("a")
        waiting = asyncio.create_task(it.house.lease("b"))
        await until(lambda: "b" in it.weights.in_use)

    with pytest.raises(StoppingError):
        await waiting
    assert it.loader.engine("a").closed == 1


async def test_an_end_closes_every_engine_once() -> None:
    async with open_house(A, B) as it:
        lease = await it.house.lease("a")
        await it.house.lease("b")

    assert [engine.closed for engine in it.loader.engines] == [1, 1]
    lease.release()


async def test_an_end_after_the_scheduler_has_ended_is_still_one() -> None:
    async with open_house(A) as it:
        await it.house.lease("a")
        it.ticks.error = StoppingError()

    assert it.loader.engine("a").closed == 0


async def test_a_cancelled_service_closes_its_engines() -> None:
    loader = FakeLoader()
    loaded = asyncio.Event()

    async def serve() -> None:
        async with open_house(A, loader=loader) as it:
            await it.house.lease("a")
            loaded.set()
            await asyncio.Event().wait()

    serving = asyncio.create_task(serve())
    await loaded.wait()

    await give_up(serving)

    assert loader.engine("a").closed == 1


async def test_nothing_is_leased_or_loaded_after_the_end() -> None:
    async with open_house(A, B) as it:
        it.loader.failures["b"] = [ModelLoadError("b", "no")]

    it.house.preload("a")
    for name in "ab":
        with pytest.raises(StoppingError):
            await it.house.lease(name)
    assert it.loader.loads == []


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_in_use_is_ever_closed_whoever_gives_up_when(seed: int) -> None:
    chance = random.Random(seed)
    loader = FakeLoader()
    entries = [network(name) for name in "abcd"]
    loader.failures["d"] = [ModelLoadError("d", "now and then") for _ in range(2)]

    async def use(it: OpenHouse) -> None:
        for _ in range(6):
            with await it.house.lease(chance.choice("abcd")) as lease:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)  # Lets the others interfere.
                    assert not any(e.closed for e in it.loader.engines if id(e) == id(lease.engine))
                    loaded = sum(it.house.state(name) is State.READY for name in "abcd")
                    assert loaded <= 2

    async with open_house(*entries, PAINTER, loader=loader, max_models=2, fallback_model="painter") as it:
        users = [asyncio.create_task(use(it)) for _ in range(8)]
        for user in users[:4]:
            await until(lambda: chance.random() < 0.02)
            user.cancel()
        ended = await asyncio.gather(*users, return_exceptions=True)

    errors = [error for error in ended if error is not None]
    assert all(isinstance(error, asyncio.CancelledError) for error in errors), errors
    assert loader.engines
    assert all(engine.closed == 1 for engine in loader.engines)

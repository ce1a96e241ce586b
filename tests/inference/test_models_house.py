"""Loaded models: on demand, shared, in use, and out again."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, cast

import pytest
from fakes import until
from houses import PAINTER, FakeLoader, FakeWeights, LoadedEngine, network, open_house

from inference.engine import Engine, OutOfMemoryError, PaintingFailedError, RejectedError
from inference.errors import ConfigurationError, ModelLoadError
from inference.models import fetching, rooms
from inference.models.entry import State
from inference.models.house import CrowdedError, house_of
from inference.models.loading import WORKING_BYTES, WORKING_SHARE


A, B, C = network("a"), network("b"), network("c")
GB = 10**9


async def test_a_model_is_loaded_when_it_is_asked_for() -> None:
    async with open_house(A, B) as it:
        assert it.house.lease_now("b") is None
        assert it.loader.loads == []

        lease = await it.house.lease("b")

        assert it.loader.loads == ["b"]
        assert lease.model == B.model
        assert lease.warnings == ()
        assert lease.load_s > 0.0
        assert it.states == [("b", State.LOADING), ("b", State.READY)]
        assert it.house.counts == {"loads": 1, "load_failures": 0, "evictions": 0, "fallbacks": 0}


async def test_a_loaded_model_is_leased_at_once() -> None:
    async with open_house(A) as it:
        (await it.house.lease("a")).release()

        lease = it.house.lease_now("a")

        assert lease is not None
        assert lease.load_s == 0.0
        assert it.loader.loads == ["a"]


async def test_callers_of_one_model_wait_for_the_same_load() -> None:
    async with open_house(A) as it:
        leases = await asyncio.gather(it.house.lease("a"), it.house.lease("a"))

        assert it.loader.loads == ["a"]
        assert leases[0].engine is leases[1].engine


async def test_one_model_is_loaded_after_the_other() -> None:
    async with open_house(A, B) as it, asyncio.TaskGroup() as tasks:
        it.loader.gate.clear()
        tasks.create_task(it.house.lease("a"))
        tasks.create_task(it.house.lease("b"))
        await it.loader.wait_until_loading()

        assert it.loader.loads == ["a"]
        assert it.house.state("b") is State.LOADING

        it.loader.gate.set()


async def test_a_model_is_prepared_piece_by_piece_in_the_engines_thread() -> None:
    async with open_house(A) as it:
        await it.house.lease("a")

        engine = it.loader.engine("a")
        assert engine.prepared == ["copied", "warm"]
        assert {name.partition("_")[0] for name in engine.threads} == {"engine"}
        # Once to begin, once a piece, and once to learn that there is no other.
        assert it.ticks.calls == 4


async def test_the_least_recently_used_model_makes_room() -> None:
    async with open_house(A, B, C, max_models=2) as it:
        for name in ("a", "b", "a", "c"):
            (await it.house.lease(name)).release()

        assert [it.house.state(name) for name in "abc"] == [State.READY, State.NOT_LOADED, State.READY]
        assert it.loader.engine("b").closed == 1
        assert it.house.counts["evictions"] == 1


async def test_a_model_in_use_is_never_unloaded() -> None:
    async with open_house(A, B, max_models=1, room_wait_s=0.0) as it:
        await it.house.lease("a")

        with pytest.raises(ModelLoadError, match="at most 1 models may be loaded at once, and in use is: a"):
            await it.house.lease("b")

        assert it.house.state("a") is State.READY
        assert it.loader.loads == ["a"]
        assert it.loader.engine("a").closed == 0


async def test_a_load_waits_until_a_model_in_use_is_released() -> None:
    async with open_house(A, B, max_models=1) as it, asyncio.TaskGroup() as tasks:
        lease = await it.house.lease("a")
        share = lease.share()
        waiting = tasks.create_task(it.house.lease("b"))
        lease.release()
        lease.release()
        await until(lambda: it.house.state("b") is State.LOADING)
        assert it.house.state("a") is State.READY

        share.release()

        assert (await waiting).model == B.model
        assert it.loader.engine("a").closed == 1


async def test_a_model_that_lacked_room_is_tried_again_once_there_is_some() -> None:
    async with open_house(A, B, max_models=1, room_wait_s=0.0) as it:
        lease = await it.house.lease("a")
        with pytest.raises(ModelLoadError):
            await it.house.lease("b")

        lease.release()

        assert (await it.house.lease("b")).model == B.model


async def test_models_make_room_by_memory() -> None:
    loader = FakeLoader()
    loader.sizes = {"a": 3 * GB, "b": 2 * GB, "c": 4 * GB}
    async with open_house(A, B, C, loader=loader, max_models=9, max_bytes=6 * GB) as it:
        for name in "abc":
            (await it.house.lease(name)).release()

        assert [it.house.state(name) for name in "abc"] == [State.NOT_LOADED, State.READY, State.READY]


async def test_a_model_larger_than_all_memory_fails_and_leaves_the_others() -> None:
    async with open_house(A, B, max_bytes=6 * GB) as it:
        (await it.house.lease("b")).release()
        it.weights.size_bytes = 7 * GB

        with pytest.raises(ModelLoadError, match=r"7\.0 GB of the 6\.0 GB"):
            await it.house.lease("a")

        assert it.house.state("b") is State.READY
        assert it.loader.loads == ["b"]


async def test_memory_in_use_is_waited_for() -> None:
    loader = FakeLoader()
    loader.sizes = {"a": 4 * GB, "b": 4 * GB}
    settings: dict[str, Any] = {"loader": loader, "weights": FakeWeights(GB), "max_bytes": 6 * GB}
    async with open_house(A, B, room_wait_s=0.0, **settings) as it:
        lease = await it.house.lease("a")

        with pytest.raises(ModelLoadError, match=r"4\.0 GB are taken of the 6\.0 GB .* in use is: a"):
            await it.house.lease("b")

        assert loader.engine("b").closed == 1
        lease.release()
        assert (await it.house.lease("b")).model == B.model


async def test_a_model_that_turns_out_larger_than_its_files_makes_room_before_it_is_prepared() -> None:
    loader = FakeLoader()
    loader.sizes = {"a": 3 * GB, "b": 4 * GB}
    async with open_house(A, B, loader=loader, weights=FakeWeights(GB), max_bytes=6 * GB) as it:
        for name in "ab":
            (await it.house.lease(name)).release()

        assert [it.house.state(name) for name in "ab"] == [State.NOT_LOADED, State.READY]


async def test_models_make_room_where_the_device_is_full() -> None:
    weights = FakeWeights(size_bytes=5 * GB)
    async with open_house(A, B, weights=weights) as it:
        (await it.house.lease("a")).release()
        # Enough for the model, and not for the steps that are to follow.
        enough = int(5 * GB * (1.0 + WORKING_SHARE)) + WORKING_BYTES
        it.loader.free = lambda: enough - GB if it.house.state("a") is State.READY else enough

        await it.house.lease("b")

        assert it.house.state("a") is State.NOT_LOADED


@pytest.mark.parametrize(("device", "is_spared"), [("cpu", True), ("cuda:0", False), ("mps", False)])
async def test_a_model_that_was_read_into_the_devices_memory_is_not_counted_twice(
    device: str, is_spared: bool
) -> None:
    loader = FakeLoader()
    loader.device, loader.sizes["b"] = device, 5 * GB
    async with open_house(A, B, loader=loader, weights=FakeWeights(size_bytes=5 * GB)) as it:
        (await it.house.lease("a")).release()
        # Enough for both, before the second is read as afterwards: what is left then is for the steps.
        working = int(5 * GB * WORKING_SHARE) + WORKING_BYTES
        it.loader.free = lambda: working + (0 if "b" in it.loader.loads else 5 * GB)

        await it.house.lease("b")

        assert (it.house.state("a") is State.READY) is is_spared


async def test_a_model_that_was_read_still_needs_room_for_its_steps() -> None:
    loader = FakeLoader()
    loader.device, loader.sizes["b"] = "cpu", 5 * GB
    async with open_house(A, B, loader=loader) as it:
        (await it.house.lease("a")).release()
        it.loader.free = lambda: WORKING_BYTES + (0 if "b" in it.loader.loads else 9 * GB)

        await it.house.lease("b")

        assert it.house.state("a") is State.NOT_LOADED


async def test_a_full_device_is_tried_where_nothing_can_be_unloaded() -> None:
    async with open_house(A, weights=FakeWeights(size_bytes=5 * GB)) as it:
        it.loader.free = lambda: GB

        assert (await it.house.lease("a")).model == A.model


async def test_running_out_of_memory_unloads_what_is_idle_and_is_tried_once_more() -> None:
    async with open_house(A, B) as it:
        (await it.house.lease("a")).release()
        it.loader.failures["b"] = [OutOfMemoryError("out of memory")]

        lease = await it.house.lease("b")

        assert lease.model == B.model
        assert it.house.state("a") is State.NOT_LOADED
        assert it.loader.loads == ["a", "b", "b"]


async def test_running_out_of_memory_twice_is_a_failure() -> None:
    async with open_house(A, B) as it:
        it.loader.prepare_failures["b"] = [OutOfMemoryError("the device is full") for _ in range(2)]

        with pytest.raises(ModelLoadError, match="the device is full"):
            await it.house.lease("b")

        assert [engine.closed for engine in it.loader.engines] == [1, 1]
        assert it.house.state("b") is State.FAILED


async def test_a_failed_load_is_told_and_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_house(A) as it:
        it.loader.failures["a"] = [ModelLoadError("a", "unet is cut short")]
        for _ in range(2):
            with pytest.raises(ModelLoadError, match="model a could not be loaded: unet is cut short"):
                await it.house.lease("a")
        assert it.loader.loads == ["a"]
        assert it.house.state("a") is State.FAILED
        assert it.house.describe()[0].error == "unet is cut short"
        assert it.house.counts["load_failures"] == 1

        monkeypatch.setattr(rooms, "FAILURE_MEMORY_S", 0.0)

        assert (await it.house.lease("a")).model == A.model
        assert it.house.describe()[0].error == ""


async def test_who_asks_for_a_model_that_fails_gets_the_fallback_and_learns_why() -> None:
    async with open_house(A, PAINTER, fallback_model="painter") as it:
        it.weights.missing["a"] = ModelLoadError("a", "no weights")

        lease = await it.house.lease("a")

        assert lease.model == PAINTER.model
        assert lease.warnings == ("model a could not be loaded, painted by painter: no weights",)
        assert lease.share().warnings == lease.warnings
        assert it.house.counts["fallbacks"] == 1


async def test_a_fallback_that_fails_as_well_is_told() -> None:
    async with open_house(A, B, fallback_model="b") as it:
        it.weights.missing = {name: ModelLoadError(name, f"no weights of {name}") for name in "ab"}

        with pytest.raises(ModelLoadError, match="no weights of a; nor could b: no weights of b"):
            await it.house.lease("a")
        with pytest.raises(ModelLoadError, match=r"model b could not be loaded: no weights of b$"):
            await it.house.lease("b")


@pytest.mark.parametrize("error", [RuntimeError("what now"), PaintingFailedError("it did not warm up")])
async def test_a_loaders_bug_costs_its_model_only(error: Exception) -> None:
    async with open_house(A, B) as it:
        it.loader.prepare_failures["a"] = [error]

        with pytest.raises(ModelLoadError, match=str(error)):
            await it.house.lease("a")

        assert it.loader.engine("a").closed == 1
        assert (await it.house.lease("b")).model == B.model


async def test_the_painter_is_always_ready_and_counts_for_nothing() -> None:
    async with open_house(A, PAINTER, max_models=1, room_wait_s=0.0) as it:
        assert it.house.state("painter") is State.READY
        with await it.house.lease("painter"):
            await it.house.lease("a")

        assert it.house.state("painter") is State.READY


async def test_a_model_that_nobody_uses_is_unloaded_after_a_while() -> None:
    async with open_house(A, B, PAINTER, idle_unload_s=0.001) as it:
        used = await it.house.lease("b")
        (await it.house.lease("a")).release()

        await until(lambda: it.loader.engine("a").closed == 1)

        assert it.house.state("a") is State.NOT_LOADED
        assert it.house.state("b") is State.READY
        assert it.house.state("painter") is State.READY
        used.release()


async def test_a_model_can_be_loaded_before_anybody_asks() -> None:
    async with open_house(A) as it:
        it.house.preload("a")
        it.house.preload("a")
        await until(lambda: it.house.state("a") is State.READY)
        it.house.preload("a")

        assert it.loader.loads == ["a"]


async def test_the_offer_begins_with_the_default_and_tells_sizes() -> None:
    loader, weights = FakeLoader(), FakeWeights(size_bytes=7)
    loader.sizes["b"] = 9
    weights.missing["c"] = ModelLoadError("c", "no weights")
    entries = (A, B, C, PAINTER)
    async with open_house(*entries, loader=loader, weights=weights, default_model="b") as it:
        await it.house.lease("")

        assert list(it.house.models) == ["b", "a", "c", "painter"]
        told = {status.entry.model.name: status for status in it.house.describe()}
        assert (told["b"].state, told["b"].size_bytes, told["b"].weights_found) == (State.READY, 9, True)
        assert (told["a"].state, told["a"].size_bytes, told["a"].engine) == (State.NOT_LOADED, 7, None)
        assert (told["c"].weights_found, told["c"].size_bytes) == (False, 0)
        assert told["painter"].weights_found


async def test_a_download_holds_up_no_load() -> None:
    async with open_house(A, B) as it, asyncio.TaskGroup() as tasks:
        it.weights.remote.add("a")
        it.weights.fetched.clear()
        waiting = tasks.create_task(it.house.lease("a"))
        await until(lambda: "a" in it.weights.in_use)

        assert (await it.house.lease("b")).model == B.model
        assert it.house.state("a") is State.LOADING

        it.weights.fetched.set()
        assert (await waiting).model == A.model
        assert it.loader.loads == ["b", "a"]


async def test_a_model_that_lacks_a_part_waits_behind_no_other_download() -> None:
    async with open_house(A, B) as it, asyncio.TaskGroup() as tasks:
        it.weights.remote.add("a")
        it.weights.plain.add("b")
        it.weights.fetched.clear()
        waiting = tasks.create_task(it.house.lease("a"))
        await until(lambda: "a" in it.weights.in_use)

        assert (await it.house.lease("b")).model == B.model

        assert it.weights.parts == []
        it.weights.fetched.set()
        await waiting


async def test_a_part_is_fetched_before_the_load_where_nothing_else_is() -> None:
    async with open_house(A) as it:
        it.weights.plain.add("a")

        await it.house.lease("a")

        assert it.weights.parts == ["a"]


async def test_a_part_that_takes_long_to_fetch_holds_up_no_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetching, "PARTS_WAIT_S", 0.0)
    async with open_house(A, B) as it, asyncio.TaskGroup() as tasks:
        it.weights.plain.add("a")
        it.weights.fetched.clear()

        assert (await it.house.lease("a")).model == A.model

        # It goes on, and what is fetched next comes after it.
        assert it.weights.parts == []
        it.weights.remote.add("b")
        waiting = tasks.create_task(it.house.lease("b"))
        it.weights.fetched.set()
        await waiting
        assert it.weights.parts == ["a", "b"]
    assert "model_parts_late" in capsys.readouterr().out


async def test_a_part_that_cannot_be_had_after_all_costs_a_loaded_model_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetching, "PARTS_WAIT_S", 0.0)
    untold: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: untold.append(context))
    async with open_house(A, B) as it:
        it.weights.plain.add("a")
        it.weights.fetched.clear()
        lease = await it.house.lease("a")

        it.weights.missing["a"] = ModelLoadError("a", "it is gone")
        it.weights.fetched.set()
        it.weights.remote.add("b")
        await it.house.lease("b")

        assert it.house.state("a") is State.READY
        assert it.house.counts["load_failures"] == 0
        lease.release()
    gc.collect()
    assert untold == []


async def test_a_download_that_fails_is_a_failed_load() -> None:
    async with open_house(A) as it:
        it.weights.remote.add("a")
        it.weights.missing["a"] = ModelLoadError("a", "the hub is gone")

        with pytest.raises(ModelLoadError, match="the hub is gone"):
            await it.house.lease("a")

        assert it.house.state("a") is State.FAILED


async def test_a_model_that_cannot_be_read_costs_no_other_its_place() -> None:
    async with open_house(A, B, max_models=1) as it:
        (await it.house.lease("a")).release()
        it.weights.missing["b"] = ModelLoadError("b", "it is not whole")

        with pytest.raises(ModelLoadError):
            await it.house.lease("b")

        assert it.house.state("a") is State.READY


async def test_an_alias_means_its_model() -> None:
    async with open_house(A, network("b", aliases=("owner/b", "the b")), fallback_model="the b") as it:
        lease = await it.house.lease("owner/b")

        assert lease.model == B.model
        assert it.house.fallback_model == "b"
        assert it.house.models["the b"] == B.model
        assert list(it.house.models) == ["a", "b"]
        assert it.house.aliases == {"owner/b": "b", "the b": "b"}


async def test_a_model_that_is_not_on_offer_is_refused_by_its_name() -> None:
    async with open_house(A, B) as it:
        with pytest.raises(RejectedError, match="model must be one of a, b, got 'c'") as told:
            await it.house.lease("c")

        assert told.value.field == "model"
        assert "c" not in it.house.models


@pytest.mark.parametrize("setting", ["default_model", "fallback_model"])
async def test_a_setting_that_names_no_model_stops_the_start(setting: str) -> None:
    settings: dict[str, Any] = {setting: "z"}
    with pytest.raises(ConfigurationError, match="must be one of a, got 'z'"):
        async with open_house(A, **settings):
            pytest.fail("it started")


async def test_a_family_that_nobody_loads_is_not_offered() -> None:
    other = network("d")
    async with open_house(A, type(other)(other.model, "sd", "owner/d")) as it:
        assert list(it.house.models) == ["a"]


async def test_the_disk_is_tidied_now_and_then_and_what_is_in_use_is_spared() -> None:
    async with open_house(A, B, cleanup_interval_s=0.001) as it:
        await until(lambda: it.weights.tidied[:1] == [[]])
        await it.house.lease("a")

        await until(lambda: it.weights.tidied[-1] == ["a"])
        await it.house.lease("b")

        assert sorted(it.weights.in_use) == ["a", "b"]


async def test_what_is_in_use_is_told_when_the_disk_is_tidied_and_not_before() -> None:
    weights, loader = FakeWeights(), FakeLoader()
    weights.tidying.clear()
    async with open_house(A, B, weights=weights, loader=loader) as it, asyncio.TaskGroup() as tasks:
        # The tidying waits, as it does behind a download; meanwhile one model is loaded and one is read.
        await it.house.lease("a")
        loader.gate.clear()
        waiting = tasks.create_task(it.house.lease("b"))
        await until(lambda: loader.loads == ["a", "b"])

        weights.tidying.set()

        await until(lambda: weights.tidied == [["a", "b"]])
        loader.gate.set()
        await waiting


async def test_an_engine_that_cannot_be_closed_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_house(A, B, max_models=1) as it:
        (await it.house.lease("a")).release()
        monkeypatch.setattr(it.loader.engine("a"), "close", lambda: 1 // 0)

        assert (await it.house.lease("b")).model == B.model


async def test_a_house_of_ready_engines_needs_no_loading() -> None:
    made = [LoadedEngine(entry.model) for entry in (A, B)]
    engines = cast(list[Engine], made)

    async with house_of(*engines, default_model="b", fallback_model="a") as house:
        assert list(house.models) == ["b", "a"]
        assert house.state("a") is State.READY
        lease = await house.lease("")
        assert lease.engine is engines[1]
        assert house.describe()[1].engine is engines[0]

    assert [engine.closed for engine in made] == [0, 0]
    assert [engine.prepared for engine in made] == [[], []]


def test_a_house_needs_a_model() -> None:
    with pytest.raises(ConfigurationError, match="no model to offer"):
        rooms.Rooms([], "")


@pytest.mark.parametrize("limit", [{"max_models": 1}, {"max_models": 3, "max_bytes": 10 * GB}])
async def test_who_does_not_wait_for_room_is_told_that_there_is_none_and_the_load_goes_on(
    limit: dict[str, int],
) -> None:
    loader, weights = FakeLoader(), FakeWeights(6 * GB)
    loader.sizes = dict.fromkeys("abc", 6 * GB)
    keeping = open_house(A, B, C, loader=loader, weights=weights, **limit)
    async with keeping as it, asyncio.TaskGroup() as tasks:
        lease = await it.house.lease("a")
        patient = tasks.create_task(it.house.lease("b"))
        with pytest.raises(CrowdedError):
            await it.house.lease("b", waits_for_room=False)
        with pytest.raises(CrowdedError):  # It would have to wait for the other load.
            await it.house.lease("c", waits_for_room=False)
        lease.release()
        (await patient).release()

        (await it.house.lease("c", waits_for_room=False)).release()
        assert it.loader.loads == ["a", "b", "c"]
        assert it.house.counts["load_failures"] == 0


async def test_a_load_that_needs_no_room_or_is_fetched_first_is_waited_for() -> None:
    weights = FakeWeights()
    weights.remote.add("c")
    weights.fetched.clear()
    async with open_house(A, B, C, weights=weights, max_models=1) as it, asyncio.TaskGroup() as tasks:
        lease = await it.house.lease("a", waits_for_room=False)
        fetched = tasks.create_task(it.house.lease("c", waits_for_room=False))
        await until(lambda: it.weights.in_use == ["a", "c"])
        patient = tasks.create_task(it.house.lease("b"))
        with pytest.raises(CrowdedError):
            await it.house.lease("b", waits_for_room=False)
        assert not fetched.done()
        lease.release()
        (await patient).release()
        weights.fetched.set()
        assert (await fetched).model == C.model


async def test_room_that_is_made_in_the_last_moment_is_used() -> None:
    async with open_house(A, B, max_models=1, room_wait_s=0.0) as it:
        lease = await it.house.lease("a")
        with pytest.raises(CrowdedError):
            await it.house.lease("b", waits_for_room=False)
        lease.release()

        assert (await it.house.lease("b")).model == B.model
        assert it.house.counts["load_failures"] == 0

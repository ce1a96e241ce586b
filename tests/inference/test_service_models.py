"""The calls for single pictures and the models that they name: loaded, replaced, let go."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from fakes import FakeEngine, until
from grpc import aio
from services import GatedLoader, running_service
from still_calls import request, wait_until_idle

from inference.models.entry import State
from protos import psyche_inference_v1_pb2 as pb


async def test_a_model_is_loaded_when_it_is_asked_for(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    async with running_service(loader.keep(ready=FakeEngine()), tmp_path) as service:
        before = await service.stub.GetImageModels(pb.ModelRequest())
        first = await service.stub.GenerateImage(request(model="big"))
        second = await service.stub.GenerateImage(request(model="big"))
        after = await service.stub.GetImageModels(pb.ModelRequest())

    assert [model.state for model in before.models] == [
        pb.ModelInfo.STATE_READY,
        pb.ModelInfo.STATE_NOT_LOADED,
    ]
    assert (before.models[1].device, before.models[1].max_batch) == ("", 0)
    assert after.models[1].state == pb.ModelInfo.STATE_READY
    assert first.metadata.model == second.metadata.model == "big"
    assert first.metadata.stage_ms["load"] > 0
    assert "load" not in second.metadata.stage_ms


async def test_a_model_that_cannot_be_loaded_is_replaced_and_the_caller_told(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big", default_steps=4))
    loader.broken["big"] = "unet/config.json is no JSON"
    keep = loader.keep(ready=FakeEngine("painter"), fallback_model="painter")
    async with running_service(keep, tmp_path) as service:
        response = await service.stub.GenerateImage(pb.ImageRequest(prompt="a barn", model="big"))
        offer = await service.stub.GetImageModels(pb.ModelRequest())

    metadata = response.metadata
    # What was left open is the other model's default.
    assert (metadata.model, metadata.steps) == ("painter", 1)
    (warning,) = metadata.warnings
    assert warning == ("model big could not be loaded, painted by painter: unet/config.json is no JSON")
    assert offer.models[1].state == pb.ModelInfo.STATE_FAILED
    assert offer.models[1].error == "unet/config.json is no JSON"


async def test_without_a_fallback_a_model_that_cannot_be_loaded_fails_the_call(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.broken["big"] = "no model_index.json"
    async with running_service(loader.keep(ready=FakeEngine()), tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as failed:
            await service.stub.GenerateImage(request(model="big"))
        await service.stub.GenerateImage(request())

    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == "model big could not be loaded: no model_index.json"


async def test_a_fallback_that_cannot_paint_the_request_says_both(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.broken["big"] = "no model_index.json"
    keep = loader.keep(ready=FakeEngine("painter", max_size=32), fallback_model="painter")
    async with running_service(keep, tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as failed:
            await service.stub.GenerateImage(request(model="big"))

    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "no model_index.json" in failed.value.details()
    assert "painter cannot paint it: settings.width must be" in failed.value.details()


async def test_a_request_that_waits_for_its_model_is_cancelled_by_its_id(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    async with running_service(loader.keep(ready=FakeEngine()), tmp_path) as service:
        waits = service.stub.GenerateImage(request(model="big", request_id="w"))
        await until(lambda: service.core.house.state("big") is State.LOADING)
        cancelled = await service.stub.CancelImage(pb.CancelRequest(request_id="w"))
        with pytest.raises(aio.AioRpcError) as ended:
            await waits
        loader.gate.set()

    assert cancelled.cancelled == 1
    assert ended.value.code() is grpc.StatusCode.CANCELLED


async def test_while_a_model_is_loaded_the_others_paint(tmp_path: Path) -> None:
    loader = GatedLoader(FakeEngine("big"))
    loader.gate.clear()
    async with running_service(loader.keep(ready=FakeEngine()), tmp_path) as service:
        waits = service.stub.GenerateImage(request(model="big"))
        await until(lambda: service.core.house.state("big") is State.LOADING)
        await service.stub.GenerateImage(request())
        loader.gate.set()

        assert (await waits).metadata.model == "big"


@pytest.mark.parametrize(
    ("end", "code"), [("painted", "OK"), ("fails to finish", "INTERNAL"), ("cancelled", "CANCELLED")]
)
async def test_a_call_lets_its_model_go_however_it_ends(tmp_path: Path, end: str, code: str) -> None:
    big = FakeEngine("big")
    loader = GatedLoader(big)
    async with running_service(loader.keep(ready=FakeEngine()), tmp_path) as service:
        if end == "cancelled":
            big.gate.clear()
        call = service.stub.GenerateImage(request(end, model="big"))
        if end == "cancelled":
            await big.wait_until_stepping()
            call.cancel()
            await wait_until_idle(service)
            big.gate.set()
        assert (await call.code()).name == code
        await wait_until_idle(service)
        house = service.core.house
        # In use is what is leased: nothing is.
        await until(lambda: all(room.leases == 0 for room in house._rooms.all()))

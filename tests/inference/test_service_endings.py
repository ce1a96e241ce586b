"""How calls for single pictures end when they do not end well, and what that costs the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from fakes import SOON_S, FakeEngine, until
from google.protobuf.message import Message
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from services import outliving_channel, running_service
from still_calls import read_or_error, request, wait_until_idle

from inference import service as module
from inference.engine import (
    EngineError,
    OutOfMemoryError,
    PaintingFailedError,
    RejectedError,
)
from inference.errors import (
    BusyError,
    CancelledByIdError,
    CoreError,
    LateError,
    ModelLoadError,
    NotOpenError,
    StoppingError,
    TooManyCreditsError,
)
from inference.service import tell_error
from protos import psyche_inference_v1_pb2 as pb


async def test_cancelling_frees_the_place_and_leaves_the_neighbour(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=2)
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        stays = service.stub.GenerateImage(request("stays", steps=3))
        gone = service.stub.GenerateImage(request("gone", steps=100))
        await engine.wait_until_stepping()
        await until(lambda: service.core.scheduler.unfinished == 2)
        gone.cancel()
        await until(lambda: service.core.scheduler.unfinished == 1)
        engine.gate.set()

        response = await stays
        await wait_until_idle(service)
        with service.core.scheduler.admit(64):  # Every place is free again.
            pass

    assert response.metadata.steps == 3
    assert engine.finished == ["stays"]


async def test_a_request_is_cancelled_by_its_id_and_the_neighbour_goes_on(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=2)
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        stays = service.stub.GenerateImage(request("stays", steps=3, request_id="a"))
        gone = service.stub.GenerateImage(request("gone", steps=100, request_id="b"))
        await engine.wait_until_stepping()
        await until(lambda: service.core.scheduler.unfinished == 2)
        cancelled = await service.stub.CancelImage(pb.CancelRequest(request_id="b"))
        again = await service.stub.CancelImage(pb.CancelRequest(request_id="b"))
        unknown = await service.stub.CancelImage(pb.CancelRequest())
        with pytest.raises(aio.AioRpcError) as ended:
            await gone
        engine.gate.set()
        await stays

    assert (cancelled.cancelled, again.cancelled, unknown.cancelled) == (1, 0, 0)
    assert ended.value.code() is grpc.StatusCode.CANCELLED
    assert ended.value.details() == "request b was cancelled"
    assert engine.finished == ["stays"]


async def test_the_id_that_progress_told_cancels(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.spend = lambda rows: engine.gate.clear() if len(engine.batches) == 1 else None
    async with running_service(engine, tmp_path) as service:
        call = service.stub.GenerateImageStream(request(steps=100))
        first = await anext(aiter(call))
        cancelled = await service.stub.CancelImage(pb.CancelRequest(request_id=first.progress.request_id))
        engine.gate.set()
        with pytest.raises(aio.AioRpcError) as ended:
            _ = [event async for event in call]

    assert cancelled.cancelled == 1
    assert ended.value.code() is grpc.StatusCode.CANCELLED


async def test_cancelling_variations_tells_how_many_were_left(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=1)
    engine.spend = lambda rows: engine.gate.clear() if len(engine.batches) == 2 else None
    async with running_service(engine, tmp_path) as service:
        asked = pb.ImageVariationsRequest(request=request(request_id="v"), count=5)
        call = service.stub.GenerateImageVariations(asked)
        painted = [await anext(aiter(call)) for _ in range(2)]
        await engine.wait_until_stepping()
        cancelled = await service.stub.CancelImage(pb.CancelRequest(request_id="v"))
        engine.gate.set()
        with pytest.raises(aio.AioRpcError) as ended:
            await anext(aiter(call))

    assert (len(painted), cancelled.cancelled) == (2, 3)
    assert ended.value.code() is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize("call", ["stream", "variations"])
async def test_a_call_that_is_cancelled_at_any_moment_ends(tmp_path: Path, call: str) -> None:
    engine = FakeEngine()
    async with running_service(engine, tmp_path) as service:
        for turns in range(60):
            asked = request(steps=20, request_id="r", previews=True)
            stream = (
                service.stub.GenerateImageStream(asked)
                if call == "stream"
                else service.stub.GenerateImageVariations(pb.ImageVariationsRequest(request=asked, count=20))
            )
            begun = len(engine.batches)
            await until(lambda begun=begun, turns=turns: len(engine.batches) >= begun + turns % 19)  # type: ignore[misc]
            cancelled = await service.stub.CancelImage(pb.CancelRequest(request_id="r"))
            while isinstance(await asyncio.wait_for(read_or_error(stream), SOON_S), Message):
                pass

            code = await stream.code()
            assert code is (grpc.StatusCode.CANCELLED if cancelled.cancelled else grpc.StatusCode.OK)


async def test_a_step_without_memory_is_told_and_the_service_goes_on(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=1)
    engine.fail = lambda prompts: OutOfMemoryError("the device is full") if "huge" in prompts else None
    async with running_service(engine, tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as failed:
            await service.stub.GenerateImage(request("huge"))
        response = await service.stub.GenerateImage(request("small"))

    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failed.value.details() == "the device is full"
    assert "retry-after-ms" not in dict(failed.value.trailing_metadata())
    assert response.metadata.seed == 7


async def test_a_batch_without_memory_is_painted_in_smaller_ones(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=4)
    engine.fail = lambda prompts: OutOfMemoryError("the device is full") if len(prompts) > 1 else None
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        calls = [service.stub.GenerateImage(request(f"p{n}")) for n in range(4)]
        await engine.wait_until_stepping()
        await until(lambda: service.core.scheduler.unfinished == 4)
        engine.gate.set()
        await asyncio.gather(*calls)

    assert sorted(engine.finished) == ["p0", "p1", "p2", "p3"]


async def test_a_call_past_its_deadline_is_given_up(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        await service.channel.channel_ready()
        call = service.stub.GenerateImage(request(steps=100), timeout=1.0)
        await engine.wait_until_stepping()
        with pytest.raises(aio.AioRpcError) as late:
            await call
        await wait_until_idle(service)
        engine.gate.set()

    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(engine.batches) < 100


async def test_more_than_may_wait_are_refused_and_told_when_to_come_back(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with running_service(engine, tmp_path, max_waiting=1) as service:
        first = service.stub.GenerateImage(request())
        await engine.wait_until_stepping()
        with pytest.raises(aio.AioRpcError) as refused:
            await service.stub.GenerateImage(request())
        engine.gate.set()
        await first
        await service.stub.GenerateImage(request())

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ("retry-after-ms", "1000") in tuple(refused.value.trailing_metadata())


async def test_a_failing_picture_costs_its_call_only(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as failed:
            await service.stub.GenerateImage(request("fails to finish"))
        await service.stub.GenerateImage(request())

    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert failed.value.details() == "it failed to finish"


async def test_a_bug_is_told_without_its_inside(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.check = lambda picture: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    async with running_service(engine, tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as failed:
            await service.stub.GenerateImage(request())

    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert failed.value.details() == "a bug of the service: ZeroDivisionError"


async def test_a_call_under_way_is_finished_by_a_graceful_stop(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        # A channel of its own outlives the service's.
        channel = outliving_channel(service.address)
        call = module.pb_grpc.ImageGenerationServiceStub(channel).GenerateImage(request())
        await engine.wait_until_stepping()
        asyncio.get_running_loop().call_later(0.01, engine.gate.set)

    assert (await call).metadata.seed == 7
    await channel.close()


async def test_a_call_that_does_not_finish_in_the_grace_period_is_ended(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with running_service(engine, tmp_path, grace_period_s=0.02) as service:
        channel = outliving_channel(service.address)
        call = module.pb_grpc.ImageGenerationServiceStub(channel).GenerateImage(request(steps=100))
        await engine.wait_until_stepping()
        call.add_done_callback(lambda _: engine.gate.set())

    assert await call.code() is not grpc.StatusCode.OK
    assert len(engine.batches) < 100
    await channel.close()


async def test_the_contract_is_told_where_that_was_asked_for(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path, reflection=True) as service:
        reflection = reflection_pb2_grpc.ServerReflectionStub(service.channel)
        call = reflection.ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        response = await call.read()
        call.cancel()

    told = {service.name for service in response.list_services_response.service}
    assert "psyche.inference.v1.ImageGenerationService" in told
    assert "grpc.health.v1.Health" in told


async def test_messages_above_grpcs_own_limit_arrive(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as refused:
            await service.stub.GenerateImage(request(source=pb.SourceImage(data=bytes(5 * 1024 * 1024))))

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_stopping_core_takes_no_live_picture(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        service.core.stop()

        assert await service.stub.Paint().code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("error", "code", "trailer"),
    [
        (RejectedError("model", "no"), "INVALID_ARGUMENT", (("psyche-field", "model"),)),
        (PaintingFailedError("no"), "INTERNAL", ()),
        (BusyError(1, 250), "RESOURCE_EXHAUSTED", (("retry-after-ms", "250"),)),
        (TooManyCreditsError(8), "RESOURCE_EXHAUSTED", ()),
        (NotOpenError("no"), "FAILED_PRECONDITION", ()),
        (StoppingError(), "UNAVAILABLE", ()),
        (ModelLoadError("m", "no"), "FAILED_PRECONDITION", ()),
        (LateError(), "DEADLINE_EXCEEDED", ()),
        (CancelledByIdError("r"), "CANCELLED", ()),
        (OutOfMemoryError("no"), "RESOURCE_EXHAUSTED", ()),
    ],
)
def test_each_error_has_its_status(
    error: EngineError | CoreError, code: str, trailer: tuple[tuple[str, str], ...]
) -> None:
    status, told = tell_error(error)

    assert (status.name, told) == (code, trailer)

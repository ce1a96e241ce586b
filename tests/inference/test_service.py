"""The calls for single pictures, over a real channel."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import grpc
import pytest
from fakes import FakeEngine, RunningService, running_service, until
from grpc import aio
from PIL import Image

from inference import service as module
from inference.engine import EngineError, PaintingFailedError, RejectedError
from inference.errors import BusyError, CoreError, NotOpenError, StoppingError, TooManyCreditsError
from inference.service import tell_error
from protos import psyche_inference_v1_pb2 as pb


def request(prompt: str = "a lighthouse", *, steps: int = 1, **fields: object) -> pb.ImageRequest:
    settings = pb.ImageSettings(width=64, height=72, seed=7, steps=steps)
    return pb.ImageRequest(prompt=prompt, settings=settings, **fields)  # type: ignore[arg-type]


def source_file(size: tuple[int, int] = (24, 24)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (10, 20, 30)).save(file, "PNG")
    return file.getvalue()


async def wait_until_idle(service: RunningService) -> None:
    """What a client gives up reaches the service soon."""
    await until(lambda: service.core.scheduler.unfinished == 0)


async def test_a_picture_comes_with_all_that_made_it(tmp_path: Path) -> None:
    asked = request(request_id="mine", output=pb.OutputSettings(format="png"), context=["earlier"])
    asked.settings.style = "oil"
    asked.settings.guidance_scale = 7.5
    async with running_service(FakeEngine(), tmp_path) as service:
        response = await service.stub.GenerateImage(asked)

    image = Image.open(io.BytesIO(response.image_data))
    assert (image.format, image.size) == ("PNG", (64, 72))
    assert image.getpixel((0, 0)) == (7, len("a lighthouse"), 0)
    assert (response.request_id, response.format, response.error, response.index) == ("mine", "png", "", 0)
    metadata = response.metadata
    assert (metadata.model, metadata.engine, metadata.is_neural) == ("fake", "procedural", False)
    assert (metadata.seed, metadata.steps, metadata.width, metadata.height) == (7, 1, 64, 72)
    assert (metadata.style, metadata.guidance_scale) == ("oil", 7.5)
    assert list(metadata.warnings) == [
        "context was not used: pictures are painted from the prompt alone",
        "guidance_scale was not used: flat colours need no guidance",
    ]
    assert metadata.painted_for_ms > 0
    assert metadata.encoded_for_ms > 0
    assert metadata.queued_for_ms >= 0
    assert metadata.finished_ms > 1.7e12


async def test_a_source_and_a_mask_reach_the_engine_as_pixels(tmp_path: Path) -> None:
    engine = FakeEngine()
    seen: list[tuple[object, object]] = []
    engine.check = lambda picture: seen.append((picture.source, picture.mask)) or ()  # type: ignore[method-assign,func-returns-value]
    images = {"source": pb.SourceImage(data=source_file()), "mask": pb.SourceImage(data=source_file((9, 8)))}
    async with running_service(engine, tmp_path) as service:
        await service.stub.GenerateImage(request(**images))

    ((source, mask),) = seen
    assert (source.shape, mask.shape) == ((24, 24, 3), (8, 9, 3))  # type: ignore[attr-defined]


BAD_REQUESTS = [
    (request(""), "prompt"),
    (request("unpaintable"), "prompt"),
    (request(model="none"), "model"),
    (request(steps=101), "settings.steps"),
    (request(output=pb.OutputSettings(format="gif")), "output.format"),
    (request(source=pb.SourceImage()), "source.data"),
    (request(source=pb.SourceImage(data=b"x")), "source.data"),
    (request(mask=pb.SourceImage(data=source_file())), "mask"),
    (
        request(source=pb.SourceImage(data=source_file()), mask=pb.SourceImage(data=b"x")),
        "mask.data",
    ),
]


@pytest.mark.parametrize(("bad", "field"), BAD_REQUESTS, ids=[field for _, field in BAD_REQUESTS])
async def test_every_call_names_the_bad_field(tmp_path: Path, bad: pb.ImageRequest, field: str) -> None:
    variations = pb.ImageVariationsRequest(request=bad, count=2)
    async with running_service(FakeEngine(), tmp_path) as service:
        for call in (
            service.stub.GenerateImage(bad),
            _first(service.stub.GenerateImageStream(bad)),
            _first(service.stub.GenerateImageVariations(variations)),
        ):
            with pytest.raises(aio.AioRpcError) as refused:
                await call

            error = refused.value
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert ("psyche-field", field) in tuple(error.trailing_metadata())
            assert error.details().startswith(field)
        assert service.core.scheduler.unfinished == 0


async def _first(stream: aio.UnaryStreamCall) -> object:
    return await anext(aiter(stream))


async def test_variations_differ_by_seed_and_share_steps(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=4)
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        asked = request(output=pb.OutputSettings(format="png"))
        call = service.stub.GenerateImageVariations(pb.ImageVariationsRequest(request=asked, count=6))
        await engine.wait_until_stepping()
        engine.gate.set()
        responses = [response async for response in call]

    assert sorted(response.index for response in responses) == list(range(6))
    assert all(response.metadata.seed == 7 + response.index for response in responses)
    assert len({response.image_data for response in responses}) == 6
    assert len({response.request_id for response in responses}) == 1
    assert len(engine.batches) < 6


@pytest.mark.parametrize("count", [0, 65])
async def test_a_bad_count_of_variations_is_named(tmp_path: Path, count: int) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as refused:
            await _first(
                service.stub.GenerateImageVariations(
                    pb.ImageVariationsRequest(request=request(), count=count)
                )
            )

    assert ("psyche-field", "count") in tuple(refused.value.trailing_metadata())


async def test_a_failing_variation_fails_the_call(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.fail = lambda prompts: PaintingFailedError("no paint left")
    async with running_service(engine, tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as failed:
            await _first(
                service.stub.GenerateImageVariations(pb.ImageVariationsRequest(request=request(), count=3))
            )

    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert failed.value.details() == "no paint left"


@pytest.mark.parametrize("previews", [True, False])
async def test_progress_is_told_at_each_step_and_previews_on_request(
    tmp_path: Path, *, previews: bool
) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        call = service.stub.GenerateImageStream(request(steps=4, request_id="mine", previews=previews))
        *steps, last = [event async for event in call]

    assert [(event.progress.step, event.progress.total_steps) for event in steps] == [
        (1, 4),
        (2, 4),
        (3, 4),
        (4, 4),
    ]
    assert {event.progress.request_id for event in steps} == {"mine"}
    # The last step's preview would be the picture itself.
    assert [event.progress.preview[:2] for event in steps] == [b"\xff\xd8" if previews else b""] * 3 + [b""]
    assert last.image.metadata.steps == 4


async def test_the_offer_tells_models_styles_and_the_pace(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        before = await service.stub.GetImageModels(pb.ModelRequest())
        await service.stub.GenerateImage(request())
        after = await service.stub.GetImageModels(pb.ModelRequest())

    assert [model.name for model in before.models] == ["fake", "tiny"]
    assert (before.default_model, before.device) == ("fake", "cpu")
    assert [(style.name, style.description) for style in before.styles] == [("oil", "Oil on canvas")]
    assert before.models[1].max_steps == 4
    assert {model.state for model in before.models} == {pb.ModelInfo.STATE_READY}
    assert [model.measured_megapixels_per_s for model in before.models] == [0, 0]
    assert after.models[0].measured_megapixels_per_s > 0
    assert after.models[1].measured_megapixels_per_s == 0


async def test_cancelling_frees_the_place_and_leaves_the_neighbour(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=2)
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        stays = service.stub.GenerateImage(request("stays", steps=3))
        gone = service.stub.GenerateImage(request("gone", steps=100))
        await engine.wait_until_stepping()
        await until(lambda: service.core.scheduler.unfinished == 2)
        gone.cancel()
        engine.gate.set()

        response = await stays
        await wait_until_idle(service)
        with service.core.scheduler.admit(64):  # Every place is free again.
            pass

    assert response.metadata.steps == 3
    assert engine.finished == ["stays"]


async def test_a_call_past_its_deadline_is_given_up(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        with pytest.raises(aio.AioRpcError) as late:
            await service.stub.GenerateImage(request(steps=100), timeout=0.03)
        engine.gate.set()
        await wait_until_idle(service)

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
        channel = aio.insecure_channel(service.address)
        call = module.pb_grpc.ImageGenerationServiceStub(channel).GenerateImage(request())
        await engine.wait_until_stepping()
        asyncio.get_running_loop().call_later(0.01, engine.gate.set)

    assert (await call).metadata.seed == 7
    await channel.close()


async def test_a_call_that_does_not_finish_in_the_grace_period_is_ended(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with running_service(engine, tmp_path, grace_period_s=0.02) as service:
        channel = aio.insecure_channel(service.address)
        call = module.pb_grpc.ImageGenerationServiceStub(channel).GenerateImage(request(steps=100))
        await engine.wait_until_stepping()
        call.add_done_callback(lambda _: engine.gate.set())

    assert await call.code() is not grpc.StatusCode.OK
    assert len(engine.batches) < 100
    await channel.close()


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
    ],
)
def test_each_error_has_its_status(
    error: EngineError | CoreError, code: str, trailer: tuple[tuple[str, str], ...]
) -> None:
    status, told = tell_error(error)

    assert (status.name, told) == (code, trailer)

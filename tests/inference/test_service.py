"""The calls for single pictures, over a real channel."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from fakes import FakeEngine, until
from google.protobuf.message import Message
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image
from services import GatedLoader, NoisyEngine, RunningService, running_service

from inference import service as module
from inference.engine import (
    EngineError,
    ModelDescription,
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
from inference.models.entry import State
from inference.offer import describe_offer
from inference.service import tell_error
from inference.styles import STYLES, TEMPLATES
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
    assert image.getpixel((0, 0)) == (7, len("a lighthouse, earlier"), 0)
    assert (response.request_id, response.format, response.error, response.index) == ("mine", "png", "", 0)
    metadata = response.metadata
    assert (metadata.model, metadata.engine, metadata.is_neural) == ("fake", "procedural", False)
    assert (metadata.seed, metadata.steps, metadata.width, metadata.height) == (7, 1, 64, 72)
    assert (metadata.style, metadata.guidance_scale) == ("oil", 7.5)
    assert list(metadata.warnings) == ["guidance_scale was not used: flat colours need no guidance"]
    assert (metadata.prompt, list(metadata.context)) == ("a lighthouse, earlier", ["earlier"])
    assert (metadata.device, metadata.upscaler, dict(metadata.stage_ms)) == ("cpu", "", {"denoise": 250.0})
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


async def test_the_offer_tells_models_styles_templates_and_the_pace(tmp_path: Path) -> None:
    engines = FakeEngine(size_bytes=1000), FakeEngine("tiny", max_steps=4, max_batch=2)
    async with running_service(engines[0], tmp_path, engines[1]) as service:
        before = await service.stub.GetImageModels(pb.ModelRequest())
        await service.stub.GenerateImage(request())
        after = await service.stub.GetImageModels(pb.ModelRequest())
        assert after == describe_offer(service.core.house, service.core.scheduler)

    assert [model.name for model in before.models] == ["fake", "tiny"]
    assert (before.default_model, before.device) == ("fake", "cpu")
    assert [(style.name, style.template) for style in before.styles] == [
        (style.name, style.template) for style in STYLES.values()
    ]
    assert [template.name for template in before.templates] == list(TEMPLATES)
    assert before.templates[0].template == "{prompt}, {context}"
    fake, tiny = before.models
    assert (fake.max_steps, tiny.max_steps) == (100, 4)
    assert (fake.max_batch, tiny.max_batch) == (4, 2)
    assert (fake.size_bytes, fake.weights_found, fake.error, fake.device) == (1000, True, "", "cpu")
    assert {model.state for model in before.models} == {pb.ModelInfo.STATE_READY}
    assert [model.measured_megapixels_per_s for model in before.models] == [0, 0]
    assert list(fake.step_times) == []
    assert after.models[0].measured_megapixels_per_s > 0
    assert [time.rows for time in after.models[0].step_times] == [1]
    assert after.models[0].step_times[0].step_ms > 0
    assert after.models[1].measured_megapixels_per_s == 0


async def test_a_request_names_its_model(tmp_path: Path) -> None:
    tiny = FakeEngine("tiny")
    async with running_service(FakeEngine(), tmp_path, tiny) as service:
        response = await service.stub.GenerateImage(request(model="tiny"))

    assert response.metadata.model == "tiny"
    assert tiny.finished == ["a lighthouse"]


class NeuralEngine(FakeEngine):
    """Says that it is a neural network, with words of its own around every prompt."""

    @property
    def model(self) -> ModelDescription:
        return replace(super().model, is_neural=True, engine="sdxl", prompt_template="best of {prompt}")


async def test_a_neural_network_is_given_all_the_words(tmp_path: Path) -> None:
    engine = NeuralEngine()
    asked = request("a barn", context=["in winter", "at night"])
    asked.settings.style, asked.settings.template = "noir", "photo"
    async with running_service(engine, tmp_path) as service:
        response = await service.stub.GenerateImage(asked)

    photo = TEMPLATES["photo"].prompt("a barn, at night, in winter")
    whole = "best of " + STYLES["noir"].prompt(photo)
    assert engine.finished == [whole]
    assert (response.metadata.prompt, response.metadata.style) == (whole, "noir")


async def test_a_painter_paints_the_style_and_reads_the_other_words(tmp_path: Path) -> None:
    engine = FakeEngine()
    asked = request("a barn")
    asked.settings.style, asked.settings.template = "noir", "photo"
    async with running_service(engine, tmp_path) as service:
        await service.stub.GenerateImage(asked)

    assert engine.finished == [TEMPLATES["photo"].prompt("a barn")]


@pytest.mark.parametrize("factor", [2, 4])
async def test_a_picture_is_made_larger_on_request(tmp_path: Path, factor: int) -> None:
    asked = request(output=pb.OutputSettings(format="png"))
    asked.settings.upscale = factor
    async with running_service(FakeEngine(), tmp_path) as service:
        response = await service.stub.GenerateImage(asked)

    metadata = response.metadata
    assert Image.open(io.BytesIO(response.image_data)).size == (64 * factor, 72 * factor)
    assert (metadata.width, metadata.height) == (64 * factor, 72 * factor)
    assert metadata.upscaler == "lanczos"
    assert metadata.stage_ms["upscale"] > 0


async def test_what_the_engine_finds_unusable_while_it_paints_is_warned_of(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        response = await service.stub.GenerateImage(request("long story"))

    assert list(response.metadata.warnings) == ["the end of the prompt was not used"]


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
    async with running_service(FakeEngine(), tmp_path) as service:
        call = service.stub.GenerateImageStream(request(steps=100))
        first = await anext(aiter(call))
        cancelled = await service.stub.CancelImage(pb.CancelRequest(request_id=first.progress.request_id))
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


async def test_variations_take_the_places_that_are_free(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=8)
    engine.gate.clear()
    async with running_service(engine, tmp_path, max_waiting=3) as service:
        single = service.stub.GenerateImage(request("single"))
        await engine.wait_until_stepping()
        call = service.stub.GenerateImageVariations(pb.ImageVariationsRequest(request=request(), count=6))
        await until(lambda: service.core.scheduler.unfinished == 3)
        with pytest.raises(BusyError), service.core.scheduler.admit(1):
            pass
        engine.gate.set()

        assert len([response async for response in call]) == 6
        await single
        with service.core.scheduler.admit(3):  # Every place is free again.
            pass


def has_places(service: RunningService, places: int) -> bool:
    try:
        with service.core.scheduler.admit(places):
            return True
    except BusyError:
        return False


async def test_variations_that_nobody_reads_hold_one_place_and_stop_the_engine(tmp_path: Path) -> None:
    engine = NoisyEngine(max_batch=8)
    async with running_service(engine, tmp_path, max_waiting=10) as service:
        asked = request(request_id="v", output=pb.OutputSettings(quality=100))
        variations = pb.ImageVariationsRequest(request=asked, count=64)
        call = service.stub.GenerateImageVariations(variations)
        # All that may be unsent are painted, and hold no place any more but the call's own.
        await until(lambda: len(engine.finished) >= 8 and has_places(service, 9))

        assert len(engine.finished) <= 16
        await service.stub.GenerateImage(request())
        assert (await service.stub.CancelImage(pb.CancelRequest(request_id="v"))).cancelled > 0
        await until(lambda: has_places(service, 10))
        while isinstance(await asyncio.wait_for(_read_or_error(call), 5), Message):
            pass
        assert await call.details() == "request v was cancelled"


async def test_every_variation_is_painted_though_there_is_one_place_only(tmp_path: Path) -> None:
    async with running_service(FakeEngine(max_batch=4), tmp_path, max_waiting=1) as service:
        call = service.stub.GenerateImageVariations(pb.ImageVariationsRequest(request=request(), count=6))

        assert sorted([response.index async for response in call]) == list(range(6))


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
            while isinstance(await asyncio.wait_for(_read_or_error(stream), 5), Message):
                pass

            code = await stream.code()
            assert code is (grpc.StatusCode.CANCELLED if cancelled.cancelled else grpc.StatusCode.OK)


async def _read_or_error(call: aio.UnaryStreamCall) -> object:
    try:
        return await call.read()
    except aio.AioRpcError as error:
        return error


async def test_one_users_calls_share_one_part_of_the_engine(tmp_path: Path) -> None:
    engine = FakeEngine(max_batch=1)
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        greedy = [service.stub.GenerateImage(request(f"g{n}", user_id="greedy")) for n in range(6)]
        await engine.wait_until_stepping()
        await until(lambda: service.core.scheduler.unfinished == 6)
        other = service.stub.GenerateImage(request("other", user_id="other"))
        await until(lambda: service.core.scheduler.unfinished == 7)
        engine.gate.set()
        await asyncio.gather(other, *greedy)

    assert "other" in engine.finished[:3]  # And not behind all that came before it.


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
            big.gate.set()
        assert (await call.code()).name == code
        await wait_until_idle(service)
        house = service.core.house
        # In use is what is leased: nothing is.
        await until(lambda: all(room.leases == 0 for room in house._rooms.all()))


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

"""The calls for single pictures, over a real channel."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from fakes import SOON_S, FakeEngine, until
from google.protobuf.message import Message
from grpc import aio
from PIL import Image
from services import NoisyEngine, RunningService, running_service
from still_calls import read_or_error, request, source_file

from inference.engine import (
    ModelDescription,
    PaintingFailedError,
)
from inference.errors import (
    BusyError,
)
from inference.offer import describe_offer
from inference.styles import STYLES, TEMPLATES
from protos import psyche_inference_v1_pb2 as pb


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
        while isinstance(await asyncio.wait_for(read_or_error(call), SOON_S), Message):
            pass
        assert await call.details() == "request v was cancelled"


async def test_every_variation_is_painted_though_there_is_one_place_only(tmp_path: Path) -> None:
    async with running_service(FakeEngine(max_batch=4), tmp_path, max_waiting=1) as service:
        call = service.stub.GenerateImageVariations(pb.ImageVariationsRequest(request=request(), count=6))

        assert sorted([response.index async for response in call]) == list(range(6))


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

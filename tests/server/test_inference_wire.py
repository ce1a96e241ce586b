"""The contract's messages to and from our own values."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from protos import psyche_inference_v1_pb2 as pb
from server.errors import InferenceRejectedError
from server.generation import inference_wire as wire
from server.generation.picture import (
    LiveFrame,
    PaintProgress,
    PaintRefusal,
    PictureMetadata,
    PictureOrder,
    Progress,
    StepTime,
    StyleInfo,
    TemplateInfo,
)


FULL = PictureOrder(
    prompt="sea",
    negative_prompt="people",
    model="sdxl-turbo",
    style="ink",
    width=768,
    height=512,
    steps=4,
    guidance_scale=0.5,
    seed=0,
    strength=0.25,
    template="photo",
    upscale=2,
    source=b"source",
    mask=b"mask",
    format="webp",
    quality=80,
    user_id="ada",
    request_id="r1",
    context=("a", "b"),
)


def test_every_field_of_an_order_is_written() -> None:
    request = wire.image_request(FULL, previews=True)

    assert request == pb.ImageRequest(
        prompt="sea",
        negative_prompt="people",
        model="sdxl-turbo",
        settings=pb.ImageSettings(
            width=768,
            height=512,
            steps=4,
            guidance_scale=0.5,
            seed=0,
            style="ink",
            strength=0.25,
            template="photo",
            upscale=2,
        ),
        user_id="ada",
        context=["a", "b"],
        source=pb.SourceImage(data=b"source"),
        mask=pb.SourceImage(data=b"mask"),
        output=pb.OutputSettings(format="webp", quality=80),
        request_id="r1",
        previews=True,
    )


def test_what_an_order_leaves_open_is_unset_and_not_zero() -> None:
    request = wire.image_request(PictureOrder(prompt="sea"))

    unset = [field.name for field in pb.ImageSettings.DESCRIPTOR.fields]
    assert [name for name in unset if request.settings.HasField(name)] == []
    assert not request.output.HasField("quality")
    assert not request.HasField("source")
    assert not request.HasField("mask")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 2**31}, "seed"),
        ({"width": 2**40}, "width"),
        ({"height": 512.5}, "height"),
        ({"quality": -(2**40)}, "quality"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"style": "\ud800"}, "style"),
        ({"template": "\ud800"}, "template"),
        ({"upscale": 2**40}, "upscale"),
        ({"context": ("\ud800",)}, "context"),
        ({"source": bytes(32 << 20), "mask": bytes(32 << 20)}, "source"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_name(change: dict[str, Any], field: str) -> None:
    order = dataclasses.replace(FULL, **change)

    with pytest.raises(InferenceRejectedError) as refusal:
        wire.image_request(order)

    assert refusal.value.field == field


@pytest.mark.parametrize("count", [-1, 2**32])
def test_a_count_that_does_not_fit_is_refused_by_its_name(count: int) -> None:
    with pytest.raises(InferenceRejectedError) as refusal:
        wire.variations_request(FULL, count)

    assert refusal.value.field == "count"


@pytest.mark.parametrize(
    ("proto_field", "name"),
    [
        ("prompt", "prompt"),
        ("settings.width", "width"),
        ("settings.seed", "seed"),
        ("output.quality", "quality"),
        ("source", "source"),
        ("source.data", "source"),
        ("mask.data", "mask"),
        ("request.settings.guidance_scale", "guidance_scale"),
        ("count", "count"),
        ("", ""),
    ],
)
def test_fields_of_the_contract_have_our_names(proto_field: str, name: str) -> None:
    assert wire.field_name(proto_field) == name


def test_a_picture_is_read_whole() -> None:
    picture = wire.picture(
        pb.ImageResponse(
            image_data=b"\xff\xd8",
            format="jpeg",
            index=3,
            metadata=pb.GenerationMetadata(
                model="m",
                engine="procedural",
                seed=7,
                steps=2,
                width=64,
                height=128,
                guidance_scale=3.3,
                style="ink",
                warnings=["no guidance"],
                queued_for_ms=1.0,
                painted_for_ms=2.0,
                encoded_for_ms=3.0,
                finished_ms=1e12,
                prompt="sea, in ink",
                context=["a beach"],
                stage_ms={"denoise": 1.5},
                upscaler="lanczos",
                device="cpu",
            ),
        )
    )

    assert (picture.image, picture.format, picture.index) == (b"\xff\xd8", "jpeg", 3)
    assert (picture.width, picture.height, picture.finished_ms) == (64, 128, 1e12)
    # A 32-bit 3.3 is 3.299999952316284 in 64 bits.
    assert dataclasses.asdict(picture.metadata) == {
        "model": "m",
        "engine": "procedural",
        "is_neural": False,
        "width": 64,
        "height": 128,
        "seed": 7,
        "steps": 2,
        "guidance_scale": 3.3,
        "style": "ink",
        "warnings": ("no guidance",),
        "queued_for_ms": 1.0,
        "painted_for_ms": 2.0,
        "encoded_for_ms": 3.0,
        "prompt": "sea, in ink",
        "context": ("a beach",),
        "stage_ms": {"denoise": 1.5},
        "upscaler": "lanczos",
        "device": "cpu",
    }


def test_every_field_of_the_metadata_has_its_own_here() -> None:
    # When it was finished is the picture's own.
    names = {field.name for field in pb.GenerationMetadata.DESCRIPTOR.fields} - {"finished_ms"}

    assert {field.name for field in dataclasses.fields(PictureMetadata)} == names


def test_image_bytes_are_in_no_repr() -> None:
    frame = wire.paint_event(pb.PaintEvent(frame=pb.PaintFrame(image_data=b"pixels")))

    assert isinstance(frame, LiveFrame)
    assert "pixels" not in repr(frame)
    assert "b'source'" not in repr(FULL)
    assert "b'mask'" not in repr(FULL)


def test_events_of_a_painting_are_read() -> None:
    frame = wire.paint_event(
        pb.PaintEvent(frame=pb.PaintFrame(revision=4, time_s=1.5, image_data=b"i", sustainable_fps=2.5))
    )
    progress = wire.paint_event(pb.PaintEvent(progress=pb.PaintProgress(revision=4, step=1, total_steps=9)))
    refusal = wire.paint_event(
        pb.PaintEvent(error=pb.PaintError(revision=5, field="settings.width", message="too wide"))
    )

    assert isinstance(frame, LiveFrame)
    assert (frame.revision, frame.time_s, frame.picture.image) == (4, 1.5, b"i")
    assert frame.sustainable_fps == 2.5
    assert progress == PaintProgress(4, 1, 9)
    assert refusal == PaintRefusal(5, "width", "too wide")


def test_events_of_a_newer_service_are_passed_over() -> None:
    assert wire.paint_event(pb.PaintEvent.FromString(b"\x7a\x00")) is None
    assert wire.generation_event(pb.GenerationEvent.FromString(b"\x7a\x00")) is None


def test_progress_is_read() -> None:
    event = wire.generation_event(
        pb.GenerationEvent(progress=pb.Progress(step=1, total_steps=2, preview=b"small"))
    )

    assert event == Progress(1, 2, b"small")


@pytest.mark.parametrize(
    ("state", "word"),
    [(0, "unspecified"), (1, "not_loaded"), (2, "loading"), (3, "ready"), (4, "failed"), (99, "unspecified")],
)
def test_a_models_state_is_a_lower_case_word(state: Any, word: str) -> None:
    offer = wire.models(pb.ModelResponse(models=[pb.ModelInfo(name="m", state=state)]))

    assert offer.models[0].state == word


def test_every_field_of_a_model_has_its_own_here() -> None:
    names = {field.name for field in pb.ModelInfo.DESCRIPTOR.fields}
    info = wire.models(
        pb.ModelResponse(
            models=[
                pb.ModelInfo(
                    name="m",
                    max_size=4096,
                    measured_megapixels_per_s=1.5,
                    step_times=[pb.StepTime(rows=4, step_ms=2.5)],
                )
            ],
            styles=[pb.StyleInfo(name="ink", description="black", template="{prompt}, ink")],
            templates=[pb.PromptTemplateInfo(name="photo", description="real", template="photo of {prompt}")],
            default_model="m",
            device="cpu",
        )
    )

    assert {field.name for field in dataclasses.fields(info.models[0])} == names
    assert (info.models[0].name, info.models[0].max_size) == ("m", 4096)
    assert info.models[0].measured_megapixels_per_s == 1.5
    assert info.models[0].step_times == (StepTime(4, 2.5),)
    assert info.styles == (StyleInfo("ink", "black", "{prompt}, ink"),)
    assert info.templates == (TemplateInfo("photo", "real", "photo of {prompt}"),)
    assert info.find("") is info.find("m") is info.models[0]
    assert info.find("other") is None
    assert (info.default_model, info.device) == ("m", "cpu")

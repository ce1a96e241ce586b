"""The models and styles on offer."""

from __future__ import annotations

from typing import cast

import pytest

from server.errors import InferenceFailedError, InferenceUnavailableError, InvalidError
from server.generation.inference_client import InferenceClient
from server.generation.picture import ModelInfo, Models, StyleInfo, TemplateInfo
from server.web.offers import FRESH_S, Offers


class Service:
    """Tells what is on offer, and how often it was asked; and time that passes when a test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.now_s = 100.0
        self.answer = Models(
            models=(model("procedural"), model("turbo")),
            styles=(StyleInfo("oil", "Oil on canvas", "{prompt}, in oil"),),
            default_model="procedural",
            device="cpu",
            templates=(TemplateInfo("photo", "As if photographed", "photograph of {prompt}"),),
        )

    async def models(self, *, deadline_s: float) -> Models:
        self.asked += 1
        assert deadline_s > 0
        if self.error:
            raise self.error
        return self.answer


def model(name: str) -> ModelInfo:
    return ModelInfo(
        name=name,
        description="",
        engine="procedural",
        is_neural=False,
        state="ready",
        default_width=512,
        default_height=512,
        default_steps=1,
        default_guidance_scale=0.0,
        min_size=64,
        max_size=4096,
        max_steps=100,
        uses_negative_prompt=True,
        uses_guidance=False,
        paints_from_source=True,
        paints_from_mask=False,
        measured_megapixels_per_s=0.0,
        size_bytes=0,
        error="",
        weights_found=True,
        device="",
        dtype="",
        max_batch=0,
        step_times=(),
        license="",
        aliases=(f"somebody/{name}",),
    )


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def offers(service: Service) -> Offers:
    return Offers(cast(InferenceClient, service), clock=lambda: service.now_s)


async def test_a_fresh_answer_is_remembered_and_an_old_one_asked_for_again(
    offers: Offers, service: Service
) -> None:
    assert await offers.get() is service.answer
    service.now_s += FRESH_S
    await offers.get()
    assert service.asked == 1

    service.now_s += 0.1
    await offers.get()
    assert service.asked == 2


async def test_known_names_are_taken(offers: Offers) -> None:
    await offers.check(model="turbo", style="oil")
    await offers.check(model="turbo", style=None)
    await offers.check(model="somebody/turbo", style=None)
    await offers.check(model=None, style="oil")


@pytest.mark.parametrize("name", [None, ""])
async def test_without_a_name_nobody_is_asked(offers: Offers, service: Service, name: str | None) -> None:
    await offers.check(model=name, style=name)

    assert service.asked == 0


async def test_an_unknown_name_is_told_with_those_that_there_are(offers: Offers) -> None:
    with pytest.raises(InvalidError, match="model must be one of procedural, turbo, got 'sdxl'") as told:
        await offers.check(model="sdxl", style="oil")
    assert told.value.field == "model"

    with pytest.raises(InvalidError, match="style must be one of oil, got 'pixel'") as told:
        await offers.check(model=None, style="pixel")
    assert told.value.field == "style"

    with pytest.raises(InvalidError, match="template must be one of photo, got 'film'") as told:
        await offers.check(model=None, style=None, template="film")
    assert told.value.field == "template"


@pytest.mark.parametrize("error", [InferenceUnavailableError("away"), InferenceFailedError("broken")])
async def test_while_the_service_is_away_every_name_is_taken_for_good(
    offers: Offers, service: Service, error: Exception
) -> None:
    service.error = error

    await offers.check(model="anything", style="anything", template="anything")
    with pytest.raises(type(error)):
        await offers.get()


async def test_an_answer_after_a_failure_is_remembered_again(offers: Offers, service: Service) -> None:
    service.error = InferenceUnavailableError("away")
    await offers.check(model="anything", style=None)
    service.error = None

    with pytest.raises(InvalidError):
        await offers.check(model="anything", style=None)


@pytest.mark.parametrize(
    ("field", "wants"),
    [
        ("width", {"width": 4104}),
        ("height", {"height": 56}),
        ("steps", {"steps": 101}),
        ("upscale", {"width": 2048, "upscale": 4}),
        ("upscale", {"height": 4096, "upscale": 2}),
    ],
)
async def test_what_the_model_cannot_paint_is_told_at_once(
    offers: Offers, field: str, wants: dict[str, int]
) -> None:
    for model in ("turbo", None):
        with pytest.raises(InvalidError, match=f"^{field} must ") as told:
            await offers.check(model=model, style=None, **wants)
        assert told.value.field == field


async def test_what_the_model_can_paint_is_taken(offers: Offers) -> None:
    await offers.check(model="turbo", style=None, width=1024, height=64, steps=100, upscale=4)

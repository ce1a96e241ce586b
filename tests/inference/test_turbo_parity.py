"""The own loop paints what diffusers' own pipelines paint."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
from typing import Any

from PIL import Image
from tiny_turbo import ask, half_mask, make_engine, paint_all, picture, tiny

from inference.engine import PictureRequest, Timeline
from inference.turbo.components import Kind, pipeline_of


pytestmark = [
    pytest.mark.diffusion,
    # diffusers' schedulers convert tensors by `numpy.array`.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

# Of the latents' maximum.
TOLERANCE = 1e-5

SOURCE, MASK = picture(3), half_mask()

# Strengths are such that diffusers, which cuts off, and rounding leave equally many steps.
KINDS: dict[str, PictureRequest] = {
    "text, 1 step": ask("a cabin in the woods", seed=1),
    "text, 4 steps": ask("a red fox by the sea", seed=2, steps=4),
    "text, 7 steps": ask("city lights", seed=3, steps=7),
    "image, 1 of 2 steps": ask("a green horse", seed=4, steps=2, source=SOURCE, strength=0.5),
    "image, 3 of 4 steps": ask("snow", seed=5, steps=4, source=SOURCE, strength=0.75),
    "image, all steps": ask("a storm", seed=6, steps=3, source=SOURCE, strength=1.0),
    "inpaint, 2 of 4 steps": ask("the moon", seed=7, steps=4, source=SOURCE, mask=MASK, strength=0.5),
    "inpaint, all steps": ask("a dog", seed=8, steps=3, source=SOURCE, mask=MASK, strength=1.0),
}


def latents_of_diffusers(components: Any, request: PictureRequest) -> Any:
    kind: Kind = "text" if request.source is None else "image" if request.mask is None else "inpaint"
    told: dict[str, Any] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt or None,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "generator": torch.Generator().manual_seed(request.seed),
        "output_type": "latent",
    }
    if kind != "image":
        told |= {"width": request.width, "height": request.height}
    if request.source is not None:
        told |= {"image": Image.fromarray(request.source), "strength": request.strength}
    if request.mask is not None:
        told |= {"mask_image": Image.fromarray(request.mask).convert("L")}
    return pipeline_of(components, kind)(**told).images


def assert_equal(actual: Any, expected: Any) -> None:
    expected = expected.float()
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


def paint_latents(components: Any, requests: list[PictureRequest], *, uses_guidance: bool) -> list[Any]:
    engine = make_engine(components, uses_guidance=uses_guidance)
    runs = [engine.begin(Timeline.still(request), 0.0) for request in requests]
    return [run.latents for run in paint_all(engine, runs)]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("autoencoder", ["tiny", "kl"])
def test_a_picture_alone_is_that_of_diffusers(name: str, autoencoder: str) -> None:
    components, request = tiny("sdxl", autoencoder), KINDS[name]

    (latents,) = paint_latents(components, [request], uses_guidance=False)

    assert_equal(latents, latents_of_diffusers(components, request))


@pytest.mark.parametrize("family", ["sdxl", "sd"])
def test_all_kinds_mixed_in_one_batch_are_those_of_diffusers(family: str) -> None:
    components = tiny(family, "kl")
    requests = list(KINDS.values())

    painted = paint_latents(components, requests, uses_guidance=False)

    for latents, request in zip(painted, requests, strict=True):
        assert_equal(latents, latents_of_diffusers(components, request))


@pytest.mark.parametrize("negative_prompt", ["", "ugly, dark"])
@pytest.mark.parametrize("family", ["sdxl", "sd"])
def test_guided_and_unguided_kinds_mixed_are_those_of_diffusers(family: str, negative_prompt: str) -> None:
    components = tiny(family, "kl")
    requests = []
    for index, request in enumerate(KINDS.values()):
        guidance_scale = (0.0, 5.0, 2.5, 7.5)[index % 4]
        used = negative_prompt if guidance_scale else ""
        changed = {"guidance_scale": guidance_scale, "negative_prompt": used}
        fields = {name: getattr(request, name) for name in PictureRequest.__slots__}
        requests.append(PictureRequest(**(fields | changed)))

    painted = paint_latents(components, requests, uses_guidance=True)

    for latents, request in zip(painted, requests, strict=True):
        assert_equal(latents, latents_of_diffusers(components, request))


@pytest.mark.parametrize("steps", [1, 5])
def test_a_model_that_predicts_velocity_is_followed_too(steps: int) -> None:
    components = tiny("sdxl", "tiny", "v_prediction")
    request = ask("a lake", seed=9, steps=steps)

    (latents,) = paint_latents(components, [request], uses_guidance=False)

    assert_equal(latents, latents_of_diffusers(components, request))


@pytest.mark.parametrize("spacing", ["leading", "linspace"])
def test_every_spacing_of_timesteps_is_followed(spacing: str) -> None:
    from dataclasses import replace

    components = tiny("sd", "tiny")
    config = components.scheduler_config | {"timestep_spacing": spacing}
    components = replace(components, scheduler_config=config)
    requests = [KINDS["text, 4 steps"], KINDS["image, 3 of 4 steps"], KINDS["inpaint, all steps"]]

    painted = paint_latents(components, requests, uses_guidance=False)

    for latents, request in zip(painted, requests, strict=True):
        assert_equal(latents, latents_of_diffusers(components, request))


def test_a_hundred_steps_are_those_of_diffusers() -> None:
    request = ask("a tower", seed=10, steps=100)

    (latents,) = paint_latents(tiny(), [request], uses_guidance=False)

    assert_equal(latents, latents_of_diffusers(tiny(), request))

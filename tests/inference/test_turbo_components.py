"""A pipeline taken apart, and put together again as diffusers has it."""

from __future__ import annotations

import warnings

import pytest


torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from inference.turbo.components import Kind, NetworkFamily, pipeline_of  # noqa: E402 (torch first)
from inference.turbo.random_weights import build_tiny  # noqa: E402


pytestmark = pytest.mark.diffusion

NAMES = {
    ("sdxl", "text"): "StableDiffusionXLPipeline",
    ("sdxl", "image"): "StableDiffusionXLImg2ImgPipeline",
    ("sdxl", "inpaint"): "StableDiffusionXLInpaintPipeline",
    ("sd", "text"): "StableDiffusionPipeline",
    ("sd", "image"): "StableDiffusionImg2ImgPipeline",
    ("sd", "inpaint"): "StableDiffusionInpaintPipeline",
}


@pytest.mark.parametrize(("family", "kind"), NAMES)
def test_every_kind_of_pipeline_shares_the_networks_but_not_the_scheduler(
    family: NetworkFamily, kind: Kind
) -> None:
    components = build_tiny(family, autoencoder="tiny")
    components.scheduler_config["timestep_spacing"] = "linspace"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = pipeline_of(components, kind), pipeline_of(components, kind)

    assert type(first).__name__ == NAMES[family, kind]
    assert first.unet is components.unet is second.unet
    assert first.vae is components.autoencoder
    assert first.scheduler is not second.scheduler
    assert first.scheduler.config.timestep_spacing == "linspace"


def test_the_largest_network_comes_last_before_the_upscaler() -> None:
    components = build_tiny("sd")

    names = [name for name, _ in components.parts()]

    assert names == ["text encoder 1", "tiny autoencoder", "autoencoder", "unet"]
    assert components.prediction_type == "epsilon"

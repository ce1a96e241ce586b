"""What is refused before anything is painted with it, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from inference.turbo.checks import (  # noqa: E402 (torch first)
    UnfitError,
    check_shape,
    check_values,
    variant_of,
    weight_files,
)
from inference.turbo.components import Components, NetworkFamily  # noqa: E402
from inference.turbo.random_weights import build_tiny  # noqa: E402


pytestmark = pytest.mark.diffusion

Change = Callable[[Components], object]


@pytest.mark.parametrize("family", ["sdxl", "sd"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_what_belongs_together_passes(family: NetworkFamily, prediction_type: str) -> None:
    check_shape(build_tiny(family, prediction_type=prediction_type))


def unet(**config: object) -> Change:
    return lambda components: components.unet.register_to_config(**config)


def scheduler(**config: object) -> Change:
    return lambda components: components.scheduler_config.update(config)


def autoencoder(**config: object) -> Change:
    return lambda components: components.autoencoder.register_to_config(**config)


def tiny(**config: object) -> Change:
    return lambda components: components.tiny_autoencoder.register_to_config(**config)


def encoder(**config: object) -> Change:
    def change(components: Components) -> None:
        for name, value in config.items():
            setattr(components.text_encoders[-1].config, name, value)

    return change


@pytest.mark.parametrize(
    ("family", "change", "message"),
    [
        ("sdxl", unet(in_channels=9), "made for inpainting alone; take the model that it was made from"),
        ("sdxl", unet(in_channels=8), "takes 8 channels and gives 4; only 4 of each"),
        ("sd", unet(out_channels=8), "takes 4 channels and gives 8"),
        ("sd", unet(time_cond_proj_dim=256), "guidance as an embedding"),
        ("sd", unet(encoder_hid_dim_type="image_proj"), "more than text"),
        ("sdxl", unet(cross_attention_dim=2048), "width 2048, its text encoders give 32 \\+ 32"),
        ("sd", unet(cross_attention_dim=1024), "width 1024, its text encoders give 32"),
        ("sdxl", unet(addition_embed_type=None), "no pooled text and time ids"),
        ("sd", unet(addition_embed_type="text_time"), "not of the SD shape"),
        ("sdxl", unet(projection_class_embeddings_input_dim=72), "takes 72 .* 32 come .* 48 from six"),
        ("sdxl", encoder(projection_dim=64), "takes 80 .* 64 come"),
        ("sd", encoder(max_position_embeddings=64), "gives 77 tokens, its text encoder takes 64"),
        ("sdxl", encoder(vocab_size=100), "knows \\d+ tokens, its text encoder 100"),
        ("sdxl", autoencoder(latent_channels=16), "autoencoder has 16 latent channels, not 4"),
        ("sdxl", autoencoder(block_out_channels=(8, 8, 8)), "makes 4 pixels a side of a latent, not 8"),
        ("sdxl", tiny(latent_channels=16), "tiny autoencoder has 16 latent channels"),
        ("sd", scheduler(prediction_type="sample"), "predicts 'sample', not epsilon or v_prediction"),
        (
            "sd",
            scheduler(beta_schedule=None),
            "EulerAncestralDiscreteScheduler has no beta schedule of linear",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(
    family: NetworkFamily, change: Change, message: str
) -> None:
    components = build_tiny(family)
    change(components)

    with pytest.raises(UnfitError, match=message):
        check_shape(components)


def test_a_value_that_is_not_a_number_is_found_in_whatever_tensor_it_is() -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    check_values("unet", layers)
    layers[1].bias.data[0] = torch.inf

    with pytest.raises(UnfitError, match=r"the unet has values in 1\.bias that are not numbers"):
        check_values("unet", layers)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("model.safetensors", None),
        ("model.fp16.safetensors", "fp16"),
        ("diffusion_pytorch_model.fp16-00001-of-00002.safetensors", "fp16"),
        ("diffusion_pytorch_model-00001-of-00002.safetensors", None),
        ("diffusion_pytorch_model.non_ema.safetensors", "non_ema"),
    ],
)
def test_the_variant_is_in_the_name(name: str, variant: str | None, tmp_path: Path) -> None:
    file = tmp_path / name
    file.touch()

    assert variant_of(file) == variant
    assert weight_files(tmp_path, variant) == [file]
    assert weight_files(tmp_path, "other") == []

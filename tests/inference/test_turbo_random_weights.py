"""Pipelines with random weights: the real shape, the same for a seed, and readable by diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from inference.turbo.architectures import (  # noqa: E402 (torch first)
    full_kl,
    full_text_encoders,
    full_unet,
)
from inference.turbo.components import NetworkFamily, pipeline_of, weights_bytes  # noqa: E402
from inference.turbo.random_weights import (  # noqa: E402
    build_tiny,
    save_tiny,
    tiny_autoencoder_folder,
)
from inference.turbo.tiny_tokenizer import build_tokenizer, write_tokenizer  # noqa: E402


pytestmark = [
    pytest.mark.diffusion,
    # What diffusers' schedulers do with numpy.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

PIPELINES = {"sdxl": "StableDiffusionXLPipeline", "sd": "StableDiffusionPipeline"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def paint(pipeline: Any, prompt: str = "a cat in the snow", seed: int = 0) -> Any:
    return pipeline(
        prompt,
        num_inference_steps=1,
        guidance_scale=0.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).images[0]


@pytest.mark.parametrize("family", PIPELINES)
@pytest.mark.parametrize("autoencoder", ["kl", "tiny"])
def test_pictures_are_neither_flat_nor_broken_and_depend_on_prompt_and_seed(
    family: NetworkFamily, autoencoder: Any
) -> None:
    pipeline = pipeline_of(build_tiny(family, autoencoder=autoencoder))

    picture = paint(pipeline)

    assert np.isfinite(picture).all()
    assert picture.std() > 0.05
    # Neither black nor white for the most part.
    assert ((picture > 0.0) & (picture < 1.0)).mean() > 0.9
    # By more than a level of 8 bits.
    assert np.abs(picture - paint(pipeline, "a dog in the snow")).mean() > 1 / 255
    assert np.abs(picture - paint(pipeline, seed=1)).mean() > 10 / 255


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    first, again, other = build_tiny(seed=3), build_tiny(seed=3), build_tiny(seed=4)

    for (_, one), (_, two), (_, three) in zip(first.parts(), again.parts(), other.parts(), strict=True):
        values, same, different = one.state_dict(), two.state_dict(), three.state_dict()
        assert all(torch.equal(values[name], same[name]) for name in values)
        assert any(not torch.equal(values[name], different[name]) for name in values)


@pytest.mark.parametrize("family", PIPELINES)
def test_a_saved_pipeline_is_read_by_diffusers_and_paints_the_same(
    family: NetworkFamily, tmp_path: Path
) -> None:
    saved = save_tiny(tmp_path / "model", family, autoencoder="tiny", with_tiny_autoencoder=True)

    read = getattr(diffusers, PIPELINES[family]).from_pretrained(
        tmp_path / "model", local_files_only=True, use_safetensors=True
    )
    tiny = diffusers.AutoencoderTiny.from_pretrained(
        tiny_autoencoder_folder(tmp_path / "model"), local_files_only=True, use_safetensors=True
    )

    read.set_progress_bar_config(disable=True)
    assert np.abs(paint(read) - paint(pipeline_of(saved))).max() <= 1e-5
    assert weights_bytes(tiny) == weights_bytes(saved.tiny_autoencoder)


def test_a_tiny_pipeline_has_the_shape_of_the_real_one() -> None:
    sdxl, sd = build_tiny("sdxl"), build_tiny("sd")

    assert (sdxl.scale, sdxl.default_size, len(sdxl.text_encoders)) == (8, 64, 2)
    assert (sd.scale, sd.default_size, len(sd.text_encoders)) == (8, 64, 1)
    assert [name for name, _ in sdxl.parts()] == [
        "text encoder 1",
        "text encoder 2",
        "tiny autoencoder",
        "autoencoder",
        "unet",
    ]
    assert sdxl.size_bytes == sum(weights_bytes(module) for _, module in sdxl.parts()) < 8_000_000


def test_the_full_size_is_that_of_sdxl() -> None:
    with torch.device("meta"):
        networks = (full_unet(), full_kl(), *full_text_encoders())

    counts = [sum(parameter.numel() for parameter in network.parameters()) for network in networks]

    # Billions and millions, as published.
    assert [round(count / 1e6, 1) for count in counts] == [2567.5, 83.7, 123.1, 694.7]


def test_the_tokenizer_gives_one_token_for_a_known_word_and_reads_any_text() -> None:
    tokenizer = build_tokenizer()

    words = tokenizer("a cozy cabin in the woods").input_ids
    letters = tokenizer("東京 🦊").input_ids

    assert len(words) == 6 + 2
    assert len(set(words)) == len(words)
    assert tokenizer.decode(letters, skip_special_tokens=True).strip() == "東京 🦊"
    assert tokenizer.eos_token_id == max(tokenizer.get_vocab().values())


def test_a_written_tokenizer_is_read_as_it_was(tmp_path: Path) -> None:
    write_tokenizer(tmp_path, pad="!")

    read = type(build_tokenizer()).from_pretrained(tmp_path, local_files_only=True)

    text = "A cozy fox, 東京"
    assert {file.name for file in tmp_path.iterdir()} == {
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
    }
    settings = {"padding": "max_length", "truncation": True}
    assert read(text, **settings).input_ids == build_tokenizer("!")(text, **settings).input_ids
    assert (read.pad_token, read.model_max_length) == ("!", 77)

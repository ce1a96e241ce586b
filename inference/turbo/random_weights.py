"""Pipelines with random weights, built offline: for tests and for measuring speed.

A tiny one has the shape of the real thing (two text encoders, factor 8, four latent channels) and
paints in milliseconds; the full-size one has SDXL's exact architecture, so that its speed is the real
model's. Pictures are patterns of noise that depend on every input. The same seed gives the same
weights, whatever the version of the libraries initialises first.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    DDPMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionLatentUpscalePipeline,
    StableDiffusionUpscalePipeline,
)
from safetensors.torch import save_file

from .architectures import (
    full_kl,
    full_text_encoders,
    full_unet,
    tiny_kl,
    tiny_taesd,
    tiny_text_encoders,
    tiny_unet,
    tiny_upscaling_unet,
)
from .components import Components, NetworkFamily, pipeline_of
from .networks import quieten
from .tiny_tokenizer import PADS, build_tokenizer, vocabulary_and_merges, write_tokenizer


# SDXL-Turbo's.
SCHEDULER_CONFIG: dict[str, Any] = {
    "_class_name": "EulerAncestralDiscreteScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
    "num_train_timesteps": 1000,
}
LORA_RANK = 4


def build_tiny(
    family: NetworkFamily = "sdxl",
    *,
    seed: int = 0,
    autoencoder: Literal["kl", "tiny"] = "kl",
    with_tiny_autoencoder: bool = True,
    prediction_type: str = "epsilon",
) -> Components:
    """Build a tiny pipeline in float32 on the CPU.

    Args:
        family: Its shape.
        seed: Of the weights.
        autoencoder: What the pipeline itself decodes with; "tiny" is five times as fast.
        with_tiny_autoencoder: Whether live frames have an AutoencoderTiny of their own.
        prediction_type: "epsilon" or "v_prediction".
    """
    vocabulary, _ = vocabulary_and_merges()
    own_autoencoder = tiny_kl() if autoencoder == "kl" else tiny_taesd()
    encoders = tiny_text_encoders(family, vocabulary["<|endoftext|>"], len(vocabulary))
    components = Components(
        family=family,
        unet=tiny_unet(family),
        autoencoder=own_autoencoder,
        tokenizers=tuple(build_tokenizer(pad) for pad in PADS[: len(encoders)]),
        text_encoders=encoders,
        scheduler_config=SCHEDULER_CONFIG | {"prediction_type": prediction_type},
        tiny_autoencoder=tiny_taesd() if with_tiny_autoencoder else None,
    )
    for name, module in components.parts():
        _fill(module, seed ^ zlib.crc32(name.encode()))
    return components


def save_tiny(
    folder: Path,
    family: NetworkFamily = "sdxl",
    *,
    seed: int = 0,
    autoencoder: Literal["kl", "tiny"] = "kl",
    with_tiny_autoencoder: bool = False,
    prediction_type: str = "epsilon",
    dtype: torch.dtype | None = None,
    variant: str | None = None,
) -> Components:
    """Write a tiny pipeline as diffusers does, in safetensors, its tokenizers as CLIP's own files.

    Args:
        folder: Where to; made with its parents.
        family: Its shape.
        seed: Of the weights.
        autoencoder: What the pipeline itself decodes with.
        with_tiny_autoencoder: Whether ``<folder>-tiny-autoencoder`` is written as well.
        prediction_type: "epsilon" or "v_prediction".
        dtype: Of the files; None: float32.
        variant: Of the file names, such as "fp16".

    Returns:
        What was written.
    """
    components = build_tiny(
        family,
        seed=seed,
        autoencoder=autoencoder,
        with_tiny_autoencoder=with_tiny_autoencoder,
        prediction_type=prediction_type,
    )
    if dtype is not None:
        for _, module in components.parts():
            module.to(dtype)
    quieten()
    pipeline = pipeline_of(components)
    pipeline.save_pretrained(folder, safe_serialization=True, variant=variant)
    for index, name in enumerate(("tokenizer", "tokenizer_2")[: len(components.tokenizers)]):
        write_tokenizer(folder / name, PADS[index])
    if with_tiny_autoencoder:
        components.tiny_autoencoder.save_pretrained(tiny_autoencoder_folder(folder), safe_serialization=True)
    return components


def tiny_autoencoder_folder(folder: Path) -> Path:
    """Return where `save_tiny` writes the AutoencoderTiny of a pipeline."""
    return folder.with_name(folder.name + "-tiny-autoencoder")


def save_tiny_lora(folder: Path, components: Components, *, seed: int = 0, rank: int = LORA_RANK) -> Path:
    """Write a LoRA for the attention of a UNet into a folder.

    Returns:
        The file.
    """
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, torch.Tensor] = {}
    for name, module in components.unet.named_modules():
        if name.endswith((".attn1.to_q", ".attn2.to_k", ".attn2.to_v")):
            outputs, inputs = module.weight.shape
            weights[f"unet.{name}.lora_A.weight"] = torch.randn((rank, inputs), generator=generator) * 0.5
            weights[f"unet.{name}.lora_B.weight"] = torch.randn((outputs, rank), generator=generator) * 0.5
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pytorch_lora_weights.safetensors"
    save_file(weights, file, metadata={"format": "pt"})
    return file


def save_tiny_upscaler(folder: Path, *, factor: Literal[2, 4] = 4, seed: int = 0) -> None:
    """Write a tiny upscaler pipeline: diffusers' latent upscaler (2 times) or upscaler (4 times)."""
    vocabulary, _ = vocabulary_and_merges()
    parts: dict[str, Any] = {
        "vae": tiny_kl() if factor == 2 else tiny_kl(scale=4),
        "unet": tiny_upscaling_unet(factor),
        "text_encoder": tiny_text_encoders("sd", vocabulary["<|endoftext|>"], len(vocabulary))[0],
    }
    for name, module in parts.items():
        _fill(module, seed ^ zlib.crc32(name.encode()))
    parts["tokenizer"] = build_tokenizer()
    quieten()
    if factor == 2:
        pipeline = StableDiffusionLatentUpscalePipeline(**parts, scheduler=EulerDiscreteScheduler())
    else:
        pipeline = StableDiffusionUpscalePipeline(
            **parts, low_res_scheduler=DDPMScheduler(), scheduler=DDIMScheduler(), max_noise_level=350
        )
    pipeline.save_pretrained(folder, safe_serialization=True)


def build_full_sdxl(
    device: str = "cpu",
    dtype: torch.dtype = torch.bfloat16,
    *,
    seed: int = 0,
    with_full_autoencoder: bool = True,
) -> Components:
    """Build the architecture of SDXL-Turbo at its full size, TAESDXL included.

    7 GB in 16 bits. The weights are made on the device. The tokenizers are the tiny ones: their ids are
    within the real vocabulary, and 77 tokens cost the same whatever they are.

    Args:
        device: Where the weights are made, as torch names it.
        dtype: Of all of them.
        seed: Of the weights.
        with_full_autoencoder: False leaves the AutoencoderKL out; TAESDXL takes its place.
    """
    quieten()
    with torch.device("meta"):
        unet = full_unet()
        encoders = full_text_encoders()
        taesdxl = AutoencoderTiny()
        full = full_kl() if with_full_autoencoder else None
    components = Components(
        family="sdxl",
        unet=unet,
        autoencoder=full if full is not None else taesdxl,
        tokenizers=tuple(build_tokenizer(pad) for pad in PADS),
        text_encoders=encoders,
        scheduler_config=dict(SCHEDULER_CONFIG),
        tiny_autoencoder=taesdxl,
    )
    for name, module in components.parts():
        if any(parameter.is_meta for parameter in module.parameters()):
            module.to_empty(device=device).to(dtype)
            _fill(module, seed ^ zlib.crc32(name.encode()))
    return components


def _fill(module: Any, seed: int) -> None:
    """Give every parameter a value that depends on its name and the seed alone.

    Matrices keep the size of what goes through them (variance 1 / inputs); norms do nothing. What the
    last convolution of a decoder gives is moved into the range of pixels.
    """
    for name, parameter in module.named_parameters():
        values = parameter.data
        if values.ndim < 2:
            values.fill_(1.0 if name.endswith("weight") else 0.0)
            continue
        generator = torch.Generator(values.device).manual_seed(
            (seed ^ zlib.crc32(name.encode())) & 0x7FFFFFFF
        )
        inputs = values[0].numel()
        # What crosses over from the text counts for more than chance gives it: a word must be seen.
        gain = 4.0 if ".attn2.to_out." in name or name.startswith("add_embedding.linear_2") else 1.0
        values.normal_(0.0, gain * inputs**-0.5, generator=generator)
    for name, values in module.named_buffers():
        if not name.endswith("position_ids"):
            raise ValueError(f"a buffer {name} that nobody fills")
        values.copy_(torch.arange(values.shape[-1]).expand_as(values))
    if isinstance(module, AutoencoderTiny):
        module.encoder.layers[-1].weight.data.mul_(6.0)
        last = module.decoder.layers[-1]
        last.weight.data.mul_(0.3)
        last.bias.data.fill_(0.5)
    elif isinstance(module, AutoencoderKL):
        module.decoder.conv_out.weight.data.mul_(0.6)

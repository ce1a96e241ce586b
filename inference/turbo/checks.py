"""Whether what was read is a model that this engine can paint with.

Every refusal is one sentence that a person can act on. Knows the shapes, not how they are read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from .components import Components


LATENT_CHANNELS = 4
# How many pixels a side one latent covers, in every SDXL and SD model.
SCALE = 8
# An inpainting network's: latents, a mask, and the latents of what is kept.
INPAINTING_CHANNELS = 9
PREDICTION_TYPES = ("epsilon", "v_prediction")
BETA_SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2")
# So many values of each tensor are looked at, at its start: a damaged file is damaged by whole tensors.
SAMPLED_VALUES = 1024

# What diffusers and transformers call a file of weights.
_WEIGHTS = re.compile(r"(diffusion_pytorch_)?model[.-]")


class UnfitError(Exception):
    """What was read cannot be painted with; the message says why and what to do."""


def check_files(part: str, folder: Path, variant: str | None) -> None:
    """Check the weights of a part before they are read: there, whole, and no pickle.

    Args:
        part: Its name, for the message.
        folder: Where it lies.
        variant: Of the files' names, such as "fp16".

    Raises:
        UnfitError: If they are missing, cut short or of another format.
    """
    files = weight_files(folder, variant)
    if not files:
        if any(folder.glob("*.bin")):
            raise UnfitError(
                f"the {part} in {folder} has its weights as pickle (.bin), which is never opened; "
                "get them as .safetensors"
            )
        raise UnfitError(f"the {part} in {folder} has no weights (.safetensors); download the model again")
    for file in files:
        try:
            # Opening reads the header, which tells how long the file must be.
            with safe_open(file, framework="pt"):
                pass
        except (SafetensorError, OSError) as exc:
            raise UnfitError(f"{file} is damaged or cut short ({exc}); download it again") from exc


def weight_files(folder: Path, variant: str | None) -> list[Path]:
    """Return the safetensors files of one variant; None: those without one.

    Others may lie beside them, such as the same network in its first author's form.
    """
    files = sorted(file for file in folder.glob("*.safetensors") if file.is_file())
    return [file for file in files if _WEIGHTS.match(file.name) and variant_of(file) == variant]


def variant_of(file: Path) -> str | None:
    """Return the variant in the name of a file of weights, such as "fp16", or None."""
    # model.fp16.safetensors, model.fp16-00001-of-00002.safetensors, model-00001-of-00002.safetensors
    _, dot, variant = file.name.removesuffix(".safetensors").partition(".")
    return variant.partition("-0")[0] if dot else None


def check_values(part: str, module: Any) -> None:
    """Look into every tensor of a part for values that are not numbers.

    Raises:
        UnfitError: If there are any.
    """
    for name, tensor in module.named_parameters():
        if not bool(torch.isfinite(tensor.detach().flatten()[:SAMPLED_VALUES]).all()):
            raise UnfitError(f"the {part} has values in {name} that are not numbers; download it again")


def check_shape(components: Components) -> None:
    """Check that the parts belong together and that the loop of this engine can paint with them.

    Raises:
        UnfitError: If not.
    """
    config = components.unet.config
    if config.in_channels == INPAINTING_CHANNELS:
        raise UnfitError(
            f"its unet takes {INPAINTING_CHANNELS} channels: it is made for inpainting alone; "
            "take the model that it was made from, which inpaints as well"
        )
    if config.in_channels != LATENT_CHANNELS or config.out_channels != LATENT_CHANNELS:
        told = f"{config.in_channels} channels and gives {config.out_channels}"
        raise UnfitError(f"its unet takes {told}; only {LATENT_CHANNELS} of each are known here")
    if config.get("time_cond_proj_dim") is not None:
        raise UnfitError("its unet wants the guidance as an embedding (LCM), which is not known here")
    if config.get("encoder_hid_dim_type") is not None or config.get("class_embed_type") is not None:
        raise UnfitError("its unet wants more than text (an image or a class), which is not known here")
    _check_text(components)
    _check_additions(components)
    _check_autoencoder("autoencoder", components.autoencoder)
    if components.tiny_autoencoder is not None:
        _check_autoencoder("tiny autoencoder", components.tiny_autoencoder)
    _check_schedule(components.scheduler_config)


def _check_text(components: Components) -> None:
    """Check that tokenizers, text encoders and the UNet's attention to text fit."""
    taken = components.unet.config.cross_attention_dim
    widths = [int(encoder.config.hidden_size) for encoder in components.text_encoders]
    if taken != sum(widths):
        told = " + ".join(map(str, widths))
        raise UnfitError(
            f"its unet takes text of width {taken}, its text encoders give {told}: they are not of one model"
        )
    for tokenizer, encoder in zip(components.tokenizers, components.text_encoders, strict=True):
        places, known = encoder.config.max_position_embeddings, encoder.config.vocab_size
        if tokenizer.model_max_length > places:
            raise UnfitError(
                f"its tokenizer gives {tokenizer.model_max_length} tokens, its text encoder takes {places}"
            )
        if len(tokenizer) > known:
            raise UnfitError(f"its tokenizer knows {len(tokenizer)} tokens, its text encoder {known}")


def _check_additions(components: Components) -> None:
    """Check what the UNet takes beside the text's tokens."""
    config = components.unet.config
    addition = config.get("addition_embed_type")
    if components.family == "sd":
        if addition is not None:
            raise UnfitError(f"its unet takes {addition} beside the text: it is not of the SD shape")
        return
    if addition != "text_time":
        raise UnfitError("its unet takes no pooled text and time ids, as one of the SDXL shape does")
    pooled = int(components.text_encoders[1].config.projection_dim)
    ids = 6 * int(config.addition_time_embed_dim)
    taken = int(config.projection_class_embeddings_input_dim)
    # The refiner takes five ids.
    if taken != pooled + ids:
        raise UnfitError(
            f"its unet takes {taken} values beside the text, but {pooled} come from its text encoder and "
            f"{ids} from six time ids: they are not of one model, or it is a refiner"
        )


def _check_autoencoder(part: str, autoencoder: Any) -> None:
    config = autoencoder.config
    if config.latent_channels != LATENT_CHANNELS:
        raise UnfitError(f"its {part} has {config.latent_channels} latent channels, not {LATENT_CHANNELS}")
    scale = 2 ** (len(config.block_out_channels) - 1)
    if scale != SCALE:
        raise UnfitError(f"its {part} makes {scale} pixels a side of a latent, not {SCALE}")


def _check_schedule(config: dict[str, Any]) -> None:
    predicted = config.get("prediction_type", "epsilon")
    if predicted not in PREDICTION_TYPES:
        raise UnfitError(f"its unet predicts {predicted!r}, not {' or '.join(PREDICTION_TYPES)}")
    if config.get("trained_betas") is None and config.get("beta_schedule") not in BETA_SCHEDULES:
        known = ", ".join(BETA_SCHEDULES)
        raise UnfitError(f"{config.get('_class_name', 'its scheduler')} has no beta schedule of {known}")

"""A diffusers pipeline taken apart: the networks and the few settings that painting needs.

Knows what the parts are, not where they come from and not how they are run. Its one rule: the parts
are used by one thread at a time; neither tokenizers nor networks are safe to share.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from diffusers import (
    EulerAncestralDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)


NetworkFamily = Literal["sdxl", "sd"]
"""The shape of a pipeline: two text encoders with a pooled embedding and time ids, or one without."""

Kind = Literal["text", "image", "inpaint"]
"""What a diffusers pipeline starts from."""

_PIPELINES: dict[tuple[NetworkFamily, Kind], Any] = {
    ("sdxl", "text"): StableDiffusionXLPipeline,
    ("sdxl", "image"): StableDiffusionXLImg2ImgPipeline,
    ("sdxl", "inpaint"): StableDiffusionXLInpaintPipeline,
    ("sd", "text"): StableDiffusionPipeline,
    ("sd", "image"): StableDiffusionImg2ImgPipeline,
    ("sd", "inpaint"): StableDiffusionInpaintPipeline,
}


@dataclass
class Components:
    """What one loaded model consists of."""

    family: NetworkFamily
    unet: Any  # UNet2DConditionModel
    autoencoder: Any  # the full one: AutoencoderKL, or AutoencoderTiny where the pipeline has no other
    tokenizers: tuple[Any, ...]  # CLIPTokenizer, one for each text encoder
    text_encoders: tuple[Any, ...]  # CLIPTextModel, and for SDXL CLIPTextModelWithProjection after it
    scheduler_config: dict[str, Any]  # as the pipeline's scheduler_config.json says
    tiny_autoencoder: Any = None  # AutoencoderTiny for live frames and previews, or None
    force_zeros_for_empty_prompt: bool = True  # SDXL: no negative prompt is zeros, not the encoding of ""
    requires_aesthetics_score: bool = False  # SDXL: the time ids end in a score, as the refiner's do
    upscaler: Any = None  # upscaler.Upscaler, or None

    @property
    def scale(self) -> int:
        """How many pixels a side one latent covers."""
        return int(2 ** (len(self.autoencoder.config.block_out_channels) - 1))

    @property
    def default_size(self) -> int:
        """The side that the network was trained for, in pixels."""
        return int(self.unet.config.sample_size) * self.scale

    @property
    def prediction_type(self) -> str:
        """What the network predicts: "epsilon" (the noise) or "v_prediction"."""
        return str(self.scheduler_config.get("prediction_type", "epsilon"))

    @property
    def size_bytes(self) -> int:
        """What the weights take in memory."""
        return sum(weights_bytes(module) for _, module in self.parts())

    def parts(self) -> Iterator[tuple[str, Any]]:
        """Yield every network by its name, the smallest first: they go to the device one by one."""
        for index, encoder in enumerate(self.text_encoders, start=1):
            yield f"text encoder {index}", encoder
        if self.tiny_autoencoder is not None:
            yield "tiny autoencoder", self.tiny_autoencoder
        yield "autoencoder", self.autoencoder
        yield "unet", self.unet
        if self.upscaler is not None:
            for name, module in self.upscaler.parts():
                yield f"upscaler's {name}", module


def weights_bytes(module: Any) -> int:
    """Return what the parameters and buffers of a network take in memory."""
    tensors = (*module.parameters(), *module.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def pipeline_of(components: Components, kind: Kind = "text") -> Any:
    """Return diffusers' own pipeline of the same networks, with an Euler-ancestral scheduler of its own.

    It is what a LoRA is fused through and what the own loop is compared with.
    """
    own = {
        "vae": components.autoencoder,
        "unet": components.unet,
        "text_encoder": components.text_encoders[0],
        "tokenizer": components.tokenizers[0],
        "scheduler": _scheduler(components.scheduler_config),
    }
    if components.family == "sdxl":
        own["text_encoder_2"], own["tokenizer_2"] = components.text_encoders[1], components.tokenizers[1]
        own["force_zeros_for_empty_prompt"] = components.force_zeros_for_empty_prompt
        own["add_watermarker"] = False
        if kind != "text":
            own["requires_aesthetics_score"] = components.requires_aesthetics_score
    else:
        own |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipeline = _PIPELINES[components.family, kind](**own)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _scheduler(config: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        # Its conversion of a tensor by `numpy.array` warns of numpy's next version.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        return EulerAncestralDiscreteScheduler.from_config(config)

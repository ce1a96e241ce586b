"""Making a picture larger with a diffusion model of its own.

Two of diffusers' pipelines are known: the latent upscaler (2 times) and the upscaler of Stable
Diffusion (4 times). What is wanted beyond or below that is left to Lanczos. A call takes many steps of
a large network and cannot be cancelled; it belongs to the engines' thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from PIL import Image

from inference.engine import Pixels

from .checks import UnfitError
from .device import Device
from .memory import engine_errors
from .networks import read_json, read_network, read_tokenizer


@dataclass(frozen=True, slots=True)
class _Way:
    """How one of the pipelines is run."""

    pipeline: Any
    factor: int
    guidance_scale: float
    schedulers: tuple[str, ...] = ("scheduler",)
    steps: int = 20  # a quarter of what the 4x pipeline takes by itself: the difference is hardly seen


_WAYS = {
    # As its model card has it: no guidance.
    "StableDiffusionLatentUpscalePipeline": _Way(diffusers.StableDiffusionLatentUpscalePipeline, 2, 0.0),
    "StableDiffusionUpscalePipeline": _Way(
        diffusers.StableDiffusionUpscalePipeline, 4, 7.0, ("scheduler", "low_res_scheduler")
    ),
}
# The networks of both.
_NETWORKS = {
    "text_encoder": transformers.CLIPTextModel,
    "vae": diffusers.AutoencoderKL,
    "unet": diffusers.UNet2DConditionModel,
}


class Upscaler:
    """One upscaler pipeline.

    Attributes:
        name: For the metadata of a picture.
        factor: How many times larger it paints.
    """

    def __init__(self, pipeline: Any, way: _Way, name: str, device_kind: str) -> None:
        """Take a pipeline whose networks are taken to the device by whoever walks over `parts`."""
        self.name = name
        self.factor = way.factor
        self._pipeline = pipeline
        self._way = way
        self._device_kind = device_kind

    def parts(self) -> Iterator[tuple[str, Any]]:
        """Yield every network by its name."""
        for name in _NETWORKS:
            yield name.replace("_", " "), getattr(self._pipeline, name)

    def upscale(self, pixels: Pixels, factor: int, prompt: str) -> Pixels:
        """Make a picture larger. The same picture and prompt always give the same result.

        Args:
            pixels: ``(H, W, 3)`` uint8.
            factor: How many times larger, 2 or 4.
            prompt: What it shows.

        Returns:
            ``(H * factor, W * factor, 3)`` uint8.

        Raises:
            OutOfMemoryError: If the device has too little memory for this size.
            PaintingFailedError: If the pipeline failed.

        Cancellation:
            Not cancellable: runs to the end.
        """
        height, width = pixels.shape[:2]
        with engine_errors(self._device_kind, "upscaling"):
            painted = self._pipeline(
                prompt=prompt,
                image=Image.fromarray(pixels),
                num_inference_steps=self._way.steps,
                guidance_scale=self._way.guidance_scale,
                generator=torch.Generator().manual_seed(0),
            ).images[0]
        # A pipeline may have rounded the size, and paints at its own factor.
        sized = painted.resize((width * factor, height * factor), Image.Resampling.LANCZOS)
        return np.array(sized.convert("RGB"))


def read_upscaler(folder: Path, device: Device, name: str) -> Upscaler:
    """Read an upscaler pipeline into the machine's memory, offline.

    Args:
        folder: As diffusers writes it.
        device: What it will run on.
        name: What it is called in the metadata.

    Raises:
        UnfitError: If it is no upscaler that is known here, or its files are missing or damaged.
    """
    index = read_json("upscaler", folder / "model_index.json")
    way = _WAYS.get(str(index.get("_class_name")))
    if way is None:
        raise UnfitError(f"{folder} holds a {index.get('_class_name')}, not a {' or a '.join(_WAYS)}")
    parts: dict[str, Any] = {
        part: read_network(f"upscaler's {part}", folder / part, kind, device.dtype)
        for part, kind in _NETWORKS.items()
    }
    for part in way.schedulers:
        parts[part] = _read_scheduler(part, folder, index)
    # Neither filter nor watermark is a part of making pictures larger.
    pipeline = way.pipeline(**parts, tokenizer=read_tokenizer("upscaler's tokenizer", folder / "tokenizer"))
    pipeline.set_progress_bar_config(disable=True)
    upscaler = Upscaler(pipeline, way, name, device.kind)
    # The pictures are large: what is decoded at once is not.
    pipeline.vae.enable_tiling()
    return upscaler


def _read_scheduler(part: str, folder: Path, index: dict[str, Any]) -> Any:
    told = index.get(part)
    name = str(told[1]) if isinstance(told, list) and len(told) == 2 else str(told)
    kind = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if kind is None:
        raise UnfitError(f"the upscaler's {part} is {name}, which is no scheduler that is known here")
    return kind.from_config(read_json(f"upscaler's {part}", folder / part / "scheduler_config.json"))

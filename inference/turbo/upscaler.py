"""Making a picture larger with a diffusion model of its own.

Two of diffusers' pipelines are known: the latent upscaler (2 times) and the upscaler of Stable
Diffusion (4 times). Their steps are taken here and not by the pipelines, so that other pictures are
painted between two: a piece is one call of a network. What each pipeline computes is not changed.
Everything belongs to the engines' thread. The one rule: nothing that torch remembers for a thread,
such as that no gradients are wanted, may stay set from one piece to the next.

Source:
    `StableDiffusionLatentUpscalePipeline` and `StableDiffusionUpscalePipeline` of diffusers 0.42, and
    the tiles of its `AutoencoderKL`; both Apache 2.0.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import diffusers
import torch
import transformers
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image

from inference.engine import Pixels

from .checks import UnfitError
from .device import Device
from .memory import engine_errors
from .networks import read_json, read_network, read_tokenizer


Pieces = Generator[None, None, Any]
"""Yields after each piece but the last, and returns a tensor."""

# Of the low resolution picture that the 4x pipeline is shown: the pipeline's own.
_NOISE_LEVEL = 20


@dataclass(frozen=True, slots=True)
class _Way:
    """How one of the pipelines is run."""

    pipeline: Any
    factor: int
    denoise: Callable[[Any, Any, str, Any, torch.Generator], Pieces]
    schedulers: tuple[str, ...] = ("scheduler",)
    steps: int = 20  # a quarter of what the 4x pipeline takes by itself: the difference is hardly seen


def _denoise_latents(
    pipeline: Any, scheduler: Any, _prompt: str, image: Any, generator: torch.Generator
) -> Pieces:
    """Paint the latents of a picture twice as large; without guidance, as its model card has it.

    Args:
        pipeline: A latent upscaler.
        scheduler: This picture's own, its steps set.
        image: ``(1, 3, H, W)``, -1 to 1.
        generator: Of all its noise.

    Returns:
        ``(1, 4, H/4, W/4)``.
    """
    vae, device = pipeline.vae, image.device
    # Without guidance the pipeline takes no words.
    tokens, _, pooled, _ = pipeline.encode_prompt("", device, False)
    yield
    moments = yield from _encode(vae, image.to(tokens.dtype))
    latents = DiagonalGaussianDistribution(moments).sample(generator)
    shown = torch.nn.functional.interpolate(
        latents * vae.config.scaling_factor, scale_factor=2, mode="nearest"
    )
    shown = shown.to(tokens.dtype)
    # The noise level of what is shown, which is 0, as the network wants to be told.
    level = torch.cat(
        [torch.ones_like(pooled[:, :1]).expand(-1, 64), torch.zeros_like(pooled[:, :1]).expand(-1, 64)], dim=1
    )
    told = torch.cat([level, pooled], dim=1)
    shape = (1, vae.config.latent_channels, *shown.shape[2:])
    latents = randn_tensor(shape, generator=generator, device=device, dtype=tokens.dtype)
    latents = latents * scheduler.init_noise_sigma
    for index, timestep in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[index]
        rows = torch.cat([scheduler.scale_model_input(latents, timestep), shown], dim=1)
        output = pipeline.unet(
            rows, torch.log(sigma) * 0.25, encoder_hidden_states=tokens, timestep_cond=told
        ).sample
        # Its last channel is a variance that is not used; the rest is preconditioned (Karras et al., 2022).
        output = output[:, :-1]
        output = 1 / (sigma**2 + 1) * latents + scheduler.scale_model_input(sigma, timestep) * output
        latents = scheduler.step(output, timestep, latents).prev_sample
        yield
    return latents


_GUIDANCE_SCALE = 7.0


def _denoise_guided(
    pipeline: Any, scheduler: Any, prompt: str, image: Any, generator: torch.Generator
) -> Pieces:
    """Paint the latents of a picture four times as large; as `_denoise_latents`.

    Returns:
        ``(1, 4, H, W)``.
    """
    device = image.device
    wanted, unwanted = pipeline.encode_prompt(prompt, device, 1, True)
    tokens = torch.cat([unwanted, wanted])
    yield
    image = image.to(tokens.dtype)
    level = torch.tensor([_NOISE_LEVEL], dtype=torch.long, device=device)
    noise = randn_tensor(image.shape, generator=generator, device=device, dtype=tokens.dtype)
    shown = torch.cat([pipeline.low_res_scheduler.add_noise(image, noise, level)] * 2)
    levels = torch.cat([level] * 2)
    shape = (1, pipeline.vae.config.latent_channels, *image.shape[2:])
    latents = randn_tensor(shape, generator=generator, device=device, dtype=tokens.dtype)
    latents = latents * scheduler.init_noise_sigma
    arguments = pipeline.prepare_extra_step_kwargs(generator, 0.0)
    for timestep in scheduler.timesteps:
        rows = scheduler.scale_model_input(torch.cat([latents] * 2), timestep)
        output = pipeline.unet(
            torch.cat([rows, shown], dim=1), timestep, encoder_hidden_states=tokens, class_labels=levels
        ).sample
        away, towards = output.chunk(2)
        output = away + _GUIDANCE_SCALE * (towards - away)
        latents = scheduler.step(output, timestep, latents, **arguments).prev_sample
        yield
    return latents


def _encode(vae: Any, image: Any) -> Pieces:
    """Return the moments of a picture's latents, like `AutoencoderKL.encode`, tile by tile."""

    def encode(tile: Any) -> Any:
        made = vae.encoder(tile)
        return vae.quant_conv(made) if vae.config.use_quant_conv else made

    return (yield from _by_tiles(vae, image, encode, vae.tile_sample_min_size, vae.tile_latent_min_size))


def _decode(vae: Any, latents: Any) -> Pieces:
    """Return the picture of latents, like `AutoencoderKL.decode`, tile by tile."""

    def decode(tile: Any) -> Any:
        return vae.decoder(vae.post_quant_conv(tile) if vae.config.use_post_quant_conv else tile)

    latents = latents.to(next(vae.decoder.parameters()).dtype) / vae.config.scaling_factor
    return (yield from _by_tiles(vae, latents, decode, vae.tile_latent_min_size, vae.tile_sample_min_size))


def _by_tiles(vae: Any, values: Any, work: Callable[[Any], Any], size: int, made_size: int) -> Pieces:
    """Do something to overlapping tiles, and blend what comes of it; to what is no larger at once.

    Args:
        vae: Whose overlap and blending it is.
        values: ``(1, C, H, W)``.
        work: Done to each tile.
        size: Of a tile's sides.
        made_size: Of the sides of what comes of a whole tile.
    """
    height, width = values.shape[2:]
    if max(height, width) <= size:
        made = work(values)
        yield
        return made
    stride = int(size * (1 - vae.tile_overlap_factor))
    overlap = int(made_size * vae.tile_overlap_factor)
    rows = []
    for top in range(0, height, stride):
        row = []
        for left in range(0, width, stride):
            row.append(work(values[:, :, top : top + size, left : left + size]))
            yield
        rows.append(row)
    kept = made_size - overlap
    joined = []
    for index, row in enumerate(rows):
        cut = []
        for place, tile in enumerate(row):
            if index > 0:
                tile = vae.blend_v(rows[index - 1][place], tile, overlap)  # noqa: PLW2901 - blended twice.
            if place > 0:
                tile = vae.blend_h(row[place - 1], tile, overlap)  # noqa: PLW2901
            cut.append(tile[:, :, :kept, :kept])
        joined.append(torch.cat(cut, dim=3))
        yield
    return torch.cat(joined, dim=2)


_WAYS = {
    "StableDiffusionLatentUpscalePipeline": _Way(
        diffusers.StableDiffusionLatentUpscalePipeline, 2, _denoise_latents
    ),
    "StableDiffusionUpscalePipeline": _Way(
        diffusers.StableDiffusionUpscalePipeline, 4, _denoise_guided, ("scheduler", "low_res_scheduler")
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

    def upscale(self, pixels: Pixels, prompt: str) -> Iterator[Pixels | None]:
        """Make a picture larger, piece by piece. The same picture and prompt always give the same result.

        Several pictures may be under way at once.

        Args:
            pixels: ``(H, W, 3)`` uint8.
            prompt: What it shows.

        Yields:
            None after each piece but the last, which is each one call of a network; then the picture,
            ``(H * factor, W * factor, 3)`` uint8 but for what the pipeline rounds.

        Raises:
            OutOfMemoryError: If the device has too little memory for this size.
            PaintingFailedError: If the pipeline failed.

        Cancellation:
            Dropped between two pieces it leaves nothing behind.
        """
        pieces = self._paint(pixels, prompt)
        larger: Pixels | None = None
        while larger is None:
            with engine_errors(self._device_kind, "upscaling"), torch.no_grad():
                larger = next(pieces)
            yield larger

    def _paint(self, pixels: Pixels, prompt: str) -> Iterator[Pixels | None]:
        pipeline, way = self._pipeline, self._way
        # A scheduler counts its steps: each picture has one of its own.
        scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
        image = pipeline.image_processor.preprocess(Image.fromarray(pixels)).to(pipeline.unet.device)
        scheduler.set_timesteps(way.steps, device=image.device)
        generator = torch.Generator().manual_seed(0)
        latents = yield from way.denoise(pipeline, scheduler, prompt, image, generator)
        made = yield from _decode(pipeline.vae, latents)
        shown = (made * 0.5 + 0.5).clamp(0, 1).float()
        yield cast(
            Pixels, (shown[0] * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
        )


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
    if way.factor == 4 and device.dtype == torch.float16 and pipeline.vae.config.force_upcast:
        # It overflows in 16 bits; the pipeline would widen it for every picture.
        pipeline.vae.to(torch.float32)
    return Upscaler(pipeline, way, name, device.kind)


def _read_scheduler(part: str, folder: Path, index: dict[str, Any]) -> Any:
    told = index.get(part)
    name = str(told[1]) if isinstance(told, list) and len(told) == 2 else str(told)
    kind = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
    if kind is None:
        raise UnfitError(f"the upscaler's {part} is {name}, which is no scheduler that is known here")
    return kind.from_config(read_json(f"upscaler's {part}", folder / part / "scheduler_config.json"))

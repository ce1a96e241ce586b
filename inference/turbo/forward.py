"""One call of the UNet: what it is told, and how it is run eagerly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the UNet is told about a batch, on its device and in its precision."""

    sample: torch.Tensor  # (B, 4, H/8, W/8)
    timesteps: torch.Tensor  # (B,), float32
    tokens: torch.Tensor  # (B, 77, C)
    pooled: torch.Tensor | None = None  # (B, P), SDXL only
    time_ids: torch.Tensor | None = None  # (B, 6), float32, SDXL only

    @property
    def shape(self) -> Shape:
        """What a recording is made for: rows, height and width of the latents."""
        rows, _, height, width = self.sample.shape
        return rows, height, width

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All of them, in one order."""
        found = (self.sample, self.timesteps, self.tokens, self.pooled, self.time_ids)
        return tuple(tensor for tensor in found if tensor is not None)


Shape = tuple[int, int, int]

UNet = Callable[..., object]
"""A diffusers UNet2DConditionModel, or something that is called like it."""

Forward = Callable[[Inputs], torch.Tensor]
"""Returns the UNet's output, (B, 4, H/8, W/8); the caller may keep it."""


def run(unet: UNet, inputs: Inputs) -> torch.Tensor:
    """Run a UNet eagerly."""
    added = None
    if inputs.pooled is not None:
        added = {"text_embeds": inputs.pooled, "time_ids": inputs.time_ids}
    output = unet(
        inputs.sample,
        inputs.timesteps,
        encoder_hidden_states=inputs.tokens,
        added_cond_kwargs=added,
        return_dict=False,
    )
    return cast("tuple[torch.Tensor]", output)[0]

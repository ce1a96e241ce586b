"""One Euler-ancestral step of many unlike pictures in one call of the UNet.

Every row has its own sigma, timestep, prompt and noise; nothing of one row enters another's. Changes no
run: what a step has made is handed back, and whoever asked for it decides.

Source:
    Karras et al., https://arxiv.org/abs/2206.00364, and diffusers' EulerAncestralDiscreteScheduler and
    inpainting pipelines, whose numbers these are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .forward import Forward, Inputs
from .run import Conditions, TurboRun


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step has made of one run."""

    run: TurboRun
    latents: torch.Tensor  # (1, 4, h, w) float32 on the device
    estimate: torch.Tensor  # likewise: the picture without the noise that is left
    is_finite: bool  # False: the numbers overflowed


class Denoiser:
    """Takes steps.

    Args:
        forward: The UNet.
        device: Where it is.
        dtype: Its precision.
        takes_size: Whether it is told the picture's size and a pooled embedding, as SDXL is.
        scale: Pixels per latent.
    """

    def __init__(
        self, forward: Forward, *, device: str, dtype: torch.dtype, takes_size: bool, scale: int
    ) -> None:
        self._forward = forward
        self._device = device
        self._dtype = dtype
        self._takes_size = takes_size
        self._scale = scale

    def step(self, runs: Sequence[TurboRun], bucket: int) -> list[Stepped]:
        """Take the next step of each run.

        Args:
            runs: Of one size.
            bucket: How many rows a call of the UNet has. Rows that are missing repeat the first one;
                where there are more (a guided run in a bucket of 1) it is called more often.

        Returns:
            One for each run, in an order of its own.

        Raises:
            RuntimeError: If torch fails; the runs are as they were.
        """
        # What needs the same further treatment stands together, so that it is a slice and not a selection.
        ordered = sorted(runs, key=_group)
        guided = sum(run.negative is not None for run in ordered)
        rows = [*ordered, *ordered[:guided]]
        rows += ordered[:1] * (-len(rows) % bucket)
        numbers = self._numbers(rows)
        latents = self._gather([run.latents for run in rows])
        sample = (latents / numbers[_DIVISOR]).to(self._dtype)
        timesteps = numbers[_TIMESTEP].flatten()
        # Before the UNet is launched: a copy to the device waits for what was launched before it.
        noise = self._fresh_noise(ordered)
        output = self._predict(ordered, guided, sample, timesteps, bucket).float()
        output = _guide(output, numbers, len(ordered), guided)
        own = numbers[:, : len(ordered)]
        latents = latents[: len(ordered)]
        estimate = own[_KEEP] * latents + own[_TAKE] * output
        following = estimate + own[_REST] * (latents - estimate)
        if noise is not None:
            following = following + own[_FRESH] * noise
        following = _put_source_back(following, ordered, own)
        # One sum a row shows NaN and infinities, and waits for the device.
        sums = following.flatten(1).sum(dim=1).tolist()
        return [
            Stepped(run, row, guess, math.isfinite(total))
            for run, row, guess, total in zip(
                ordered, following.split(1), estimate.split(1), sums, strict=True
            )
        ]

    def _numbers(self, rows: Sequence[TurboRun]) -> torch.Tensor:
        """Return what `_TIMESTEP` to `_GUIDANCE` index, (8, B, 1, 1, 1) float32, moved once."""
        table = []
        for run in rows:
            step = run.next_step
            table.append(
                (
                    step.timestep,
                    step.divisor,
                    step.keep,
                    step.take,
                    step.rest,
                    step.fresh,
                    step.next_sigma,
                    run.guidance,
                )
            )
        numbers = torch.tensor(table, dtype=torch.float32).T.contiguous()
        return numbers.to(self._device)[:, :, None, None, None]

    def _gather(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Stack rows, moving those that are not on the device yet in one go."""
        if self._device == "cpu":
            return torch.cat(list(tensors))
        waiting = {id(tensor): tensor for tensor in tensors if tensor.device.type == "cpu"}
        if waiting:
            moved = torch.cat(list(waiting.values())).to(self._device).split(1)
            arrived = dict(zip(waiting, moved, strict=True))
            tensors = [arrived.get(id(tensor), tensor) for tensor in tensors]
        return torch.cat(list(tensors))

    def _predict(
        self,
        ordered: Sequence[TurboRun],
        guided: int,
        sample: torch.Tensor,
        timesteps: torch.Tensor,
        bucket: int,
    ) -> torch.Tensor:
        told = [run.conditions for run in ordered]
        told += [run.negative for run in ordered[:guided] if run.negative is not None]
        told += told[:1] * (len(sample) - len(told))
        outputs = [
            self._forward(
                self._inputs(
                    sample[start : start + bucket],
                    timesteps[start : start + bucket],
                    told[start : start + bucket],
                )
            )
            for start in range(0, len(sample), bucket)
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _inputs(self, sample: torch.Tensor, timesteps: torch.Tensor, told: Sequence[Conditions]) -> Inputs:
        tokens = torch.stack([conditions.tokens for conditions in told]).to(self._dtype)
        if not self._takes_size:
            return Inputs(sample, timesteps, tokens)
        pooled = [conditions.pooled for conditions in told if conditions.pooled is not None]
        height, width = (side * self._scale for side in sample.shape[-2:])
        # The original size, the crop's corner, the size wanted: a whole picture of this size.
        time_ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32)
        time_ids = time_ids.to(self._device).expand(len(told), -1)
        return Inputs(sample, timesteps, tokens, torch.stack(pooled).to(self._dtype), time_ids)

    def _fresh_noise(self, ordered: Sequence[TurboRun]) -> torch.Tensor | None:
        """Return the noise that the step adds, zeros for a picture's last one; None: all do their last."""
        needing = [run.next_step.fresh > 0.0 for run in ordered]
        if not any(needing):
            return None
        zeros = torch.zeros(ordered[0].latents.shape)
        noises = [run.fresh_noise() if needs else zeros for run, needs in zip(ordered, needing, strict=True)]
        return torch.cat(noises).to(self._device)


_TIMESTEP, _DIVISOR, _KEEP, _TAKE, _REST, _FRESH, _NEXT_SIGMA, _GUIDANCE = range(8)


def _group(run: TurboRun) -> int:
    """Guided runs first; where those that inpaint end the first group and begin the second."""
    if run.negative is not None:
        return 0 if run.kept is None else 1
    return 3 if run.kept is None else 2


def _guide(output: torch.Tensor, numbers: torch.Tensor, runs: int, guided: int) -> torch.Tensor:
    """Bring each guided row away from its negative one; drop the negative and the padding rows."""
    if not guided:
        return output[:runs]
    negative = output[runs : runs + guided]
    away = negative + numbers[_GUIDANCE][:guided] * (output[:guided] - negative)
    return torch.cat([away, output[guided:runs]])


def _put_source_back(
    latents: torch.Tensor, ordered: Sequence[TurboRun], numbers: torch.Tensor
) -> torch.Tensor:
    """Give inpainting runs their source back where it is kept, as noisy as the rest."""
    kept = [run.kept for run in ordered if run.kept is not None]
    if not kept:
        return latents
    start = next(index for index, run in enumerate(ordered) if run.kept is not None)
    end = start + len(kept)
    source = torch.cat([each.latents for each in kept])
    noise = torch.cat([each.noise for each in kept])
    painted = torch.cat([each.area.painted for each in kept])
    noisy = source + numbers[_NEXT_SIGMA][start:end] * noise
    mixed = torch.where(painted, latents[start:end], noisy)
    return torch.cat([latents[:start], mixed, latents[end:]])

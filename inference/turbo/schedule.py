"""How much noise there is at each step, and what a step does with it.

The sigmas and timesteps are those of diffusers' EulerAncestralDiscreteScheduler, made by that class
itself from the pipeline's own configuration, so that every spacing is as the model was trained for. Knows
no picture and no device.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from diffusers import EulerAncestralDiscreteScheduler


@dataclass(frozen=True, slots=True)
class Step:
    """The numbers of one step of one picture.

    With ``sample`` the noisy latents and ``output`` what the UNet says to ``sample / divisor``::

        estimate = keep * sample + take * output
        next = estimate + rest * (sample - estimate) + fresh * noise
    """

    timestep: float  # what the UNet is told, 0 to 999
    divisor: float
    keep: float
    take: float
    rest: float  # how much of the old noise stays; 0 in the last step
    fresh: float  # how much new noise comes; 0 in the last step
    next_sigma: float  # how noisy the latents are afterwards; 0 after the last step


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps from pure noise to a picture."""

    steps: tuple[Step, ...]
    sigmas: tuple[float, ...]  # before each step, and 0 at the end
    init_sigma: float  # what noise alone is multiplied by where there is no source


class Schedules:
    """The schedules of one model, made when they are first asked for.

    Args:
        config: The pipeline's scheduler configuration, of whatever class.

    Raises:
        ValueError: If the model predicts something else than noise or velocity, or its betas are
            unknown.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        known = inspect.signature(EulerAncestralDiscreteScheduler.__init__).parameters
        prediction = config.get("prediction_type", "epsilon")
        if prediction not in ("epsilon", "v_prediction"):
            raise ValueError(
                f"prediction_type of the scheduler must be 'epsilon' or 'v_prediction', got {prediction!r}"
            )
        self._predicts_velocity = prediction == "v_prediction"
        self._made: dict[int, Schedule] = {}
        with _quiet_arrays():
            try:
                self._scheduler = EulerAncestralDiscreteScheduler.from_config(
                    {name: value for name, value in config.items() if name in known}
                )
            except NotImplementedError as exc:
                raise ValueError(f"the scheduler's betas are not known: {exc}") from exc

    def of(self, steps: int) -> Schedule:
        """Return the schedule of so many steps, 1 to 100."""
        if steps not in self._made:
            self._made[steps] = self._make(steps)
        return self._made[steps]

    def begun_within(self, steps: int, strength: float) -> Schedule:
        """Return a schedule of so many steps that begins where a strength below 1 says.

        For the few steps of a turbo model: `first_step` leaves all of them there, and they would begin at
        pure noise, whatever the strength. The timesteps are spaced as "trailing" spaces them, so that this
        is the end of a longer schedule wherever there is one that begins at the same noise.
        """
        trained = int(self._scheduler.config.num_train_timesteps)
        highest = strength * trained
        timesteps = [max(round(highest * (steps - index) / steps) - 1, 0) for index in range(steps)]
        alphas = self._scheduler.alphas_cumprod.numpy().astype(np.float64)
        trained_sigmas = np.sqrt((1.0 - alphas) / alphas)
        sigmas = [float(np.interp(step, np.arange(trained), trained_sigmas)) for step in timesteps]
        return self._put_together([float(step) for step in timesteps], [*sigmas, 0.0])

    def _make(self, steps: int) -> Schedule:
        with _quiet_arrays():
            self._scheduler.set_timesteps(steps)
        # Rounding leaves one timestep too many for some counts (61 with trailing spacing), below 0.
        timesteps = self._scheduler.timesteps.tolist()[:steps]
        return self._put_together(timesteps, [*self._scheduler.sigmas.tolist()[:steps], 0.0])

    def _put_together(self, timesteps: list[float], sigmas: list[float]) -> Schedule:
        return Schedule(
            steps=tuple(
                self._step(timestep, sigma, next_sigma)
                for timestep, (sigma, next_sigma) in zip(timesteps, pairwise(sigmas), strict=True)
            ),
            sigmas=tuple(sigmas),
            init_sigma=float(self._scheduler.init_noise_sigma),
        )

    def _step(self, timestep: float, sigma: float, next_sigma: float) -> Step:
        variance = sigma**2 + 1.0
        # The share of fresh noise that makes the ancestral step, and what is left of the old.
        fresh = math.sqrt(next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2)
        down = math.sqrt(max(next_sigma**2 - fresh**2, 0.0))
        return Step(
            timestep=timestep,
            divisor=math.sqrt(variance),
            keep=1.0 / variance if self._predicts_velocity else 1.0,
            take=-sigma / math.sqrt(variance) if self._predicts_velocity else -sigma,
            rest=down / sigma,
            fresh=fresh,
            next_sigma=next_sigma,
        )


def first_step(steps: int, strength: float) -> int:
    """Return the index of the first step of a picture that begins at a source.

    Args:
        steps: Of the whole schedule, 1 or more.
        strength: How much of the source is painted anew, above 0 to 1.

    Returns:
        0 to ``steps - 1``: ``steps * strength`` steps are left, rounded half up and at least one, where
        diffusers cuts off and may be left with none.
    """
    # A strength such as 0.29 lies a little below what was meant: 50 steps of it are 14.499999999999998.
    wanted = math.floor(steps * strength + 0.5 + 1e-6)
    return steps - min(max(wanted, 1), steps)


@contextmanager
def _quiet_arrays() -> Iterator[None]:
    """Keep diffusers' conversion of a tensor by `numpy.array` from warning of numpy's next version."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        yield

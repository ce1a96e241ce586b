"""How sound moves what a live picture is painted of: strength, guidance and the seed. Pure.

What a job asks for stays as it is; only the targets that are painted move around it. A target costs the
inference service a prompt and, with a source, a decoded image, and it forgets all but a few: so they come
at most twice a second, each once the change to the one before is over, and only where a value has moved by
a step that can be seen.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from server.generation.finite import SEEDS
from server.generation.picture import PictureOrder
from server.sound.mapping import Modulation


# The least time between two targets, seconds.
RETARGET_S = 0.5
# The longest change to a drifting seed, seconds of the timeline, which runs as ever once the sound has ended:
# after it silence is still.
MAX_CHANGE_S = 2.0
# What the inference service takes where an order with a source names no strength.
DEFAULT_STRENGTH = 0.6
# Steps in which values move.
STRENGTH_STEP = 0.05
GUIDANCE_STEP = 0.5
MAX_GUIDANCE_SCALE = 20.0


class Sway:
    """Where sound has moved the target of one job to.

    Attributes:
        job: The job's id.
    """

    def __init__(self, job: str) -> None:
        self.job = job
        self._drifted = 0.0  # seeds
        self._rate = 0.0  # seeds per second, lately
        self._next_s = -math.inf  # of the clock: when the next target may come
        self._settled_s = -math.inf  # of the timeline: when the change to the one before is over

    @property
    def drift(self) -> int:
        """Whole seeds that the picture has drifted by."""
        return int(self._drifted)

    def drift_on(self, modulation: Modulation, elapsed_s: float) -> None:
        """Let the seed drift for a while."""
        self._rate = modulation.seed
        self._drifted = math.fmod(self._drifted + modulation.seed * elapsed_s, SEEDS)

    def moved(self, order: PictureOrder, modulation: Modulation) -> PictureOrder:
        """Return an order as the sound moves it; itself where it moves nothing.

        Strength is moved where there is a source, guidance where the order names one: what a model takes
        by itself is its own affair, and many can use none.
        """
        changes: dict[str, Any] = {}
        strength = _stepped(modulation.strength, STRENGTH_STEP)
        if strength and order.source is not None:
            asked = DEFAULT_STRENGTH if order.strength is None else order.strength
            changes["strength"] = min(1.0, max(STRENGTH_STEP, round(asked + strength, 6)))
        guidance = _stepped(modulation.guidance, GUIDANCE_STEP)
        if guidance and order.guidance_scale is not None:
            changes["guidance_scale"] = min(MAX_GUIDANCE_SCALE, max(0.0, order.guidance_scale + guidance))
        if self.drift and order.seed is not None:
            changes["seed"] = (order.seed + self.drift) % SEEDS
        return replace(order, **changes) if changes else order

    def is_due(self, now_s: float, time_s: float) -> bool:
        """Tell whether the next target may come, at an instant of the clock and of the timeline."""
        return now_s >= self._next_s and time_s >= self._settled_s

    def settle(self, time_s: float) -> None:
        """Note a change that somebody asked for, and until when on the timeline it lasts."""
        self._settled_s = time_s

    def begin(self, now_s: float, time_s: float, speed: float) -> float:
        """Note a target that is sent, while the timeline runs so fast.

        Returns:
            How long the change to it takes, seconds of the timeline.
        """
        # Until the seed after this one is due.
        change_s = 1.0 / self._rate if self._rate > 0.0 else RETARGET_S
        transition_s = min(MAX_CHANGE_S, max(RETARGET_S, change_s) * speed)
        self._next_s = now_s + RETARGET_S
        self._settled_s = time_s + transition_s
        return transition_s


def _stepped(value: float, step: float) -> float:
    return round(value / step) * step

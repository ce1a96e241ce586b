"""What a canvas makes of sound: which feature of it moves which parameter, and how far.

Pure values: knows no socket, no canvas and no painting.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args


Feature = Literal["level", "low", "mid", "high", "onset", "beat"]
"""What is told of a sound, each from 0 (nothing) to 1: loudness, three bands, a sudden rise, a beat."""

FEATURES: tuple[Feature, ...] = get_args(Feature)

Parameter = Literal["speed", "strength", "seed", "palette", "guidance"]
"""What can be moved."""

PARAMETERS: dict[Parameter, tuple[float, float, float]] = {
    # The factor by which a live picture's time runs faster.
    "speed": (0.0, 8.0, 1.0),
    # Added to the strength of a picture that is painted from a source.
    "strength": (-1.0, 1.0, 0.0),
    # Seeds per second that the picture drifts through.
    "seed": (0.0, 4.0, 0.0),
    # Degrees by which every hue is turned.
    "palette": (-180.0, 180.0, 0.0),
    # Added to the guidance scale.
    "guidance": (-20.0, 20.0, 0.0),
}
"""Of each its least and greatest value, and the neutral one, which changes nothing."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """One feature that moves one parameter."""

    feature: Feature
    parameter: Parameter
    low: float  # of the parameter, where the feature is 0 and there is sound
    high: float  # of the parameter, where the feature is 1
    smoothing_s: float = 0.2  # how long it takes to follow, seconds


@dataclass(frozen=True, slots=True)
class Audio:
    """The setting of a canvas. Without sound every parameter is neutral, whatever the mappings say."""

    enabled: bool = True
    mappings: tuple[Mapping, ...] = (
        Mapping("level", "speed", 1.0, 4.0, 0.3),
        Mapping("beat", "palette", 0.0, 40.0, 0.25),
    )


@dataclass(frozen=True, slots=True)
class Modulation:
    """What sound does to a canvas at a moment; the default does nothing."""

    speed: float = 1.0  # factor
    strength: float = 0.0  # added
    seed: float = 0.0  # seeds per second
    palette: float = 0.0  # degrees
    guidance: float = 0.0  # added

    @property
    def is_neutral(self) -> bool:
        """Whether it changes nothing."""
        return all(getattr(self, field.name) == field.default for field in fields(self))


DEFAULT_AUDIO = Audio()

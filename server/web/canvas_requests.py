"""The bodies that make and change canvases, field by field."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from server.errors import InvalidError
from server.sound.mapping import DEFAULT_AUDIO, PARAMETERS, Audio, Feature, Mapping, Parameter
from server.streaming.config import CanvasConfig
from server.streaming.processing import IDENTITY, Crop, Mirror, Processing, Tint
from server.streaming.transition import CUT, MAX_TRANSITION_S, Kind, Transition
from server.web.requests import Body, Fps, Number, Side, Slug


MAX_MAPPINGS = 16
MAX_SMOOTHING_S = 10.0


def _quarter_turns(value: int) -> int:
    if value not in (0, 90, 180, 270):
        raise ValueError("must be 0, 90, 180 or 270")
    return value


Share = Annotated[float, Number, Field(ge=0, le=1)]
Extent = Annotated[float, Number, Field(gt=0, le=1)]
Factor = Annotated[float, Number, Field(ge=0, le=4)]
Color = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]


class TransitionBody(Body):
    """`transition` of a canvas; what is left out stays as it is, null is what a new canvas has."""

    kind: Kind | None = None
    duration_s: Annotated[float, Number, Field(ge=0, le=MAX_TRANSITION_S)] | None = None

    def apply(self, current: Transition) -> Transition:
        """Return the transition with these changes."""
        return replace(current, **_changes(self, CUT))


class CropBody(Body):
    """`processing.crop`, in shares of the picture's sides; what is left out stays as it is."""

    x: Share = 0.0
    y: Share = 0.0
    width: Extent = 1.0
    height: Extent = 1.0

    def apply(self, current: Crop | None) -> Crop:
        """Return the crop with these changes; without one until now, all of the picture is cropped.

        Raises:
            InvalidError: If it would not lie within the picture.
        """
        crop = replace(current or Crop(), **self.model_dump(exclude_unset=True))
        for start, extent in (("x", "width"), ("y", "height")):
            # Shares such as 0.1 + 0.9 are a hair off in binary.
            if getattr(crop, start) + getattr(crop, extent) > 1.000001:
                field = f"processing.crop.{extent}"
                raise InvalidError(f"{field}: {start} + {extent} must be at most 1", field=field)
        return crop


class TintBody(Body):
    """`processing.tint`; what is left out stays as it is."""

    color: Color = ""
    amount: Share = 0.5

    def apply(self, current: Tint | None) -> Tint:
        """Return the tint with these changes.

        Raises:
            InvalidError: If it has no colour, and there is no tint that had one.
        """
        if current is not None:
            return replace(current, **self.model_dump(exclude_unset=True))
        if "color" not in self.model_fields_set:
            field = "processing.tint.color"
            raise InvalidError(f"{field} is missing: there is no tint yet", field=field)
        return Tint(self.color, self.amount)


class ProcessingBody(Body):
    """`processing` of a canvas; what is left out stays as it is, null takes a part away again.

    So it is within `crop` and `tint`, where there is one: a slider of the amount need not know the colour.
    """

    crop: CropBody | None = None
    rotate: Annotated[int, Number, AfterValidator(_quarter_turns)] | None = None
    mirror: Mirror | None = None
    brightness: Factor | None = None
    contrast: Factor | None = None
    saturation: Factor | None = None
    hue: Annotated[float, Number, Field(ge=-180, le=180)] | None = None
    tint: TintBody | None = None
    pixelate: Annotated[int, Number, Field(ge=1, le=256)] | None = None
    blur: Annotated[float, Number, Field(ge=0, le=100)] | None = None

    def apply(self, current: Processing) -> Processing:
        """Return the processing with these changes.

        Raises:
            InvalidError: If a part is right by itself, but not with what is there.
        """
        changes = _changes(self, IDENTITY)
        if self.crop is not None:
            changes["crop"] = self.crop.apply(current.crop)
        if self.tint is not None:
            changes["tint"] = self.tint.apply(current.tint)
        return replace(current, **changes)


class MappingBody(Body):
    """One of `audio.mappings`."""

    feature: Feature
    parameter: Parameter
    low: Annotated[float, Number]
    high: Annotated[float, Number]
    smoothing_s: Annotated[float, Number, Field(ge=0, le=MAX_SMOOTHING_S)] = 0.2

    @field_validator("low", "high")
    @classmethod
    def _is_in_range(cls, value: float, info: ValidationInfo) -> float:
        # A parameter that is wrong itself is told.
        parameter = info.data.get("parameter")
        if parameter is not None:
            least, greatest, _ = PARAMETERS[parameter]
            if not least <= value <= greatest:
                raise ValueError(f"of {parameter} must be from {least:g} to {greatest:g}")
        return value


class AudioBody(Body):
    """`audio` of a canvas; what is left out stays as it is, null is what a new canvas has.

    Mappings are replaced as a whole.
    """

    enabled: bool | None = None
    mappings: list[MappingBody] | None = Field(None, max_length=MAX_MAPPINGS)

    def apply(self, current: Audio) -> Audio:
        """Return the setting with these changes."""
        changes = _changes(self, DEFAULT_AUDIO)
        if self.mappings is not None:
            changes["mappings"] = tuple(Mapping(**mapping.model_dump()) for mapping in self.mappings)
        return replace(current, **changes)


def _changes(body: Body, default: object) -> dict[str, Any]:
    """Return the fields that a body names; null is the default's."""
    named = {name: getattr(body, name) for name in body.model_fields_set}
    return {name: getattr(default, name) if value is None else value for name, value in named.items()}


class CanvasPatch(Body):
    """What `PATCH /canvases/{slug}` takes: any of these; null is what a new canvas has."""

    width: Side | None = None
    height: Side | None = None
    fps: Annotated[Fps, Number] | None = None
    format: Literal["jpeg", "webp", "png"] | None = None
    quality: Annotated[int, Number, Field(ge=1, le=100)] | None = None
    paused: bool | None = None
    blank: bool | None = None
    present_delay_ms: Annotated[int, Number, Field(ge=0, le=5000)] | None = None
    transition: TransitionBody | None = None
    processing: ProcessingBody | None = None
    audio: AudioBody | None = None

    def apply(self, current: CanvasConfig, default: CanvasConfig) -> dict[str, Any]:
        """Return what is to be changed of a configuration.

        Args:
            current: As it is.
            default: What a new canvas has.

        Raises:
            InvalidError: As the parts do.
        """
        changes = _changes(self, default)
        for name in ("transition", "processing", "audio"):
            body = getattr(self, name)
            if body is not None:
                changes[name] = body.apply(getattr(current, name))
        return changes


class CanvasBody(CanvasPatch):
    """What `POST /canvases` takes."""

    slug: Slug

    def config(self, default: CanvasConfig) -> CanvasConfig:
        """Return the new canvas's configuration.

        Raises:
            InvalidError: As `apply` does.
        """
        changes = self.apply(default, default)
        del changes["slug"]
        return replace(default, **changes)

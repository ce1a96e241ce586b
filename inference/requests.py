"""Requests as they come to orders as engines take them: every field checked, none left open.

Knows the messages of `protos` and the engine interface, but no transport, thread or clock. A bad
field is refused by its name, never corrected silently.
"""

from __future__ import annotations

import math
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

from inference.encode import FORMATS, Format
from inference.engine import ModelDescription, PictureRequest, RejectedError
from protos import psyche_inference_v1_pb2 as pb


MAX_PROMPT_CHARACTERS = 2000
MAX_USER_ID_CHARACTERS = 128
MAX_REQUEST_ID_CHARACTERS = 64
MAX_CONTEXT_TURNS = 16
MAX_VARIATIONS = 64
MAX_TRANSITION_S = 600.0
SIZE_MULTIPLE_PX = 8
MIN_SIZE_PX, MAX_SIZE_PX = 64, 4096
MAX_STEPS = 100
MAX_GUIDANCE_SCALE = 20.0
# Seeds are 31 bits, so that every language's signed 32-bit integer carries them.
SEEDS = 2**31
DEFAULT_STRENGTH = 0.6
DEFAULT_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What an engine offers, and which model an empty name means."""

    models: Mapping[str, ModelDescription]
    styles: Mapping[str, str]
    default_model: str


@dataclass(frozen=True, slots=True)
class Order:
    """A checked request: the picture, and what becomes of it."""

    picture: PictureRequest
    model: ModelDescription
    request_id: str
    format: Format
    quality: int  # 1 to 100
    previews: bool
    warnings: tuple[str, ...]  # one sentence each

    def variation(self, index: int) -> Order:
        """Return the same order with the seed of its variation ``index``."""
        return replace(self, picture=replace(self.picture, seed=(self.picture.seed + index) % SEEDS))


def parse(request: pb.ImageRequest, catalogue: Catalogue) -> Order:
    """Check everything of a request but its images, and fill in what it leaves open.

    Raises:
        RejectedError: Naming the first bad field.
    """
    _check_length("user_id", request.user_id, MAX_USER_ID_CHARACTERS)
    _check_length("request_id", request.request_id, MAX_REQUEST_ID_CHARACTERS)
    _check_context(request)
    model = _parse_model(request.model, catalogue)
    output_format, quality = _parse_output(request.output)
    return Order(
        picture=_parse_picture(request, model, catalogue),
        model=model,
        request_id=request.request_id or uuid.uuid4().hex,
        format=output_format,
        quality=quality,
        previews=request.previews,
        warnings=_warn(request),
    )


def parse_count(request: pb.ImageVariationsRequest) -> int:
    """Return how many variations are asked for, 1 to `MAX_VARIATIONS`.

    Raises:
        RejectedError: If it is none or more.
    """
    return _check_whole("count", request.count, 1, MAX_VARIATIONS)


def check_time(field: str, time_s: float) -> float:
    """Return a time of a timeline, seconds.

    Raises:
        RejectedError: If it is below 0 or no number.
    """
    if not (math.isfinite(time_s) and time_s >= 0.0):
        raise RejectedError(field, f"{field} must be a number of seconds of 0 or more, got {time_s:g}")
    return time_s


def check_transition(transition_s: float) -> float:
    """Return how long a change takes, seconds.

    Raises:
        RejectedError: If it is not 0 to `MAX_TRANSITION_S`.
    """
    if not 0.0 <= transition_s <= MAX_TRANSITION_S:  # False for NaN as well.
        raise RejectedError(
            "transition_s",
            f"transition_s must be a number of seconds from 0 to {MAX_TRANSITION_S:g}, got {transition_s:g}",
        )
    return transition_s


def _parse_picture(request: pb.ImageRequest, model: ModelDescription, catalogue: Catalogue) -> PictureRequest:
    prompt = request.prompt.strip()
    if not prompt:
        raise RejectedError("prompt", f"prompt must be 1 to {MAX_PROMPT_CHARACTERS} characters, got none")
    _check_length("prompt", prompt, MAX_PROMPT_CHARACTERS)
    _check_length("negative_prompt", request.negative_prompt, MAX_PROMPT_CHARACTERS)
    if request.HasField("mask") and not request.HasField("source"):
        raise RejectedError("mask", "mask must come with a source, got no source")
    settings = request.settings
    return PictureRequest(
        prompt=prompt,
        negative_prompt=request.negative_prompt.strip(),
        model=model.name,
        style=_parse_style(settings.style, catalogue),
        width=_parse_size("width", settings, model, model.default_width),
        height=_parse_size("height", settings, model, model.default_height),
        steps=_parse_steps(settings, model),
        guidance_scale=_parse_guidance_scale(settings, model),
        seed=_parse_seed(settings),
        strength=_parse_strength(settings),
    )


def _parse_model(name: str, catalogue: Catalogue) -> ModelDescription:
    try:
        return catalogue.models[name or catalogue.default_model]
    except KeyError:
        raise RejectedError("model", _refuse_name("model", name, catalogue.models)) from None


def _parse_style(name: str, catalogue: Catalogue) -> str:
    if name and name not in catalogue.styles:
        raise RejectedError("settings.style", _refuse_name("settings.style", name, catalogue.styles))
    return name


def _refuse_name(field: str, name: str, offered: Mapping[str, object]) -> str:
    # A name may be as long as a message; its beginning says enough.
    return f"{field} must be one of {', '.join(offered) or '(none on offer)'}, got {name[:64]!r}"


def _parse_size(side: str, settings: pb.ImageSettings, model: ModelDescription, default_px: int) -> int:
    if not settings.HasField("width" if side == "width" else "height"):
        return default_px
    size_px = settings.width if side == "width" else settings.height
    least_px, most_px = max(MIN_SIZE_PX, model.min_size), min(MAX_SIZE_PX, model.max_size)
    if size_px % SIZE_MULTIPLE_PX or not least_px <= size_px <= most_px:
        field = f"settings.{side}"
        raise RejectedError(
            field,
            f"{field} must be a multiple of {SIZE_MULTIPLE_PX} from {least_px} to {most_px}, got {size_px}",
        )
    return size_px


def _parse_steps(settings: pb.ImageSettings, model: ModelDescription) -> int:
    if not settings.HasField("steps"):
        return model.default_steps
    return _check_whole("settings.steps", settings.steps, 1, min(MAX_STEPS, model.max_steps))


def _parse_guidance_scale(settings: pb.ImageSettings, model: ModelDescription) -> float:
    if not settings.HasField("guidance_scale"):
        return model.default_guidance_scale
    scale = settings.guidance_scale
    if not 0.0 <= scale <= MAX_GUIDANCE_SCALE:  # False for NaN as well.
        raise RejectedError(
            "settings.guidance_scale",
            f"settings.guidance_scale must be a number from 0 to {MAX_GUIDANCE_SCALE:g}, got {scale:g}",
        )
    return scale


def _parse_seed(settings: pb.ImageSettings) -> int:
    if not settings.HasField("seed"):
        return secrets.randbelow(SEEDS)
    return _check_whole("settings.seed", settings.seed, 0, SEEDS - 1)


def _parse_strength(settings: pb.ImageSettings) -> float:
    if not settings.HasField("strength"):
        return DEFAULT_STRENGTH
    strength = settings.strength
    if not 0.0 < strength <= 1.0:  # False for NaN as well.
        raise RejectedError(
            "settings.strength", f"settings.strength must be a number above 0 up to 1, got {strength:g}"
        )
    return strength


def _parse_output(output: pb.OutputSettings) -> tuple[Format, int]:
    wanted = output.format or "jpeg"
    for known in FORMATS:
        if wanted == known:
            break
    else:
        raise RejectedError(
            "output.format", _refuse_name("output.format", output.format, dict.fromkeys(FORMATS))
        )
    if not output.HasField("quality"):
        return known, DEFAULT_QUALITY
    return known, _check_whole("output.quality", output.quality, 1, 100)


def _check_context(request: pb.ImageRequest) -> None:
    if len(request.context) > MAX_CONTEXT_TURNS:
        raise RejectedError(
            "context", f"context must be at most {MAX_CONTEXT_TURNS} turns, got {len(request.context)}"
        )
    for turn in request.context:
        _check_length("context", turn, MAX_PROMPT_CHARACTERS)


def _warn(request: pb.ImageRequest) -> tuple[str, ...]:
    """Tell what no engine behind this interface can use; engines tell their own."""
    warnings = []
    if request.context:
        warnings.append("context was not used: pictures are painted from the prompt alone")
    if request.settings.HasField("strength") and not request.HasField("source"):
        warnings.append("settings.strength was not used: there is no source")
    return tuple(warnings)


def _check_length(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise RejectedError(field, f"{field} must be at most {limit} characters, got {len(text)}")


def _check_whole(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise RejectedError(field, f"{field} must be a whole number from {least} to {most}, got {value}")
    return value

"""Requests as they come to orders as engines take them: every field checked, none left open.

Words are put together here: a neural network's prompt is the whole of context, templates and style.

Knows the messages of `protos` and the engine interface, but no transport, thread or clock. A bad
field is refused by its name, never corrected silently.
"""

from __future__ import annotations

import math
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from inference.encode import FORMATS, Format
from inference.engine import ModelDescription, PictureRequest, RejectedError
from inference.styles import STYLES, TEMPLATES, compose
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
# Of a live picture beside the others: more would starve somebody.
MIN_WEIGHT, MAX_WEIGHT = 0.1, 10.0
UPSCALE_FACTORS = (1, 2, 4)
DEFAULT_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models on offer, and which of them an empty name means."""

    models: Mapping[str, ModelDescription]
    default_model: str
    aliases: Mapping[str, str] = field(default_factory=dict)  # other names, each with the one it means


@dataclass(frozen=True, slots=True)
class Order:
    """A checked request: the picture, and what becomes of it."""

    picture: PictureRequest
    model: ModelDescription
    request_id: str
    user_id: str  # empty: nobody's
    context: tuple[str, ...]  # the turns that are part of the prompt
    format: Format
    quality: int  # 1 to 100
    upscale: int  # 1, 2 or 4 times
    previews: bool
    warnings: tuple[str, ...]  # one sentence each

    def variation(self, index: int) -> Order:
        """Return the same order with the seed of its variation ``index``."""
        return replace(self, picture=replace(self.picture, seed=(self.picture.seed + index) % SEEDS))


def parse(request: pb.ImageRequest, catalogue: Catalogue, *, model: str = "", request_id: str = "") -> Order:
    """Check everything of a request but its images, and fill in what it leaves open.

    Args:
        request: As it came.
        catalogue: What is on offer.
        model: The model that paints in place of the one asked for; empty: that one.
        request_id: The id that was made for it before; empty: none was.

    Raises:
        RejectedError: Naming the first bad field.
    """
    _check_length("user_id", request.user_id, MAX_USER_ID_CHARACTERS)
    _check_length("request_id", request.request_id, MAX_REQUEST_ID_CHARACTERS)
    context = _parse_context(request)
    painter = _parse_model(model or request.model, catalogue)
    picture = _parse_picture(request, painter, context)
    output_format, quality = _parse_output(request.output)
    return Order(
        picture=picture,
        model=painter,
        request_id=request.request_id or request_id or uuid.uuid4().hex,
        user_id=request.user_id,
        context=context,
        format=output_format,
        quality=quality,
        upscale=_parse_upscale(request.settings, picture),
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


def check_weight(weight: float) -> float:
    """Return a live picture's share beside the others'.

    Raises:
        RejectedError: If it is not `MIN_WEIGHT` to `MAX_WEIGHT`.
    """
    if not MIN_WEIGHT <= weight <= MAX_WEIGHT:  # False for NaN as well.
        raise RejectedError(
            "weight", f"weight must be a number from {MIN_WEIGHT:g} to {MAX_WEIGHT:g}, got {weight:g}"
        )
    return weight


def _parse_picture(
    request: pb.ImageRequest, model: ModelDescription, context: tuple[str, ...]
) -> PictureRequest:
    prompt = request.prompt.strip()
    if not prompt:
        raise RejectedError("prompt", f"prompt must be 1 to {MAX_PROMPT_CHARACTERS} characters, got none")
    _check_length("prompt", prompt, MAX_PROMPT_CHARACTERS)
    _check_length("negative_prompt", request.negative_prompt, MAX_PROMPT_CHARACTERS)
    if request.HasField("mask") and not request.HasField("source"):
        raise RejectedError("mask", "mask must come with a source, got no source")
    settings = request.settings
    style = _parse_name("settings.style", settings.style, STYLES)
    template = _parse_name("settings.template", settings.template, TEMPLATES)
    return PictureRequest(
        prompt=compose(
            prompt,
            context=context,
            template=TEMPLATES[template] if template else None,
            # Of a painter the style is painted, not said.
            style=STYLES[style] if style and model.is_neural else None,
            model_template=model.prompt_template,
        ),
        negative_prompt=request.negative_prompt.strip(),
        model=model.name,
        style=style,
        width=_parse_size("width", settings, model, model.default_width),
        height=_parse_size("height", settings, model, model.default_height),
        steps=_parse_steps(settings, model),
        guidance_scale=_parse_guidance_scale(settings, model),
        seed=_parse_seed(settings),
        strength=_parse_strength(settings),
    )


def _parse_model(name: str, catalogue: Catalogue) -> ModelDescription:
    try:
        return catalogue.models[catalogue.aliases.get(name, name) or catalogue.default_model]
    except KeyError:
        raise RejectedError("model", _refuse_name("model", name, catalogue.models)) from None


def _parse_name(field: str, name: str, offered: Mapping[str, object]) -> str:
    if name and name not in offered:
        raise RejectedError(field, _refuse_name(field, name, offered))
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


def _parse_upscale(settings: pb.ImageSettings, picture: PictureRequest) -> int:
    field = "settings.upscale"
    if not settings.HasField("upscale"):
        return 1
    factor = settings.upscale
    if factor not in UPSCALE_FACTORS:
        raise RejectedError(field, f"{field} must be 1, 2 or 4, got {factor}")
    width, height = picture.width * factor, picture.height * factor
    if max(width, height) > MAX_SIZE_PX:
        raise RejectedError(
            field, f"{field} must make no side longer than {MAX_SIZE_PX} pixels, got {width} x {height}"
        )
    return factor


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


def _parse_context(request: pb.ImageRequest) -> tuple[str, ...]:
    if len(request.context) > MAX_CONTEXT_TURNS:
        raise RejectedError(
            "context", f"context must be at most {MAX_CONTEXT_TURNS} turns, got {len(request.context)}"
        )
    for turn in request.context:
        _check_length("context", turn, MAX_PROMPT_CHARACTERS)
    return tuple(turn.strip() for turn in request.context if turn.strip())


def _warn(request: pb.ImageRequest) -> tuple[str, ...]:
    """Tell what no model could use; each engine tells what its own cannot."""
    if request.settings.HasField("strength") and not request.HasField("source"):
        return ("settings.strength was not used: there is no source",)
    return ()


def _check_length(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise RejectedError(field, f"{field} must be at most {limit} characters, got {len(text)}")


def _check_whole(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise RejectedError(field, f"{field} must be a whole number from {least} to {most}, got {value}")
    return value

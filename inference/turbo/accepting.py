"""What one neural model can and cannot be asked for. Pure: reads a description and a request."""

from __future__ import annotations

from collections.abc import Iterator

from inference.engine import ModelDescription, PictureRequest, RejectedError


def check(request: PictureRequest, model: ModelDescription, scale: int) -> tuple[str, ...]:
    """Check sizes, steps, source and mask, and whether guidance is of any use.

    Args:
        request: What is asked for.
        model: Who is asked.
        scale: Pixels per latent: sizes are multiples of it.

    Returns:
        What is asked for and will not be used, one sentence each.

    Raises:
        RejectedError: If it cannot be painted.
    """
    if request.model not in ("", model.name):
        raise RejectedError("model", f"model must be {model.name} here, got {request.model!r}")
    for side, size_px in (("width", request.width), ("height", request.height)):
        _check_size(f"settings.{side}", size_px, model, scale)
    if not 1 <= request.steps <= model.max_steps:
        raise RejectedError(
            "settings.steps",
            f"settings.steps must be a whole number from 1 to {model.max_steps}, got {request.steps}",
        )
    _check_source(request, model)
    return tuple(_warn(request, model))


def is_guided(request: PictureRequest, model: ModelDescription) -> bool:
    """Tell whether a picture is led away from its negative prompt, which takes a second row."""
    return model.uses_guidance and request.guidance_scale > 1.0


def _check_size(field: str, size_px: int, model: ModelDescription, scale: int) -> None:
    if size_px % scale or not model.min_size <= size_px <= model.max_size:
        raise RejectedError(
            field,
            f"{field} must be a multiple of {scale} from {model.min_size} to {model.max_size}, got {size_px}",
        )


def _check_source(request: PictureRequest, model: ModelDescription) -> None:
    if request.source is None:
        if request.mask is not None:
            raise RejectedError("mask", "mask must come with a source, got no source")
        return
    if not model.paints_from_source:
        raise RejectedError("source", f"source must be left out: {model.name} does not paint from one")
    if request.mask is not None and not model.paints_from_mask:
        raise RejectedError("mask", f"mask must be left out: {model.name} does not paint within one")
    if not 0.0 < request.strength <= 1.0:  # False for NaN as well.
        raise RejectedError(
            "settings.strength",
            f"settings.strength must be a number above 0 up to 1, got {request.strength:g}",
        )


def _warn(request: PictureRequest, model: ModelDescription) -> Iterator[str]:
    if not model.uses_guidance:
        reason = f"{model.name} paints without guidance"
        # At 1 and below every model paints without it.
        if request.guidance_scale > 1.0:
            yield f"guidance_scale was not used: {reason}"
        if request.negative_prompt:
            yield f"negative_prompt was not used: {reason}"
    elif request.negative_prompt and not is_guided(request, model):
        yield "negative_prompt was not used: it needs a guidance_scale above 1"

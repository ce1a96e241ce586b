"""The inference service's messages to and from our own values.

Pure: it knows the contract (`protos/`), no channel and no call. Its one rule: an order that does
not fit is an `InferenceRejectedError` naming its field, and nothing that comes in can raise.
"""

from __future__ import annotations

from protos import psyche_inference_v1_pb2 as pb
from server.errors import InferenceRejectedError
from server.generation.picture import (
    LiveFrame,
    ModelInfo,
    Models,
    PaintEvent,
    PaintProgress,
    PaintRefusal,
    Picture,
    PictureMetadata,
    PictureOrder,
    Progress,
    StepTime,
    StyleInfo,
    TemplateInfo,
)


# One message's limit, bytes, at both ends: two source images of 32 MiB are the most that the
# contract allows, and an answer is one image.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

# What a message holds beside its images at the very most (prompts, context), with room to spare.
_MAX_TEXT_BYTES = 1024 * 1024

_IMAGE_REQUEST_FIELDS = ("prompt", "negative_prompt", "model", "user_id", "request_id")
_SETTINGS_FIELDS = ("width", "height", "steps", "guidance_scale", "seed", "strength", "upscale")


def field_name(proto_field: str) -> str:
    """Return what our HTTP interface calls a field of the contract.

    Messages inside messages are one flat body there: ``settings.width`` is ``width`` and
    ``source.data`` is ``source``.
    """
    named = [part for part in proto_field.split(".") if part != "data"]
    return named[-1] if named else ""


def image_request(order: PictureOrder, *, previews: bool = False) -> pb.ImageRequest:
    """Write an order as the contract's message.

    Raises:
        InferenceRejectedError: If a value does not fit into its field, or the images not into a
            message.
    """
    images_bytes = len(order.source or b"") + len(order.mask or b"")
    if images_bytes > MAX_MESSAGE_BYTES - _MAX_TEXT_BYTES:
        raise InferenceRejectedError(
            f"source and mask of {images_bytes} bytes exceed the limit of "
            f"{MAX_MESSAGE_BYTES - _MAX_TEXT_BYTES} bytes",
            field="source",
        )
    request = pb.ImageRequest(previews=previews)
    for name in _IMAGE_REQUEST_FIELDS:
        _assign(request, name, getattr(order, name))
    for name in _SETTINGS_FIELDS:
        _assign(request.settings, name, getattr(order, name))
    _assign(request.settings, "style", order.style or None)
    _assign(request.settings, "template", order.template or None)
    _assign(request.output, "format", order.format)
    _assign(request.output, "quality", order.quality)
    try:
        request.context.extend(order.context)
    except (TypeError, ValueError) as exc:
        raise InferenceRejectedError("context holds what is not text", field="context") from exc
    if order.source is not None:
        request.source.data = order.source
    if order.mask is not None:
        request.mask.data = order.mask
    return request


def variations_request(order: PictureOrder, count: int) -> pb.ImageVariationsRequest:
    """Write an order for several pictures.

    Raises:
        InferenceRejectedError: As `image_request`.
    """
    request = pb.ImageVariationsRequest(request=image_request(order))
    _assign(request, "count", count)
    return request


def open_command(order: PictureOrder, revision: int) -> pb.PaintCommand:
    """Write the command that begins a live painting.

    Raises:
        InferenceRejectedError: As `image_request`.
    """
    return pb.PaintCommand(open=pb.PaintOpen(request=image_request(order), revision=revision))


def retarget_command(
    order: PictureOrder, revision: int, *, at_s: float, transition_s: float
) -> pb.PaintCommand:
    """Write the command that gives a live painting a new target.

    Raises:
        InferenceRejectedError: As `image_request`.
    """
    return pb.PaintCommand(
        retarget=pb.PaintRetarget(
            request=image_request(order), revision=revision, at_s=at_s, transition_s=transition_s
        )
    )


def credit_command(time_s: float) -> pb.PaintCommand:
    """Write the permission to paint one frame."""
    return pb.PaintCommand(credit=pb.PaintCredit(time_s=time_s))


def picture(response: pb.ImageResponse | pb.PaintFrame) -> Picture:
    """Read a picture."""
    made = response.metadata
    return Picture(
        image=response.image_data,
        format=response.format,
        width=made.width,
        height=made.height,
        finished_ms=made.finished_ms,
        index=response.index if isinstance(response, pb.ImageResponse) else 0,
        metadata=PictureMetadata(
            model=made.model,
            engine=made.engine,
            is_neural=made.is_neural,
            width=made.width,
            height=made.height,
            seed=made.seed,
            steps=made.steps,
            guidance_scale=_decimal(made.guidance_scale),
            style=made.style,
            warnings=tuple(made.warnings),
            queued_for_ms=made.queued_for_ms,
            painted_for_ms=made.painted_for_ms,
            encoded_for_ms=made.encoded_for_ms,
            prompt=made.prompt,
            context=tuple(made.context),
            stage_ms=dict(made.stage_ms),
            upscaler=made.upscaler,
            device=made.device,
        ),
    )


def generation_event(event: pb.GenerationEvent) -> Progress | Picture | None:
    """Read an event of one picture's painting; None for a kind that we do not know yet."""
    kind = event.WhichOneof("event")
    if kind == "image":
        return picture(event.image)
    if kind == "progress":
        return Progress(event.progress.step, event.progress.total_steps, event.progress.preview)
    return None


def paint_event(event: pb.PaintEvent) -> PaintEvent | None:
    """Read an event of a live painting; None for a kind that we do not know yet."""
    kind = event.WhichOneof("event")
    if kind == "frame":
        return LiveFrame(
            event.frame.revision, event.frame.time_s, picture(event.frame), event.frame.sustainable_fps
        )
    if kind == "progress":
        return PaintProgress(event.progress.revision, event.progress.step, event.progress.total_steps)
    if kind == "error":
        return PaintRefusal(event.error.revision, field_name(event.error.field), event.error.message)
    return None


def models(response: pb.ModelResponse) -> Models:
    """Read what the service offers."""
    return Models(
        models=tuple(_model_info(info) for info in response.models),
        styles=tuple(StyleInfo(style.name, style.description, style.template) for style in response.styles),
        default_model=response.default_model,
        device=response.device,
        templates=tuple(
            TemplateInfo(template.name, template.description, template.template)
            for template in response.templates
        ),
    )


def _model_info(info: pb.ModelInfo) -> ModelInfo:
    return ModelInfo(
        name=info.name,
        description=info.description,
        engine=info.engine,
        is_neural=info.is_neural,
        state=_state_word(info.state),
        default_width=info.default_width,
        default_height=info.default_height,
        default_steps=info.default_steps,
        default_guidance_scale=_decimal(info.default_guidance_scale),
        min_size=info.min_size,
        max_size=info.max_size,
        max_steps=info.max_steps,
        uses_negative_prompt=info.uses_negative_prompt,
        uses_guidance=info.uses_guidance,
        paints_from_source=info.paints_from_source,
        paints_from_mask=info.paints_from_mask,
        measured_megapixels_per_s=info.measured_megapixels_per_s,
        size_bytes=info.size_bytes,
        error=info.error,
        weights_found=info.weights_found,
        device=info.device,
        dtype=info.dtype,
        max_batch=info.max_batch,
        step_times=tuple(StepTime(measured.rows, measured.step_ms) for measured in info.step_times),
        license=info.license,
        aliases=tuple(info.aliases),
    )


def _state_word(state: pb.ModelInfo.State.ValueType) -> str:
    # A newer service may send a number that has no name here.
    known = state if state in pb.ModelInfo.State.values() else pb.ModelInfo.STATE_UNSPECIFIED
    return pb.ModelInfo.State.Name(known).removeprefix("STATE_").lower()


def _decimal(value: float) -> float:
    """Return the short decimal number that a 32-bit float stands for: it holds seven digits."""
    return float(f"{value:.7g}")


def _assign(message: object, name: str, value: object) -> None:
    """Set a field of a message; None leaves it unset."""
    if value is None:
        return
    try:
        setattr(message, name, value)
    except (TypeError, ValueError) as exc:
        raise InferenceRejectedError(f"{name} {value!r:.80} does not fit its field", field=name) from exc

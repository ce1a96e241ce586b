"""What is on offer, as a message: models with their state, styles and prompt templates."""

from __future__ import annotations

from inference.models.entry import ModelStatus
from inference.models.house import ModelHouse
from inference.scheduler import Scheduler
from inference.styles import STYLES, TEMPLATES
from protos import psyche_inference_v1_pb2 as pb


def describe_offer(house: ModelHouse, scheduler: Scheduler) -> pb.ModelResponse:
    """Tell what is on offer, in which state it is, and how fast it has painted so far."""
    statuses = house.describe()
    devices = {status.entry.model.name: status.engine.device for status in statuses if status.engine}
    return pb.ModelResponse(
        models=[_describe_model(status, scheduler) for status in statuses],
        styles=[
            pb.StyleInfo(name=style.name, description=style.description, template=style.template)
            for style in STYLES.values()
        ],
        default_model=house.default_model,
        device=devices.get(house.default_model, ""),
        templates=[
            pb.PromptTemplateInfo(
                name=template.name, description=template.description, template=template.template
            )
            for template in TEMPLATES.values()
        ],
    )


def _describe_model(status: ModelStatus, scheduler: Scheduler) -> pb.ModelInfo:
    model, engine = status.entry.model, status.engine
    return pb.ModelInfo(
        name=model.name,
        description=model.description,
        engine=model.engine,
        is_neural=model.is_neural,
        state=pb.ModelInfo.State.Value(f"STATE_{status.state.name}"),
        default_width=model.default_width,
        default_height=model.default_height,
        default_steps=model.default_steps,
        default_guidance_scale=model.default_guidance_scale,
        min_size=model.min_size,
        max_size=model.max_size,
        max_steps=model.max_steps,
        uses_negative_prompt=model.uses_negative_prompt,
        uses_guidance=model.uses_guidance,
        paints_from_source=model.paints_from_source,
        paints_from_mask=model.paints_from_mask,
        measured_megapixels_per_s=scheduler.megapixels_per_s(model.name),
        size_bytes=status.size_bytes,
        error=status.error,
        weights_found=status.weights_found,
        device=engine.device if engine else "",
        dtype=engine.dtype if engine else "",
        max_batch=engine.buckets[-1] if engine else 0,
        step_times=[
            pb.StepTime(rows=rows, step_ms=seconds * 1000.0)
            for rows, seconds in sorted(scheduler.step_times(model.name).items())
        ],
        license=model.license,
        aliases=status.entry.aliases,
    )

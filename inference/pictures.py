"""From a request to an encoded picture: what stills and live callers share.

Knows messages, the scheduler and the encoders; no call, no stream and no transport.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from inference.encode import EncoderPool
from inference.engine import Engine, Pixels, Timeline
from inference.errors import ConfigurationError
from inference.requests import Catalogue, Order, parse
from inference.scheduler import OnStep, Painted, Scheduler
from inference.sources import decode
from protos import psyche_inference_v1_pb2 as pb


# Of previews, which are shown for a moment and small.
PREVIEW_QUALITY = 70


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture and how it came about."""

    data: bytes
    format: str
    metadata: pb.GenerationMetadata


class Pictures:
    """Takes requests and makes pictures of them."""

    def __init__(
        self,
        engine: Engine,
        scheduler: Scheduler,
        encoders: EncoderPool,
        decoder: Executor,
        *,
        default_model: str = "",
    ) -> None:
        """Keep what is lent; its makers close it.

        Args:
            engine: What paints.
            scheduler: Its scheduler.
            encoders: Where pictures are encoded.
            decoder: Where the images of requests are decoded: apart from the encoders, so that a
                large one delays no live frame.
            default_model: What an empty name means; empty: the engine's first.

        Raises:
            ConfigurationError: If the engine does not have that model.
        """
        self._engine = engine
        self._scheduler = scheduler
        self._encoders = encoders
        self._decoder = decoder
        self.catalogue = make_catalogue(engine, default_model)

    async def take(self, request: pb.ImageRequest) -> Order:
        """Check a request wholly and decode its images.

        Raises:
            RejectedError: Naming the first bad field.
        """
        order = parse(request, self.catalogue)
        picture = order.picture
        if request.HasField("source"):
            picture = replace(picture, source=await self._decode(request.source, "source.data", "white"))
        if request.HasField("mask"):
            # What is transparent is not painted: as black.
            picture = replace(picture, mask=await self._decode(request.mask, "mask.data", "black"))
        warnings = self._engine.check(picture)
        return replace(order, picture=picture, warnings=(*order.warnings, *warnings))

    async def _decode(self, image: pb.SourceImage, field: str, background: str) -> Pixels:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._decoder, partial(decode, image.data, field, background=background)
        )

    async def make(
        self,
        order: Order,
        *,
        caller: object,
        timeline: Timeline | None = None,
        time_s: float = 0.0,
        on_step: OnStep | None = None,
        previews: bool = False,
    ) -> Picture:
        """Paint and encode one picture.

        Args:
            order: What becomes of it; also what is painted where there is no timeline.
            caller: Who is served in turn with the others.
            timeline: What is painted instead, at ``time_s``.
            time_s: Seconds of the timeline.
            on_step: See `OnStep`.
            previews: Whether it wants previews.

        Raises:
            EngineError: If the engine refuses or fails.
            StoppingError: If the service ends first.
        """
        painted = await self._scheduler.paint(
            timeline or Timeline.still(order.picture),
            time_s,
            caller=caller,
            on_step=on_step,
            previews=previews,
        )
        begun_at = time.perf_counter()
        data = await self._encoders.encode(painted.pixels, order.format, order.quality)
        encoded_s = time.perf_counter() - begun_at
        return Picture(data, order.format, _describe(order, painted, encoded_s))

    async def encode_preview(self, pixels: Pixels) -> bytes:
        """Encode a preview as a small JPEG."""
        return await self._encoders.encode(pixels, "jpeg", PREVIEW_QUALITY)

    def describe_offer(self) -> pb.ModelResponse:
        """Tell what is on offer, and how fast it has painted so far."""
        return pb.ModelResponse(
            models=[
                pb.ModelInfo(
                    name=model.name,
                    description=model.description,
                    engine=model.engine,
                    is_neural=model.is_neural,
                    # An engine that is there can paint: it loads before the service answers.
                    state=pb.ModelInfo.STATE_READY,
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
                    measured_megapixels_per_s=self._scheduler.megapixels_per_s(model.name),
                )
                for model in self.catalogue.models.values()
            ],
            styles=[
                pb.StyleInfo(name=name, description=description)
                for name, description in self.catalogue.styles.items()
            ],
            default_model=self.catalogue.default_model,
            device=self._engine.device,
        )


def make_catalogue(engine: Engine, default_model: str = "") -> Catalogue:
    """Collect what an engine offers.

    Raises:
        ConfigurationError: If it does not have the default model.
    """
    models = {model.name: model for model in engine.models()}
    default_model = default_model or next(iter(models))
    if default_model not in models:
        raise ConfigurationError(f"--model must be one of {', '.join(models)}, got {default_model!r}")
    return Catalogue(models, engine.styles(), default_model)


def _describe(order: Order, painted: Painted, encoded_s: float) -> pb.GenerationMetadata:
    picture, model = order.picture, order.model
    height, width, _ = painted.pixels.shape
    return pb.GenerationMetadata(
        model=model.name,
        engine=model.engine,
        is_neural=model.is_neural,
        seed=picture.seed,
        steps=picture.steps,
        width=width,
        height=height,
        guidance_scale=picture.guidance_scale,
        style=picture.style,
        warnings=order.warnings,
        queued_for_ms=painted.queued_s * 1000.0,
        painted_for_ms=painted.painted_s * 1000.0,
        encoded_for_ms=encoded_s * 1000.0,
        finished_ms=painted.finished_ms,
    )

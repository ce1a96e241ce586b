"""From a request to an encoded picture: what stills and live callers share.

Knows messages, models, the scheduler and the encoders; no call, no stream and no transport. The one
rule: a model that something is painted with is leased for as long, and let go in every case.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial

from inference.encode import EncoderPool
from inference.engine import Engine, Pixels, RejectedError, Timeline
from inference.errors import ModelLoadError
from inference.models.house import Lease, ModelHouse
from inference.requests import Catalogue, Order, parse
from inference.scheduler import Caller, OnStep, Painted, Scheduler, Work
from inference.sources import decode
from inference.upscale import Upscaled, Upscaler
from protos import psyche_inference_v1_pb2 as pb


# Of previews, which are shown for a moment and small.
PREVIEW_QUALITY = 70


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture and how it came about."""

    data: bytes
    format: str
    metadata: pb.GenerationMetadata


@dataclass(frozen=True, slots=True)
class Sources:
    """The images that came with a request, decoded; `(H, W, 3)` uint8 each."""

    source: Pixels | None = None
    mask: Pixels | None = None


@dataclass(frozen=True, slots=True)
class Commission:
    """An order and the loaded model that will paint it.

    Resources:
        Holds a lease: a context manager, or `release`.
    """

    order: Order
    lease: Lease

    @property
    def engine(self) -> Engine:
        """What paints."""
        return self.lease.engine

    @property
    def together(self) -> int:
        """How many such pictures share one step of the engine at most."""
        return max(1, self.engine.buckets[-1] // max(1, self.engine.rows(self.order.picture)))

    def release(self) -> None:
        """Let the model go; a second call does nothing."""
        self.lease.release()

    def __enter__(self) -> Commission:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Pictures:
    """Takes requests and makes pictures of them."""

    def __init__(
        self,
        house: ModelHouse,
        scheduler: Scheduler,
        encoders: EncoderPool,
        workers: Executor,
    ) -> None:
        """Keep what is lent; its makers close it.

        Args:
            house: The models.
            scheduler: What shares the engines among the callers.
            encoders: Where pictures are encoded.
            workers: Where the images of requests are decoded and pictures made larger: apart from the
                encoders, so that a large one delays no live frame.
        """
        self.house = house
        self.scheduler = scheduler
        self.catalogue = Catalogue(house.models, house.default_model, house.aliases)
        self._encoders = encoders
        self._workers = workers
        self._upscaler = Upscaler(workers, scheduler.between_ticks)

    async def take(self, request: pb.ImageRequest, order: Order) -> Commission:
        """Decode a still's images and lease its model, which may take minutes.

        Args:
            request: As it came.
            order: What `read` made of it.

        Raises:
            RejectedError: Naming the first bad field.
            ModelLoadError: If the model cannot be loaded, nor what stands in for it.

        Cancellation:
            Gives up everything but a load that has begun.
        """
        sources = await self.decode(request)
        model = order.model.name
        lease = self.house.lease_now(model) or await self.house.lease(model)
        return self.commission(request, order, sources, lease, warnings=lease.warnings)

    def read(self, request: pb.ImageRequest) -> Order:
        """Check everything of a request but its images.

        Raises:
            RejectedError: Naming the first bad field.
        """
        return parse(request, self.catalogue)

    async def decode(self, request: pb.ImageRequest) -> Sources:
        """Decode the images of a request.

        Raises:
            RejectedError: If one is no image, or too large.
        """
        source = mask = None
        if request.HasField("source"):
            source = await self._decode(request.source, "source.data", "white")
        if request.HasField("mask"):
            # What is transparent is not painted: as black.
            mask = await self._decode(request.mask, "mask.data", "black")
        return Sources(source, mask)

    async def _decode(self, image: pb.SourceImage, field: str, background: str) -> Pixels:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._workers, partial(decode, image.data, field, background=background)
        )

    def commission(
        self,
        request: pb.ImageRequest,
        order: Order,
        sources: Sources,
        lease: Lease,
        *,
        is_live: bool = False,
        warnings: tuple[str, ...] = (),
    ) -> Commission:
        """Fit an order to the model that was leased for it, which may be another than the one asked for.

        The commission has the lease from here on; where this raises, the lease is released.

        Args:
            request: What the order was made of.
            order: For the model that was asked for.
            sources: The request's images.
            lease: The model that paints.
            is_live: Whether it is a live picture's.
            warnings: What the caller has to be told beside the order's own: those of the lease where it
                was taken for this request. A share of another request's has nothing to say here.

        Raises:
            RejectedError: If the model cannot paint it.
            ModelLoadError: If the model is not the one asked for and cannot paint it.
        """
        asked = order.model.name
        is_fallback = lease.model.name != asked
        try:
            if is_fallback:
                order = parse(request, self.catalogue, model=lease.model.name, request_id=order.request_id)
            picture = replace(order.picture, source=sources.source, mask=sources.mask, is_live=is_live)
            found = lease.engine.check(picture)
        except RejectedError as error:
            lease.release()
            if not is_fallback:
                raise
            reason = "; ".join(warnings) or "it is not loaded"
            raise ModelLoadError(asked, f"{reason}; {lease.model.name} cannot paint it: {error}") from error
        except BaseException:
            lease.release()
            raise
        told = (*warnings, *order.warnings, *found)
        return Commission(replace(order, picture=picture, warnings=told), lease)

    async def paint(
        self,
        commission: Commission,
        *,
        caller: Caller,
        order: Order | None = None,
        on_step: OnStep | None = None,
        previews: bool = False,
        deadline_at: float | None = None,
    ) -> Picture:
        """Paint and encode one still.

        Args:
            commission: What with, and what unless ``order`` says otherwise.
            caller: Whose share of the engines it takes.
            order: A variation of the commission's own.
            on_step: See `OnStep`.
            previews: Whether it wants previews.
            deadline_at: When it is worth nothing any more, monotonic seconds.

        Raises:
            EngineError: If the engine refuses or fails.
            LateError: If the deadline passes first.
            CancelledByIdError: If it was cancelled by its id.
            StoppingError: If the service ends first.

        Cancellation:
            Stops the work between two steps.
        """
        order = order or commission.order
        painted = await self.scheduler.paint(
            Work(commission.engine, Timeline.still(order.picture)),
            caller=caller,
            on_step=on_step,
            previews=previews,
            deadline_at=deadline_at,
            request_id=order.request_id,
        )
        return await self.finish(order, commission.engine, painted, load_s=commission.lease.load_s)

    async def finish(self, order: Order, engine: Engine, painted: Painted, *, load_s: float = 0.0) -> Picture:
        """Make a painted picture as large as it was asked for, and encode it.

        Args:
            order: What becomes of it.
            engine: What painted it.
            painted: The picture.
            load_s: Seconds waited for the model.
        """
        begun_at = time.perf_counter()
        upscaled = Upscaled(painted.pixels, "")
        if order.upscale > 1:
            upscaled = await self._upscaler.upscale(
                painted.pixels, order.upscale, engine, order.picture, painted.caller
            )
        enlarged_at = time.perf_counter()
        data = await self._encoders.encode(upscaled.pixels, order.format, order.quality)
        encoded_s = time.perf_counter() - enlarged_at
        stage_s = dict(painted.stage_s)
        if load_s > 0.0:
            stage_s["load"] = load_s
        if order.upscale > 1:
            stage_s["upscale"] = enlarged_at - begun_at
        metadata = _describe(order, engine, painted, upscaled)
        metadata.encoded_for_ms = encoded_s * 1000.0
        metadata.stage_ms.update({stage: seconds * 1000.0 for stage, seconds in stage_s.items()})
        return Picture(data, order.format, metadata)

    async def encode_preview(self, pixels: Pixels) -> bytes:
        """Encode a preview as a small JPEG."""
        return await self._encoders.encode(pixels, "jpeg", PREVIEW_QUALITY)


def _describe(order: Order, engine: Engine, painted: Painted, upscaled: Upscaled) -> pb.GenerationMetadata:
    picture, model = order.picture, order.model
    height, width, _ = upscaled.pixels.shape
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
        # Each once: several parts may find the same.
        warnings=dict.fromkeys((*order.warnings, *painted.warnings, *upscaled.warnings)),
        queued_for_ms=painted.queued_s * 1000.0,
        painted_for_ms=painted.painted_s * 1000.0,
        finished_ms=painted.finished_ms,
        prompt=picture.prompt,
        context=order.context,
        upscaler=upscaled.upscaler,
        device=engine.device,
    )

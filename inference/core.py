"""The service without its transport: messages in, messages out.

gRPC, and whatever else may carry these messages later, share this. It knows no status, metadata
or socket. Calls that answer more than once are given a ``send`` to await, so that a slow
receiver holds back its own call and nobody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from inference.encode import EncoderPool
from inference.engine import Engine, Pixels
from inference.errors import StoppingError, first_error
from inference.live import LiveSession
from inference.pictures import Picture, Pictures
from inference.requests import Order, parse_count
from inference.scheduler import DEFAULT_MAX_WAITING, Scheduler, scheduling
from protos import psyche_inference_v1_pb2 as pb


DEFAULT_ENCODE_THREADS = 2


class Core:
    """The five calls; made by `running_core`."""

    def __init__(self, engine: Engine, scheduler: Scheduler, pictures: Pictures) -> None:
        self._engine = engine
        self._scheduler = scheduler
        self._pictures = pictures
        self._sessions: set[LiveSession] = set()
        self._stopping = False

    @property
    def scheduler(self) -> Scheduler:
        """What shares the engine among the calls."""
        return self._scheduler

    @property
    def live_sessions(self) -> int:
        """How many live pictures are open."""
        return len(self._sessions)

    def describe_offer(self) -> pb.ModelResponse:
        """Tell the models and styles on offer."""
        return self._pictures.describe_offer()

    async def generate(self, request: pb.ImageRequest) -> pb.ImageResponse:
        """Paint one picture.

        Raises:
            RejectedError: If a field is bad.
            BusyError: If too many wait.
            PaintingFailedError: If the engine failed.
            StoppingError: If the service ends first.

        Cancellation:
            Stops the work between two steps.
        """
        with self._scheduler.admit(1):
            order = await self._pictures.take(request)
            return _respond(order, await self._pictures.make(order, caller=object()))

    async def generate_with_progress(
        self, request: pb.ImageRequest, send: Callable[[pb.GenerationEvent], Awaitable[None]]
    ) -> None:
        """Paint one picture, telling of each step; raises and is cancelled as `generate`."""
        with self._scheduler.admit(1), first_error():
            order = await self._pictures.take(request)
            # Bounded by the steps of one picture.
            steps: asyncio.Queue[tuple[int, int, Pixels | None] | None] = asyncio.Queue()

            async def make() -> Picture:
                def tell(step: int, total_steps: int, preview: Pixels | None) -> None:
                    steps.put_nowait((step, total_steps, preview))

                picture = await self._pictures.make(
                    order, caller=object(), on_step=tell, previews=order.previews
                )
                steps.put_nowait(None)
                return picture

            async with asyncio.TaskGroup() as tasks:
                making = tasks.create_task(make(), name="picture")
                while (told := await steps.get()) is not None:
                    await send(pb.GenerationEvent(progress=await self._describe_progress(order, *told)))
            await send(pb.GenerationEvent(image=_respond(order, making.result())))

    async def _describe_progress(
        self, order: Order, step: int, total_steps: int, preview: Pixels | None
    ) -> pb.Progress:
        data = b"" if preview is None else await self._pictures.encode_preview(preview)
        return pb.Progress(request_id=order.request_id, step=step, total_steps=total_steps, preview=data)

    async def generate_variations(
        self, request: pb.ImageVariationsRequest, send: Callable[[pb.ImageResponse], Awaitable[None]]
    ) -> None:
        """Paint several pictures, each sent when it is done; raises and is cancelled as `generate`.

        As many are under way at once as share one step of the engine.
        """
        count = parse_count(request)
        together = min(count, self._engine.max_batch, self._scheduler.max_waiting)
        with self._scheduler.admit(together), first_error():
            order = await self._pictures.take(request.request)
            caller = object()
            places = asyncio.Semaphore(together)
            sending = asyncio.Lock()

            async def make(index: int) -> None:
                variation = order.variation(index)
                response = _respond(variation, await self._pictures.make(variation, caller=caller), index)
                async with sending:
                    await send(response)
                places.release()

            async with asyncio.TaskGroup() as tasks:
                for index in range(count):
                    await places.acquire()
                    tasks.create_task(make(index), name=f"variation:{index}")

    async def paint(
        self,
        commands: AsyncIterator[pb.PaintCommand],
        send: Callable[[pb.PaintEvent], Awaitable[None]],
    ) -> None:
        """Follow the commands of a live picture; see `LiveSession.run`."""
        if self._stopping:
            raise StoppingError
        session = LiveSession(self._pictures, send)
        self._sessions.add(session)
        try:
            await session.run(commands)
        finally:
            self._sessions.discard(session)

    def stop(self) -> None:
        """End the live pictures, which would never end by themselves; the rest may finish."""
        self._stopping = True
        for session in self._sessions:
            session.stop()


def _respond(order: Order, picture: Picture, index: int = 0) -> pb.ImageResponse:
    return pb.ImageResponse(
        request_id=order.request_id,
        image_data=picture.data,
        format=picture.format,
        metadata=picture.metadata,
        index=index,
    )


@asynccontextmanager
async def running_core(
    engine: Engine,
    *,
    default_model: str = "",
    max_waiting: int = DEFAULT_MAX_WAITING,
    encode_threads: int = DEFAULT_ENCODE_THREADS,
) -> AsyncIterator[Core]:
    """Run a core with its engine's thread and its encoders.

    Raises:
        ConfigurationError: If the engine does not have the default model.
    """
    decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")
    try:
        with EncoderPool(encode_threads) as encoders:
            async with scheduling(engine, max_waiting=max_waiting) as scheduler:
                pictures = Pictures(engine, scheduler, encoders, decoder, default_model=default_model)
                yield Core(engine, scheduler, pictures)
    finally:
        decoder.shutdown(wait=False, cancel_futures=True)

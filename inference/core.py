"""The service without its transport: messages in, messages out.

gRPC, and whatever else may carry these messages later, share this. It knows no status, metadata
or socket. Calls that answer more than once are given a ``send`` to await, so that a slow
receiver holds back its own call and nobody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

from inference.calls import Call, Calls
from inference.encode import EncoderPool
from inference.engine import Pixels
from inference.errors import BusyError, StoppingError, first_error
from inference.live import LiveSession
from inference.models.house import ModelHouse
from inference.offer import describe_offer
from inference.pictures import Commission, Picture, Pictures
from inference.requests import Order, parse_count
from inference.scheduler import DEFAULT_MAX_WAITING, Observer, Scheduler, scheduling
from protos import psyche_inference_v1_pb2 as pb


DEFAULT_ENCODE_THREADS = 2

# Threads that decode the images of requests and make pictures larger: each may hold a picture of 4096 x
# 4096 several times over.
IMAGE_THREADS = 2

KeepModels = Callable[[Scheduler], AbstractAsyncContextManager[ModelHouse]]
"""Makes the house of the models; its preparations run between the scheduler's ticks."""


class Core:
    """The six calls; made by `running_core`."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._calls = Calls()
        self._sessions: set[LiveSession] = set()
        self._stopping = False

    @property
    def scheduler(self) -> Scheduler:
        """What shares the engines among the calls."""
        return self._pictures.scheduler

    @property
    def house(self) -> ModelHouse:
        """What holds the models."""
        return self._pictures.house

    @property
    def live_sessions(self) -> int:
        """How many live pictures are open."""
        return len(self._sessions)

    def describe_offer(self) -> pb.ModelResponse:
        """Tell the models, styles and prompt templates on offer."""
        return describe_offer(self.house, self.scheduler)

    def cancel(self, request_id: str) -> int:
        """Give up every unfinished picture of a request; its call raises `CancelledByIdError`.

        A live picture is known by the id of the request that it was opened with.

        Returns:
            How many pictures were given up; 0 for an id that is not known, or known no more.
        """
        if not request_id:
            return 0
        cancelled = self._calls.cancel(request_id)
        # At once, and not only when the call's task comes to it.
        self.scheduler.cancel(request_id)
        return cancelled

    async def generate(
        self, request: pb.ImageRequest, *, deadline_at: float | None = None
    ) -> pb.ImageResponse:
        """Paint one picture.

        Args:
            request: What is asked for.
            deadline_at: When the answer is worth nothing any more, monotonic seconds.

        Raises:
            RejectedError: If a field is bad.
            BusyError: If too many wait.
            ModelLoadError: If its model cannot be loaded, nor what stands in for it.
            PaintingFailedError: If the engine failed.
            OutOfMemoryError: If it needs more memory than there is.
            LateError: If the deadline passes first.
            CancelledByIdError: If somebody cancelled it by its id.
            StoppingError: If the service ends first.

        Cancellation:
            Stops the work between two steps.
        """
        with self.scheduler.admit(1):
            order = self._pictures.read(request)
            async with self._calls.following(order.request_id, deadline_at=deadline_at):
                with await self._pictures.take(request, order) as commission:
                    picture = await self._pictures.paint(
                        commission, caller=self.scheduler.caller(order.user_id), deadline_at=deadline_at
                    )
                    return _respond(commission.order, picture)

    async def generate_with_progress(
        self,
        request: pb.ImageRequest,
        send: Callable[[pb.GenerationEvent], Awaitable[None]],
        *,
        deadline_at: float | None = None,
    ) -> None:
        """Paint one picture, telling of each step; raises and is cancelled as `generate`."""
        with self.scheduler.admit(1), first_error():
            order = self._pictures.read(request)
            async with self._calls.following(order.request_id, deadline_at=deadline_at):
                with await self._pictures.take(request, order) as commission:
                    await self._paint_with_progress(commission, send, deadline_at)

    async def _paint_with_progress(
        self,
        commission: Commission,
        send: Callable[[pb.GenerationEvent], Awaitable[None]],
        deadline_at: float | None,
    ) -> None:
        order = commission.order
        # Bounded by the steps of one picture.
        steps: asyncio.Queue[tuple[int, int, Pixels | None] | None] = asyncio.Queue()

        async def make() -> Picture:
            def tell(step: int, total_steps: int, preview: Pixels | None) -> None:
                steps.put_nowait((step, total_steps, preview))

            picture = await self._pictures.paint(
                commission,
                caller=self.scheduler.caller(order.user_id),
                on_step=tell,
                previews=order.previews,
                deadline_at=deadline_at,
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
        self,
        request: pb.ImageVariationsRequest,
        send: Callable[[pb.ImageResponse], Awaitable[None]],
        *,
        deadline_at: float | None = None,
    ) -> None:
        """Paint several pictures, each sent when it is done; raises and is cancelled as `generate`.

        As many are under way at once as share one step of the engine and find a place; it is refused
        only where there is none for the first. Each gives its place back once it is encoded, though it
        has not been sent; the call's first place stays its own, so that it always gets on.
        """
        count = parse_count(request)
        with self.scheduler.admit(1), first_error():
            order = self._pictures.read(request.request)
            following = self._calls.following(order.request_id, pictures=count, deadline_at=deadline_at)
            async with following as call:
                with await self._pictures.take(request.request, order) as commission:
                    await self._paint_variations(commission, call, send, deadline_at)

    async def _paint_variations(
        self,
        commission: Commission,
        call: Call,
        send: Callable[[pb.ImageResponse], Awaitable[None]],
        deadline_at: float | None,
    ) -> None:
        caller = self.scheduler.caller(commission.order.user_id)
        places = _Places(self.scheduler)
        # Not sent yet, whether painted or not: a caller that does not read stops its own pictures.
        unsent = asyncio.Semaphore(min(call.pictures, commission.together))
        sending = asyncio.Lock()
        count = call.pictures

        async def make(index: int) -> None:
            order = commission.order.variation(index)
            async with places.place():
                picture = await self._pictures.paint(
                    commission, order=order, caller=caller, deadline_at=deadline_at
                )
            async with sending:
                await send(_respond(order, picture, index))
            call.pictures -= 1
            unsent.release()

        async with asyncio.TaskGroup() as tasks:
            for index in range(count):
                await unsent.acquire()
                tasks.create_task(make(index), name=f"variation:{index}")

    async def paint(
        self,
        commands: AsyncIterator[pb.PaintCommand],
        send: Callable[[pb.PaintEvent], Awaitable[None]],
    ) -> None:
        """Follow the commands of a live picture; see `LiveSession.run`."""
        if self._stopping:
            raise StoppingError
        async with self._calls.following() as call:
            session = LiveSession(self._pictures, send, call)
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


class _Places:
    """The places of one call: the one that it was admitted with, and others while they are free."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._own = asyncio.Lock()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place for one picture, waiting for the call's own where there is no other."""
        with ExitStack() as held:
            if not (self._own.locked() and self._has_other(held)):
                await self._own.acquire()
                held.callback(self._own.release)
            yield

    def _has_other(self, held: ExitStack) -> bool:
        try:
            held.enter_context(self._scheduler.admit(1))
        except BusyError:
            return False
        return True


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
    keep_models: KeepModels,
    *,
    max_waiting: int = DEFAULT_MAX_WAITING,
    encode_threads: int = DEFAULT_ENCODE_THREADS,
    observer: Observer | None = None,
) -> AsyncIterator[Core]:
    """Run a core with its models, its engines' thread and its encoders.

    Args:
        keep_models: See `KeepModels`.
        max_waiting: Pictures that may wait or be painted, live ones apart.
        encode_threads: Threads that encode.
        observer: What is told of the scheduler's work.

    Raises:
        ConfigurationError: If the models do not allow a start.
    """
    workers = ThreadPoolExecutor(IMAGE_THREADS, thread_name_prefix="images")
    try:
        with EncoderPool(encode_threads) as encoders:
            async with (
                scheduling(max_waiting=max_waiting, observer=observer) as scheduler,
                keep_models(scheduler) as house,
            ):
                yield Core(Pictures(house, scheduler, encoders, workers))
    finally:
        workers.shutdown(wait=False, cancel_futures=True)

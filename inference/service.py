"""The core as a gRPC service: translates errors to statuses, tells the log, and nothing else."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog
from google.protobuf.message import Message
from grpc import aio

from inference.core import Core
from inference.engine import EngineError, OutOfMemoryError, RejectedError
from inference.errors import (
    BusyError,
    CancelledByIdError,
    CoreError,
    LateError,
    ModelLoadError,
    NotOpenError,
    StoppingError,
    TooManyCreditsError,
)
from inference.logs import FrameCounts
from protos import psyche_inference_v1_pb2 as pb
from protos import psyche_inference_v1_pb2_grpc as pb_grpc


if TYPE_CHECKING:
    from protos.psyche_inference_v1_pb2_grpc import _ServicerContext as Context

# Trailing metadata of errors: the offending field, and when to try again.
FIELD_KEY = "psyche-field"
RETRY_KEY = "retry-after-ms"

# gRPC ends a call at its deadline a little before the time that it says remains is over, seconds.
DEADLINE_TOLERANCE_S = 0.02

CountCall = Callable[[str, str], None]
"""Is told of each call that ended: its name and its status."""

Trailer = tuple[tuple[str, str], ...]


def tell_error(error: EngineError | CoreError) -> tuple[grpc.StatusCode, Trailer]:
    """Return what a caller is told of an error beside its message."""
    match error:
        case RejectedError():
            return grpc.StatusCode.INVALID_ARGUMENT, ((FIELD_KEY, error.field),)
        case BusyError():
            return grpc.StatusCode.RESOURCE_EXHAUSTED, ((RETRY_KEY, str(error.retry_after_ms)),)
        case TooManyCreditsError() | OutOfMemoryError():
            # No hint when to try again: the same would be too much then as well.
            return grpc.StatusCode.RESOURCE_EXHAUSTED, ()
        case NotOpenError() | ModelLoadError():
            return grpc.StatusCode.FAILED_PRECONDITION, ()
        case LateError():
            return grpc.StatusCode.DEADLINE_EXCEEDED, ()
        case CancelledByIdError():
            return grpc.StatusCode.CANCELLED, ()
        case StoppingError():
            return grpc.StatusCode.UNAVAILABLE, ()
        case _:
            return grpc.StatusCode.INTERNAL, ()


def _count_nothing(rpc: str, code: str) -> None:
    """Stand in where nobody counts calls."""


class _Writer:
    """Writes the answers of one call, each to its end.

    A write that is cancelled in the middle goes on inside gRPC, which takes no status until it has ended;
    it ends when the caller reads, or goes away.
    """

    def __init__(self, context: Any) -> None:
        self._context = context
        self._writing: asyncio.Task[None] | None = None

    async def write(self, message: Message) -> None:
        """Write an answer, after the one before it.

        Raises:
            BaseError: If the call is over.

        Cancellation:
            Gives up the wait, not the write: `settle` waits for that.
        """
        await self.settle()
        # In no task group, since that would cancel it; whoever serves the call settles it at the end.
        self._writing = asyncio.create_task(self._context.write(message), name="write")
        await asyncio.shield(self._writing)

    async def settle(self) -> None:
        """Wait until nothing is being written any more, however long the caller does not read."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
            if not self._writing.cancelled():
                self._writing.exception()  # Whoever wrote has been told, or does not care any more.
            self._writing = None


class _Call:
    """What the log tells of one call once it has ended; its times are sums over its pictures.

    Attributes:
        writer: What its answers go through.
    """

    def __init__(self, rpc: str, count: CountCall, writer: _Writer) -> None:
        self.writer = writer
        self._count = count
        self._began_at = time.perf_counter()
        self._told: dict[str, object] = {"rpc": rpc}
        self._spent_ms: dict[str, float] = {}
        self._images = 0

    def ask(self, request: pb.ImageRequest) -> None:
        """Note what was asked for, without its words."""
        # Given here and not further on, so that a call that is cancelled in the middle has one in the log.
        request.request_id = request.request_id or uuid.uuid4().hex
        self._told |= {"request_id": request.request_id[:64], "prompt_characters": len(request.prompt)}

    def answer(self, metadata: pb.GenerationMetadata, request_id: str = "") -> None:
        """Note a picture that was made, and the id that its request was given if it brought none."""
        self._images += 1
        if request_id:
            self._told["request_id"] = request_id
        self._told |= {
            "model": metadata.model,
            "size": f"{metadata.width}x{metadata.height}",
            "steps": metadata.steps,
        }
        for name in ("queued", "painted", "encoded"):
            spent_ms = self._spent_ms.get(name, 0.0)
            self._spent_ms[name] = spent_ms + float(getattr(metadata, f"{name}_for_ms"))

    def end(self, code: str, error: Exception | None) -> None:
        """Log and count the call: one line, a warning only where the service is to blame."""
        self._count(str(self._told["rpc"]), code)
        log = structlog.get_logger("inference")
        tell = log.warning if code == "INTERNAL" else log.info
        told = self._told | {f"{name}_ms": round(ms, 2) for name, ms in self._spent_ms.items()}
        if error is not None:
            told["error"] = str(error)
        took_ms = round((time.perf_counter() - self._began_at) * 1000.0, 2)
        tell("call", code=code, images=self._images, took_ms=took_ms, **told)


class ImageGenerationService(pb_grpc.ImageGenerationServiceServicer):
    """The servicer of `protos/psyche_inference_v1.proto`.

    The calls that answer with a stream are coroutines that write to their context, so that their
    task groups begin and end in one task. grpc.aio takes that form too; the generated types know
    generators only, hence the ignored overrides.
    """

    def __init__(self, core: Core, *, count_call: CountCall | None = None) -> None:
        self._core = core
        self._count_call = count_call or _count_nothing
        self.counts = FrameCounts()

    async def GenerateImage(self, request: pb.ImageRequest, context: Context) -> pb.ImageResponse:
        """Paint one picture."""
        async with self._served("GenerateImage", context) as call:
            call.ask(request)
            response = await self._core.generate(request, deadline_at=_deadline_of(context))
            call.answer(response.metadata, response.request_id)
            return response

    async def GenerateImageVariations(  # type: ignore[override]
        self, request: pb.ImageVariationsRequest, context: Context
    ) -> None:
        """Paint several pictures, each sent when it is done."""
        async with self._served("GenerateImageVariations", context) as call:
            call.ask(request.request)

            async def send(response: pb.ImageResponse) -> None:
                call.answer(response.metadata, response.request_id)
                await call.writer.write(response)

            await self._core.generate_variations(request, send, deadline_at=_deadline_of(context))

    async def GetImageModels(self, request: pb.ModelRequest, context: Context) -> pb.ModelResponse:
        """Tell what is on offer."""
        return self._core.describe_offer()

    async def CancelImage(self, request: pb.CancelRequest, context: Context) -> pb.CancelResponse:
        """Give up every unfinished picture of a request."""
        cancelled = self._core.cancel(request.request_id)
        structlog.get_logger("inference").info(
            "cancel", request_id=request.request_id[:64], cancelled=cancelled
        )
        return pb.CancelResponse(cancelled=cancelled)

    async def GenerateImageStream(  # type: ignore[override]
        self, request: pb.ImageRequest, context: Context
    ) -> None:
        """Paint one picture and tell its progress."""
        async with self._served("GenerateImageStream", context) as call:
            call.ask(request)

            async def send(event: pb.GenerationEvent) -> None:
                if event.HasField("image"):
                    call.answer(event.image.metadata, event.image.request_id)
                await call.writer.write(event)

            await self._core.generate_with_progress(request, send, deadline_at=_deadline_of(context))

    async def Paint(  # type: ignore[override]
        self, request_iterator: AsyncIterator[pb.PaintCommand], context: Context
    ) -> None:
        """Follow the commands of a live picture."""
        async with self._served("Paint", context) as call:

            async def send(event: pb.PaintEvent) -> None:
                self.counts.add(event)
                if event.HasField("frame"):
                    call.answer(event.frame.metadata)
                await call.writer.write(event)

            await self._core.paint(request_iterator, send)

    def _served(self, rpc: str, context: Any) -> AbstractAsyncContextManager[_Call]:
        return _served(rpc, context, self._count_call)

    def report_frames(self) -> None:
        """Log what live callers got since the last report."""
        self.counts.report(self._core.live_sessions)


def _deadline_of(context: Any) -> float | None:
    """Return when a call's answer is worth nothing any more, monotonic seconds; None: never."""
    remaining_s = context.time_remaining()
    return None if remaining_s is None else time.monotonic() + float(remaining_s)


@asynccontextmanager
async def _served(rpc: str, context: Any, count: CountCall = _count_nothing) -> AsyncIterator[_Call]:
    """Tell the caller of errors as statuses, and the log how the call ended.

    A caller that does not read gets its status when it does. Until then the call is nothing but this:
    what it had of the core was let go before.
    """
    writer = _Writer(context)
    call = _Call(rpc, count, writer)
    code = "OK"
    failure: Exception | None = None
    try:
        yield call
    except asyncio.CancelledError:
        remaining_s = context.time_remaining()
        is_late = remaining_s is not None and remaining_s <= DEADLINE_TOLERANCE_S
        code = "DEADLINE_EXCEEDED" if is_late else "CANCELLED"
        raise
    except (EngineError, CoreError) as exc:
        status, trailer = tell_error(exc)
        code, failure = status.name, exc
        await writer.settle()
        await _abort(context, status, str(exc), trailer)
    except aio.BaseError:
        # The caller went away while an answer was on its way: gRPC tells the writer so, and cancels
        # the call a moment later.
        code = "CANCELLED"
    except Exception as exc:  # noqa: BLE001 - a bug costs its call, and the log has all of it.
        code, failure = "INTERNAL", exc
        structlog.get_logger("inference").exception("bug", rpc=rpc)
        await writer.settle()
        await _abort(context, grpc.StatusCode.INTERNAL, f"a bug of the service: {type(exc).__name__}")
    finally:
        call.end(code, failure)
        # Where the call was cancelled it is over, and a write that it left ends at once.
        await writer.settle()


async def _abort(context: Any, status: grpc.StatusCode, message: str, trailer: Trailer = ()) -> NoReturn:
    """End a call with an error. Nothing may be being written: gRPC would take no status.

    Raises:
        AbortError: Always, unless the call has ended by itself in this moment, as by its deadline.
        CancelledError: In that case: nobody is told of anything any more.
    """
    try:
        await context.abort(status, message, trailer)
    except aio.AbortError:
        raise
    except aio.BaseError:
        raise asyncio.CancelledError from None
    raise AssertionError("abort always raises")

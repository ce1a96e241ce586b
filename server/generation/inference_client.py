"""The server's only door to gRPC: pictures, progress and live paintings from the inference service.

It knows no canvas and no job, and it retries nothing: whoever ordered decides that. Its one rule:
what leaves this module is our own values and `server.errors`, never a message or an exception of
gRPC.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]  # The package has no types.

from protos import psyche_inference_v1_pb2 as pb
from protos import psyche_inference_v1_pb2_grpc as pb_grpc
from server.errors import (
    InferenceBusyError,
    InferenceCancelledError,
    InferenceError,
    InferenceFailedError,
    InferenceRejectedError,
    InferenceUnavailableError,
)
from server.generation import inference_wire as wire
from server.generation.live_painting import LivePainting
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


__all__ = [
    "InferenceClient",
    "LiveFrame",
    "LivePainting",
    "ModelInfo",
    "Models",
    "PaintEvent",
    "PaintProgress",
    "PaintRefusal",
    "Picture",
    "PictureMetadata",
    "PictureOrder",
    "Progress",
    "StepTime",
    "StyleInfo",
    "TemplateInfo",
]

_CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", wire.MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", wire.MAX_MESSAGE_BYTES),
    # A service that was restarted is found again within a second (default: up to 120 s).
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # How long one attempt to connect may take, in spite of its name (default: 20 s).
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # The inference service is a neighbour: never through the proxy that the environment names.
    ("grpc.enable_http_proxy", 0),
    # Clients share no connection, so that closing one ends it.
    ("grpc.use_local_subchannel_pool", 1),
)

# Only between machines: on one, the kernel tells when the service is gone. A machine that vanishes
# without a word is noticed within 30 s. The service must allow pings this often by its
# `grpc.http2.min_ping_interval_without_data_ms`: by default (300 s) it hangs up on a call without
# data at the third one ("too many pings").
_KEEPALIVE_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),  # 0: no limit
)

# Between two questions whether the service serves.
_PROBE_INTERVAL_S = 0.05

# How long one of these questions may take: longer than a loaded service's event loop pauses.
_PROBE_DEADLINE_S = 2.0

# The trailing metadata that tells when a busy service should be asked again.
_RETRY_KEY = "retry-after-ms"
MAX_RETRY_AFTER_S = 30.0

# The trailing metadata that names the offending field, by the contract.
_FIELD_KEY = "psyche-field"

_UNAVAILABLE = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)
_REJECTED = frozenset(
    {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OUT_OF_RANGE}
)

# What the service says of a request that was cancelled by its id. A call that ends with the same
# status for another reason, such as a closed connection, says something else.
_CANCELLED_BY_ID = re.compile(r"request .* was cancelled")

_Message = TypeVar("_Message")


class InferenceClient:
    """A connection to one inference service; it is made when first used and again when lost.

    To be made and used in one running event loop.

    Cancellation:
        Cancelling a task inside any method cancels its call, and the service stops painting
        between two steps.

    Resources:
        Whoever makes it closes it: as an asynchronous context manager, or by `close`.
    """

    def __init__(self, address: str) -> None:
        """Prepare the connection without making it.

        Args:
            address: ``host:port`` or ``unix:/absolute/path``.
        """
        self.address = address
        self._closed = False
        keepalive = () if address.startswith("unix:") else _KEEPALIVE_OPTIONS
        self._channel = aio.insecure_channel(address, options=(*_CHANNEL_OPTIONS, *keepalive))
        self._stub = pb_grpc.ImageGenerationServiceStub(self._channel)
        self._check = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that are under way end with `InferenceUnavailableError`."""
        self._closed = True
        await self._channel.close()

    async def generate(self, order: PictureOrder, *, deadline_s: float) -> Picture:
        """Have one picture painted.

        Raises:
            InferenceUnavailableError: If the service cannot be reached or the deadline passed.
            InferenceRejectedError: If the order is wrong; `field` names where.
            InferenceCancelledError: If somebody cancelled it by its id.
            InferenceFailedError: If the service failed to paint it.
        """
        request = wire.image_request(order)
        with self._border():
            return wire.picture(await self._stub.GenerateImage(request, timeout=deadline_s))

    async def generate_stream(
        self, order: PictureOrder, *, previews: bool, deadline_s: float
    ) -> AsyncGenerator[Progress | Picture, None]:
        """Have one picture painted and tell the progress; the picture comes last.

        Args:
            order: The picture.
            previews: Whether each progress carries a small preview.
            deadline_s: For the whole picture, in seconds.

        Raises:
            InferenceError: As `generate`.
        """
        request = wire.image_request(order, previews=previews)
        with self._border():
            call = self._stub.GenerateImageStream(request, timeout=deadline_s)
        try:
            while (message := await self._read(call)) is not None:
                event = wire.generation_event(message)
                if event is not None:
                    yield event
                if isinstance(event, Picture):
                    return
        finally:
            await _end(call)
        raise InferenceFailedError("the inference service ended the call without a picture")

    async def variations(
        self, order: PictureOrder, count: int, *, deadline_s: float
    ) -> AsyncGenerator[Picture, None]:
        """Have several pictures of one order painted, each with its own seed.

        Args:
            order: The picture.
            count: How many, 1 to 64.
            deadline_s: For all of them together, in seconds.

        Raises:
            InferenceError: As `generate`.
        """
        request = wire.variations_request(order, count)
        with self._border():
            call = self._stub.GenerateImageVariations(request, timeout=deadline_s)
        try:
            while (message := await self._read(call)) is not None:
                yield wire.picture(message)
        finally:
            await _end(call)

    async def models(self, *, deadline_s: float) -> Models:
        """Ask for the models, styles and templates on offer.

        Raises:
            InferenceError: As `generate`.
        """
        with self._border():
            return wire.models(await self._stub.GetImageModels(pb.ModelRequest(), timeout=deadline_s))

    async def is_serving(self, *, deadline_s: float = _PROBE_DEADLINE_S) -> bool:
        """Tell whether the service answers and says that it serves."""
        try:
            with self._border():
                response = await self._check(health_pb2.HealthCheckRequest(), timeout=deadline_s)
        except InferenceError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

    async def wait_until_serving(self, *, deadline_s: float) -> None:
        """Wait until the service serves.

        Raises:
            InferenceUnavailableError: If it does not within the deadline, in seconds.
        """
        try:
            async with asyncio.timeout(deadline_s):
                while not await self.is_serving():  # noqa: ASYNC110  # Another process sets no event of ours.
                    await asyncio.sleep(_PROBE_INTERVAL_S)
        except TimeoutError as exc:
            raise InferenceUnavailableError(
                f"the inference service at {self.address} did not serve within {deadline_s:g} s"
            ) from exc

    @contextlib.asynccontextmanager
    async def paint(self, order: PictureOrder, revision: int) -> AsyncIterator[LivePainting]:
        """Begin a live painting; leaving the context ends it.

        Args:
            order: The first target, painted from second 0 of the timeline on.
            revision: The caller's number of this target.

        Yields:
            The painting. It has painted nothing yet: each frame needs a credit. That the service
            cannot be reached is told by its `next_event`.

        Raises:
            InferenceRejectedError: If the order does not fit into a message.
            InferenceUnavailableError: If this client is closed.

        Resources:
            To be entered and left in one task, which owns the two that carry the messages.
        """
        painting = LivePainting(order, revision)
        with self._border():
            call = self._stub.Paint()
        failure: Exception | None = None
        async with asyncio.TaskGroup() as carriers:
            writer = carriers.create_task(self._write_commands(call, painting), name="paint:writer")
            reader = carriers.create_task(self._read_events(call, painting), name="paint:reader")
            try:
                yield painting
            except Exception as exc:  # noqa: BLE001  # Raised again below: outside, no group wraps it.
                failure = exc
            finally:
                painting.end(InferenceUnavailableError("the live painting was left"))
                writer.cancel()
                reader.cancel()
                await _end(call)
        if failure is not None:
            raise failure

    async def _write_commands(
        self, call: aio.StreamStreamCall[pb.PaintCommand, pb.PaintEvent], painting: LivePainting
    ) -> None:
        # The reader of the same call learns why it broke, and tells it.
        with contextlib.suppress(InferenceError):
            while True:
                command = await painting.take_command()
                with self._border():
                    await call.write(command)

    async def _read_events(
        self, call: aio.StreamStreamCall[pb.PaintCommand, pb.PaintEvent], painting: LivePainting
    ) -> None:
        try:
            while (message := await self._read(call)) is not None:
                event = wire.paint_event(message)
                if event is not None:
                    await painting.offer(event)
        except InferenceError as exc:
            painting.end(exc)
        else:
            painting.end(InferenceUnavailableError("the inference service ended the live painting"))

    async def _read(
        self, call: aio.UnaryStreamCall[Any, _Message] | aio.StreamStreamCall[Any, _Message]
    ) -> _Message | None:
        """Return the next message of a stream; None after its last one."""
        with self._border():
            message = await call.read()
        return None if message is aio.EOF else cast("_Message", message)

    @contextlib.contextmanager
    def _border(self) -> Iterator[None]:
        """Translate what gRPC raises inside."""
        try:
            yield
        except aio.AioRpcError as exc:
            raise self._translated(exc) from exc
        except (aio.BaseError, asyncio.InvalidStateError) as exc:
            # The call is over or the channel closed; the exceptions do not tell which.
            raise InferenceUnavailableError(
                f"the connection to the inference service at {self.address} is closed"
            ) from exc
        except asyncio.CancelledError as exc:
            # Closing a channel also raises this, in tasks that nobody cancelled.
            task = asyncio.current_task()
            if not self._closed or task is None or task.cancelling():
                raise
            raise InferenceUnavailableError("the inference client was closed") from exc

    def _translated(self, error: aio.AioRpcError) -> InferenceError:
        """Return our own error for a call's status."""
        code = error.code()
        details = error.details() or code.name.lower().replace("_", " ")
        metadata = error.trailing_metadata() or aio.Metadata()
        if code in _REJECTED:
            field = metadata.get(_FIELD_KEY)
            return InferenceRejectedError(details, field=wire.field_name(str(field)) if field else None)
        if code is grpc.StatusCode.CANCELLED and _CANCELLED_BY_ID.fullmatch(details):
            return InferenceCancelledError(details)
        if code in _UNAVAILABLE:
            return InferenceUnavailableError(
                f"the inference service at {self.address} is unavailable: {details}"
            )
        retry_after_ms = str(metadata.get(_RETRY_KEY, ""))
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_after_ms.isdecimal():
            # Without the hint it is a message that is too big for gRPC, and stays so.
            retry_after_s = min(MAX_RETRY_AFTER_S, int(retry_after_ms) / 1000.0)
            return InferenceBusyError(
                f"the inference service is busy: {details}", retry_after_s=retry_after_s
            )
        return InferenceFailedError(f"the inference service failed ({code.name}): {details}")


async def _end(call: aio.Call) -> None:
    """Cancel a call, which does nothing to one that is over, and wait until it is over."""
    call.cancel()
    await call.code()

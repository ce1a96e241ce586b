"""The inference client against a service of ten lines a method, over a real channel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from protos import psyche_inference_v1_pb2 as pb
from protos import psyche_inference_v1_pb2_grpc as pb_grpc
from server.errors import (
    InferenceCancelledError,
    InferenceError,
    InferenceFailedError,
    InferenceRejectedError,
    InferenceUnavailableError,
)
from server.generation.inference_client import (
    InferenceClient,
    LiveFrame,
    LivePainting,
    PaintProgress,
    PaintRefusal,
    Picture,
    PictureOrder,
    Progress,
)


SEA = PictureOrder(prompt="sea", seed=5)
SOON_S = 30.0


class FakeService(pb_grpc.ImageGenerationServiceServicer):
    """Answers at once, and keeps what it was asked.

    A prompt chooses what goes wrong: ``hang`` never answers, ``refuse`` aborts with `refusal`,
    ``nothing`` ends without a picture, ``once`` ends a painting after its first frame.
    """

    def __init__(self) -> None:
        self.requests: list[pb.ImageRequest] = []
        self.commands: list[str] = []
        self.refusal: tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]] = (
            grpc.StatusCode.INTERNAL,
            "",
            (),
        )
        self.hanging = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def _receive(self, request: pb.ImageRequest, context: Any) -> None:
        self.requests.append(request)
        if request.prompt == "refuse":
            code, details, metadata = self.refusal
            await context.abort(code, details, metadata)
        if request.prompt == "hang":
            self.hanging.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()

    def _image(self, request: pb.ImageRequest, index: int = 0) -> pb.ImageResponse:
        return pb.ImageResponse(
            image_data=request.prompt.encode(),
            format="jpeg",
            index=index,
            metadata=pb.GenerationMetadata(width=64, height=32, seed=request.settings.seed + index),
        )

    async def GenerateImage(self, request: pb.ImageRequest, context: Any) -> pb.ImageResponse:
        await self._receive(request, context)
        return self._image(request)

    async def GenerateImageVariations(
        self, request: pb.ImageVariationsRequest, context: Any
    ) -> AsyncIterator[pb.ImageResponse]:
        for index in range(request.count):
            yield self._image(request.request, index)
        await self._receive(request.request, context)

    async def GenerateImageStream(
        self, request: pb.ImageRequest, context: Any
    ) -> AsyncIterator[pb.GenerationEvent]:
        preview = b"small" if request.previews else b""
        yield pb.GenerationEvent(progress=pb.Progress(step=1, total_steps=2, preview=preview))
        await self._receive(request, context)
        if request.prompt != "nothing":
            yield pb.GenerationEvent(image=self._image(request))

    async def GetImageModels(self, request: pb.ModelRequest, context: Any) -> pb.ModelResponse:
        return pb.ModelResponse(
            models=[pb.ModelInfo(name="procedural", state=pb.ModelInfo.STATE_READY)],
            default_model="procedural",
            device="cpu",
        )

    async def Paint(
        self, request_iterator: AsyncIterator[pb.PaintCommand], context: Any
    ) -> AsyncIterator[pb.PaintEvent]:
        revision = 0
        async for command in request_iterator:
            kind = str(command.WhichOneof("command"))
            self.commands.append(kind)
            if kind in ("open", "retarget"):
                target = getattr(command, kind)
                if target.request.settings.width == 63:
                    error = pb.PaintError(
                        revision=target.revision, field="settings.width", message="63 is odd"
                    )
                    yield pb.PaintEvent(error=error)
                    continue
                revision, request = target.revision, target.request
                continue
            yield pb.PaintEvent(progress=pb.PaintProgress(revision=revision, step=1, total_steps=2))
            await self._receive(request, context)
            image = self._image(request)
            yield pb.PaintEvent(
                frame=pb.PaintFrame(
                    revision=revision,
                    time_s=command.credit.time_s,
                    image_data=image.image_data,
                    format="jpeg",
                    metadata=image.metadata,
                )
            )
            if request.prompt == "once":
                return


class Door:
    """A service that can be started and killed again and again at one address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.service = FakeService()
        self.health = health.aio.HealthServicer()
        self.port = 0
        self._server: aio.Server | None = None

    async def open(self) -> None:
        options = (("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20))
        self._server = aio.server(options=options)
        pb_grpc.add_ImageGenerationServiceServicer_to_server(self.service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        await self.health.set("", health_pb2.HealthCheckResponse.SERVING)
        self.port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def kill(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    door = Door(f"unix:{tmp_path}/s")
    await door.open()
    yield door
    await door.kill()


@pytest.fixture
async def client(door: Door) -> AsyncIterator[InferenceClient]:
    async with InferenceClient(door.address) as client:
        yield client


@contextlib.asynccontextmanager
async def no_new_task() -> AsyncIterator[None]:
    """Check that what runs inside leaves no task, gRPC's own and the service's handlers included."""
    before = asyncio.all_tasks()
    yield
    # The fake's server always has a task that waits for the next call.
    left = {
        task
        for task in asyncio.all_tasks() - before
        if not getattr(task.get_coro(), "__qualname__", "").startswith("AioServer.")
    }
    if left:  # What is ending already may end.
        _, left = await asyncio.wait(left, timeout=SOON_S)
    assert not left


async def next_frame(painting: LivePainting) -> LiveFrame:
    while not isinstance(event := await painting.next_event(), LiveFrame):
        assert isinstance(event, PaintProgress)
    return event


async def generate(client: InferenceClient, order: PictureOrder) -> None:
    await client.generate(order, deadline_s=SOON_S)


async def stream(client: InferenceClient, order: PictureOrder) -> None:
    async for _ in client.generate_stream(order, previews=False, deadline_s=SOON_S):
        pass


async def variations(client: InferenceClient, order: PictureOrder) -> None:
    async for _ in client.variations(order, 2, deadline_s=SOON_S):
        pass


async def paint(client: InferenceClient, order: PictureOrder) -> None:
    async with client.paint(order, 1) as painting:
        painting.credit(0.0)
        await next_frame(painting)


Call = Callable[[InferenceClient, PictureOrder], Coroutine[Any, Any, None]]
every_call = pytest.mark.parametrize("call", [generate, stream, variations, paint])


async def test_a_picture_is_painted(door: Door, client: InferenceClient) -> None:
    picture = await client.generate(SEA, deadline_s=SOON_S)

    assert (picture.image, picture.width, picture.height, picture.metadata.seed) == (b"sea", 64, 32, 5)
    assert door.service.requests[0].settings.seed == 5


async def test_a_source_of_32_mebibytes_reaches_the_service(door: Door, client: InferenceClient) -> None:
    source = bytes(32 << 20)

    await client.generate(PictureOrder(prompt="sea", source=source), deadline_s=SOON_S)

    assert len(door.service.requests[0].source.data) == len(source)


async def test_a_tcp_service_is_reached_without_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    door = Door("127.0.0.1:0")
    await door.open()
    try:
        async with InferenceClient(f"127.0.0.1:{door.port}") as client:
            assert (await client.generate(SEA, deadline_s=SOON_S)).image == b"sea"
    finally:
        await door.kill()


async def test_progress_comes_before_the_picture(client: InferenceClient) -> None:
    events = [event async for event in client.generate_stream(SEA, previews=True, deadline_s=SOON_S)]

    assert events[0] == Progress(1, 2, b"small")
    assert isinstance(events[1], Picture)
    assert len(events) == 2


async def test_a_stream_without_a_picture_is_a_failure(client: InferenceClient) -> None:
    with pytest.raises(InferenceFailedError, match="without a picture"):
        await stream(client, PictureOrder(prompt="nothing"))


async def test_variations_come_one_by_one(client: InferenceClient) -> None:
    pictures = [picture async for picture in client.variations(SEA, 3, deadline_s=SOON_S)]

    assert [(picture.index, picture.metadata.seed) for picture in pictures] == [(0, 5), (1, 6), (2, 7)]


async def test_models_are_told(client: InferenceClient) -> None:
    offer = await client.models(deadline_s=SOON_S)

    assert (offer.models[0].name, offer.models[0].state) == ("procedural", "ready")
    assert (offer.default_model, offer.device) == ("procedural", "cpu")


async def test_each_credit_is_answered_with_a_frame_of_its_time(client: InferenceClient) -> None:
    async with client.paint(SEA, 1) as painting:
        painting.credit(0.25)
        painting.credit(0.5)
        frames = [await next_frame(painting), await next_frame(painting)]

    assert [(frame.revision, frame.time_s) for frame in frames] == [(1, 0.25), (1, 0.5)]
    assert frames[0].picture.image == b"sea"


async def test_a_new_target_is_painted_from_the_next_credit_on(client: InferenceClient) -> None:
    async with client.paint(SEA, 1) as painting:
        painting.credit(0.0)
        painting.retarget(PictureOrder(prompt="fire"), 2, 0.0, 1.0)
        painting.credit(1.0)
        frames = [await next_frame(painting), await next_frame(painting)]

    assert [(frame.revision, frame.picture.image) for frame in frames] == [(1, b"sea"), (2, b"fire")]


async def test_a_refused_target_is_told_and_the_painting_goes_on(client: InferenceClient) -> None:
    async with client.paint(SEA, 1) as painting:
        painting.retarget(PictureOrder(prompt="sea", width=63), 2, 0.0, 1.0)
        refusal = await painting.next_event()
        painting.credit(1.0)
        frame = await next_frame(painting)

    assert refusal == PaintRefusal(2, "width", "63 is odd")
    assert frame.revision == 1


async def test_a_cancelled_wait_for_a_frame_leaves_the_painting_alive(
    door: Door, client: InferenceClient
) -> None:
    async with client.paint(SEA, 1) as painting:
        waiting = asyncio.ensure_future(painting.next_event())
        await asyncio.sleep(0)  # It is waiting now.
        waiting.cancel()
        await asyncio.wait({waiting})
        painting.credit(0.5)

        assert (await next_frame(painting)).time_s == 0.5


async def test_a_painting_that_the_service_ends_is_told(client: InferenceClient) -> None:
    async with client.paint(PictureOrder(prompt="once"), 1) as painting:
        painting.credit(0.0)
        await next_frame(painting)

        with pytest.raises(InferenceUnavailableError, match="ended the live painting"):
            await painting.next_event()


async def test_an_error_inside_a_painting_comes_out_as_it_is(client: InferenceClient) -> None:
    async with no_new_task():
        with pytest.raises(KeyError, match="mine"):
            async with client.paint(SEA, 1):
                raise KeyError("mine")


REJECTED, UNAVAILABLE, FAILED = InferenceRejectedError, InferenceUnavailableError, InferenceFailedError


@every_call
@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, REJECTED),
        (grpc.StatusCode.NOT_FOUND, REJECTED),
        (grpc.StatusCode.OUT_OF_RANGE, REJECTED),
        (grpc.StatusCode.UNAVAILABLE, UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, UNAVAILABLE),
        (grpc.StatusCode.CANCELLED, UNAVAILABLE),
        (grpc.StatusCode.INTERNAL, FAILED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, FAILED),
        (grpc.StatusCode.FAILED_PRECONDITION, FAILED),
        (grpc.StatusCode.UNKNOWN, FAILED),
        (grpc.StatusCode.UNIMPLEMENTED, FAILED),
    ],
)
async def test_each_status_has_its_error(
    door: Door, client: InferenceClient, call: Call, code: grpc.StatusCode, error: type[InferenceError]
) -> None:
    door.service.refusal = (code, "7 is not even", ())

    with pytest.raises(InferenceError, match="7 is not even") as told:
        await call(client, PictureOrder(prompt="refuse"))

    assert type(told.value) is error
    assert told.value.field is None
    assert isinstance(told.value.__cause__, aio.AioRpcError)


@every_call
async def test_a_request_that_was_cancelled_by_its_id_is_not_tried_again(
    door: Door, client: InferenceClient, call: Call
) -> None:
    door.service.refusal = (grpc.StatusCode.CANCELLED, "request r1 was cancelled", ())

    with pytest.raises(InferenceCancelledError, match="request r1 was cancelled"):
        await call(client, PictureOrder(prompt="refuse"))


@every_call
async def test_a_rejection_names_the_field_as_we_do(door: Door, client: InferenceClient, call: Call) -> None:
    door.service.refusal = (
        grpc.StatusCode.INVALID_ARGUMENT,
        "63 is odd",
        (("psyche-field", "settings.width"),),
    )

    with pytest.raises(InferenceRejectedError) as told:
        await call(client, PictureOrder(prompt="refuse"))

    assert (told.value.field, str(told.value)) == ("width", "63 is odd")


async def test_a_passed_deadline_is_unavailability(client: InferenceClient) -> None:
    with pytest.raises(InferenceUnavailableError, match=r"(?i)deadline"):
        await client.generate(PictureOrder(prompt="hang"), deadline_s=0.01)


@every_call
async def test_no_service_is_unavailability(tmp_path: Path, call: Call) -> None:
    async with no_new_task(), InferenceClient(f"unix:{tmp_path}/none") as client:
        with pytest.raises(InferenceUnavailableError, match="none"):
            await call(client, SEA)


@every_call
async def test_a_service_killed_in_mid_call_is_found_again(
    door: Door, client: InferenceClient, call: Call
) -> None:
    under_way = asyncio.ensure_future(call(client, PictureOrder(prompt="hang")))
    await door.service.hanging.wait()

    await door.kill()
    with pytest.raises(InferenceUnavailableError):
        await under_way
    await door.open()
    await client.wait_until_serving(deadline_s=SOON_S)

    await call(client, SEA)


@every_call
async def test_cancelling_the_caller_cancels_the_service_and_leaves_no_task(
    door: Door, client: InferenceClient, call: Call
) -> None:
    await client.models(deadline_s=SOON_S)  # The connection is made.
    async with no_new_task():
        under_way = asyncio.ensure_future(call(client, PictureOrder(prompt="hang")))
        await door.service.hanging.wait()

        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way

        await asyncio.wait_for(door.service.cancelled.wait(), SOON_S)


@every_call
async def test_cancelling_at_once_leaves_no_task(client: InferenceClient, call: Call) -> None:
    await client.models(deadline_s=SOON_S)  # The connection is made.
    async with no_new_task():
        under_way = asyncio.ensure_future(call(client, SEA))
        await asyncio.sleep(0)  # The call is made now.
        under_way.cancel()

        with pytest.raises(asyncio.CancelledError):
            await under_way


async def test_leaving_a_painting_in_mid_frame_leaves_no_task(door: Door, client: InferenceClient) -> None:
    await client.models(deadline_s=SOON_S)  # The connection is made.
    async with no_new_task():
        async with client.paint(PictureOrder(prompt="hang"), 1) as painting:
            painting.credit(0.0)
            await door.service.hanging.wait()

        await asyncio.wait_for(door.service.cancelled.wait(), SOON_S)

    painting.credit(1.0)
    with pytest.raises(InferenceUnavailableError, match="left"):
        await next_frame(painting)


async def test_leaving_variations_early_cancels_the_service(door: Door, client: InferenceClient) -> None:
    pictures = client.variations(PictureOrder(prompt="hang"), 2, deadline_s=SOON_S)
    async with contextlib.aclosing(pictures):
        async for _ in pictures:
            await door.service.hanging.wait()
            break

    await asyncio.wait_for(door.service.cancelled.wait(), SOON_S)


@every_call
async def test_closing_the_client_ends_its_calls_with_an_error(door: Door, call: Call) -> None:
    client = InferenceClient(door.address)
    async with no_new_task():
        under_way = asyncio.ensure_future(call(client, PictureOrder(prompt="hang")))
        await door.service.hanging.wait()

        await client.close()

        with pytest.raises(InferenceUnavailableError, match="closed"):
            await asyncio.wait_for(under_way, SOON_S)


@every_call
async def test_a_closed_client_is_unavailable(door: Door, call: Call) -> None:
    client = InferenceClient(door.address)
    await client.close()
    await client.close()

    with pytest.raises(InferenceUnavailableError, match="closed"):
        await call(client, SEA)


async def test_serving_is_what_the_health_service_says(door: Door, client: InferenceClient) -> None:
    assert await client.is_serving()

    await door.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert not await client.is_serving()

    await door.kill()
    assert not await client.is_serving()


async def test_a_service_that_was_away_is_found_soon_after_it_is_back(tmp_path: Path) -> None:
    async def is_found_soon(door: Door) -> bool:
        async with InferenceClient(door.address) as client:
            assert not await client.is_serving()

            await door.open()
            try:
                # gRPC's own first pause is 0.8 s at least.
                await client.wait_until_serving(deadline_s=0.75)
            except InferenceUnavailableError:
                return False
            finally:
                await door.kill()
            return True

    # A busy machine may take longer, but not every time.
    found = [await is_found_soon(Door(f"unix:{tmp_path}/0"))]
    while not found[-1] and len(found) < 5:
        found.append(await is_found_soon(Door(f"unix:{tmp_path}/{len(found)}")))

    assert found[-1]


async def test_waiting_for_a_service_that_never_serves_ends(tmp_path: Path) -> None:
    async with InferenceClient(f"unix:{tmp_path}/none") as client:
        with pytest.raises(InferenceUnavailableError, match=r"did not serve within 0\.01 s"):
            await client.wait_until_serving(deadline_s=0.01)

"""A caller's end of live pictures, over a real channel."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fakes import SOON_S, FakeEngine
from grpc import aio
from PIL import Image
from services import GatedLoader, RunningService, running_service

from protos import psyche_inference_v1_pb2 as pb


def request(prompt: str = "a lighthouse", *, seed: int = 7, steps: int = 1) -> pb.ImageRequest:
    return pb.ImageRequest(
        prompt=prompt,
        settings=pb.ImageSettings(width=64, height=64, seed=seed, steps=steps),
        output=pb.OutputSettings(format="png"),
    )


def opening(asked: pb.ImageRequest | None = None, revision: int = 1) -> pb.PaintCommand:
    return pb.PaintCommand(open=pb.PaintOpen(request=asked or request(), revision=revision))


def credit(time_s: float = 0.0) -> pb.PaintCommand:
    return pb.PaintCommand(credit=pb.PaintCredit(time_s=time_s))


def retarget(
    asked: pb.ImageRequest, revision: int, *, at_s: float = 0.0, transition_s: float = 0.0
) -> pb.PaintCommand:
    command = pb.PaintRetarget(request=asked, revision=revision, at_s=at_s, transition_s=transition_s)
    return pb.PaintCommand(retarget=command)


CLOSE = pb.PaintCommand(close=pb.PaintClose())


class Live:
    """A caller's end of a live picture."""

    def __init__(self, call: aio.StreamStreamCall) -> None:
        self.call = call

    async def send(self, *commands: pb.PaintCommand) -> None:
        for command in commands:
            await self.call.write(command)

    async def receive(self) -> pb.PaintEvent:
        event = await self.call.read()
        assert isinstance(event, pb.PaintEvent), "the stream has ended"
        return event

    async def frame(self) -> pb.PaintFrame:
        event = await self.receive()
        assert event.HasField("frame"), event
        return event.frame

    async def rest(self) -> list[pb.PaintEvent]:
        """Read to the end, however it ends; `call` tells."""
        events = []
        with contextlib.suppress(aio.AioRpcError):
            while isinstance(event := await self.call.read(), pb.PaintEvent):
                events.append(event)
        return events


@asynccontextmanager
async def painting(engine: FakeEngine, folder: Path) -> AsyncIterator[tuple[Live, RunningService]]:
    async with running_service(engine, folder) as service:
        live = Live(service.stub.Paint())
        try:
            yield live, service
        finally:
            live.call.cancel()


def colour(frame: pb.PaintFrame) -> object:
    return Image.open(io.BytesIO(frame.image_data)).getpixel((0, 0))


@asynccontextmanager
async def switching(
    loader: GatedLoader, folder: Path, *, fallback_model: str = "", max_models: int = 2
) -> AsyncIterator[tuple[Live, RunningService]]:
    """A live picture where "fake" is ready and the loader's models are loaded on demand."""
    keep = loader.keep(ready=FakeEngine(), fallback_model=fallback_model, max_models=max_models)
    async with running_service(keep, folder) as service:
        live = Live(service.stub.Paint())
        try:
            yield live, service
        finally:
            live.call.cancel()
            loader.gate.set()


def of(model: str, prompt: str = "a lighthouse", *, steps: int = 1) -> pb.ImageRequest:
    asked = request(prompt, steps=steps)
    asked.model = model
    return asked


async def frames_until(live: Live, condition: Callable[[pb.PaintFrame], bool]) -> list[pb.PaintFrame]:
    """Give credits one by one until a frame is the one waited for."""
    frames = []
    async with asyncio.timeout(SOON_S):
        while not (frames and condition(frames[-1])):
            await live.send(credit())
            frames.append(await live.frame())
    return frames


def is_leased(service: RunningService, model: str) -> bool:
    return service.core.house._rooms.find(model).leases > 0

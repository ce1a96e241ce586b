"""What the tests of calls for single pictures share."""

from __future__ import annotations

import io

from fakes import until
from grpc import aio
from PIL import Image
from services import RunningService

from protos import psyche_inference_v1_pb2 as pb


def request(prompt: str = "a lighthouse", *, steps: int = 1, **fields: object) -> pb.ImageRequest:
    settings = pb.ImageSettings(width=64, height=72, seed=7, steps=steps)
    return pb.ImageRequest(prompt=prompt, settings=settings, **fields)  # type: ignore[arg-type]


def source_file(size: tuple[int, int] = (24, 24)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (10, 20, 30)).save(file, "PNG")
    return file.getvalue()


async def wait_until_idle(service: RunningService) -> None:
    """What a client gives up reaches the service soon."""
    await until(lambda: service.core.scheduler.unfinished == 0)


async def read_or_error(call: aio.UnaryStreamCall) -> object:
    try:
        return await call.read()
    except aio.AioRpcError as error:
        return error

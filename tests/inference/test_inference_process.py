"""The program as its users start it: a process of its own, with the procedural engine."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

import inference
from protos import psyche_inference_v1_pb2 as pb
from protos.psyche_inference_v1_pb2_grpc import ImageGenerationServiceStub


ROOT = Path(inference.__file__).parent.parent

# For a start or a stop on a busy machine, seconds.
PATIENCE_S = 30.0


@asynccontextmanager
async def started(*arguments: str, folder: Path) -> AsyncIterator[Process]:
    """Run the program; it is killed at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PSYCHE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "inference",
        *arguments,
        cwd=folder,  # Without an `.env` of the checkout.
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdin=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def wait_until_serving(channel: aio.Channel) -> None:
    check = health_pb2_grpc.HealthStub(channel).Check
    response = await check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=PATIENCE_S)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


async def log_of(process: Process) -> list[dict[str, object]]:
    assert process.stderr is not None
    return [json.loads(line) for line in (await process.stderr.read()).splitlines()]


def quick_channel(address: str) -> aio.Channel:
    """A channel that tries again often: the service is there in less than gRPC's first pause."""
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 50)]
    return aio.insecure_channel(address, options=options)


async def test_it_paints_and_ends_gracefully_at_a_signal_with_the_call_under_way_finished(
    tmp_path: Path,
) -> None:
    address = f"unix:{tmp_path}/s"
    settings = pb.ImageSettings(width=256, height=192, steps=100)
    request = pb.ImageRequest(prompt="a lighthouse at night", settings=settings)
    async with (
        started("--listen", address, "--engine", "procedural", folder=tmp_path) as process,
        quick_channel(address) as channel,
    ):
        await wait_until_serving(channel)
        call = ImageGenerationServiceStub(channel).GenerateImageStream(request)
        first = await call.read()
        process.send_signal(signal.SIGTERM)
        events = [first]
        while isinstance(event := await call.read(), pb.GenerationEvent):
            events.append(event)

        assert await call.code() is grpc.StatusCode.OK
        assert await process.wait() == 0
        log = await log_of(process)

    image = Image.open(io.BytesIO(events[-1].image.image_data))
    assert (image.format, image.size) == ("JPEG", (256, 192))
    assert not events[-1].image.metadata.is_neural
    assert [line["event"] for line in log] == ["serving", "stopping", "call", "stopped"]
    assert log[0]["address"] == address
    assert "s" not in os.listdir(tmp_path)


async def test_supervised_it_ends_with_its_parents_end_of_the_pipe(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    async with (
        started("--listen", address, "--supervised", folder=tmp_path) as process,
        quick_channel(address) as channel,
    ):
        await wait_until_serving(channel)
        process.send_signal(signal.SIGINT)  # Which the whole terminal gets: the parent decides.
        await wait_until_serving(channel)
        assert process.stdin is not None
        process.stdin.close()

        assert await process.wait() == 0


async def test_a_free_port_is_told_in_the_log(tmp_path: Path) -> None:
    async with started("--port", "0", folder=tmp_path) as process:
        assert process.stderr is not None
        serving = json.loads(await process.stderr.readline())
        async with quick_channel(serving["address"]) as channel:
            await wait_until_serving(channel)
        process.send_signal(signal.SIGINT)

        assert await process.wait() == 0


@pytest.mark.parametrize("kind", ["port", "socket file", "model", "setting"])
async def test_what_does_not_allow_a_start_is_one_line_and_status_2(tmp_path: Path, kind: str) -> None:
    family = socket.AF_UNIX if kind == "socket file" else socket.AF_INET
    with closing(socket.socket(family)) as other:
        other.bind(f"{tmp_path}/s" if kind == "socket file" else ("127.0.0.1", 0))
        other.listen()
        arguments = {
            "port": ["--listen", f"127.0.0.1:{other.getsockname()[1]}"],
            "socket file": ["--listen", f"unix:{tmp_path}/s"],
            "model": ["--port", "0", "--model", "none"],
            "setting": ["--max-waiting", "0"],
        }[kind]
        async with started(*arguments, folder=tmp_path) as process:
            assert await process.wait() == 2
            assert process.stderr is not None
            told = (await process.stderr.read()).decode()

    flag = arguments[-2]
    assert told.startswith(f"python -m inference: {flag}")
    assert told.count("\n") == 1

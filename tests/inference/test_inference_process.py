"""The program as its users start it: a process of its own, with the procedural engine."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image
from services import outliving_channel

import inference
from protos import psyche_inference_v1_pb2 as pb
from protos.psyche_inference_v1_pb2_grpc import ImageGenerationServiceStub


ROOT = Path(inference.__file__).parent.parent

# The program with a model whose files take forever to read.
STUCK = """
import sys, time
from houses import FakeWeights
from inference import serve
from inference.__main__ import main
from inference.engines import Equipment
from inference.models.painter import PainterLoader

class StuckLoader:
    def load(self, entry, weights):
        time.sleep(600)

    def free_bytes(self):
        return None

serve.equip = lambda *_: Equipment({"procedural": PainterLoader(), "sdxl": StuckLoader()}, "sdxl-turbo", "")
serve.WeightStore = lambda *_, **__: FakeWeights()
sys.exit(main())
"""

# The program whose pictures are not finished before a file "go" lies in its folder.
HELD = """
import os, sys, time
from inference.__main__ import main
from inference.procedural import ProceduralEngine

finish = ProceduralEngine.finish

def finish_when_told(self, run):
    while not os.path.exists("go"):
        time.sleep(0.01)
    return finish(self, run)

ProceduralEngine.finish = finish_when_told
sys.exit(main())
"""

# For a start or a stop on a busy machine, seconds.
PATIENCE_S = 30.0


@asynccontextmanager
async def started(*arguments: str, folder: Path, script: str = "") -> AsyncIterator[Process]:
    """Run the program, or a script instead; it is killed at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PSYCHE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(("-c", script) if script else ("-m", "inference")),
        *arguments,
        cwd=folder,  # Without an `.env` of the checkout.
        env=environment | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
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


async def line_of(process: Process) -> dict[str, Any]:
    assert process.stderr is not None
    line: dict[str, Any] = json.loads(await process.stderr.readline())
    return line


async def log_of(process: Process) -> list[dict[str, Any]]:
    assert process.stderr is not None
    return [json.loads(line) for line in (await process.stderr.read()).splitlines()]


def quick_channel(address: str) -> aio.Channel:
    """A channel that tries again often: the service is there in less than gRPC's first pause.

    It outlives the service: see `outliving_channel`.
    """
    pauses_ms = {"grpc.initial_reconnect_backoff_ms": 50, "grpc.max_reconnect_backoff_ms": 50}
    return outliving_channel(address, *pauses_ms.items())


async def test_it_paints_and_ends_gracefully_at_a_signal_with_the_call_under_way_finished(
    tmp_path: Path,
) -> None:
    address = f"unix:{tmp_path}/s"
    settings = pb.ImageSettings(width=256, height=192, steps=100)
    request = pb.ImageRequest(prompt="a lighthouse at night", settings=settings)
    async with (
        started("--listen", address, "--engine", "procedural", folder=tmp_path, script=HELD) as process,
        quick_channel(address) as channel,
    ):
        await wait_until_serving(channel)
        call = ImageGenerationServiceStub(channel).GenerateImageStream(request)
        events = [await call.read()]
        process.send_signal(signal.SIGTERM)
        log = [await line_of(process) for _ in range(2)]
        (tmp_path / "go").touch()
        while isinstance(event := await call.read(), pb.GenerationEvent):
            events.append(event)

        assert await call.code() is grpc.StatusCode.OK
        assert await process.wait() == 0
        log += await log_of(process)

    image = Image.open(io.BytesIO(events[-1].image.image_data))
    assert (image.format, image.size) == ("JPEG", (256, 192))
    assert not events[-1].image.metadata.is_neural
    assert [line["event"] for line in log] == ["serving", "stopping", "call", "stopped"]
    assert log[0]["address"] == address
    assert (log[0]["models"], log[0]["default_model"], log[0]["device"]) == (
        ["procedural"],
        "procedural",
        "cpu",
    )
    assert "s" not in os.listdir(tmp_path)


async def test_a_stop_waits_for_no_model_that_is_being_read(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    arguments = ("--listen", address, "--grace-period-s", "0.2")
    async with (
        started(*arguments, folder=tmp_path, script=STUCK) as process,
        quick_channel(address) as channel,
    ):
        while (await line_of(process))["event"] != "model_loading":
            pass
        waits = ImageGenerationServiceStub(channel).GenerateImage(pb.ImageRequest(prompt="a barn"))
        await channel.channel_ready()
        process.send_signal(signal.SIGTERM)

        assert await process.wait() == 0
        assert await waits.code() is not grpc.StatusCode.OK
        log = await log_of(process)

    assert log[-1] | {"timestamp": ""} == {
        "event": "stopped_unfinished",
        "level": "warning",
        "loading": ["sdxl-turbo"],
        "timestamp": "",
    }
    assert "s" not in os.listdir(tmp_path)


async def test_killed_it_is_there_again_after_a_restart_at_the_same_address(tmp_path: Path) -> None:
    arguments = ("--listen", f"unix:{tmp_path}/s", "--engine", "procedural")
    settings = pb.ImageSettings(width=64, height=64, steps=100)
    request = pb.ImageRequest(prompt="a lighthouse", settings=settings)
    async with quick_channel(f"unix:{tmp_path}/s") as channel:
        stub = ImageGenerationServiceStub(channel)
        async with started(*arguments, folder=tmp_path, script=HELD) as process:
            await wait_until_serving(channel)
            call = stub.GenerateImageStream(request)
            await call.read()
            process.kill()
            assert await process.wait() == -signal.SIGKILL
            while isinstance(await _read_or_error(call), pb.GenerationEvent):
                pass
            assert await call.code() is grpc.StatusCode.UNAVAILABLE

        async with started(*arguments, folder=tmp_path):
            await wait_until_serving(channel)
            response = await stub.GenerateImage(request)

    assert response.metadata.steps == 100


async def _read_or_error(call: aio.UnaryStreamCall) -> object:
    try:
        return await call.read()
    except aio.AioRpcError as error:
        return error


async def test_the_flags_of_the_first_service_start_this_one(tmp_path: Path) -> None:
    flags = "--model-dir ./models --max-models 2 --max-disk-cache 10 --cleanup-interval 300 --no-download"
    async with started("--port", "0", *flags.split(), folder=tmp_path) as process:
        serving = await line_of(process)
        async with quick_channel(serving["address"]) as channel:
            await wait_until_serving(channel)
            offer = await ImageGenerationServiceStub(channel).GetImageModels(pb.ModelRequest())
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0

    assert offer.default_model == serving["default_model"] == "procedural"
    assert offer.styles[0].name == "oil"
    assert offer.models[0].state == pb.ModelInfo.STATE_READY


async def test_metrics_are_served_on_a_port_of_their_own(tmp_path: Path) -> None:
    async with started("--port", "0", "--metrics-port", "0", folder=tmp_path) as process:
        told = [await line_of(process) for _ in range(2)]
        lines = {line["event"]: line for line in told}
        with await asyncio.to_thread(
            urllib.request.urlopen, lines["metrics"]["address"], None, PATIENCE_S
        ) as response:
            text = response.read().decode()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0

    assert "psyche_inference_models_loaded 1.0" in text
    assert lines["metrics"]["address"].startswith("http://127.0.0.1:")


@pytest.mark.diffusion
async def test_a_broken_model_folder_is_replaced_by_the_painter_or_told(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "models" / "sdxl-turbo"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text("{ no json")
    request = pb.ImageRequest(prompt="a barn", model="sdxl-turbo")
    request.settings.width = request.settings.height = 128
    arguments = ("--port", "0", "--model-dir", "models", "--no-download")
    for fallback in (("--fallback-model", "procedural"), ("--fallback-model", "")):
        async with started(*arguments, *fallback, folder=tmp_path) as process:
            serving = await line_of(process)
            async with quick_channel(serving["address"]) as channel:
                await wait_until_serving(channel)
                stub = ImageGenerationServiceStub(channel)
                if fallback[1]:
                    response = await stub.GenerateImage(request)
                    assert response.metadata.model == "procedural"
                    (warning,) = response.metadata.warnings
                    assert warning.startswith("model sdxl-turbo could not be loaded, painted by procedural: ")
                    assert "model_index.json" in warning
                else:
                    with pytest.raises(aio.AioRpcError) as failed:
                        await stub.GenerateImage(request)
                    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
                    assert "model_index.json" in failed.value.details()
                offer = await stub.GetImageModels(pb.ModelRequest())
                # The service goes on.
                await stub.GenerateImage(pb.ImageRequest(prompt="a barn", model="procedural"))
        (info,) = (model for model in offer.models if model.name == "sdxl-turbo")
        assert info.state == pb.ModelInfo.STATE_FAILED
        assert "model_index.json" in info.error


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
        serving = await line_of(process)
        async with quick_channel(serving["address"]) as channel:
            await wait_until_serving(channel)
        process.send_signal(signal.SIGINT)

        assert await process.wait() == 0


@pytest.mark.parametrize(
    "kind", ["port", "socket file", "model", "fallback", "setting", "metrics", "catalogue"]
)
async def test_what_does_not_allow_a_start_is_one_line_and_status_2(tmp_path: Path, kind: str) -> None:
    family = socket.AF_UNIX if kind == "socket file" else socket.AF_INET
    with closing(socket.socket(family)) as other:
        other.bind(f"{tmp_path}/s" if kind == "socket file" else ("127.0.0.1", 0))
        other.listen()
        arguments = {
            "port": ["--listen", f"127.0.0.1:{other.getsockname()[1]}"],
            "socket file": ["--listen", f"unix:{tmp_path}/s"],
            "model": ["--port", "0", "--model", "none"],
            "fallback": ["--port", "0", "--fallback-model", "none"],
            "setting": ["--max-waiting", "0"],
            "metrics": ["--port", "0", "--metrics-port", f"{other.getsockname()[1]}"],
            "catalogue": ["--port", "0", "--catalogue", "none.toml"],
        }[kind]
        async with started(*arguments, folder=tmp_path) as process:
            assert await process.wait() == 2
            assert process.stderr is not None
            told = (await process.stderr.read()).decode()

    flag = arguments[-2]
    assert told.startswith(f"python -m inference: {flag}")
    assert told.count("\n") == 1

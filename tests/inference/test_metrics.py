"""What Prometheus reads: the names, the numbers, and the port."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from contextlib import closing
from pathlib import Path

import grpc
import pytest
from fakes import SOON_S, FakeEngine
from grpc import aio
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from services import GatedLoader, RunningService, running_service

from inference.errors import ConfigurationError
from inference.metrics import serving_metrics, telling_state
from protos import psyche_inference_v1_pb2 as pb


REQUEST = pb.ImageRequest(prompt="a secret", settings=pb.ImageSettings(width=64, height=64, steps=3))

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class CountingEngine(FakeEngine):
    """Has caches."""

    @property
    def counts(self) -> dict[str, int]:
        return {"text_cache_hits": 5, "text_cache_misses": 2, "graphs_recorded": 3}


async def read(service: RunningService, *, free_bytes: int | None = None) -> Samples:
    """Read everything, as a thread of the library does."""
    with telling_state(service.metrics, service.core, free_bytes=lambda: free_bytes):
        return parse(await asyncio.to_thread(generate_latest, service.metrics.registry))


def parse(text: bytes) -> Samples:
    return {
        (sample.name.removeprefix("psyche_inference_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def at(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def test_what_was_painted_is_counted(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        await service.stub.GenerateImage(REQUEST)
        samples = await read(service)

    assert at(samples, "pictures_total", model="fake") == 1
    assert at(samples, "queue_seconds_count", model="fake") == 1
    assert at(samples, "paint_seconds_count", model="fake") == 1
    assert at(samples, "tick_seconds_count", model="fake") == 3
    assert at(samples, "tick_seconds_sum", model="fake") > 0
    assert at(samples, "scheduler_seconds_count") == 3
    assert (
        at(samples, "tick_rows_sum", model="fake") == at(samples, "tick_bucket_rows_sum", model="fake") == 3
    )
    assert at(samples, "calls_total", rpc="GenerateImage", code="OK") == 1


async def test_what_was_not_painted_is_counted_by_its_reason(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        for asked in (pb.ImageRequest(prompt="fails to finish"), pb.ImageRequest()):
            with pytest.raises(aio.AioRpcError):
                await service.stub.GenerateImage(asked)
        samples = await read(service)

    assert at(samples, "pictures_given_up_total", reason="failed") == 1
    assert at(samples, "calls_total", rpc="GenerateImage", code="INTERNAL") == 1
    assert at(samples, "calls_total", rpc="GenerateImage", code="INVALID_ARGUMENT") == 1


async def test_the_state_is_that_of_the_moment(tmp_path: Path) -> None:
    loader = GatedLoader(CountingEngine("big", size_bytes=7000))
    loader.broken["worse"] = "it is broken"
    loader.engines["worse"] = FakeEngine("worse")
    keep = loader.keep(ready=FakeEngine(), fallback_model="fake")
    async with running_service(keep, tmp_path) as service:
        before = await read(service, free_bytes=99)
        for model in ("big", "worse"):
            await service.stub.GenerateImage(pb.ImageRequest(prompt="a barn", model=model))
        live = service.stub.Paint()
        await live.write(pb.PaintCommand(open=pb.PaintOpen(request=REQUEST)))
        await live.write(pb.PaintCommand(credit=pb.PaintCredit()))
        await live.read()
        after = await read(service, free_bytes=99)
        live.cancel()

    assert (at(before, "models_loaded"), at(after, "models_loaded")) == (1, 2)
    assert at(before, "model_state", model="big", state="not_loaded") == 1
    assert at(after, "model_state", model="big", state="ready") == 1
    assert at(after, "model_state", model="worse", state="failed") == 1
    assert at(after, "model_memory_bytes", model="big") == 7000
    assert at(after, "model_loads_total") == 1
    assert at(after, "model_load_failures_total") == 1
    assert at(after, "model_fallbacks_total") == 1
    assert at(after, "model_evictions_total") == 0
    assert at(after, "cache_lookups_total", model="big", cache="text", result="hit") == 5
    assert at(after, "cache_lookups_total", model="big", cache="text", result="miss") == 2
    assert at(after, "engine_events_total", model="big", event="graphs_recorded") == 3
    assert (at(before, "live_sessions"), at(after, "live_sessions")) == (0, 1)
    assert at(after, "unfinished_pictures") >= 0
    assert at(after, "device_free_bytes") == 99


async def test_no_prompt_and_no_user_is_told(tmp_path: Path) -> None:
    asked = pb.ImageRequest(prompt="a secret", user_id="somebody", request_id="r1")
    async with running_service(FakeEngine(), tmp_path) as service:
        await service.stub.GenerateImage(asked)
        samples = await read(service)

    told = str(samples)
    assert not any(word in told for word in ("secret", "somebody", "r1"))


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async with running_service(FakeEngine(), tmp_path) as service:
        with closing(socket.socket()) as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(ConfigurationError, match=f"^--metrics-port {port} of 127.0.0.1 cannot be"):
                async with serving_metrics(service.metrics, service.core, port, free_bytes=lambda: None):
                    pass


async def test_without_a_port_nothing_is_served(tmp_path: Path) -> None:
    async with (
        running_service(FakeEngine(), tmp_path) as service,
        serving_metrics(service.metrics, service.core, None, free_bytes=lambda: None) as port,
    ):
        assert port is None


async def test_everything_is_read_over_http_and_the_port_is_free_again_afterwards(tmp_path: Path) -> None:
    def fetch(port: int | None) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SOON_S) as response:
            text: bytes = response.read()
            return text

    async with running_service(FakeEngine(), tmp_path) as service:
        async with serving_metrics(service.metrics, service.core, 0, free_bytes=lambda: None) as port:
            assert at(parse(await asyncio.to_thread(fetch, port)), "models_loaded") == 1

        with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", port), 1):
            pass


async def test_calls_that_are_given_up_are_told_as_such(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    async with running_service(engine, tmp_path) as service:
        call = service.stub.GenerateImage(REQUEST)
        await engine.wait_until_stepping()
        call.cancel()
        assert await call.code() is grpc.StatusCode.CANCELLED
        # The service hears of it later than the client; until then the picture must not be painted.
        async with asyncio.timeout(SOON_S):
            cancelled = ("pictures_given_up_total", frozenset({("reason", "cancelled")}))
            while cancelled not in await read(service):
                pass
        engine.gate.set()

"""What the server takes of its machine."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Executor

import pytest
import structlog
from images import TINY

from server.resources import Resources, log_resources
from server.streaming.canvas import CanvasConfig
from server.streaming.registry import Registry
from server.streaming.wire import Form


def test_the_figures_of_this_process_are_read() -> None:
    read = Resources().read()

    assert read["rss_bytes"] > 1_000_000
    assert read["cpu_s"] > 0
    assert read["cpu_percent"] >= 0.0
    assert read["threads"] >= 1
    assert read["descriptors"] is None or read["descriptors"] > 2
    json.dumps(read, allow_nan=False)


async def test_the_process_and_each_active_canvas_are_logged_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(default=CanvasConfig(), executor=Executor())
    active, _ = (registry.ensure(slug, is_temporary=False) for slug in ("active", "idle"))
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > 2:
            raise asyncio.CancelledError

    monkeypatch.setattr("asyncio.sleep", sleep)
    with active.subscribe(Form.MSGPACK), structlog.testing.capture_logs() as lines:
        active.publish(TINY, timestamp_ms=0.0)
        active.publish(TINY, timestamp_ms=0.0)
        with pytest.raises(asyncio.CancelledError):
            await log_resources(registry, Resources())

    assert slept == [60.0] * 3
    assert [line["event"] for line in lines] == ["resources", "streaming"] * 2
    assert lines[0]["rss_bytes"] > 0
    assert lines[0]["tasks"] >= 1
    assert (lines[1]["canvas"], lines[1]["subscribers"], lines[1]["replaced"]) == ("active", 1, 1)

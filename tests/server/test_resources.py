"""What the server takes of its machine."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Executor
from dataclasses import replace

import pytest
import structlog
from images import TINY

from server.resources import Resources, log_resources
from server.streaming.canvas import CanvasConfig
from server.streaming.clock import now_ms
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
        if not seconds:
            return
        slept.append(seconds)
        if len(slept) > 2:
            raise asyncio.CancelledError

    monkeypatch.setattr("asyncio.sleep", sleep)
    with active.subscribe(Form.MSGPACK) as subscriber, structlog.testing.capture_logs() as lines:
        active.publish(TINY, timestamp_ms=0.0)
        active.publish(replace(TINY, width=9), timestamp_ms=0.0)
        assert active.newest
        sent_ms = now_ms()
        subscriber.ages.note_sent(
            9, replace(active.newest, timestamp_ms=sent_ms - 40.0), "original", sent_ms, sent_ms
        )
        subscriber.ages.acknowledged(9, sent_ms, sent_ms, sent_ms, 0.0, 1.0, sent_ms)
        with pytest.raises(asyncio.CancelledError):
            await log_resources(registry, Resources())

    assert slept == [60.0] * 3
    assert [line["event"] for line in lines] == ["resources", "streaming"] * 2
    assert lines[0]["rss_bytes"] > 0
    assert lines[0]["tasks"] >= 1
    assert (lines[1]["canvas"], lines[1]["subscribers"], lines[1]["replaced"]) == ("active", 1, 1)
    assert lines[1]["age_p50_ms"] == lines[1]["age_p99_ms"] == pytest.approx(40.0, abs=0.01)
    assert lines[1]["fps_in"] > 0
    assert (lines[1]["skipped"], lines[1]["hidden"], lines[1]["dropped"]) == (0, 0, 0)

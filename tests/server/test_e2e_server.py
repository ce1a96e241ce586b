"""The whole thing as its users start it: one command, two processes, and either may die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from processes import Server, run, running_server
from screens import SOON_S, Screen

from server.__main__ import GRACE_S
from server.settings import Settings


SETTINGS = {"PSYCHE_SIZE": "64x64", "PSYCHE_FPS": "20", "PSYCHE_LOG_FORMAT": "json"}


@asynccontextmanager
async def screen(session: aiohttp.ClientSession, server: Server, slug: str) -> AsyncIterator[Screen]:
    async with session.ws_connect(server.url / "ws" / slug, autoclose=False) as ws:
        yield Screen(ws)


async def state(session: aiohttp.ClientSession, server: Server) -> dict[str, Any]:
    async with session.get(server.url / "state") as response:
        assert response.status == 200
        body: dict[str, Any] = await response.json()
        return body


def errors_of(server: Server) -> list[str]:
    """Return the lines that a server has logged as errors, and those that are no log lines at all."""
    levels = [(line, json.loads(line)["level"] if line.startswith("{") else "none") for line in server.errors]
    return [line for line, level in levels if level in ("error", "critical", "none")]


async def test_no_screen_notices_more_of_a_killed_inference_service_than_a_pause(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, **SETTINGS) as server,
        aiohttp.ClientSession() as session,
        screen(session, server, "left") as left,
        screen(session, server, "right") as right,
    ):
        await left.frame()
        await right.frame()
        before = (await state(session, server))["inference"]["child"]
        os.kill(before["pid"], signal.SIGKILL)

        async with asyncio.timeout(20):
            await left.next("status", state="unavailable")
            await left.next("status", state="painting")
            last = await left.frame()
            while (await right.frame())["timestamp_ms"] < last["timestamp_ms"]:
                pass
        after = (await state(session, server))["inference"]["child"]

        assert after["pid"] != before["pid"]
        assert (before["restarts"], after["restarts"]) == (0, 1)
        assert after["last_exit"] == "SIGKILL"
        assert server.process.returncode is None
        assert not left.ws.closed
        assert errors_of(server) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly_and_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals
) -> None:
    took_s = await seconds_to_end(tmp_path, number)
    if took_s >= GRACE_S:
        # A busy machine may take longer once; what waits for handlers in vain does so every time.
        took_s = await seconds_to_end(tmp_path, number)
    assert took_s < GRACE_S


async def seconds_to_end(folder: Path, number: signal.Signals) -> float:
    """Start a server, end it by a signal, look at what is left of it, and return how long its end took."""
    async with running_server(folder, **SETTINGS) as server, aiohttp.ClientSession() as session:
        async with (
            screen(session, server, "left") as left,
            session.ws_connect(server.url / "ws", autoclose=False) as events,
        ):
            frame = await left.frame()
            child = (await state(session, server))["inference"]["child"]["pid"]
            job_events = await session.get(server.url / "jobs" / frame["job"] / "events")
            server.process.send_signal(number)
            began_s = time.perf_counter()

            async with asyncio.timeout(20):
                code, bye = await left.end()
                assert (await Screen(events).end())[0] == 1001
                status = await server.process.wait()
            took_s = time.perf_counter() - began_s
            job_events.close()

        assert code == 1001
        assert bye is not None
        assert bye["reconnect"] is True
        assert status == 0
        assert not psutil.pid_exists(child)
        assert list(server.temporary.iterdir()) == []
        assert errors_of(server) == []
    return took_s


async def test_the_child_ends_when_the_server_is_killed(tmp_path: Path) -> None:
    async with running_server(tmp_path, **SETTINGS) as server, aiohttp.ClientSession() as session:
        async with asyncio.timeout(SOON_S):
            # The server may say where it is before it has started one.
            while (pid := (await state(session, server))["inference"]["child"]["pid"]) is None:
                pass
        child = psutil.Process(pid)
        server.process.kill()
        await server.process.wait()
        await asyncio.to_thread(child.wait, SOON_S)


async def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output, errors = await run(tmp_path, "--port", str(port))

    assert status == 2
    assert output == ""
    assert errors.startswith("psyche: ")
    assert errors.count("\n") == 1
    assert f"PSYCHE_PORT={port}" in errors


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
async def test_nobody_else_is_let_in_without_a_token(tmp_path: Path, host: str) -> None:
    status, _, errors = await run(tmp_path, "--port", "0", PSYCHE_HOST=host)

    assert status == 2
    assert errors.count("\n") == 1
    assert "PSYCHE_TOKEN" in errors
    assert "--insecure" in errors


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PSYCHE_PORT", "70000"),
        ("PSYCHE_SIZE", "big"),
        ("PSYCHE_FPS", "0"),
        ("PSYCHE_CANVASES", "left,Right"),
        ("PSYCHE_LOG_LEVEL", "loud"),
    ],
)
async def test_a_bad_setting_is_named_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    arguments = () if name == "PSYCHE_PORT" else ("--port", "0")
    status, _, errors = await run(tmp_path, *arguments, **{name: value})

    assert status == 2
    assert errors.count("\n") == 1
    assert name in errors
    assert "Traceback" not in errors


async def test_help_lists_every_setting(tmp_path: Path) -> None:
    status, output, _ = await run(tmp_path, "--help")

    assert status == 0
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in output


async def test_a_token_on_an_open_address_protects_it(tmp_path: Path) -> None:
    token = "a secret that must not be logged"
    async with (
        running_server(tmp_path, "--host", "0.0.0.0", PSYCHE_TOKEN=token, **SETTINGS) as server,
        aiohttp.ClientSession(f"http://127.0.0.1:{server.url.port}") as session,
    ):
        async with session.get("/canvases") as response:
            assert response.status == 200
        async with session.post("/canvases", json={"slug": "x"}) as response:
            assert response.status == 401
        bearer = {"Authorization": f"Bearer {token}"}
        async with session.post("/canvases", json={"slug": "x"}, headers=bearer) as response:
            assert response.status == 201
        server.process.terminate()
        await server.process.wait()
        assert token not in "".join(server.errors)

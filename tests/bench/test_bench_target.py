"""The server under measurement, started for real."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from bench.__main__ import main
from bench.errors import BenchError
from bench.streaming import until_told_to_stop
from bench.target import own_server, running_server, server_environment


def servers() -> set[int]:
    """Return our children that are servers."""
    children = psutil.Process().children(recursive=True)
    return {child.pid for child in children if "server" in child.cmdline()}


async def test_the_server_costs_cpu_is_measurable_and_is_gone_afterwards() -> None:
    async with own_server(canvases=1, subscribers=1) as target:
        assert len(servers()) == 1
        before_s = await target.read_cpu_s()
        state = await target.state()
        assert await target.read_cpu_s() > before_s > 0.0
        assert state["canvases"] == {}
        assert not state["inference"]["serving"]
    assert not servers()


@pytest.mark.skipif(os.name != "posix", reason="signals")
async def test_sigterm_ends_the_server_too() -> None:
    async def measure() -> None:
        async with own_server(canvases=1, subscribers=1):
            assert servers()
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    assert await until_told_to_stop(measure()) is None
    assert not servers()


async def test_a_server_that_does_not_start_is_told_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = {**server_environment(Path("/nowhere"), canvases=1, subscribers=1), "PSYCHE_FPS": "1000"}
    monkeypatch.setattr("bench.target.server_environment", lambda *_, **__: environment)
    with pytest.raises(BenchError, match=r"the server ended with status 2: .*PSYCHE_FPS"):
        async with own_server(canvases=1, subscribers=1):
            pass


def test_the_server_knows_none_of_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSYCHE_TOKEN", "secret")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    environment = server_environment(Path("/somewhere"), canvases=100, subscribers=5000)
    assert environment["PSYCHE_TOKEN"] == ""
    assert "LOG_LEVEL" not in environment
    assert environment["PSYCHE_INFERENCE"] == "unix:/somewhere/nobody.sock"
    assert environment["PSYCHE_MAX_CANVASES"] == "100"
    assert environment["PSYCHE_MAX_SUBSCRIBERS"] == "5001"


async def test_an_address_must_be_one() -> None:
    with pytest.raises(BenchError, match="'localhost:8000' is no address"):
        async with running_server("localhost:8000", None):
            pass


def test_a_server_that_is_not_there_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        # Nobody else gets the port, and nobody listens at it.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["--url", url]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"bench: no server answers at {url}: ")
    assert err.count("\n") == 1

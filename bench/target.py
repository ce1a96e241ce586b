"""The server under measurement: one started for the purpose, or one that runs already."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bench.errors import BenchError, reason
from bench.machine import ROOT
from server.generation.child_process import ChildProcess, child_process
from server.settings import OLDER_NAMES


START_S = 30.0
STOP_S = 10.0
REQUEST_S = 10.0
_ADDRESS = re.compile(r"painting at (http://\S+)")
_LAST_LINES = 5


@dataclass(frozen=True, slots=True)
class Target:
    """A server that can be measured.

    Attributes:
        url: Its address, without a slash at the end.
        token: What shows that we may push, or None.
        session: For requests to it.
        read_cpu_s: Reads the CPU time of its process so far, user and system, all threads, no children.
        cpu_clock: Where that comes from, for the report.
    """

    url: str
    token: str | None
    session: aiohttp.ClientSession
    read_cpu_s: Callable[[], Awaitable[float]]
    cpu_clock: str

    async def state(self) -> dict[str, Any]:
        """Read `/state`."""
        return await read_state(self.session, self.url)


@contextlib.asynccontextmanager
async def own_server(
    *, canvases: int, subscribers: int, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Target]:
    """Run a server of this checkout on a free loopback port, painting nothing.

    Args:
        canvases: How many it must have room for.
        subscribers: The same, of each canvas.
        settings: Further variables of its environment.

    Raises:
        BenchError: If it does not start.
    """
    lines: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take_line(line: str) -> None:
        lines.append(line)
        found = _ADDRESS.search(line)
        if found and not address.done():
            address.set_result(found[1])

    with tempfile.TemporaryDirectory(prefix="psyche-bench-") as folder:
        environment = server_environment(Path(folder), canvases=canvases, subscribers=subscribers)
        environment.update(settings or {})
        command = [sys.executable, "-m", "server"]
        async with child_process(
            command, environment=environment, write_line=take_line, grace_s=STOP_S
        ) as child:
            url = await _started(child, address, lines)
            async with _session(None) as session:
                read_cpu_s, clock = process_clock(child.pid)
                yield Target(url, None, session, read_cpu_s, clock)


@contextlib.asynccontextmanager
async def running_server(url: str, token: str | None) -> AsyncIterator[Target]:
    """Use a server that runs already.

    Raises:
        BenchError: If it does not answer as one of ours.
    """
    url = url.rstrip("/")
    if not re.fullmatch(r"https?://[^/\s]+", url):
        raise BenchError(f"{url!r} is no address; accepted is http://host:port or https://host:port")
    async with _session(token) as session:

        async def read_cpu_s() -> float:
            state = await read_state(session, url)
            return float(state["process"]["cpu_s"])

        await read_cpu_s()
        yield Target(url, token, session, read_cpu_s, "the server's own /state, in steps of about 10 ms")


def server_environment(folder: Path, *, canvases: int, subscribers: int) -> dict[str, str]:
    """Make the environment of a server that paints nothing and knows none of the user's settings."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().startswith("psyche_") and name.lower() not in OLDER_NAMES
    }
    return {
        **mine,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [mine.get("PYTHONPATH")])]),
        "PSYCHE_HOST": "127.0.0.1",
        "PSYCHE_PORT": "0",
        # Empty ones stand against a `.env` file in the current folder.
        "PSYCHE_TOKEN": "",
        "PSYCHE_CANVASES": "",
        "PSYCHE_DEFAULT_PROMPT": "",
        # Nobody listens there: painting is no part of what is measured.
        "PSYCHE_INFERENCE": f"unix:{folder / 'nobody.sock'}",
        "PSYCHE_MAX_CANVASES": str(max(64, canvases)),
        # One more is there for a moment, to compare clocks.
        "PSYCHE_MAX_SUBSCRIBERS": str(max(1000, subscribers + 1)),
        "PSYCHE_LOG_LEVEL": "warning",
        "PSYCHE_LOG_FORMAT": "json",
    }


async def read_state(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """Read a server's `/state`.

    Raises:
        BenchError: If it cannot be reached or answers something else.
    """
    try:
        async with session.get(f"{url}/state") as response:
            state = await response.json() if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
        raise BenchError(f"no server answers at {url}: {reason(exc)}") from exc
    if not isinstance(state, dict) or "process" not in state:
        raise BenchError(f"{url}/state answered {response.status}: this is no server that can be measured")
    return state


async def _started(child: ChildProcess, address: asyncio.Future[str], lines: Iterable[str]) -> str:
    """Wait until the server tells its address."""
    ended = asyncio.ensure_future(child.exited.wait())
    either: set[asyncio.Future[Any]] = {address, ended}
    try:
        await asyncio.wait(either, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
    if address.done():
        return address.result()
    what = f"ended with {child.exit_word}" if child.exit_word else f"did not start within {START_S:g} s"
    raise BenchError(f"the server {what}: {' / '.join(lines) or 'it said nothing'}")


def _session(token: str | None) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=REQUEST_S))


def process_clock(pid: int) -> tuple[Callable[[], Awaitable[float]], str]:
    """Choose how the CPU time of a process is read; all of its threads, ended ones too."""
    if platform.system() == "Linux":
        # The number that glibc's clock_getcpuclockid(3) gives: nanoseconds, where /proc counts ticks
        # of 10 ms, which is twenty frames of 512 x 512.
        clock_id = (~pid << 3) | 2

        async def read_clock_s() -> float:
            return time.clock_gettime(clock_id)

        return read_clock_s, "the process's CPU clock"
    process = psutil.Process(pid)

    async def read_times_s() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    return read_times_s, "psutil, in the system's steps"

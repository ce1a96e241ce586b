"""The server as its users start it: `python -m server`, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from yarl import URL


ROOT = Path(__file__).resolve().parent.parent
# Python and the inference service start; on a busy machine of two cores that takes seconds.
START_S = 30.0


@dataclass
class Server:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    url: URL
    temporary: Path  # its folder for temporary files
    log: Path  # what it writes to its standard error

    @property
    def errors(self) -> list[str]:
        """The lines that it has written to its standard error so far."""
        return self.log.read_text().splitlines()


def environment(temporary: Path, **settings: str) -> dict[str, str]:
    """Return an environment without anybody's settings but these."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("PSYCHE_")}
    for name in ("API_HOST", "API_PORT", "QUEUE_MAX_SIZE", "LOG_LEVEL"):
        kept.pop(name, None)
    temporary.mkdir(exist_ok=True)
    return {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), **settings}


async def run(folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run the server to its end and return its exit status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", *arguments),
        cwd=folder,
        env=environment(folder / "tmp", **settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(START_S):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


@contextlib.asynccontextmanager
async def running_server(
    folder: Path, *arguments: str, port: int = 0, **settings: str
) -> AsyncIterator[Server]:
    """Start a server, wait until it says where it is, and kill what is left of it at the end."""
    with tempfile.TemporaryDirectory(prefix="p") as temporary:
        # Not below `folder`: in it is a socket, whose path may not be long.
        async with _started(folder, Path(temporary), arguments, port, settings) as server:
            yield server


@contextlib.asynccontextmanager
async def _started(
    folder: Path, temporary: Path, arguments: tuple[str, ...], port: int, settings: dict[str, str]
) -> AsyncIterator[Server]:
    # A file never fills up, as a pipe does that nobody reads.
    descriptor, log = tempfile.mkstemp(prefix="log-", dir=folder)
    with os.fdopen(descriptor, "wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", "--port", str(port), *arguments),
            cwd=folder,
            env=environment(temporary, **settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    server = Server(process, URL(), temporary, Path(log))
    try:
        async with asyncio.timeout(START_S):
            server.url = await _find_address(server)
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _find_address(server: Server) -> URL:
    assert server.process.stdout is not None
    async for line in server.process.stdout:
        if found := re.search(rb"http://\S+", line):
            return URL(found[0].decode())
    raise AssertionError(f"the server ended: {server.errors}")

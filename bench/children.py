"""Programs that a bench starts beside itself, and that never outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence

import psutil

from bench.errors import BenchError
from bench.machine import ROOT


START_S = 30.0
STOP_S = 5.0
# The longest line that a program prints.
_LINE_BYTES = 1024 * 1024


class Child:
    """A program of ours that runs."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._memory = psutil.Process(process.pid)

    @property
    def rss_bytes(self) -> int:
        """The memory that it has in use, without what its sockets hold in the kernel."""
        return int(self._memory.memory_info().rss)

    async def line(self, deadline_s: float = START_S) -> str:
        """Return the next line that it prints.

        Raises:
            BenchError: If it prints none in time, or ends.
        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(deadline_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise BenchError(f"{self.name} said nothing within {deadline_s:g} s") from None
        if not line:
            raise BenchError(f"{self.name} ended with status {await self._process.wait()}")
        return line.decode().strip()

    async def tell(self, line: str) -> None:
        """Write a line to its standard input.

        Raises:
            BenchError: If it has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError as exc:
            raise BenchError(f"{self.name} has ended") from exc


@contextlib.asynccontextmanager
async def child(
    module: str, arguments: Sequence[str] = (), *, core: int | None = None
) -> AsyncIterator[Child]:
    """Run `python -m MODULE`; it ends with the context, by the end of its input or by force.

    Args:
        module: What to run.
        arguments: Its command line.
        core: The one it may use; None for all, and where the system cannot say so.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        limit=_LINE_BYTES,
        # A Ctrl-C reaches the bench only, which ends them in order.
        start_new_session=True,
    )
    try:
        if core is not None and hasattr(os, "sched_setaffinity"):
            # It has no threads yet: those that it starts inherit this.
            os.sched_setaffinity(process.pid, {core})
        yield Child(module, process)
    finally:
        await end_process(process)


async def end_process(process: asyncio.subprocess.Process) -> None:
    """End a process by the end of its input, or by force."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def two_cores() -> tuple[int | None, int | None]:
    """Choose a core for the server and another for the load; none where there are not two or no say."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def check_system() -> None:
    """Refuse systems that the load generator cannot run on.

    Raises:
        BenchError: If this is one.
    """
    if platform.system() != "Linux":
        raise BenchError(f"this bench needs Linux's epoll; this is {platform.system()}")

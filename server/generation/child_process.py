"""One run of a child process: its output line by line, its end, and how it is made to end.

It knows nothing of what the child does and starts it once only. Its one rule: leaving the context
of `child_process` leaves no process behind.

The event loop's own subprocess protocol is used instead of asyncio's streams, because
`Process.wait` waits for the pipes' ends, too: a grandchild that holds one hides the child's death
(https://github.com/python/cpython/issues/119710).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import cast


# A longer line of the child's output is cut: its logs are ours to keep bounded.
MAX_LINE_BYTES = 8 * 1024

# How long output may still come after the child's end: a grandchild may hold the pipe open.
_DRAIN_S = 0.5

# How long the system may take to end a killed process. One that waits for a driver takes longer,
# and nothing can be done about it.
_KILLED_WITHIN_S = 5.0


class LineSplitter:
    """Cuts a stream of bytes into lines of bounded length."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._unfinished = b""
        self._is_cut = False  # the unfinished line's beginning has been written already

    def feed(self, data: bytes) -> None:
        """Take bytes as they come, and write the lines that they finish."""
        *finished, unfinished = (self._unfinished + data).split(b"\n")
        for line in finished:
            self._write(line)
            self._is_cut = False
        self._unfinished = unfinished
        if len(unfinished) > MAX_LINE_BYTES:
            self._write(unfinished)
            self._unfinished, self._is_cut = b"", True

    def close(self) -> None:
        """Write the last line, if its end never came."""
        self._write(self._unfinished)
        self._unfinished = b""

    def _write(self, line: bytes) -> None:
        line = line.rstrip(b"\r")
        if line and not self._is_cut:
            cut = " ..." if len(line) > MAX_LINE_BYTES else ""
            self._write_line(line[:MAX_LINE_BYTES].decode("utf-8", "replace") + cut)


class ChildProcess(asyncio.SubprocessProtocol):
    """A running child. Made by `child_process`."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self.exited = asyncio.Event()
        self._drained = asyncio.Event()
        self._lines = LineSplitter(write_line)
        self._transport: asyncio.SubprocessTransport | None = None

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._running_transport.get_pid()

    @property
    def exit_word(self) -> str | None:
        """How it ended: a signal's name or ``status 3``; None while it runs."""
        status = self._running_transport.get_returncode()
        if status is None:
            return None
        if status < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-status).name
        return f"status {status}"

    def kill(self) -> None:
        """End the child and what it has started, at once; after its end, do nothing."""
        if self.exit_word is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                # It leads a group of its own: `start_new_session` below.
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._running_transport.kill()

    async def stop(self, grace_s: float) -> None:
        """Ask the child to end, wait for that, and kill it when it takes too long.

        Cancellation:
            Shortens the wait: the child is killed.
        """
        try:
            if self.exit_word is None:
                # On Windows `terminate` would kill it; the end of its input asks politely there.
                if os.name == "posix":
                    with contextlib.suppress(ProcessLookupError):
                        self._running_transport.terminate()
                stdin = cast("asyncio.WriteTransport", self._running_transport.get_pipe_transport(0))
                stdin.close()
                await _within(grace_s, self.exited)
        finally:
            if self.exit_word is None:
                self.kill()
                await _within(_KILLED_WITHIN_S, self.exited)

    async def drain(self) -> None:
        """Wait for the rest of the output of a child that has ended."""
        await _within(_DRAIN_S, self._drained)
        self._lines.close()

    def close(self) -> None:
        """Close the pipes."""
        self._running_transport.close()

    @property
    def _running_transport(self) -> asyncio.SubprocessTransport:
        assert self._transport is not None, "the child was never started"
        return self._transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the child's handle. Called by the event loop."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take some output. Called by the event loop."""
        self._lines.feed(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note the end of the output. Called by the event loop."""
        if fd == 1:
            self._drained.set()

    def process_exited(self) -> None:
        """Note the child's end. Called by the event loop."""
        self.exited.set()


@contextlib.asynccontextmanager
async def child_process(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    write_line: Callable[[str], None],
    grace_s: float,
) -> AsyncIterator[ChildProcess]:
    """Run a command for as long as the context is held.

    The child's input is a pipe that stays open and empty: its end tells the child that its parent
    has died, however that happened. It has a session of its own, so that a Ctrl-C in the
    terminal reaches the parent only, which stops it in order.

    Args:
        command: The program and its arguments.
        environment: The child's whole environment.
        write_line: Gets each line of its output and errors, cut at `MAX_LINE_BYTES`.
        grace_s: How long it may take to end when it is asked to, in seconds.

    Raises:
        OSError: If it cannot be started.
    """
    loop = asyncio.get_running_loop()
    _, child = await loop.subprocess_exec(
        lambda: ChildProcess(write_line),
        *command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        yield child
    finally:
        try:
            await child.stop(grace_s)
            await child.drain()
        finally:
            child.close()


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but not longer than this."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()

"""The inference service as a supervised child of the server: started, watched, started again.

It knows the child by its exit and by one question, whether it serves; gRPC stays behind the
question. Its one rule: whatever the child does, the server goes on and the next child comes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import structlog

import server
from server.generation.backoff import Backoff
from server.generation.child_process import ChildProcess, child_process


log = structlog.get_logger(__name__)

ChildStateName = Literal["starting", "serving", "restarting", "stopped"]

# Nothing of this is the child's business, and what it does not have it cannot lose.
_SECRET_NAMES = frozenset({"PSYCHE_TOKEN", "PSYCHE_DATABASE_URL", "DATABASE_URL"})
_SECRET_PREFIXES = ("DA_", "PSYCHE_DA_")

# Fields of the child's log lines that are told otherwise, or that the logger's own arguments would
# collide with.
_UNRELAYED_FIELDS = frozenset(
    {"event", "level", "timestamp", "logger", "self", "method_name", "exc_info", "stack_info"}
)


@dataclass(frozen=True, slots=True)
class ChildState:
    """What `/state` tells of the child."""

    state: ChildStateName
    address: str
    pid: int | None  # None while there is no process
    restarts: int  # how often it was started again
    last_exit: str | None  # a signal's name or "status 3"; None: it never ended
    since_unix_s: float  # when `state` last changed


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the child may take for what, in seconds."""

    # To serve: a model of gigabytes is read from a slow disk in minutes.
    start_s: float = 600.0
    # To answer again once it has served.
    hung_s: float = 10.0
    # One answer; without one by then the question counts as failed.
    answer_s: float = 3.0
    # To end by itself when it is asked to: it finishes the step under way.
    grace_s: float = 5.0
    # Having served this long, it works: the next restart is quick again.
    settled_s: float = 30.0
    # Between two questions, until it serves and afterwards.
    ask_start_s: float = 0.05
    ask_s: float = 1.0


# The server's own loop may have stood still, and then everything looks overdue; so one late answer
# alone never condemns a child.
_CONDEMNING_FAILURES = 3


def inference_command(address: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command that runs the inference service at an address.

    Args:
        address: Where it listens: ``unix:/path`` or ``host:port``.
        arguments: More arguments for it, such as ``--engine procedural``.
    """
    # -P keeps a folder that happens to be called `inference` in the working directory from being
    # run instead; `child_environment` tells where ours is.
    return [
        *(sys.executable, "-P", "-m", "inference"),
        *("--listen", address, "--supervised", "--log-format", "json"),
        *arguments,
    ]


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the child's environment: the server's, without its secrets, and with our packages."""
    kept = {
        name: value
        for name, value in environment.items()
        if name.upper() not in _SECRET_NAMES and not name.upper().startswith(_SECRET_PREFIXES)
    }
    assert server.__file__ is not None
    root = str(Path(server.__file__).resolve().parent.parent)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
    kept["PYTHONUNBUFFERED"] = "1"  # What it says before it dies must not stay in its buffer.
    return kept


def relay_line(line: str) -> None:
    """Log a line of the child's output as our own: a JSON log line or any text."""
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("event"), str):
        log.info("inference service says", line=line)
        return
    level = logging.getLevelNamesMapping().get(str(told.get("level")).upper(), logging.INFO)
    fields: dict[str, Any] = {key: told[key] for key in told if key not in _UNRELAYED_FIELDS}
    log.log(level, told["event"], **{"source": "inference", **fields})


class InferenceChild:
    """Runs a command again and again, for as long as `run` runs."""

    def __init__(
        self,
        address: str,
        probe: Callable[[], Awaitable[bool]],
        *,
        command: Sequence[str] | None = None,
        arguments: Sequence[str] = (),
        patience: Patience | None = None,
        backoff: Backoff | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        write_line: Callable[[str], None] = relay_line,
    ) -> None:
        """Prepare without starting anything.

        Args:
            address: Where the child listens, such as one of `private_address`.
            probe: Tells whether it serves: True or False, and raises nothing on purpose.
            command: What to run; by default the inference service at `address`.
            arguments: More arguments for the default command.
            patience: How long things may take.
            backoff: The pauses before restarts; by default 0.1 to 0.2 s first, 10 s at most.
            pause: Waits for that many seconds before a restart.
            clock: Monotonic seconds.
            write_line: Gets each line of the child's output.
        """
        self.address = address
        self._probe = probe
        self._command = list(command) if command else inference_command(address, arguments)
        self._patience = patience or Patience()
        self._backoff = backoff or Backoff(first_s=0.2, cap_s=10.0)
        self._pause = pause
        self._clock = clock
        self._write_line = write_line
        self._process: ChildProcess | None = None
        self._restarts = 0
        self._last_exit: str | None = None
        self._state: ChildStateName = "stopped"
        self._since_unix_s = time.time()
        self._served_at: float | None = None

    @property
    def state(self) -> ChildState:
        """How the child is."""
        return ChildState(
            state=self._state,
            address=self.address,
            pid=self._process.pid if self._process else None,
            restarts=self._restarts,
            last_exit=self._last_exit,
            since_unix_s=self._since_unix_s,
        )

    async def run(self) -> NoReturn:
        """Keep a child running.

        Cancellation:
            Ends the child: it is asked to, and killed after its grace period. The last line of
            its output is logged before this returns.
        """
        self._enter("starting")
        try:
            while True:
                await self._run_once()
                if self._served_at is not None and (
                    self._clock() - self._served_at >= self._patience.settled_s
                ):
                    self._backoff.reset()
                self._enter("restarting")
                pause_s = self._backoff.next_s()
                log.warning(
                    "inference service ended",
                    last_exit=self._last_exit,
                    restarts=self._restarts,
                    again_in_s=round(pause_s, 2),
                )
                await self._pause(pause_s)
                self._restarts += 1
        finally:
            self._enter("stopped")

    def _enter(self, state: ChildStateName) -> None:
        if state != self._state:
            self._state, self._since_unix_s = state, time.time()

    async def _run_once(self) -> None:
        """Start a child and return after its end."""
        self._served_at = None
        _remove_socket(self.address)
        running = child_process(
            self._command,
            environment=child_environment(os.environ),
            write_line=self._write_line,
            grace_s=self._patience.grace_s,
        )
        try:
            async with running as process:
                self._process = process
                log.info("inference service started", pid=process.pid, address=self.address)
                await self._watch(process)
        except OSError as exc:
            if self._process is not None:
                raise
            self._last_exit = f"not started: {exc}"
        finally:
            if self._process is not None:
                self._last_exit = self._process.exit_word
            self._process = None

    async def _watch(self, process: ChildProcess) -> None:
        """Wait for a child's end; kill one that is alive and does not answer."""
        answered_at = self._clock()
        failures = 0
        while not process.exited.is_set():
            if await self._is_serving():
                answered_at, failures = self._clock(), 0
                if self._served_at is None:
                    self._served_at = answered_at
                    self._enter("serving")
                    log.info("inference service serves", pid=process.pid)
            else:
                failures += 1
                self._judge(process, self._clock() - answered_at, failures)
            await self._next_question(process)

    async def _is_serving(self) -> bool:
        try:
            async with asyncio.timeout(self._patience.answer_s):
                return await self._probe()
        except TimeoutError:
            return False

    def _judge(self, process: ChildProcess, silent_s: float, failures: int) -> None:
        """Kill a child that has been silent for too long."""
        patience_s = self._patience.start_s if self._served_at is None else self._patience.hung_s
        if silent_s > patience_s and failures >= _CONDEMNING_FAILURES:
            log.error("inference service does not answer", pid=process.pid, silent_s=round(silent_s, 1))
            process.kill()

    async def _next_question(self, process: ChildProcess) -> None:
        """Wait until the next question is due, or the child's end."""
        interval_s = self._patience.ask_start_s if self._served_at is None else self._patience.ask_s
        try:
            async with asyncio.timeout(interval_s):
                await process.exited.wait()
        except TimeoutError:
            return


def _remove_socket(address: str) -> None:
    """Remove what a killed child has left, so that nobody is sent to it."""
    if address.startswith("unix:"):
        Path(address.removeprefix("unix:")).unlink(missing_ok=True)

"""The processes of screens, from the bench's side: so that their CPU time is not the server's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from bench.children import end_process
from bench.errors import BenchError
from bench.machine import ROOT
from bench.target import Target


# One core is the server's and one the source's; more processes of screens only pay where cores are left.
MAX_PROCESSES = 4
ANSWER_S = 30.0
_LINE_BYTES = 64 * 1024 * 1024


class Crew:
    """Screens in several processes, commanded as one."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    async def open(self, target: Target, slugs: Sequence[str], form: str) -> None:
        """Connect one screen for each slug given, dealt to the processes in turn."""
        number = len(self._processes)
        await self._ask_all(
            [
                {
                    "do": "open",
                    "url": target.url,
                    "token": target.token,
                    "slugs": list(slugs[index::number]),
                    "form": form,
                }
                for index in range(number)
            ]
        )

    async def collect(
        self, after: Mapping[str, int], until: Mapping[str, int], *, deadline_s: float
    ) -> list[dict[str, Any]]:
        """Report each screen's frames of a span of sequences, once all of them have the newest.

        Raises:
            BenchError: If a screen lost its connection.
        """
        command = {"do": "collect", "after": dict(after), "until": dict(until), "deadline_s": deadline_s}
        answers = await self._ask_all([command] * len(self._processes))
        return [screen for answer in answers for screen in answer["screens"]]

    async def close(self) -> None:
        """Disconnect all screens."""
        await self._ask_all([{"do": "close"}] * len(self._processes))

    async def _ask_all(self, commands: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        # All work at the same time: each has its command before the first answer is waited for.
        for process, command in zip(self._processes, commands, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps(command).encode() + b"\n")
        return [await _answer(process) for process in self._processes]


@contextlib.asynccontextmanager
async def crew_of(count: int) -> AsyncIterator[Crew]:
    """Run processes of screens; none is left when the context ends."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    async with contextlib.AsyncExitStack() as stack:
        processes = []
        for _ in range(count):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.screens",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                limit=_LINE_BYTES,
                # A Ctrl-C reaches the bench only, which ends them in order.
                start_new_session=True,
            )
            stack.push_async_callback(end_process, process)
            processes.append(process)
        yield Crew(processes)


def processes_for(screens: int) -> int:
    """Choose how many processes receive: as many as there are screens and cores for."""
    return max(1, min(screens, (os.cpu_count() or 1) - 2, MAX_PROCESSES))


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(ANSWER_S):
            await process.stdin.drain()
            line = await process.stdout.readline()
    except (TimeoutError, ConnectionError) as exc:
        raise BenchError(f"a process of screens did not answer within {ANSWER_S:g} s") from exc
    if not line:
        raise BenchError(f"a process of screens ended with status {await process.wait()}")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise BenchError(answer["error"])
    return answer

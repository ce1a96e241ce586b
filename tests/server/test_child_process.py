"""One run of a child process, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import AbstractAsyncContextManager

import pytest

from server.generation.child_process import MAX_LINE_BYTES, ChildProcess, LineSplitter, child_process


SOON_S = 30.0


class Lines:
    """Takes a child's output."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()

    async def next(self) -> str:
        return await asyncio.wait_for(self.queue.get(), SOON_S)

    def rest(self) -> list[str]:
        return [self.queue.get_nowait() for _ in range(self.queue.qsize())]


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give what a child has started all the time that a busy machine takes."""
    monkeypatch.setattr("server.generation.child_process._DRAIN_S", SOON_S)


def run(code: str, lines: Lines, grace_s: float = SOON_S) -> AbstractAsyncContextManager[ChildProcess]:
    # -I and -S start in a third of the time.
    command = [sys.executable, "-I", "-S", "-c", f"import os, signal, sys, time\n{code}"]
    return child_process(command, environment=os.environ, write_line=lines.queue.put_nowait, grace_s=grace_s)


async def test_lines_of_output_and_errors_are_told_in_order(lines: Lines) -> None:
    async with run("print('one', flush=True); print('two', file=sys.stderr)", lines) as child:
        await asyncio.wait_for(child.exited.wait(), SOON_S)

    assert lines.rest() == ["one", "two"]
    assert child.exit_word == "status 0"


@pytest.mark.parametrize(
    ("code", "word"),
    [("sys.exit(3)", "status 3"), ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL")],
)
async def test_the_exit_has_a_word(lines: Lines, code: str, word: str) -> None:
    async with run(code, lines) as child:
        await asyncio.wait_for(child.exited.wait(), SOON_S)

        assert child.exit_word == word


async def test_leaving_asks_the_child_to_end_and_takes_its_last_words(lines: Lines) -> None:
    code = """
def end(*_):
    os.write(1, b"ending\\n")  # print may be under way already
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: signal.pause()
"""
    async with run(code, lines) as child:
        await lines.next()
        assert child.exit_word is None

    assert lines.rest() == ["ending"]
    assert child.exit_word == "status 0"


async def test_a_child_that_does_not_heed_is_killed_after_its_grace_period(lines: Lines) -> None:
    code = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: signal.pause()"
    )
    async with run(code, lines, grace_s=0.02) as child:
        await lines.next()

    assert child.exit_word == "SIGKILL"


async def test_a_cancelled_grace_period_still_ends_the_child(lines: Lines) -> None:
    code = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: signal.pause()"
    )
    leaving = asyncio.Event()
    children: list[ChildProcess] = []

    async def hold() -> None:
        async with run(code, lines) as child:
            children.append(child)
            await lines.next()
            leaving.set()

    holding = asyncio.ensure_future(hold())
    await leaving.wait()
    holding.cancel()
    await asyncio.wait({holding}, timeout=SOON_S)

    assert holding.cancelled()
    assert children[0].exit_word == "SIGKILL"


@pytest.mark.usefixtures("patient")
async def test_killing_ends_what_the_child_has_started_too(lines: Lines) -> None:
    code = "os.fork()\nprint(os.getpid(), flush=True)\nwhile True: signal.pause()"
    async with run(code, lines, grace_s=0.02) as child:
        pids = {int(await lines.next()), int(await lines.next())}
        assert {os.getpgid(pid) for pid in pids} == {child.pid}

        child.kill()
        # The output ends when its last holder is gone.
        await child.drain()

        assert lines.rest() == []
        assert child._drained.is_set()


async def test_a_childs_death_is_noticed_while_a_grandchild_holds_its_output(lines: Lines) -> None:
    code = """
if os.fork() == 0:
    while True: signal.pause()
print("up", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    async with run(code, lines) as child:
        await asyncio.wait_for(child.exited.wait(), SOON_S)
        assert child.exit_word == "SIGKILL"
        os.killpg(child.pid, signal.SIGKILL)  # Nobody else ends the grandchild of a leader that died.


@pytest.mark.usefixtures("patient")
async def test_output_that_comes_after_the_childs_death_is_told_too(lines: Lines) -> None:
    code = """
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent: time.sleep(0.001)
    print("last words", flush=True)
"""
    async with run(code, lines) as child:
        await asyncio.wait_for(child.exited.wait(), SOON_S)

    assert lines.rest() == ["last words"]


async def test_a_ctrl_c_in_the_terminal_does_not_reach_the_child(lines: Lines) -> None:
    async with run("print(os.getsid(0) == os.getpid(), flush=True)\nsys.stdin.read()", lines):
        assert await lines.next() == "True"


async def test_the_childs_input_stays_open_until_it_is_left(lines: Lines) -> None:
    code = """
import select
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(bool(select.select([0], [], [], 0)[0]), flush=True)
sys.stdin.read()
print("parent is gone", flush=True)
"""
    async with run(code, lines) as child:
        assert await lines.next() == "False"

    assert lines.rest() == ["parent is gone"]
    assert child.exit_word == "status 0"


async def test_a_program_that_is_not_there_is_an_os_error(lines: Lines) -> None:
    with pytest.raises(FileNotFoundError):
        async with child_process(
            ["/nonexistent/program"], environment={}, write_line=lines.queue.put_nowait, grace_s=1.0
        ):
            pass


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_lines_come_out_however_the_bytes_come_in(size: int) -> None:
    data = "erste\r\n\nzwölf\nlast".encode()
    lines: list[str] = []
    splitter = LineSplitter(lines.append)

    for start in range(0, len(data), size):
        splitter.feed(data[start : start + size])
    splitter.close()

    assert lines == ["erste", "zwölf", "last"]


@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_an_endless_line_is_cut_and_the_next_one_is_whole(size: int) -> None:
    data = b"x" * (5 * MAX_LINE_BYTES) + b"\nnext\n"
    lines: list[str] = []
    splitter = LineSplitter(lines.append)

    for start in range(0, len(data), size):
        splitter.feed(data[start : start + size])

    assert lines == ["x" * MAX_LINE_BYTES + " ...", "next"]

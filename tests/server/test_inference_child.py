"""The supervised child, with real processes that behave and misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog

from server.generation import inference_child
from server.generation.backoff import Backoff
from server.generation.inference_child import (
    InferenceChild,
    Patience,
    child_environment,
    inference_command,
    relay_line,
)
from server.generation.inference_client import InferenceClient, PictureOrder
from server.generation.private_address import private_address


SOON_S = 30.0
ROOT = Path(inference_child.__file__).parents[2]

# -I and -S start in a third of the time.
PYTHON = (sys.executable, "-I", "-S", "-c")

# Says its process id and ends when its parent does.
WAITS = (*PYTHON, "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()")
ENDS_AT_ONCE = (*PYTHON, "raise SystemExit(3)")
QUICK = Patience(ask_start_s=0.001, ask_s=0.001, grace_s=SOON_S)


class FakeService:
    """What the supervisor sees of a service: its answers, its output, and a clock."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self.answers: list[bool] = []  # the next ones; the last one stays
        self.answer_takes_s = 0.0  # on the clock
        self.asked = asyncio.Event()
        self.now_s = 0.0

    async def probe(self) -> bool:
        self.asked.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else (self.answers or [True])[0]
        if not answer:
            self.now_s += self.answer_takes_s
        return answer

    async def next_line(self) -> str:
        return await asyncio.wait_for(self.lines.get(), SOON_S)

    async def next_question(self) -> None:
        self.asked.clear()
        await asyncio.wait_for(self.asked.wait(), SOON_S)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


def supervise(
    service: FakeService,
    command: tuple[str, ...] = WAITS,
    *,
    probe: Callable[[], Awaitable[bool]] | None = None,
    **settings: Any,
) -> InferenceChild:
    return InferenceChild(
        "unix:/nonexistent/socket",
        probe or service.probe,
        command=command,
        write_line=service.lines.put_nowait,
        clock=lambda: service.now_s,
        **{"patience": QUICK, "backoff": Backoff(first_s=0.001, cap_s=0.001), **settings},
    )


@contextlib.asynccontextmanager
async def running(child: InferenceChild) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(child.run())
        yield
        task.cancel()


class Pauses:
    """Takes no time for the first `limit` pauses and never ends the next one."""

    def __init__(self, limit: int) -> None:
        self.taken_s: list[float] = []
        self.limit = limit
        self.enough = asyncio.Event()

    async def __call__(self, pause_s: float) -> None:
        self.taken_s.append(pause_s)
        if len(self.taken_s) >= self.limit:
            self.enough.set()
            await asyncio.Event().wait()


async def test_a_child_starts_serves_and_stops(service: FakeService) -> None:
    child = supervise(service)
    assert (child.state.state, child.state.pid) == ("stopped", None)

    async with running(child):
        pid = int(await service.next_line())
        await service.next_question()
        assert (child.state.state, child.state.pid, child.state.restarts) == ("serving", pid, 0)
        assert (child.state.last_exit, child.state.address) == (None, "unix:/nonexistent/socket")

    assert (child.state.state, child.state.pid) == ("stopped", None)
    assert not psutil.pid_exists(pid)


async def test_a_child_that_does_not_serve_yet_is_starting(service: FakeService) -> None:
    service.answers = [False]
    child = supervise(service)

    async with running(child):
        await service.next_question()
        await service.next_question()

        assert child.state.state == "starting"


async def test_a_killed_child_is_started_again_at_once(service: FakeService) -> None:
    pauses = Pauses(limit=2)
    child = supervise(service, backoff=Backoff(), pause=pauses)  # the pauses of production
    async with running(child):
        first = int(await service.next_line())
        await service.next_question()
        began_at = asyncio.get_running_loop().time()

        os.kill(first, signal.SIGKILL)
        second = int(await service.next_line())
        took_s = asyncio.get_running_loop().time() - began_at
        await service.next_question()

        assert second != first
        assert (child.state.state, child.state.pid, child.state.restarts) == ("serving", second, 1)
        assert child.state.last_exit == "SIGKILL"
        assert len(pauses.taken_s) == 1
        assert 0.0 < pauses.taken_s[0] <= 0.2
        assert took_s < 10.0  # a start, however busy the machine, and no period of grace


async def test_the_pauses_of_a_child_that_always_ends_grow(service: FakeService) -> None:
    service.answers = [False]
    pauses = Pauses(limit=4)
    child = supervise(service, ENDS_AT_ONCE, backoff=Backoff(draw=lambda: 1.0), pause=pauses)

    async with running(child):
        await asyncio.wait_for(pauses.enough.wait(), SOON_S)

        assert pauses.taken_s == [0.2, 0.4, 0.8, 1.6]
        assert child.state.state == "restarting"
        assert (child.state.restarts, child.state.last_exit, child.state.pid) == (3, "status 3", None)


@pytest.mark.parametrize(("served_s", "second_pause_s"), [(29.0, 0.4), (30.0, 0.2)])
async def test_a_child_that_has_served_for_long_is_restarted_quickly_again(
    service: FakeService, served_s: float, second_pause_s: float
) -> None:
    pauses = Pauses(limit=2)
    child = supervise(service, backoff=Backoff(draw=lambda: 1.0), pause=pauses)

    async with running(child):
        for _ in range(2):
            pid = int(await service.next_line())
            await service.next_question()
            service.now_s += served_s
            os.kill(pid, signal.SIGKILL)
        await asyncio.wait_for(pauses.enough.wait(), SOON_S)

    assert pauses.taken_s[1] == second_pause_s


async def test_a_program_that_cannot_be_started_is_tried_again(service: FakeService) -> None:
    pauses = Pauses(limit=2)
    child = supervise(service, ("/nonexistent/program",), pause=pauses)

    async with running(child):
        await asyncio.wait_for(pauses.enough.wait(), SOON_S)

        assert child.state.restarts == 1
        assert "/nonexistent/program" in str(child.state.last_exit)


async def test_cancelling_ends_the_child_politely(service: FakeService) -> None:
    code = """
import os, signal
def end(*_):
    os.write(1, b"ending\\n")  # print may be under way already
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: signal.pause()
"""
    child = supervise(service, (*PYTHON, code))
    async with running(child):
        assert await service.next_line() == "up"

    assert service.lines.get_nowait() == "ending"
    assert child.state.last_exit == "status 0"


async def test_cancelling_kills_a_child_that_does_not_heed(service: FakeService) -> None:
    code = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True: signal.pause()
"""
    patience = Patience(grace_s=0.02, ask_start_s=0.001)
    child = supervise(service, (*PYTHON, code), patience=patience)
    async with running(child):
        await service.next_line()

    assert child.state.last_exit == "SIGKILL"


async def test_a_child_that_no_longer_answers_is_killed_and_replaced(service: FakeService) -> None:
    service.answers = [False]
    service.answer_takes_s = 4.0
    has_spoken = asyncio.Event()

    async def probe() -> bool:
        # Both must live long enough to say which process they are.
        return not has_spoken.is_set() or child.state.restarts > 0 or await service.probe()

    child = supervise(service, probe=probe)

    async with running(child):
        first = int(await service.next_line())
        has_spoken.set()
        second = int(await service.next_line())

        assert second != first
        assert child.state.last_exit == "SIGKILL"
        # Silence of 4 and 8 seconds is borne, 12 are not.
        assert service.now_s >= 12.0


async def test_a_question_that_is_never_answered_counts_as_failed(service: FakeService) -> None:
    has_spoken = asyncio.Event()
    is_late = False

    async def probe() -> bool:
        nonlocal is_late
        # It must live long enough to say which process it is.
        if not has_spoken.is_set():
            return True
        if not is_late:
            is_late = True
            service.now_s += 11.0
        await asyncio.Event().wait()
        return True

    patience = Patience(ask_start_s=0.001, ask_s=0.001, answer_s=0.005)
    async with running(supervise(service, probe=probe, patience=patience)):
        first = await service.next_line()
        has_spoken.set()

        assert await service.next_line() != first


async def test_one_late_answer_condemns_no_child(service: FakeService) -> None:
    service.answers = [True, False, False, True]
    service.answer_takes_s = 60.0
    child = supervise(service)

    async with running(child):
        pid = int(await service.next_line())
        while len(service.answers) > 1:
            await service.next_question()
        await service.next_question()

        assert (child.state.pid, child.state.restarts) == (pid, 0)


async def test_a_child_may_take_minutes_to_begin_to_serve(service: FakeService) -> None:
    service.answers = [False] * 10 + [True]
    service.answer_takes_s = 50.0
    child = supervise(service)

    async with running(child):
        while len(service.answers) > 1:
            await service.next_question()
        await service.next_question()

        assert (child.state.state, child.state.restarts) == ("serving", 0)


async def test_a_bug_in_the_question_ends_the_child_and_is_loud(service: FakeService) -> None:
    async def probe() -> bool:
        raise ConnectionResetError("a bug")

    child = supervise(service, probe=probe)

    with pytest.raises(ConnectionResetError, match="a bug"):
        await child.run()
    assert (child.state.state, child.state.pid) == ("stopped", None)


async def test_a_socket_left_by_a_killed_child_is_removed(service: FakeService, tmp_path: Path) -> None:
    left = tmp_path / "socket"
    left.touch()
    child = InferenceChild(
        f"unix:{left}", service.probe, command=WAITS, patience=QUICK, write_line=service.lines.put_nowait
    )

    async with running(child):
        await service.next_line()

        assert not left.exists()


async def test_the_child_ends_when_its_parent_is_killed() -> None:
    parent = f"""
import asyncio
from server.generation.inference_child import InferenceChild

async def probe():
    return True

def show(line):
    print(line, flush=True)

asyncio.run(InferenceChild("unix:/nonexistent/s", probe, command={WAITS!r}, write_line=show).run())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    # Its own log may come first.
    async with asyncio.timeout(SOON_S):
        while not (line := await process.stdout.readline()).strip().isdigit():
            assert line
    child = psutil.Process(int(line))

    process.kill()
    await process.wait()

    await asyncio.to_thread(child.wait, SOON_S)


def test_the_childs_environment_has_no_secrets() -> None:
    environment = child_environment(
        {
            "PATH": "/bin",
            "PSYCHE_ENGINE": "procedural",
            "PSYCHE_TOKEN": "t",
            "PSYCHE_DATABASE_URL": "d",
            "DATABASE_URL": "d",
            "DA_ACCESS_TOKEN": "a",
            "PSYCHE_DA_ACCESS_TOKEN": "a",
            "PYTHONPATH": "/other",
        }
    )

    assert environment == {
        "PATH": "/bin",
        "PSYCHE_ENGINE": "procedural",
        "PYTHONPATH": f"{ROOT}{os.pathsep}/other",
        "PYTHONUNBUFFERED": "1",
    }


def test_the_command_says_all_that_the_service_must_know() -> None:
    command = inference_command("unix:/run/s", ["--engine", "procedural"])

    assert command == [
        *(sys.executable, "-P", "-m", "inference"),
        *("--listen", "unix:/run/s", "--supervised", "--log-format", "json"),
        *("--engine", "procedural"),
    ]


async def test_our_inference_package_is_found_from_anywhere(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inference").mkdir()
    (tmp_path / "inference" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    code = "import inference, sys; print(inference.__file__, flush=True); sys.stdin.read()"

    async with running(supervise(service, (sys.executable, "-P", "-c", code))):
        assert await service.next_line() == str(ROOT / "inference" / "__init__.py")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            json.dumps(
                {"event": "model loaded", "level": "warning", "timestamp": "t", "took_s": 2, "self": 1}
            ),
            ("warning", {"event": "model loaded", "source": "inference", "took_s": 2}),
        ),
        (
            json.dumps({"event": "e", "level": "nonsense"}),
            ("info", {"event": "e", "source": "inference"}),
        ),
        ("Segmentation fault", ("info", {"event": "inference service says", "line": "Segmentation fault"})),
        ("[1, 2]", ("info", {"event": "inference service says", "line": "[1, 2]"})),
        ('{"event": 5}', ("info", {"event": "inference service says", "line": '{"event": 5}'})),
    ],
)
def test_lines_of_the_child_become_our_own_log(
    line: str, told: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = structlog.testing.CapturingLogger()
    wrapped = structlog.wrap_logger(
        logger, processors=[], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    monkeypatch.setattr(inference_child, "log", wrapped)

    relay_line(line)

    assert [(call.method_name, call.kwargs) for call in logger.calls] == [told]


@pytest.mark.skipif(
    importlib.util.find_spec("inference.__main__") is None, reason="the service has no entry point yet"
)
async def test_the_real_service_paints_again_within_five_seconds_of_being_killed() -> None:
    order = PictureOrder(prompt="sea", width=64, height=64)
    with private_address() as address:
        async with InferenceClient(address) as client:
            child = InferenceChild(address, client.is_serving, arguments=["--engine", "procedural"])
            async with running(child):
                await client.wait_until_serving(deadline_s=SOON_S)
                assert (await client.generate(order, deadline_s=SOON_S)).width == 64
                took_s: list[float] = []
                # A busy machine may take longer, but not every time.
                while not took_s or (took_s[-1] >= 5.0 and len(took_s) < 2):
                    pid = child.state.pid
                    assert pid is not None

                    os.kill(pid, signal.SIGKILL)
                    killed_at = asyncio.get_running_loop().time()
                    await psutil_gone(pid)
                    await client.wait_until_serving(deadline_s=SOON_S)

                    assert (await client.generate(order, deadline_s=SOON_S)).width == 64
                    took_s.append(asyncio.get_running_loop().time() - killed_at)
                    assert child.state.restarts == len(took_s)
                assert took_s[-1] < 5.0


async def psutil_gone(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        await asyncio.to_thread(psutil.Process(pid).wait, SOON_S)

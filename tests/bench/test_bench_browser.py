"""The browser bench: what it makes of a trace and of what a page says, and one run in a real Chromium."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from bench.browser import comeback, soak, tasks
from bench.browser.command import measure, read
from bench.browser.devtools import DevTools
from bench.browser.page import BrowserPage, Presented, _follow
from bench.errors import BenchError


def task(thread: int, ms: float, name: str = "RunTask", phase: str = "X") -> dict[str, Any]:
    return {"pid": 7, "tid": thread, "name": name, "ph": phase, "dur": ms * 1000.0}


def thread_name(thread: int, name: str) -> dict[str, Any]:
    return {"pid": 7, "tid": thread, "name": "thread_name", "ph": "M", "args": {"name": name}}


def test_only_the_tasks_of_the_main_thread_count() -> None:
    events = [
        task(1, 3.0),
        task(2, 90.0),
        task(1, 5.0),
        task(1, 70.0, name="Layout"),
        thread_name(1, "CrRendererMain"),
        thread_name(2, "DedicatedWorker thread"),
    ]

    assert tasks.main_tasks_ms(events) == [3.0, 5.0]


def test_of_several_pages_the_busiest_counts() -> None:
    events = [
        thread_name(1, "CrRendererMain"),
        thread_name(2, "CrRendererMain"),
        task(1, 1.0),
        task(2, 4.0),
        task(2, 2.0),
    ]

    assert tasks.main_tasks_ms(events) == [4.0, 2.0]


def test_a_trace_without_a_page_is_no_measurement() -> None:
    with pytest.raises(BenchError, match="no task of a page"):
        tasks.main_tasks_ms([task(1, 3.0)])


def test_each_pipeline_has_its_own_goal() -> None:
    slow = tuple([1.0] * 98 + [30.0] * 2)

    worker, main = (
        tasks.goals(tasks.MainThread(name, 1.0, slow, 8.0, 80.0))[0].is_met for name in ("worker", "main")
    )

    assert (worker, main) == (False, True)


def test_a_page_that_shows_fewer_frames_misses_a_goal() -> None:
    shown = [
        [goal.is_met for goal in tasks.goals(tasks.MainThread("worker", 1.0, (1.0,), fps, 80.0))]
        for fps in (7.6, 7.5)
    ]

    assert shown == [[True, True], [True, False]]


def test_drift_compares_the_last_quarter_with_the_first() -> None:
    assert soak.drift((100, 100, 300, 300, 300, 300, 110, 110)) == pytest.approx(0.1)
    assert soak.drift((100,)) == 0.0


def test_the_slowest_canvas_tells_the_rate() -> None:
    quick = [Presented("quick", number, number * 250.0, 1.0) for number in range(8)]
    slow = [Presented("slow", number, number * 500.0, 1.0) for number in range(4)]

    assert soak.slowest_fps([*quick, *slow], ["quick", "slow"], 2.0) == pytest.approx(2.0)
    assert soak.slowest_fps([*quick, *slow], ["quick", "slow"], 20.0) == pytest.approx(0.2), "it stopped"
    assert soak.slowest_fps(quick, ["quick", "never"], 2.0) == 0.0


class FakeTools:
    """A page's developer tools: what the page says of itself, and the commands that it takes."""

    def __init__(self, told: Any = None) -> None:
        self.told = told
        self.commands: list[str] = []

    async def evaluate(self, expression: str, *, session: str) -> Any:
        return self.told

    async def command(self, method: str, params: Any = None, *, session: str | None = None) -> dict[str, Any]:
        self.commands.append(method)
        if method == "Network.enable":
            raise BenchError("Chromium refused Network.enable")
        return {}


@pytest.mark.parametrize("told", ["main", "lost", None])
async def test_a_page_that_fell_back_is_no_measurement(told: str | None) -> None:
    page = BrowserPage(cast("DevTools", FakeTools(told)), "session")

    with pytest.raises(BenchError, match="asked for the pipeline 'worker'"):
        await page.require_pipeline("worker")


async def test_a_worker_that_cannot_be_listened_to_goes_on_all_the_same() -> None:
    tools = FakeTools()
    page = BrowserPage(cast("DevTools", tools), "session")

    await _follow(page, "worker", "worker")

    assert tools.commands == ["Network.enable", "Runtime.runIfWaitingForDebugger"]
    assert page.workers == set()


async def test_what_fails_among_tasks_is_told_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(pipeline: str, seconds: float) -> tasks.MainThread:
        async with asyncio.TaskGroup():
            raise BenchError("nothing was shown")

    monkeypatch.setattr(tasks, "measure", fail)

    with pytest.raises(BenchError, match="nothing was shown"):
        await measure(read(["--only", "tasks"]))


@pytest.mark.parametrize(
    ("created", "fps", "age_ms", "met"),
    [
        (12, 4.0, 30.0, [True, True, True, True]),
        (13, 3.5, 90.0, [False, True, False, False]),
        (12, 4.0, None, [True, True, True, False]),
        (11, 4.0, 30.0, [False, True, True, True]),
    ],
)
def test_a_soak_is_judged(created: int, fps: float, age_ms: float | None, met: list[bool]) -> None:
    found = soak.Soak("worker", 10.0, fps, age_ms, age_ms, created, 12, (100, 101, 100, 101), (5, 5, 5, 5))

    assert [goal.is_met for goal in soak.goals(found)] == met


def test_probes_and_sockets_are_attempts_alike() -> None:
    found = comeback.Comeback("worker", 60.0, 3.0, 1.0, health_probes=30, socket_attempts=60)

    assert found.attempts_per_s == pytest.approx(1.5)
    assert [goal.is_met for goal in comeback.goals(found)] == [True, False]


def test_without_options_everything_is_measured() -> None:
    options = read([])

    assert options.parts == ("soak", "tasks", "comeback")
    assert options.pipelines == ("worker", "main")


@pytest.mark.parametrize(
    "words", [["--only", "all"], ["--minutes", "0"], ["--away", "x"], ["--pipeline", "gpu"]]
)
def test_a_wrong_option_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as told:
        read(words)

    assert told.value.code == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.parametrize("part", ["tasks", "comeback"])
async def test_a_part_is_measured_in_a_real_browser(part: str) -> None:
    # A page looks for its server every 3.5 s at the longest (client/stream/gate.js): within 6 s it has.
    words = ["--only", part, "--pipeline", "worker", "--seconds", "1", "--away", "6"]
    async with asyncio.timeout(80):
        sheet = await measure(read(words))

    row = json.loads(json.dumps(sheet.to_json()))["rows"][0]
    assert row["part"] == part
    assert row["pipeline"] == "worker"
    if part == "tasks":
        assert row["tasks"] > 10
        assert row["task_max_ms"] > 0
    else:
        assert row["health_probes"] + row["socket_attempts"] > 0
        assert 0 < row["first_back_s"] <= row["back_s"]

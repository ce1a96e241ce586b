"""The browser bench: what it makes of a trace and of what a page says, and one run in a real Chromium."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bench.browser import comeback, soak, tasks
from bench.browser.command import measure, read
from bench.browser.page import Presented
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


def test_drift_compares_the_last_quarter_with_the_first() -> None:
    assert soak.drift((100, 100, 300, 300, 300, 300, 110, 110)) == pytest.approx(0.1)
    assert soak.drift((100,)) == 0.0


def test_the_slowest_canvas_tells_the_rate() -> None:
    quick = [Presented("quick", number, number * 250.0, 1.0) for number in range(9)]
    slow = [Presented("slow", number, number * 500.0, 1.0) for number in range(5)]

    assert soak.slowest_fps([*quick, *slow]) == pytest.approx(2.0)
    assert soak.slowest_fps([*quick, Presented("still", 1, 0.0, None)]) == 0.0
    assert soak.slowest_fps([]) == 0.0


@pytest.mark.parametrize(
    ("created", "fps", "age_ms", "met"),
    [
        (12, 4.0, 30.0, [True, True, True, True]),
        (13, 3.5, 90.0, [False, True, False, False]),
        (12, 4.0, None, [True, True, True, False]),
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
    async with asyncio.timeout(80):
        sheet = await measure(read(["--only", part, "--pipeline", "worker", "--seconds", "1", "--away", "1"]))

    row = json.loads(json.dumps(sheet.to_json()))["rows"][0]
    assert row["part"] == part
    assert row["pipeline"] == "worker"
    if part == "tasks":
        assert row["tasks"] > 10
        assert row["task_max_ms"] > 0
    else:
        assert row["health_probes"] + row["socket_attempts"] > 0
        assert 0 < row["first_back_s"] <= row["back_s"]

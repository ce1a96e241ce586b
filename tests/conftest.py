"""Fixtures that every test gets, and what is done about tests that cannot run here.

A test that needs what is not there is skipped and says why. Where PSYCHE_NO_SKIP is set, as it is
where nothing may be left out, every skipped test fails the run.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import signal
from collections.abc import AsyncIterator, Generator

import pytest
from chromium import find_chromium
from ffmpeg import find_ffmpeg
from hypothesis import HealthCheck, settings


# How long an example takes says something of the machine, and nothing of what is tested.
settings.register_profile(
    "psyche", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("psyche")

SKIPPED = pytest.StashKey[list[str]]()

# What a task that is about to end may take for it, seconds.
LAST_WORD_S = 10.0

# Of a test that drives a browser, seconds: on a busy machine without a GPU each picture takes its time.
BROWSER_TIMEOUT_S = 180


@pytest.fixture
async def task_census() -> AsyncIterator[None]:
    """Fail a test that leaves a task behind: every task has an owner that awaits it."""
    before = asyncio.all_tasks()
    yield
    # A cancelled task ends at its next turn of the loop, and its owner at the one after; a call of gRPC
    # when a thread of the library has told it, which takes what the machine takes.
    ends_at = asyncio.get_running_loop().time() + LAST_WORD_S
    leaked: set[asyncio.Task[object]] | None = None
    turns = 0
    while leaked is None or (leaked and asyncio.get_running_loop().time() < ends_at):
        # Waiting for a thread, it leaves the interpreter to that.
        await asyncio.sleep(0 if turns < 100 else 0.001)
        turns += 1
        leaked = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    names = sorted(task.get_name() for task in leaked)
    assert not leaked, f"tasks left behind: {', '.join(names)}"


@pytest.fixture(autouse=True)
def no_leaked_tasks(request: pytest.FixtureRequest) -> None:
    """Take the census for asynchronous tests; the others need no event loop."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("task_census")


def missing_for(item: pytest.Item) -> str | None:
    """Return what a test needs and is not there, or None."""
    if item.get_closest_marker("browser") and find_chromium() is None:
        return "no Chromium: install it, or set PSYCHE_CHROMIUM=/path/to/it"
    if item.get_closest_marker("ffmpeg") and find_ffmpeg() is None:
        return "no ffmpeg: install it, or set PSYCHE_FFMPEG=/path/to/it"
    if item.get_closest_marker("diffusion"):
        missing = [name for name in ("torch", "diffusers") if importlib.util.find_spec(name) is None]
        if missing:
            return f"no {' and no '.join(missing)}: install the extra 'diffusion'"
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[SKIPPED] = []
    # Ended from outside (tests/run.sh), it ends the servers and browsers that it has started, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give browsers more time."""
    for item in items:
        if item.get_closest_marker("browser") and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(BROWSER_TIMEOUT_S))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run, before anything is set up for it."""
    if reason := missing_for(item):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note skipped tests, for whatever reason they are; a test that is known to fail is not one."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        item.config.stash[SKIPPED].append(f"{item.nodeid}: {report.longrepr[2]}")  # type: ignore[index]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that left something out where nothing may be."""
    if os.environ.get("PSYCHE_NO_SKIP") and session.config.stash[SKIPPED]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was left out."""
    if skipped := config.stash[SKIPPED]:
        is_error = bool(os.environ.get("PSYCHE_NO_SKIP"))
        title = "skipped, and PSYCHE_NO_SKIP is set" if is_error else "skipped"
        terminalreporter.section(title, red=is_error, yellow=not is_error)
        for line in skipped:
            terminalreporter.write_line(line)

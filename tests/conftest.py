"""Fixtures that every test gets."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest


@pytest.fixture
async def task_census() -> AsyncIterator[None]:
    """Fail a test that leaves a task behind: every task has an owner that awaits it."""
    before = asyncio.all_tasks()
    yield
    # A cancelled task ends at its next turn of the loop, and its owner at the one after.
    for _ in range(3):
        await asyncio.sleep(0)
    leaked = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    assert not leaked, f"tasks left behind: {', '.join(sorted(task.get_name() for task in leaked))}"


@pytest.fixture(autouse=True)
def no_leaked_tasks(request: pytest.FixtureRequest) -> None:
    """Take the census for asynchronous tests; the others need no event loop."""
    if inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("task_census")

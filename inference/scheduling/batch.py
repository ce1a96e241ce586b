"""Who shares the next step, and how large it is. Pure but for taking the newest request out of slots."""

from __future__ import annotations

from collections.abc import Iterable

from inference.cost import CostTable
from inference.engine import PaintingFailedError
from inference.scheduling.fairness import FairQueue
from inference.scheduling.jobs import Job
from inference.scheduling.ticks import Advance, Tick


def choose(queue: FairQueue[Job], costs: CostTable, now_s: float) -> Tick | None:
    """Make the next tick: of whoever comes next, and of others what can share its step.

    Args:
        queue: All unfinished pictures; those that fit into no step at all are failed and dropped.
        costs: What steps cost.
        now_s: Of the clock that the costs go by.

    Returns:
        What is to be run; None where nothing waits.
    """
    first = _first(queue)
    if first is None:
        return None
    engine = first.look().engine
    cost = costs.get(engine, first.key)
    room = cost.largest(now_s)
    if first.rows > room:
        # Memory is too small for its rows together, but may do for one after the other.
        first.take_up()
        return Tick(engine, cost, room, [Advance(first)])
    jobs, rows = _fill(queue.in_turn(first.shares_steps_with, cost.row_s(now_s)), room)
    bucket = cost.pick(rows, room, now_s, first.rows)
    if bucket < rows:
        jobs, rows = _fill(jobs, bucket)
    for job in jobs:
        job.take_up()
    return Tick(engine, cost, cost.fit(rows), [Advance(job) for job in jobs])


def _first(queue: FairQueue[Job]) -> Job | None:
    while (first := queue.first()) is not None:
        most = first.look().engine.buckets[-1]
        if first.rows <= most:
            break
        queue.drop(first.caller, first)
        first.fail(PaintingFailedError(f"the picture takes {first.rows} rows of a step of at most {most}"))
    return first


def _fill(jobs: Iterable[Job], room: int) -> tuple[list[Job], int]:
    """Return the first jobs that fit into so many rows, and how many rows they take."""
    chosen: list[Job] = []
    rows = 0
    for job in jobs:
        if rows + job.rows <= room:
            chosen.append(job)
            rows += job.rows
        if rows == room:
            break
    return chosen, rows

"""The order in which jobs are done."""

from __future__ import annotations

from typing import Any

import pytest

from server.errors import ServerFullError
from server.generation.job import Job, Kind, State
from server.generation.lane import Lane
from server.generation.picture import PictureOrder


def make_job(kind: Kind = Kind.ONCE, **options: Any) -> Job:
    return Job(kind=kind, order=PictureOrder(prompt="a red fox"), **options)


# Every kind of job that can run: name to (kind, loop).
KINDS = {
    "live": (Kind.LIVE, False),
    "once": (Kind.ONCE, False),
    "variations": (Kind.VARIATIONS, False),
    "playlist": (Kind.PLAYLIST, False),
    "loop": (Kind.PLAYLIST, True),
    "test": (Kind.TEST, False),
}


def job_of(name: str) -> Job:
    kind, loop = KINDS[name]
    return make_job(kind, loop=loop)


def lane_running(name: str, *waiting: Job) -> tuple[Lane, Job]:
    """Return a lane that does a job of this kind while others wait."""
    lane = Lane()
    running = job_of(name)
    lane.submit(running, now=False)
    assert lane.take() is running
    for job in waiting:
        lane.submit(job, now=False)
    lane.stop_reason = None
    return lane, running


NOW_ENDS = {"live": True, "once": False, "variations": False, "playlist": True, "loop": True, "test": True}
QUEUE_ENDS = {
    "live": True,
    "once": False,
    "variations": False,
    "playlist": False,
    "loop": True,
    "test": False,
}


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("running", KINDS)
def test_a_job_for_now_ends_what_goes_on_and_lets_a_picture_be_finished(running: str, new: str) -> None:
    lane, job = lane_running(running)
    submitted = job_of(new)

    lane.submit(submitted, now=True)

    assert lane.stop_reason == ("superseded" if NOW_ENDS[running] else None)
    assert lane.waiting == (submitted,)
    assert job.state is State.RUNNING


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("running", KINDS)
def test_a_job_for_the_queue_ends_only_what_would_never_end(running: str, new: str) -> None:
    lane, _ = lane_running(running)

    lane.submit(job_of(new), now=False)

    assert lane.stop_reason == ("superseded" if QUEUE_ENDS[running] else None)


@pytest.mark.parametrize("waiting", KINDS)
def test_a_job_for_now_goes_before_all_that_queue_and_ends_none_of_them(waiting: str) -> None:
    queued = [job_of(waiting), job_of(waiting)]
    lane, _ = lane_running("once", *queued)
    urgent = make_job()

    lane.submit(urgent, now=True)

    assert lane.waiting == (urgent, *queued)
    assert [job.state for job in queued] == [State.QUEUED, State.QUEUED]


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("urgent", KINDS)
def test_of_two_for_now_the_older_gives_way_or_comes_second(urgent: str, new: str) -> None:
    queued = make_job()
    lane, _ = lane_running("once", queued)
    older, newer = job_of(urgent), job_of(new)
    lane.submit(older, now=True)

    lane.submit(newer, now=True)

    if NOW_ENDS[urgent]:
        assert lane.waiting == (newer, queued)
        assert (older.state, older.reason) == (State.CANCELLED, "superseded")
    else:
        assert lane.waiting == (newer, older, queued)
        assert older.state is State.QUEUED


def test_a_live_job_that_waits_in_the_queue_is_not_superseded() -> None:
    live = make_job(Kind.LIVE)
    lane, _ = lane_running("once", live)

    lane.submit(make_job(Kind.LIVE), now=True)

    assert live.state is State.QUEUED
    assert len(lane) == 2


def test_jobs_that_queue_are_done_in_the_order_of_their_coming() -> None:
    lane = Lane()
    jobs = [make_job() for _ in range(3)]
    for job in jobs:
        lane.submit(job, now=False)

    done = []
    while (taken := lane.take()) is not None:
        done.append(taken)
        lane.finish(Job.succeed)

    assert done == jobs
    assert [job.state for job in jobs] == [State.SUCCEEDED] * 3


def test_positions_count_from_one_and_only_those_who_wait_have_one() -> None:
    first, second = make_job(), make_job()
    lane, running = lane_running("once", first, second)

    assert [lane.position(job) for job in (running, first, second, make_job())] == [None, 1, 2, None]

    lane.cancel(first, "cancelled")
    assert lane.position(second) == 1


@pytest.mark.parametrize("now", [False, True])
def test_a_full_queue_refuses_and_loses_nothing(now: bool) -> None:
    lane = Lane(max_waiting=2)
    running = make_job(Kind.LIVE)
    lane.submit(running, now=True)
    lane.take()
    waiting = [make_job(), make_job()]
    for job in waiting:
        lane.submit(job, now=False)
    lane.stop_reason = None
    refused = make_job(Kind.LIVE)

    with pytest.raises(ServerFullError, match="2 waiting jobs"):
        lane.submit(refused, now=now)

    assert lane.waiting == tuple(waiting)
    assert all(job.state is State.QUEUED for job in waiting)
    assert lane.stop_reason is None
    assert refused.state is State.QUEUED


def test_a_full_queue_takes_the_job_that_supersedes_a_waiting_one() -> None:
    lane = Lane(max_waiting=1)
    lane.submit(make_job(), now=True)
    lane.take()
    older, newer = make_job(Kind.LIVE), make_job(Kind.LIVE)
    lane.submit(older, now=True)

    lane.submit(newer, now=True)

    assert lane.waiting == (newer,)
    assert older.reason == "superseded"


def test_room_is_told_without_taking_it() -> None:
    lane = Lane(max_waiting=1)
    lane.check_room(now=False)
    lane.submit(make_job(), now=False)

    for now in (False, True):
        with pytest.raises(ServerFullError):
            lane.check_room(now=now)
    assert len(lane) == 1


def test_stopping_keeps_the_first_reason_and_interrupts_once() -> None:
    lane, job = lane_running("once")
    interrupts: list[str] = []
    lane.interruptible(lambda: interrupts.append("now"))

    lane.stop("skipped")
    lane.stop("superseded")
    lane.finish(Job.succeed)

    assert interrupts == ["now"]
    assert (job.state, job.reason) == (State.CANCELLED, "skipped")
    assert lane.running is None
    assert lane.stop_reason is None


def test_a_job_that_was_to_stop_before_it_could_be_interrupted_is_interrupted_at_once() -> None:
    lane, _ = lane_running("once")
    lane.stop("cancelled")
    interrupts: list[str] = []

    lane.interruptible(lambda: interrupts.append("now"))

    assert interrupts == ["now"]


def test_the_interrupt_of_one_job_never_reaches_the_next() -> None:
    following = make_job()
    lane, _ = lane_running("once", following)
    interrupts: list[str] = []
    lane.interruptible(lambda: interrupts.append("now"))
    lane.finish(Job.succeed)
    lane.take()

    lane.stop("skipped")

    assert interrupts == []
    assert lane.stop_reason == "skipped"


def test_stopping_where_nothing_runs_does_nothing() -> None:
    lane = Lane()
    lane.stop("skipped")
    lane.submit(make_job(), now=False)

    lane.take()

    assert lane.stop_reason is None


def test_the_end_is_told_by_the_runner_unless_the_job_is_to_stop_or_has_ended() -> None:
    lane, failing = lane_running("once", ended := make_job())
    lane.finish(lambda job: job.fail("broken"))
    lane.take()
    ended.cancel("elsewhere")
    lane.finish(Job.succeed)

    assert (failing.state, failing.error) == (State.FAILED, "broken")
    assert (ended.state, ended.reason) == (State.CANCELLED, "elsewhere")


def test_cancelling_reaches_the_running_and_the_waiting_and_no_other_job() -> None:
    waiting = make_job()
    lane, running = lane_running("once", waiting)
    stranger = make_job()

    for job in (waiting, stranger):
        lane.cancel(job, "cancelled")
    assert lane.stop_reason is None
    assert (waiting.state, waiting.reason) == (State.CANCELLED, "cancelled")
    assert stranger.state is State.QUEUED
    assert len(lane) == 0

    lane.cancel(running, "cancelled")
    assert lane.stop_reason == "cancelled"
    lane.finish(Job.succeed)
    lane.cancel(running, "again")
    assert running.reason == "cancelled"


def test_clearing_ends_all_that_wait_and_lets_the_running_job_go_on() -> None:
    waiting = [make_job(), make_job(Kind.LIVE)]
    lane, running = lane_running("once", *waiting)

    assert lane.clear() == waiting

    assert [job.reason for job in waiting] == ["cleared", "cleared"]
    assert (len(lane), lane.stop_reason, running.state) == (0, None, State.RUNNING)
    assert lane.clear() == []


def test_superseding_by_a_pushed_picture_ends_what_goes_on_only() -> None:
    for name, ends in NOW_ENDS.items():
        lane, _ = lane_running(name)

        lane.supersede()

        assert (lane.stop_reason == "superseded") == ends, name


def test_only_a_job_of_the_wanted_kind_is_taken() -> None:
    lane = Lane()
    lane.submit(live := make_job(Kind.LIVE), now=False)
    lane.submit(make_job(), now=False)

    assert lane.take(kind=Kind.ONCE) is None
    assert lane.take(kind=Kind.LIVE) is live


def test_every_job_that_changes_is_told_after_it_has_changed() -> None:
    lane = Lane()
    told: list[tuple[Job, State]] = []
    lane.on_change = lambda job: told.append((job, job.state))
    first, second = make_job(), make_job(Kind.LIVE)

    lane.submit(first, now=False)
    lane.take()
    lane.submit(second, now=True)
    lane.clear()
    lane.finish(Job.succeed)

    assert told == [
        (first, State.QUEUED),
        (first, State.RUNNING),
        (second, State.QUEUED),
        (second, State.CANCELLED),
        (first, State.SUCCEEDED),
    ]


def moves_of(lane: Lane) -> list[tuple[Job, int | None]]:
    """Return a list that grows with each job whose place alone changes, and its place."""
    moves: list[tuple[Job, int | None]] = []
    lane.on_move = lambda job: moves.append((job, lane.position(job)))
    return moves


def test_those_that_move_up_or_back_are_told_and_nobody_else() -> None:
    first, second, third = (make_job() for _ in range(3))
    lane, _ = lane_running("once", first, second, third)
    moves = moves_of(lane)

    lane.submit(last := make_job(), now=False)
    assert moves == []
    lane.cancel(second, "cancelled")
    assert moves == [(third, 2), (last, 3)]

    moves.clear()
    urgent = make_job()
    lane.submit(urgent, now=True)
    assert moves == [(first, 2), (third, 3), (last, 4)]

    moves.clear()
    lane.finish(lambda job: job.succeed())
    assert lane.take() is urgent
    assert moves == [(first, 1), (third, 2), (last, 3)]


def test_clearing_moves_nobody_and_ends_all_at_once() -> None:
    jobs = [make_job() for _ in range(3)]
    lane, _ = lane_running("once", *jobs)
    moves = moves_of(lane)
    lengths: list[int] = []
    lane.on_change = lambda job: lengths.append(len(lane))

    assert lane.clear() == jobs

    assert moves == []
    assert lengths == [0, 0, 0]
    assert {job.state for job in jobs} == {State.CANCELLED}

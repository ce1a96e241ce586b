"""The job, from the asking to its end."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from server.errors import InferenceBusyError
from server.generation.easel import Easel, Limits
from server.generation.finite import _insist
from server.generation.job import ENDED, Job, Kind, Result, State, new_id
from server.generation.picture import PictureOrder


def make_job(kind: Kind = Kind.ONCE, **options: Any) -> Job:
    return Job(kind=kind, order=PictureOrder(prompt="a red fox", seed=7, width=640), **options)


def test_a_job_waits_runs_and_ends() -> None:
    job = make_job()
    assert (job.state, job.is_ended, job.started_ms, job.ended_ms) == (State.QUEUED, False, None, None)

    job.start()
    assert job.state is State.RUNNING
    assert job.started_ms is not None
    assert not job.ended.is_set()

    job.succeed()
    assert job.state is State.SUCCEEDED
    assert job.ended.is_set()
    assert job.ends_ms == job.ended_ms
    assert job.ended_ms is not None
    assert job.created_ms <= job.started_ms <= job.ended_ms


def test_a_failure_tells_its_error_and_a_cancellation_its_reason() -> None:
    failed, cancelled = make_job(), make_job()

    failed.fail("the engine failed")
    cancelled.cancel("superseded")

    assert (failed.state, failed.error, failed.reason) == (State.FAILED, "the engine failed", None)
    assert (cancelled.state, cancelled.error, cancelled.reason) == (State.CANCELLED, None, "superseded")


def test_no_job_starts_or_ends_twice() -> None:
    job = make_job()
    job.start()
    with pytest.raises(AssertionError):
        job.start()
    job.succeed()
    for again in (job.succeed, lambda: job.fail("x"), lambda: job.cancel("x")):
        with pytest.raises(AssertionError):
            again()


def test_each_warning_is_told_once() -> None:
    job = make_job()

    job.warn(["seed was not used", "style was not used"])
    job.warn(("seed was not used",))

    assert job.warnings == ["seed was not used", "style was not used"]


@pytest.mark.parametrize(
    ("kind", "loop", "is_finite", "is_superseded"),
    [
        (Kind.LIVE, False, False, True),
        (Kind.ONCE, False, True, False),
        (Kind.VARIATIONS, False, True, False),
        (Kind.DRAWING, False, True, False),
        (Kind.PLAYLIST, False, True, True),
        (Kind.PLAYLIST, True, False, True),
        (Kind.TEST, False, True, True),
        (Kind.TEST, True, False, True),
        (Kind.INGEST, False, False, True),
    ],
)
def test_kinds_tell_whether_they_end_and_whether_they_give_way(
    kind: Kind, loop: bool, is_finite: bool, is_superseded: bool
) -> None:
    job = make_job(kind, loop=loop)

    assert (job.is_finite, job.is_superseded_by_now) == (is_finite, is_superseded)


def test_ids_are_never_the_same_and_fit_into_addresses() -> None:
    ids = {new_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(len(found) == 16 and found.replace("-", "a").replace("_", "a").isalnum() for found in ids)


def test_jobs_that_say_the_same_are_different_jobs() -> None:
    one, other = make_job(id="x", session="s"), make_job(id="x", session="s")

    assert one != other
    assert len({one, other}) == 2


def test_a_job_describes_itself_in_json() -> None:
    job = make_job(Kind.VARIATIONS, canvas="left", count=2, author="Ada", fps=2.0)
    job.results.append(Result("image", "png", 640, 512, {"seed": 7}))
    job.warn(["style was not used"])

    described = json.loads(json.dumps(job.to_json(position=3)))

    assert described["id"] == job.id
    assert (described["kind"], described["state"], described["position"]) == ("variations", "queued", 3)
    assert (described["prompt"], described["canvas"], described["author"]) == ("a red fox", "left", "Ada")
    assert described["parameters"]["seed"] == 7
    assert described["parameters"]["width"] == 640
    assert described["parameters"]["height"] is None
    assert described["parameters"]["model"] is None
    assert described["parameters"]["count"] == 2
    assert described["images"] == [
        {
            "url": f"/jobs/{job.id}/images/0",
            "format": "png",
            "width": 640,
            "height": 512,
            "metadata": {"seed": 7},
        }
    ]
    assert described["warnings"] == ["style was not used"]
    assert described["error"] is described["reason"] is None


def test_the_source_image_is_in_no_description() -> None:
    order = PictureOrder(prompt="x", source=b"secret bytes", mask=b"secret bytes")
    job = Job(kind=Kind.ONCE, order=order)

    assert "secret" not in json.dumps(job.to_json())
    assert "secret" not in repr(job)


def test_what_has_ended_is_neither_waiting_nor_running() -> None:
    assert set(State) - ENDED == {State.QUEUED, State.RUNNING}


def test_when_a_job_will_have_ended_is_told_by_its_pace() -> None:
    job = Job(kind=Kind.ONCE, order=PictureOrder(prompt="a red fox"))
    job.start()
    # How long it waits for its first step says nothing of the others.
    job.advance(0, 10, 5_000.0)
    assert job.ends_ms is None

    job.advance(1, 10, 5_100.0)
    assert job.ends_ms == 6_000.0
    job.advance(4, 10, 5_800.0)
    assert job.ends_ms == 7_000.0
    # Begun anew after an outage.
    job.advance(0, 10, 60_000.0)
    assert job.ends_ms is None
    job.advance(2, 10, 60_400.0)
    assert (job.step, job.total_steps, job.ends_ms) == (2, 10, 62_000.0)

    # And where it went on where it had stopped: the outage is not its pace.
    job.begin_anew()
    assert job.ends_ms is None
    job.advance(2, 10, 500_000.0)
    job.advance(3, 10, 500_100.0)
    assert job.ends_ms == 500_800.0

    job.succeed()
    assert job.ends_ms == job.ended_ms


async def test_what_an_outage_took_is_no_part_of_the_pace_of_a_job_that_goes_on_after_it() -> None:
    job = make_job(count=10)
    job.start()
    told: list[float | None] = []

    async def paint() -> None:
        told.append(job.ends_ms)
        done = len(told)
        job.advance(done, 10, 600_000.0 * done)
        job.advance(done + 1, 10, 600_000.0 * done + 500.0)
        told.append(job.ends_ms)
        if done == 1:
            raise InferenceBusyError("it has too much to do", retry_after_s=0.0)

    await _insist(cast(Easel, SimpleNamespace(clock=time.monotonic, limits=Limits())), job, paint)

    assert told == [None, 604_500.0, None, 1_803_500.0]

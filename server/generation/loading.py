"""Waiting for a model: the service is there and works, but no picture comes until it is loaded.

A load takes seconds to minutes, more where the weights are fetched first. That is no outage, and it
is told: a job names the model that it waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from server.errors import InferenceError
from server.generation.easel import Easel
from server.generation.job import Job
from server.generation.picture import PictureOrder


# How long nothing may come before it is asked why, and between two such questions, seconds.
LOOK_AFTER_S = 2.0
_DEADLINE_S = 2.0


async def find_loading(easel: Easel, order: PictureOrder) -> str | None:
    """Return the model that an order waits for; None if it is loaded, failed, or nobody answers."""
    try:
        offers = await easel.client.models(deadline_s=_DEADLINE_S)
    except InferenceError:
        return None
    model = offers.find(order.model)
    # One that waits for another model's load to end is not loading yet.
    return model.name if model and model.state in ("loading", "not_loaded") else None


def tell_loading(easel: Easel, job: Job, model: str | None) -> None:
    """Note which model a job waits for, and tell if that is new."""
    if job.loading != model:
        job.loading = model
        easel.notify(job)


@asynccontextmanager
async def watching_load(easel: Easel, job: Job) -> AsyncIterator[asyncio.Task[NoReturn]]:
    """Tell which model a job waits for while the body does.

    Yields:
        The task that looks: cancelled once a picture comes.

    Resources:
        To be entered and left in one task, which owns the one that looks.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(_watch(easel, job), name=f"load:{job.id}")
        try:
            yield watch
        except Exception as exc:  # noqa: BLE001  # Raised again below: outside, no group wraps it.
            failure = exc
        finally:
            watch.cancel()
            tell_loading(easel, job, None)
    if failure is not None:
        raise failure


async def _watch(easel: Easel, job: Job) -> NoReturn:
    while True:
        await asyncio.sleep(LOOK_AFTER_S)
        tell_loading(easel, job, await find_loading(easel, job.order))

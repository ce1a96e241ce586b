"""Jobs that paint a number of pictures and end: `once` and `variations`.

They run to their end whoever watches, and outlast an inference service that is restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import structlog

from server.errors import InferenceBusyError, InferenceUnavailableError
from server.generation.backoff import RETRY_CAP_S, Backoff
from server.generation.easel import Easel
from server.generation.job import Job, Kind
from server.generation.loading import find_loading, tell_loading, watching_load
from server.generation.picture import Picture, Progress
from server.streaming.frame import EncodedImage


log = structlog.get_logger(__name__)

# Variation i has seed + i; the service counts the same way, so that one can go on where another stopped.
SEEDS = 2**31


async def paint_finite(easel: Easel, job: Job) -> None:
    """Paint all pictures of a job, from the first one not yet painted on, and show them.

    Raises:
        InferenceError: If the service refuses or fails, or stays away for too long.

    Cancellation:
        Cancels the call; the pictures that were painted stay.
    """
    if job.kind is Kind.VARIATIONS:
        async with _showing(easel, job) as unshown:
            await _insist(easel, job, lambda: _paint_variations(easel, job, unshown))
    else:
        await _insist(easel, job, lambda: _paint_once(easel, job))


async def _insist(easel: Easel, job: Job, paint: Callable[[], Awaitable[None]]) -> None:
    """Paint until it is done, however often the service is busy, lost or loading meanwhile."""
    backoff = Backoff(cap_s=RETRY_CAP_S)
    began_s = easel.clock()
    give_up_s = began_s + easel.limits.retry_s
    while True:
        done = len(job.results)
        job.begin_anew()
        try:
            await paint()
            return
        except InferenceBusyError as exc:
            # It works for others meanwhile, and comes to us in time.
            if easel.clock() > give_up_s:
                raise
            log.info("job waits its turn", job=job.id, error=str(exc))
            await asyncio.sleep(exc.retry_after_s)
        except InferenceUnavailableError as exc:
            if len(job.results) > done:
                # It went on until now: this is a new outage, or only a call that took its time.
                backoff.reset()
                give_up_s = easel.clock() + easel.limits.retry_s
            elif await find_loading(easel, job.order) and easel.clock() < began_s + easel.limits.load_s:
                # Only the call has ended; the load goes on.
                give_up_s = max(give_up_s, easel.clock() + RETRY_CAP_S)
            else:
                easel.set_inference_lost(True)
            if easel.clock() > give_up_s:
                raise
            log.info("job waits for the inference service", job=job.id, error=str(exc))
            await asyncio.sleep(backoff.next_s())


async def _paint_once(easel: Easel, job: Job) -> None:
    stream = easel.client.generate_stream(
        easel.complete(job.order), previews=True, deadline_s=easel.limits.picture_s
    )
    # Closed at once where the job is cancelled, so that the service stops at once as well.
    async with watching_load(easel, job) as watch, aclosing(stream):
        async for event in stream:
            watch.cancel()
            tell_loading(easel, job, None)
            easel.set_inference_lost(False)
            if isinstance(event, Progress):
                job.advance(event.step, event.total_steps)
                if event.preview:
                    easel.results.put(EncodedImage(event.preview, "jpeg", 0, 0), preview_id(job))
            else:
                job.advance(event.metadata.steps, event.metadata.steps)
                easel.keep(job, event)
                easel.show(job.id, event, final=True)
            easel.notify(job)


async def _paint_variations(easel: Easel, job: Job, unshown: asyncio.Queue[Picture | None]) -> None:
    """Paint the pictures that are still owed, as fast as they come: a slow canvas holds up no service.

    Args:
        easel: What it works with.
        job: Of at most as many pictures as the service paints in one call.
        unshown: Gets them; bounded by their number.
    """
    done = len(job.results)
    job.advance(done, job.count)
    order = easel.complete(job.order)
    order = replace(order, seed=((order.seed or 0) + done) % SEEDS)
    stream = easel.client.variations(order, job.count - done, deadline_s=easel.limits.picture_s)
    async with watching_load(easel, job) as watch, aclosing(stream):
        async for picture in stream:
            watch.cancel()
            tell_loading(easel, job, None)
            easel.set_inference_lost(False)
            easel.keep(job, picture)
            job.advance(len(job.results), job.count)
            unshown.put_nowait(picture)
            easel.notify(job)


@asynccontextmanager
async def _showing(easel: Easel, job: Job) -> AsyncIterator[asyncio.Queue[Picture | None]]:
    """Show pictures in turn, each no sooner than the canvas's rate asks, until the body is over and all are.

    Yields:
        Where the body puts them.

    Cancellation:
        Shows no further one, as an error of the body does.
    """
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        unshown: asyncio.Queue[Picture | None] = asyncio.Queue()
        showing = tasks.create_task(_show(easel, job, unshown), name=f"show:{job.id}")
        try:
            yield unshown
        except Exception as exc:  # noqa: BLE001  # Raised again below: outside, no group wraps it.
            failure = exc
            showing.cancel()
        else:
            unshown.put_nowait(None)
    if failure is not None:
        raise failure


async def _show(easel: Easel, job: Job, unshown: asyncio.Queue[Picture | None]) -> None:
    due_s = easel.clock()
    shown = 0
    while (picture := await unshown.get()) is not None:
        if easel.canvas is not None:
            await easel.until_due(due_s)
            due_s = max(due_s, easel.clock()) + 1.0 / easel.fps(job)
        shown += 1
        easel.show(job.id, picture, final=shown == job.count)


def preview_id(job: Job) -> str:
    """Return the id under which a job's newest preview is kept."""
    return f"{job.id}:preview"

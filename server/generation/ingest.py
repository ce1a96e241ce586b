"""Jobs that show what a source outside pushes: a camera, a show controller, a film.

The newest picture wins: beyond `MAX_FPS`, and while the one before is judged, pictures conflate in
the job's feed. A picture that is not one is told to its source and ends nothing.
"""

from __future__ import annotations

import asyncio

from server.errors import InvalidError
from server.generation.easel import Easel
from server.generation.feed import Feed, Pushed
from server.generation.job import Job
from server.streaming.canvas import Canvas
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders


# No screen shows more, and each frame costs something for each of them.
MAX_FPS = 60.0
# A source's 60 is never quite ours: at exactly as many, its pictures would soon wait for their turn.
INTERVAL_S = 1.0 / (1.02 * MAX_FPS)
# So many intervals may be caught up with: after a pause, pictures leave as they come, not in its wake.
CAUGHT_UP = 4
# How often the number of shown pictures is told to those who watch jobs, seconds: each telling goes
# to every screen of the canvas.
TOLD_EVERY_S = 1.0


async def judge(data: bytes, *, field: str = "body") -> EncodedImage:
    """Judge an image file: a JPEG by its parts, the others by decoding them; large ones in a thread.

    Raises:
        UnsupportedMediaError: If it is none that we take.
        TooBigError: If its bytes or its pixels are over the limit.
        InvalidError: If it is cut short or broken.

    Cancellation:
        Loses nothing; a thread that has begun goes on to its end.
    """
    is_jpeg = data[:2] == b"\xff\xd8"
    if is_jpeg and len(data) <= encoders.QUICK_BYTES:
        # Quicker than any thread begins.
        return encoders.inspect(data, field=field)
    return await asyncio.to_thread(_judge, data, field, is_decoded=not is_jpeg)


def _judge(data: bytes, field: str, *, is_decoded: bool) -> EncodedImage:
    image = encoders.inspect(data, field=field)
    if is_decoded:
        # Their heads may hold megabytes of packed text.
        encoders.decode(image.data)
    return image


async def show_feed(easel: Easel, job: Job) -> None:
    """Show what the job's source pushes, until it goes.

    Cancellation:
        Ends it; the canvas keeps the last picture.
    """
    feed, canvas, lane = job.feed, easel.canvas, easel.lane
    assert feed is not None
    assert canvas is not None
    feed.on_change = lane.wake
    due_s = easel.clock()
    told_s = float("-inf")
    counted = 0
    while not feed.is_spent:
        feed.set_demand(canvas.demand_fps)
        # It would never end by itself, and others may have begun to wait before it began.
        lane.yield_to_waiting()
        if not feed.has_waiting:
            await lane.changed()
            continue
        # Taken only when it is due: until then a newer one may come.
        await easel.until_due(due_s)
        pushed = feed.take()
        assert pushed is not None
        due_s = max(due_s, easel.clock() - CAUGHT_UP * INTERVAL_S) + INTERVAL_S
        canvas.dropped += feed.dropped - counted
        counted = feed.dropped
        await _show(canvas, job, feed, pushed)
        if easel.clock() - told_s >= TOLD_EVERY_S:
            told_s = easel.clock()
            easel.notify(job)


async def _show(canvas: Canvas, job: Job, feed: Feed, pushed: Pushed) -> None:
    try:
        image = await judge(pushed.data, field="image")
    except InvalidError as exc:
        feed.refuse(exc)
        return
    frame = canvas.publish(image, timestamp_ms=pushed.received_ms, job=job.id)
    feed.accept(frame.sequence)
    job.step = feed.accepted

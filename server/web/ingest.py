"""`GET /canvases/{slug}/ingest`: pictures from elsewhere, as the messages of a WebSocket.

The handler reads at full speed and puts each picture into its job's feed, where the newest wins; a
task beside it tells the source what has become of them. What a source is told never piles up,
however much it sends and however little it reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from server.errors import InvalidError, PsycheError
from server.generation.feed import Feed
from server.generation.ingest import MAX_FPS
from server.generation.job import Job, Kind, State
from server.generation.picture import PictureOrder
from server.streaming.canvas import Canvas
from server.streaming.clock import Clock, now_ms
from server.streaming.images.encoders import MAX_IMAGE_BYTES
from server.streaming.registry import check_slug
from server.streaming.wire import CloseCode
from server.web.endings import CLOSE_S, close, cut_off_after
from server.web.keys import PARTS


log = structlog.get_logger(__name__)

# How often a source is told how it fares, seconds; at once where screens come or go.
STATUS_S = 1.0
# Messages that were no picture and are told, per second; all are counted.
MAX_ERRORS = 10
# Answers that may wait for a source which does not read; beyond, they are not given.
MAX_WAITING = 16
# A silent source is asked this often whether it is still there, seconds.
HEARTBEAT_S = 30.0
# What may wait in the transport before the teller waits for the source to read.
WRITE_BUFFER_BYTES = 16 * 1024
# Messages that are read in one go: a source may send thousands that hold nothing.
_READ_IN_A_ROW = 64

# How the source's connection closes, by the reason that its job ended for, and whether it may come
# back by itself. Taken over, it must not: two sources would take the canvas from each other for ever.
_CLOSES = {
    "deleted": (CloseCode.NO_SUCH_CANVAS, False),
    "stopped": (CloseCode.GOING_AWAY, True),
}
_TAKEN_OVER = (CloseCode.POLICY, False)
_FAILED = (CloseCode.INTERNAL, True)

routes = web.RouteTableDef()


@routes.get("/canvases/{slug}/ingest", allow_head=False)
async def ingest(request: web.Request) -> web.StreamResponse:
    """Show what a source pushes, for as long as it is there and nothing else takes the canvas."""
    parts = request.app[PARTS]
    slug = check_slug(request.match_info["slug"])
    ws = _Socket(
        request,
        compress=False,
        # aiohttp refuses what reaches this.
        max_msg_size=MAX_IMAGE_BYTES + 1,
        heartbeat=HEARTBEAT_S,
        # The teller waits for the socket after every message.
        writer_limit=0,
    )
    if not ws.can_prepare(request):
        raise InvalidError("this address is a WebSocket: connect with an upgrade", field="upgrade")
    # All is judged before anything is changed, and told as HTTP.
    parts.registry.check_room([slug])
    parts.desk.check_room([parts.registry.resolve(slug)], now=True)
    canvas = parts.registry.ensure(slug, is_temporary=False)
    feed = Feed()
    job = Job(kind=Kind.INGEST, order=PictureOrder(prompt=""), canvas=canvas.slug, source="ingest", feed=feed)
    parts.desk.submit(job)
    try:
        await ws.prepare(request)
        await Source(request, ws, canvas, job, feed).serve()
    except Exception:
        # The outermost boundary of a connection; above, an HTTP answer would go into the stream.
        log.exception("ingest failed", canvas=canvas.slug, job=job.id)
        await close(request, ws, CloseCode.INTERNAL, "internal error")
    finally:
        feed.end()
        if job.state is State.QUEUED:
            parts.desk.cancel(job, "disconnected")
    return ws


class _Socket(web.WebSocketResponse):
    """Says why before aiohttp closes by itself, as it does where a message is too big."""

    def __init__(self, request: web.Request, **options: Any) -> None:
        super().__init__(**options)
        self._request = request

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        if code == CloseCode.TOO_BIG and not self.closed:
            reason = f"a message is over the limit of {MAX_IMAGE_BYTES} bytes"
            bye = {"type": "bye", "reason": reason, "reconnect": False}
            with contextlib.suppress(ConnectionError), cut_off_after(self._request, CLOSE_S):
                await self.send_str(json.dumps(bye))
        return await super().close(code=code, message=message, drain=drain)


class Answers:
    """What a source is to be told, and has not been yet.

    Args:
        describe: Says how the source fares, for the status: `demand_fps` and counters.
    """

    def __init__(self, describe: Callable[[], dict[str, Any]], clock: Clock = time.monotonic) -> None:
        self._describe = describe
        self._clock = clock
        self._waiting: deque[dict[str, Any]] = deque()
        self._errors_at: deque[float] = deque(maxlen=MAX_ERRORS)
        self._status: dict[str, Any] = {"demand_fps": 0.0}
        self._status_at = clock()
        self._wake = asyncio.Event()

    def post(self, message: dict[str, Any]) -> None:
        """Put an answer in, if not too many wait."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(message)
            self._wake.set()

    def refuse(self, error: PsycheError) -> None:
        """Tell why a message was no picture, if that was not told too often."""
        now_s = self._clock()
        if len(self._errors_at) == MAX_ERRORS and now_s - self._errors_at[0] < 1.0:
            return
        self._errors_at.append(now_s)
        about = {"code": error.code, "message": str(error)}
        self.post({"type": "error", "error": {**about, "field": error.field} if error.field else about})

    def look_again(self) -> None:
        """Have the status told at once, if screens have come or gone."""
        self._wake.set()

    def take(self) -> dict[str, Any] | None:
        """Take the next answer, the status if it is due, or None."""
        self._wake.clear()
        if self._waiting:
            return self._waiting.popleft()
        status, now_s = self._describe(), self._clock()
        has_turned = (status["demand_fps"] > 0.0) != (self._status["demand_fps"] > 0.0)
        if status == self._status or not (has_turned or now_s >= self._status_at):
            return None
        self._status, self._status_at = status, now_s + STATUS_S
        return {"type": "status", **status}

    async def wait(self) -> None:
        """Wait until something may have become takeable.

        Cancellation:
            Loses nothing: this takes nothing.
        """
        pause_s = self._status_at - self._clock()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s if pause_s > 0.0 else STATUS_S):
                await self._wake.wait()


class Source:
    """A WebSocket that pictures come from, from its hello to its end."""

    def __init__(
        self, request: web.Request, ws: web.WebSocketResponse, canvas: Canvas, job: Job, feed: Feed
    ) -> None:
        self.parts = request.app[PARTS]
        self.request = request
        self.ws = ws
        self.canvas = canvas
        self.job = job
        self.feed = feed
        self.answers = Answers(self._status)
        # Whether the job has ended: nothing is told any more but that.
        self._is_over = False
        self._reading: asyncio.Timeout | None = None
        feed.on_demand = self.answers.look_again
        feed.on_refused = self._refuse
        if request.transport is not None:
            request.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES, low=0)

    def _refuse(self, error: PsycheError) -> None:
        self.parts.tally.count("pictures refused", canvas=self.canvas.slug)
        self.answers.refuse(error)

    async def serve(self) -> None:
        """Take pictures in and tell what becomes of them until either side has enough."""
        about = log.bind(canvas=self.canvas.slug, job=self.job.id)
        about.debug("source connected")
        self.parts.tally.count("sources connected", canvas=self.canvas.slug)
        reason = ""
        try:
            async with asyncio.TaskGroup() as tasks:
                teller = tasks.create_task(self._tell(), name=f"teller:{self.job.id}")
                beside = [
                    teller,
                    tasks.create_task(self._stop_with_the_server(), name=f"stopper:{self.job.id}"),
                    tasks.create_task(self._end_with_the_job(teller), name=f"ender:{self.job.id}"),
                ]
                try:
                    reason = await self._read()
                finally:
                    for task in beside:
                        task.cancel()
        except* ConnectionError:
            reason = "connection lost"
        finally:
            feed = self.feed
            self.parts.tally.count("sources gone", canvas=self.canvas.slug)
            about.debug(
                "source gone",
                reason=reason,
                close_code=self.ws.close_code,
                accepted=feed.accepted,
                dropped=feed.dropped,
                refused=feed.refused,
            )

    async def _read(self) -> str:
        """Take what the source sends until it goes, breaks the rules or is to go; tell which."""
        try:
            async with asyncio.timeout(None) as self._reading:
                return await self._take_all()
        except TimeoutError:
            code, reason, _ = self._end()
        finally:
            self._reading = None
        await close(self.request, self.ws, code, reason)
        return reason

    async def _take_all(self) -> str:
        """Take what the source sends until it goes or breaks the rules; tell which."""
        count = 0
        async for message in self.ws:
            if message.type is WSMsgType.BINARY:
                self.feed.offer(bytes(message.data), now_ms())
            elif message.type is WSMsgType.TEXT:
                if message.data == "ping":
                    self.answers.post({"type": "pong"})
                else:
                    self.parts.counters.ignored_messages += 1
            else:
                # aiohttp found the message malformed or too big, and has closed.
                return str(message.data)
            count += 1
            if count % _READ_IN_A_ROW == 0:
                await asyncio.sleep(0)
        return ""

    async def _tell(self) -> None:
        await self._send(self._hello())
        while not self._is_over:
            answer = self.answers.take()
            if answer is None:
                await self.answers.wait()
            else:
                await self._send(answer)

    async def _stop_with_the_server(self) -> None:
        await self.parts.is_stopping.wait()
        self.parts.desk.cancel(self.job, "stopped")

    async def _end_with_the_job(self, teller: asyncio.Task[None]) -> None:
        """Tell the source that its job has ended, for whatever reason, and have it sent away."""
        await self.job.ended.wait()
        self._is_over = True
        self.answers.look_again()
        _, reason, reconnect = self._end()
        with cut_off_after(self.request, CLOSE_S):
            # Not cancelled: what it waits for would be cancelled for those who close, too.
            await teller
            await self._send({"type": "bye", "reason": reason, "reconnect": reconnect})
        # Not closed from here: while somebody reads, aiohttp ends the connection without waiting for the
        # answer. What the source still sends then would be refused, and its system would throw away what
        # it has not read.
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())

    def _end(self) -> tuple[CloseCode, str, bool]:
        """Return how the job's end is told: the close code, why, and whether to come back."""
        reason = self.job.reason or self.job.state.value
        code, reconnect = _FAILED if self.job.state is State.FAILED else _CLOSES.get(reason, _TAKEN_OVER)
        return code, reason, reconnect

    async def _send(self, message: dict[str, Any]) -> None:
        # The first programs and these answer a text `ping` with a text `pong`.
        await self.ws.send_str("pong" if message["type"] == "pong" else json.dumps(message))

    def _hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "job": self.parts.desk.describe(self.job),
            "limits": {"fps": MAX_FPS, "image_bytes": MAX_IMAGE_BYTES},
        }

    def _status(self) -> dict[str, Any]:
        feed = self.feed
        # A job that waits for its turn shows nothing to anybody.
        demand_fps = self.canvas.demand_fps if self.job.state is State.RUNNING else 0.0
        return {
            "sequence": feed.sequence,
            "accepted": feed.accepted,
            "dropped": feed.dropped,
            "refused": feed.refused,
            "demand_fps": min(demand_fps, MAX_FPS),
        }

"""`GET /canvases/{slug}/stream.mjpeg`: a canvas as an endless answer of JPEG files.

For players, cameras' clients and a plain `<img>`. Each is a subscriber like any screen, but silent:
what its socket has not taken bounds it, the newest frame wins, and it is cut off when it takes
nothing for too long.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from aiohttp import web

from server.streaming import multipart
from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.frame import Frame
from server.streaming.images.slate import slate
from server.streaming.registry import check_slug
from server.streaming.wire import CloseCode, Form
from server.web.endings import abort
from server.web.keys import PARTS
from server.web.outlet import Outlet
from server.web.queries import MAX_WIDTH_PX, fps_of, width_of
from server.web.tcp import TransportLink, bound


log = structlog.get_logger(__name__)

# How often it is looked whether the reader is still there and whether a frame should be repeated,
# seconds: nothing tells of a reader that goes while nothing is written.
LOOK_S = 0.25
# How long a stream may be silent, seconds: players take longer silence for a fault, and proxies end it.
KEEP_ALIVE_S = 5.0

# What a slate says of a canvas's state; of all others, that nothing was shown.
_SLATES = {"unavailable": "inference unavailable", "paused": "paused"}
_NOTHING = "nothing yet"

routes = web.RouteTableDef()


class EndlessResponse(web.StreamResponse):
    """An answer that ends with its connection: neither a length nor chunks, whose writer is not ours."""

    _length_check = False

    def __init__(self) -> None:
        super().__init__(
            headers={
                "Content-Type": multipart.CONTENT_TYPE,
                "Cache-Control": "no-store",
                # nginx would collect frames before it passes any on.
                "X-Accel-Buffering": "no",
            }
        )
        self.force_close()


@routes.get("/canvases/{slug}/stream.mjpeg")
async def stream(request: web.Request) -> web.StreamResponse:
    """Stream a canvas to whoever reads MJPEG."""
    fps, width = fps_of(request), width_of(request)
    canvas = _canvas(request)
    response = EndlessResponse()
    if request.method == "HEAD":
        return response
    is_ahead = multipart.is_ahead_for(request.headers.get("User-Agent", ""))
    with canvas.subscribe(Form.MJPEG_AHEAD if is_ahead else Form.MJPEG) as subscriber:
        # Of its height nothing is known: it follows from the picture's.
        subscriber.show(is_shown=True, viewport=(width, MAX_WIDTH_PX) if width else None, max_fps=fps)
        canvas.demand_changed(subscriber)
        writer = await response.prepare(request)
        if writer is not None and request.transport is not None:
            bound(request.transport)
            link = TransportLink(request.transport)
            link.write(multipart.opening(is_ahead=is_ahead))
            outlet = Outlet(
                canvas,
                subscriber,
                link,
                drain=writer.drain,
                abort=request.transport.abort,
                deadline_s=request.app[PARTS].settings.send_deadline_s,
            )
            try:
                await Stream(request, canvas, subscriber, outlet, width).serve()
            except Exception:
                # The outermost boundary of a stream; above, another answer would go into this one.
                log.exception("stream failed", canvas=canvas.slug)
                abort(request)
    return response


def _canvas(request: web.Request) -> Canvas:
    """Return the canvas that is asked for, making a temporary one for whoever means to watch it.

    Raises:
        UnknownCanvasError: If there is none and none is made.
        ServerFullError: If there are as many as there may be.
    """
    parts = request.app[PARTS]
    slug = check_slug(request.match_info["slug"])
    makes_one = request.method != "HEAD" and not _may_be_foreign(request)
    if not makes_one or not parts.access.is_authorised(request):
        return parts.registry.get(slug)
    return parts.registry.ensure(slug, is_temporary=True)


def _may_be_foreign(request: web.Request) -> bool:
    """Tell whether a page of another site may have put this address into an image.

    No browser asks us before it loads one. It tells where the page stands, but only an address that it
    trusts (https, or this machine): of any other, what has neither that nor an origin may come from anywhere.
    """
    headers = request.headers
    if any(name.lower().startswith("sec-fetch-") for name in headers):
        return headers.get("Sec-Fetch-Site") not in ("same-origin", "none")
    # An origin was judged before.
    return "Origin" not in headers and headers.get("User-Agent", "").startswith("Mozilla/")


class Stream:
    """An endless answer that receives a canvas, from its first part to its end."""

    def __init__(
        self,
        request: web.Request,
        canvas: Canvas,
        subscriber: Subscriber,
        outlet: Outlet,
        width: int | None,
    ) -> None:
        self.parts = request.app[PARTS]
        self.request = request
        self.canvas = canvas
        self.subscriber = subscriber
        self.outlet = outlet
        self.width = width
        # What the slate says that is shown, empty where none is.
        self._said = ""
        self._sent_frames = 0
        self._repeat_at = 0.0

    async def serve(self) -> None:
        """Send until the canvas is removed, the server stops or the reader goes."""
        canvas, subscriber = self.canvas, self.subscriber
        about = log.bind(canvas=canvas.slug, subscriber=subscriber.number, form=subscriber.form.value)
        about.debug("stream connected", subscribers=len(canvas.subscribers))
        self.parts.tally.count("streams connected", canvas=canvas.slug)
        reason = ""
        self.parts.counters.connections += 1
        try:
            async with asyncio.TaskGroup() as tasks:
                name = f"keeper:{canvas.slug}:{subscriber.number}"
                keeper = tasks.create_task(self._keep_alive(), name=name)
                try:
                    reason = (await self.outlet.run()).reason
                finally:
                    keeper.cancel()
        except* ConnectionError:
            reason = "connection lost"
        finally:
            # Its link may have been cut by then, or still be full.
            end = self.outlet.writer.end
            if end is not None and end.close_code == CloseCode.TOO_SLOW:
                reason = end.reason
                self.parts.counters.too_slow += 1
                self.parts.tally.count("too slow", canvas=canvas.slug)
                abort(self.request)
            self.parts.tally.count("streams gone", canvas=canvas.slug)
            about.debug(
                "stream gone",
                reason=reason,
                seconds=round((now_ms() - subscriber.connected_ms) / 1000.0, 1),
                sent_frames=subscriber.flow.sent_frames,
                replaced=subscriber.mailbox.replaced,
            )

    async def _keep_alive(self) -> None:
        """Show a slate where there is nothing else, and repeat what was shown last now and then.

        Raises:
            ConnectionError: If the reader has gone.
        """
        while True:
            if self.canvas.newest is None:
                await self._show_slate()
            await asyncio.sleep(LOOK_S)
            if self.request.transport is None or self.request.transport.is_closing():
                raise ConnectionResetError("the reader has gone")
            self._repeat(time.monotonic())

    def _repeat(self, now_s: float) -> None:
        """Repeat the last frame once when it rests, and then so often that the stream is never silent.

        Some browsers draw a frame only once they have read the next one.
        """
        mailbox, sent_frames = self.subscriber.mailbox, self.subscriber.flow.sent_frames
        if sent_frames != self._sent_frames:
            self._sent_frames = sent_frames
            self._repeat_at = min(self.canvas.rests_at_s, now_s + KEEP_ALIVE_S)
        elif now_s >= self._repeat_at and mailbox.newest and not mailbox.has_frame:
            self._repeat_at = now_s + KEEP_ALIVE_S
            # That this one is sent, too, is no reason to repeat it soon.
            self._sent_frames += 1
            mailbox.offer(mailbox.newest)

    async def _show_slate(self) -> None:
        """Show what keeps the canvas from showing anything, if that is not shown already."""
        config, loop = self.canvas.config, asyncio.get_running_loop()
        line = _SLATES.get(self.canvas.status.get("state", ""), _NOTHING)
        if line == self._said:
            return
        self._said = line
        scale = min(1.0, self.width / config.width) if self.width else 1.0
        size = max(1, round(config.width * scale)), max(1, round(config.height * scale))
        image = await loop.run_in_executor(self.parts.executor, slate, *size, self.canvas.slug, line)
        if self.canvas.newest is not None:
            return
        shown_ms = now_ms()
        self.subscriber.mailbox.offer(
            Frame(
                canvas=self.canvas.slug,
                # Before the first frame of the canvas.
                sequence=0,
                image_id=f"{self.canvas.epoch}-slate",
                timestamp_ms=shown_ms,
                published_ms=shown_ms,
                image=image,
            )
        )

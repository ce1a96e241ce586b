"""`GET /ws/{slug}`: one connection receiving one canvas.

The handler reads; a writer task beside it sends whatever the mailbox lets go. All cleanup is in
`finally` and `with`: a handler may be cancelled, or see its peer vanish, at any await.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from server.errors import InvalidError, ProtocolError, ServerFullError, UnknownCanvasError
from server.streaming import wire
from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.delivery.mailbox import MailboxClosed, Message
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.flow.control import DEFAULT_LIMIT
from server.streaming.wire import CloseCode, Form
from server.web.client_messages import handle_message
from server.web.keys import PARTS, Parts


log = structlog.get_logger(__name__)

# What a silent subscriber may leave unsent in the kernel; without it megabytes of old frames hide there.
NOTSENT_LOWAT_BYTES = 128 * 1024
# What may be left in the transport's own buffer before the writer waits for all of it to go.
WRITE_BUFFER_BYTES = 16 * 1024
# How long a peer may take to answer a close, seconds.
CLOSE_S = 2.0
# A peer that vanished without a word is found by the kernel: idle s, s between probes, probes.
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class TooSlow(Exception):
    """The subscriber has acknowledged nothing for as long as it may."""


async def canvas_socket(request: web.Request) -> web.StreamResponse:
    """Stream a canvas to a browser or a script."""
    parts = request.app[PARTS]
    slug = request.match_info["slug"]
    # A bad slug is told as HTTP, before the upgrade.
    with contextlib.suppress(UnknownCanvasError):
        parts.registry.get(slug)
    ws = web.WebSocketResponse(
        protocols=(wire.MSGPACK_PROTOCOL, wire.JSON_PROTOCOL),
        compress=False,
        max_msg_size=wire.MAX_CLIENT_MESSAGE_BYTES,
        # The writer waits for the socket after every message, not after every 64 KiB.
        writer_limit=0,
    )
    await ws.prepare(request)
    try:
        canvas = _find(parts, request, slug)
        with canvas.subscribe(_form(request, ws)) as subscriber:
            parts.counters.connections += 1
            await Connection(parts, request, ws, canvas, subscriber).serve()
    except ServerFullError as exc:
        await close(request, ws, CloseCode.FULL, str(exc))
    except UnknownCanvasError as exc:
        await close(request, ws, CloseCode.NO_SUCH_CANVAS, str(exc))
    except Exception:
        # The outermost boundary of a connection; above, an HTTP answer would go into the stream.
        log.exception("connection failed", canvas=slug)
        await close(request, ws, CloseCode.INTERNAL, "internal error")
    return ws


def _form(request: web.Request, ws: web.WebSocketResponse) -> Form:
    if request.query.get("format") == "json":
        return Form.SEED_JSON
    return Form.JSON if ws.ws_protocol == wire.JSON_PROTOCOL else Form.MSGPACK


def _find(parts: Parts, request: web.Request, slug: str) -> Canvas:
    """Return the canvas that a screen names, making a temporary one if it may."""
    if parts.access.is_authorised(request):
        return parts.registry.ensure(slug, is_temporary=True)
    return parts.registry.get(slug)


class Connection:
    """A WebSocket that receives a canvas, from its hello to its end."""

    def __init__(
        self,
        parts: Parts,
        request: web.Request,
        ws: web.WebSocketResponse,
        canvas: Canvas,
        subscriber: Subscriber,
    ) -> None:
        self.parts = parts
        self.request = request
        self.ws = ws
        self.canvas = canvas
        self.subscriber = subscriber
        self.mailbox = subscriber.mailbox
        self.deadline_s = parts.settings.send_deadline_s
        self._transport = request.transport
        # Whether the writer is closing the connection and must not be cancelled for that.
        self._is_closing = False
        self._is_bounded_by_socket = True
        self._is_cut_off = False
        self._farewell: asyncio.TimerHandle | None = None
        self.mailbox.on_close = self._hurry
        _tune(self._transport)

    async def serve(self) -> None:
        """Send and receive until either side has enough."""
        canvas, subscriber = self.canvas, self.subscriber
        about = log.bind(canvas=canvas.slug, subscriber=subscriber.number, form=subscriber.form.value)
        about.info("screen connected", subscribers=len(canvas.subscribers))
        reason = ""
        try:
            async with asyncio.TaskGroup() as tasks:
                name = f"writer:{canvas.slug}:{subscriber.number}"
                writer = tasks.create_task(self._write_until_closed(), name=name)
                try:
                    reason = await self._read()
                finally:
                    if not self._is_closing:
                        writer.cancel()
        except* ConnectionError:
            reason = "connection lost"
        finally:
            if self._farewell:
                self._farewell.cancel()
            if self._is_cut_off:
                reason = "too slow"
            about.info(
                "screen gone",
                reason=reason,
                close_code=self.ws.close_code,
                seconds=round((now_ms() - subscriber.connected_ms) / 1000.0, 1),
                sent_frames=self.mailbox.window.sent_frames,
                replaced=self.mailbox.replaced,
                skipped=subscriber.skipped,
            )

    async def _read(self) -> str:
        """Take what the peer sends until it goes or breaks the rules; tell which."""
        async for message in self.ws:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                # aiohttp found the message malformed or too big, and has closed.
                return str(message.data)
            try:
                handle_message(self.canvas, self.subscriber, message.data, time.monotonic())
            except ProtocolError as exc:
                self.parts.counters.protocol_errors += 1
                await close(self.request, self.ws, exc.close_code, str(exc))
                return str(exc)
        return ""

    async def _write_until_closed(self) -> None:
        """Send whatever there is until the mailbox is closed or the peer is too slow."""
        try:
            await self._write()
        except MailboxClosed as end:
            self._is_closing = True
            with contextlib.suppress(ConnectionError):
                bye = {"type": "bye", "reason": end.reason, "reconnect": end.reconnect}
                await self._send_message(bye, deadline_s=CLOSE_S)
            await close(self.request, self.ws, end.close_code, end.reason)
        except TooSlow:
            self._is_closing = True
            self.parts.counters.too_slow += 1
            reason = f"nothing was acknowledged for {self.deadline_s} s"
            await close(self.request, self.ws, CloseCode.TOO_SLOW, reason)

    async def _write(self) -> None:
        """Send what the mailbox lets go, control first."""
        canvas, subscriber, mailbox = self.canvas, self.subscriber, self.mailbox
        await self._send_message(self._hello())
        if canvas.status:
            await self._send_message(canvas.status)
        while True:
            while (message := mailbox.take_message()) is not None:
                await self._send_message(message)
            frame = mailbox.take_frame(time.monotonic())
            if frame is None:
                await self._wait()
                continue
            try:
                payload = await canvas.renditions.payload(frame, subscriber.form, subscriber.formats)
            except InvalidError:
                # A pushed image may be whole by its header and end, and broken in between. Whoever
                # takes it as it is finds out; who would need it in another format keeps the last one.
                self.parts.counters.undecodable_frames += 1
                continue
            now_s = time.monotonic()
            mailbox.window.sent(frame.sequence, len(payload), now_s)
            subscriber.out.count(now_s)
            self._unbound_socket()
            await self._send(payload, self.deadline_s)

    async def _wait(self) -> None:
        """Wait for something to send.

        Raises:
            MailboxClosed: If nothing more comes.
            TooSlow: If a frame waits and the peer has acknowledged nothing for too long.
        """
        now_s = time.monotonic()
        patience_s = None
        window = self.mailbox.window
        if self.mailbox.has_frame and self.mailbox.is_visible and window.in_flight >= window.limit:
            patience_s = self.deadline_s - self.mailbox.window.stalled_for_s(now_s)
        try:
            async with asyncio.timeout(patience_s):
                await self.mailbox.wait(now_s)
        except TimeoutError:
            raise TooSlow from None

    async def _send(self, payload: bytes | str, deadline_s: float) -> None:
        """Send a message and wait until its socket has taken it.

        Raises:
            ConnectionError: If the peer is gone, or has been cut off because it took nothing.
        """
        # Not `asyncio.timeout`: a drain that was cancelled cancels every later one of its connection,
        # https://github.com/aio-libs/aiohttp/blob/v3.14.5/aiohttp/base_protocol.py
        deadline = asyncio.get_running_loop().call_later(deadline_s, self._cut_off)
        try:
            if isinstance(payload, str):
                await self.ws.send_str(payload)
            else:
                await self.ws.send_bytes(payload)
        finally:
            deadline.cancel()

    def _cut_off(self) -> None:
        """End the connection at once: a close frame would wait behind what the peer does not read."""
        self.parts.counters.too_slow += 1
        self._is_cut_off = True
        abort(self.request)

    def _hurry(self) -> None:
        """Limit the time that a message may still take which is being sent when the mailbox closes."""
        loop = asyncio.get_running_loop()
        self._farewell = self._farewell or loop.call_later(CLOSE_S, abort, self.request)

    async def _send_message(self, message: Message, *, deadline_s: float | None = None) -> None:
        form = self.subscriber.form
        if form is Form.SEED_JSON:
            # The first clients know frames only.
            return
        is_pong = message["type"] == "pong"
        payload = "pong" if is_pong else wire.pack_message(message, form)
        await self._send(payload, deadline_s or self.deadline_s)

    def _hello(self) -> Message:
        return {
            "type": "hello",
            "protocol": wire.PROTOCOL,
            "epoch": self.canvas.epoch,
            "canvas": self.canvas.to_json(),
            "server_time_ms": now_ms(),
            "limits": {
                "message_bytes": wire.MAX_CLIENT_MESSAGE_BYTES,
                "unacknowledged_frames": DEFAULT_LIMIT,
                "send_deadline_s": self.deadline_s,
            },
            "features": ["ack", "time", "status"],
        }

    def _unbound_socket(self) -> None:
        """Lift the socket's own bound once acknowledgements bound the peer: it costs CPU on large frames."""
        if self._is_bounded_by_socket and self.mailbox.window.is_acknowledging:
            self._is_bounded_by_socket = False
            sock = _tcp_socket(self._transport)
            if sock is not None:
                # 0 is the system's own default.
                _set_option(sock, "TCP_NOTSENT_LOWAT", 0)


async def close(request: web.Request, ws: web.WebSocketResponse, code: int, reason: str) -> None:
    """Close politely, but not for long."""
    # A close frame holds at most 123 bytes of reason, and no half letter.
    message = reason.encode()[:123].decode(errors="ignore").encode()
    try:
        async with asyncio.timeout(CLOSE_S):
            await ws.close(code=int(code), message=message)
    except ConnectionError:
        return
    except TimeoutError:
        abort(request)


def abort(request: web.Request) -> None:
    """End a connection whose peer reads nothing: what waits to be sent would keep it open."""
    if request.transport is not None:
        request.transport.abort()


@contextlib.contextmanager
def cut_off_after(request: web.Request, deadline_s: float) -> Iterator[None]:
    """Abort a connection whose peer does not let what is inside come to its end in time.

    Not `asyncio.timeout`: see `Connection._send`.
    """
    deadline = asyncio.get_running_loop().call_later(deadline_s, abort, request)
    try:
        yield
    finally:
        deadline.cancel()


def _tune(transport: asyncio.Transport | None) -> None:
    """Keep what hides in the kernel small, and have it find peers that vanished."""
    if transport is None:
        return
    transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES, low=0)
    sock = _tcp_socket(transport)
    if sock is None:
        return
    _set_option(sock, "TCP_NOTSENT_LOWAT", NOTSENT_LOWAT_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        _set_option(sock, name, value)


def _tcp_socket(transport: asyncio.Transport | None) -> Any:
    sock = transport.get_extra_info("socket") if transport is not None else None
    return sock if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) else None


def _set_option(sock: Any, name: str, value: int) -> None:
    """Set a TCP option where the system has it and the peer is still there."""
    option = getattr(socket, name, None)
    if option is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)

"""A WebSocket that receives a canvas, from its hello to its end.

The handler reads, and what it reads is acted upon at once: an acknowledgement that opens the window has
the next frame written before the next message is looked at. A task beside it, the outlet, waits where
the socket is full. All cleanup is in `finally` and `with`: a handler may be cancelled, or see its peer
vanish, at any await.
"""

from __future__ import annotations

import asyncio
import functools
import time

import structlog
from aiohttp import WSMessage, WSMsgType, web
from aiohttp.abc import AbstractStreamWriter

from server.errors import ProtocolError
from server.sound import microphone
from server.streaming import wire
from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.delivery.mailbox import MailboxClosed, Message
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.delivery.writer import Writer
from server.streaming.payload import pong_bytes
from server.streaming.wire import CloseCode
from server.web import tcp
from server.web.client_messages import handle_message, handle_pong
from server.web.endings import abort, close
from server.web.inbox import install
from server.web.keys import Parts
from server.web.outlet import Outlet


log = structlog.get_logger(__name__)

_MESSAGES = (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG)
FEATURES = ("ack", "time", "status", "tiers", "present_at")


class Connection:
    """A WebSocket that receives a canvas."""

    def __init__(  # noqa: PLR0917 - everything that a connection is made of
        self,
        parts: Parts,
        request: web.Request,
        ws: web.WebSocketResponse,
        payload_writer: AbstractStreamWriter,
        canvas: Canvas,
        subscriber: Subscriber,
    ) -> None:
        """Make a connection; `serve` serves it.

        Args:
            parts: Of the application.
            request: Its upgrade.
            ws: Prepared, without `autoping`.
            payload_writer: What preparing it returned: it waits for the transport.
            canvas: What is received.
            subscriber: Who receives it.
        """
        self.parts = parts
        self.request = request
        self.ws = ws
        self.canvas = canvas
        self.subscriber = subscriber
        self.deadline_s = parts.settings.send_deadline_s
        # As it was when it connected: whoever logs in or out later has to connect again.
        subscriber.microphone.is_allowed = parts.access.is_authorised(request)
        self._payload_writer = payload_writer
        self._transport = request.transport
        self._is_bounded_by_socket = True
        # Why we close, once everything before is written; then the reader makes way for the close.
        self._end: MailboxClosed | None = None
        self._reading: asyncio.Timeout | None = None
        self._end_reason = ""
        self._close_code: int | None = None  # that we close with

    async def serve(self) -> None:
        """Send and receive until either side has enough."""
        canvas, subscriber = self.canvas, self.subscriber
        about = log.bind(canvas=canvas.slug, subscriber=subscriber.number, form=subscriber.form.value)
        about.debug("screen connected", subscribers=len(canvas.subscribers))
        self.parts.tally.count("screens connected", canvas=canvas.slug)
        reason = ""
        try:
            if self._transport is None:
                raise ConnectionResetError("connection lost")
            tcp.bound(self._transport)
            outlet = self._outlet(self._transport)
            async with asyncio.TaskGroup() as tasks:
                name = f"writer:{canvas.slug}:{subscriber.number}"
                writer = tasks.create_task(self._write(outlet), name=name)
                try:
                    reason = await self._read(outlet)
                finally:
                    writer.cancel()
        except* ConnectionError:
            reason = "connection lost"
        finally:
            self.parts.tally.count("screens gone", canvas=canvas.slug)
            about.debug(
                "screen gone",
                reason=self._end_reason or reason,
                # Of a peer that does not answer ours aiohttp says 1006.
                close_code=self._close_code or self.ws.close_code,
                seconds=round((now_ms() - subscriber.connected_ms) / 1000.0, 1),
                sent_frames=subscriber.flow.sent_frames,
                replaced=subscriber.mailbox.replaced,
                skipped=subscriber.skipped,
            )

    def _outlet(self, transport: asyncio.Transport) -> Outlet:
        mailbox = self.subscriber.mailbox
        mailbox.post(self._hello())
        if self.canvas.status:
            mailbox.post_status(self.canvas.status)
        return Outlet(
            self.canvas,
            self.subscriber,
            tcp.TransportLink(transport),
            drain=self._payload_writer.drain,
            abort=lambda: abort(self.request),
            deadline_s=self.deadline_s,
        )

    async def _write(self, outlet: Outlet) -> None:
        """Send until nothing more is to be sent, and close; the reader waits for the answer."""
        end = self._end = await outlet.run()
        if end.close_code == CloseCode.TOO_SLOW:
            self.parts.counters.too_slow += 1
            self.parts.tally.count("too slow", canvas=self.canvas.slug)
            self._end_reason = "too slow"
        # Not closed from here: while somebody reads, aiohttp ends the connection without waiting for the
        # answer. What the peer still sends then would be refused, and its system would throw away what it
        # has not read.
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())

    async def _read(self, outlet: Outlet) -> str:
        """Take what the peer sends until it goes, breaks the rules or is to go; tell which."""
        try:
            async with asyncio.timeout(None) as self._reading:
                return await self._take_all(outlet)
        except ProtocolError as exc:
            self.parts.counters.protocol_errors += 1
            self.parts.tally.count("malformed messages", canvas=self.canvas.slug)
            self._end_reason = reason = str(exc)
            code = exc.close_code
        except TimeoutError:
            assert self._end is not None
            code, reason = self._end.close_code, self._end.reason
        finally:
            self._reading = None
        self._close_code = code
        outlet.writer.stop()
        await close(self.request, self.ws, code, reason)
        return reason

    async def _take_all(self, outlet: Outlet) -> str:
        """Act upon messages until the peer goes; tell why.

        Raises:
            ProtocolError: If it breaks the rules.
        """

        def take(message: WSMessage) -> bool:
            try:
                return self._take(message, outlet.writer)
            except Exception:  # noqa: BLE001 - the task does the same again, and has somebody to tell
                return False

        install(
            self.request,
            self.ws,
            take,
            take_binary=functools.partial(self._take_binary, outlet.writer),
            max_message_bytes=wire.MAX_CLIENT_MESSAGE_BYTES,
        )
        async for message in self.ws:
            if not self._take(message, outlet.writer):
                # aiohttp found the message malformed or too big, and has closed.
                return str(message.data)
        return ""

    def _take_binary(self, writer: Writer, data: bytes) -> bool:
        """Act upon a binary message that changes nothing of the connection; tell whether it was one."""
        if self._end is not None or self._is_bounded_by_socket:
            return False
        try:
            handle_message(self.canvas, self.subscriber, data, time.monotonic())
            writer.pump()
        except Exception:  # noqa: BLE001 - as above
            return False
        return True

    def _take(self, message: WSMessage, writer: Writer) -> bool:
        """Act upon what the peer sent; tell whether it was a message, or something about the connection.

        Raises:
            ProtocolError: If it breaks the contract.
        """
        kind = message.type
        if self._end is not None and kind in _MESSAGES:
            # It may have been sent before the peer knew.
            return True
        if kind is WSMsgType.BINARY or kind is WSMsgType.TEXT:
            handle_message(self.canvas, self.subscriber, message.data, time.monotonic())
            if self._is_bounded_by_socket and self.subscriber.flow.is_acknowledging:
                self._is_bounded_by_socket = False
                tcp.unbound(self._transport)
        elif kind is WSMsgType.PONG:
            handle_pong(self.canvas, self.subscriber, message.data, time.monotonic())
        elif kind is WSMsgType.PING:
            writer.interject(pong_bytes(message.data))
            return True
        else:
            return False
        writer.pump()
        return True

    def _hello(self) -> Message:
        return {
            "type": "hello",
            "protocol": wire.PROTOCOL,
            "epoch": self.canvas.epoch,
            "canvas": self.canvas.to_json(),
            "server_time_ms": now_ms(),
            "limits": {
                "message_bytes": wire.MAX_CLIENT_MESSAGE_BYTES,
                "send_deadline_s": self.deadline_s,
                "audio_per_s": microphone.PER_S,
            },
            # Where a token is set, sound is taken from who has shown it.
            "features": [*FEATURES, *(["audio"] if self.subscriber.microphone.is_allowed else [])],
            "subscriber": self.subscriber.number,
        }

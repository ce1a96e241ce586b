"""What integration tests look at the server with: a site that runs in this process, and screens.

A site is the whole application on a real TCP port, with a real gRPC connection to an inference
service beside it. Every site watches the logs: one that has logged an error fails its test.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgpack
import numpy as np
import structlog
from aiohttp import WSMsgType, web
from fakes import FakeEngine
from services import running_service
from yarl import URL

from server.app import make_app
from server.settings import Settings
from server.streaming import wire
from server.streaming.canvas import Canvas
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders
from server.web.keys import PARTS, Parts


# For what happens at once; generous, because machines that test are busy and a server of its own may
# say where it is before its inference service is there.
SOON_S = 30.0


async def wait_for(condition: Any, *, within_s: float = SOON_S) -> Any:
    """Wait until something holds that no event tells of, and return what it gave."""
    async with asyncio.timeout(within_s):
        while not (value := condition()):  # noqa: ASYNC110 - there is no event to wait for
            # A short rest lets threads and sockets work, too.
            await asyncio.sleep(0.002)
        return value


class ErrorLogs(logging.Handler):
    """Collects what the libraries log as an error, asyncio's lost exceptions included."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()} {record.exc_info or ''}")


@contextlib.contextmanager
def no_errors_logged() -> Iterator[list[Any]]:
    """Fail if anything logs an error; gives our own log's events."""
    library_errors = ErrorLogs()
    logging.getLogger().addHandler(library_errors)
    try:
        with structlog.testing.capture_logs() as events:
            yield events
    finally:
        logging.getLogger().removeHandler(library_errors)
    own_errors = [
        event
        for event in events
        # The inference service, which logs to the same place here, says when its engine fails.
        if event["log_level"] in ("error", "critical") and event["event"] != "painting_failed"
    ]
    assert not own_errors, own_errors
    assert not library_errors.lines, library_errors.lines


@dataclass
class Site:
    """A running server and a way to call it."""

    url: URL
    session: aiohttp.ClientSession
    parts: Parts
    runner: web.AppRunner
    logs: list[Any]
    engine: FakeEngine | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def canvas(self, slug: str) -> Canvas:
        """Return a canvas as the server has it."""
        return self.parts.registry.get(slug)

    def at(self, path: str) -> URL:
        """Return an address as it is written here, without tidying it up."""
        return URL(f"{str(self.url).rstrip('/')}{path}", encoded=True)

    async def call(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        """Call an address, check its status, and return what its JSON body holds."""
        async with (
            asyncio.timeout(SOON_S),
            self.session.request(method, self.at(path), allow_redirects=False, **options) as response,
        ):
            body = await response.read()
            assert response.status == status, f"{method} {path}: {response.status} {body[:400]!r}"
            return json.loads(body) if response.content_type == "application/json" else body

    async def refused(self, method: str, path: str, *, status: int, **options: Any) -> dict[str, Any]:
        """Call an address that answers with an error, and return the error."""
        error: dict[str, Any] = (await self.call(method, path, status=status, **options))["error"]
        assert set(error) <= {"code", "message", "field"}
        assert error["code"]
        assert error["message"]
        return error

    async def paint(self, slug: str, prompt: str, **fields: Any) -> dict[str, Any]:
        """Post a prompt and return the job."""
        body = await self.call(
            "POST", f"/canvases/{slug}/prompt", status=202, json={"prompt": prompt, **fields}
        )
        job: dict[str, Any] = body["job"]
        return job

    async def ended(self, job_id: str) -> dict[str, Any]:
        """Wait until a job has ended and return it."""
        async with asyncio.timeout(SOON_S):
            await self.parts.desk.get(job_id).ended.wait()
        job: dict[str, Any] = (await self.call("GET", f"/jobs/{job_id}"))["job"]
        return job

    @contextlib.asynccontextmanager
    async def screen(
        self, slug: str, *, protocols: tuple[str, ...] = (), query: str = "", **options: Any
    ) -> AsyncIterator[Screen]:
        """Connect a screen to a canvas."""
        ws = await self.session.ws_connect(
            self.url / "ws" / slug % query if query else self.url / "ws" / slug,
            protocols=protocols,
            # Answered below: a connection that is gone by then must not hide its close code.
            autoclose=False,
            autoping=False,
            **options,
        )
        try:
            yield Screen(ws)
        finally:
            await ws.close()

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[Screen]:
        """Connect to the events."""
        ws = await self.session.ws_connect(self.url / "ws", autoclose=False)
        try:
            yield Screen(ws)
        finally:
            await ws.close()


class Screen:
    """A connection that receives a canvas, or the events."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def receive(self) -> Any:
        """Return the next message: a map, or `pong`.

        Raises:
            ConnectionError: If the connection is over; `ws.close_code` tells why.
        """
        async with asyncio.timeout(SOON_S):
            while (message := await self.ws.receive()).type in (WSMsgType.PING, WSMsgType.PONG):
                if message.type is WSMsgType.PING:
                    with contextlib.suppress(ConnectionError):
                        await self.ws.pong(message.data)
        if message.type is WSMsgType.BINARY:
            return msgpack.unpackb(message.data)
        if message.type is WSMsgType.TEXT:
            return message.data if message.data == "pong" else json.loads(message.data)
        raise ConnectionError(f"{message.type!r} {message.data!r} {self.ws.close_code}")

    async def next(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of a type, with these values in it."""
        wanted = {"type": type_, **fields}
        async with asyncio.timeout(SOON_S):
            while True:
                message = await self.receive()
                if isinstance(message, dict) and message | wanted == message:
                    return message

    async def frame(self, **fields: Any) -> dict[str, Any]:
        """Return the next frame, with these values in it."""
        return await self.next("frame", **fields)

    async def send(self, type_: str, **fields: Any) -> None:
        """Send a message in the connection's form."""
        message = {"type": type_, **fields}
        if self.ws.protocol == wire.JSON_PROTOCOL or (self.ws.protocol is None and self.is_events):
            await self.ws.send_str(json.dumps(message))
        else:
            await self.ws.send_bytes(msgpack.packb(message))

    @property
    def is_events(self) -> bool:
        """Whether it is connected to the events, which are JSON."""
        return str(self.ws._response.url.path) == "/ws"

    async def ack(self, frame: dict[str, Any], **fields: Any) -> None:
        """Acknowledge a frame."""
        await self.send("ack", sequence=frame["sequence"], **fields)

    async def sync(self) -> list[Any]:
        """Ask for the time, and return all that came before the answer."""
        await self.send("time", client_sent_ms=1.0)
        messages = []
        while (message := await self.receive())["type"] != "time":
            messages.append(message)
        return messages

    async def end(self) -> tuple[int | None, dict[str, Any] | None]:
        """Wait for the end, and return the close code and the `bye` before it."""
        bye = None
        with contextlib.suppress(ConnectionError):
            while True:
                message = await self.receive()
                bye = message if isinstance(message, dict) and message.get("type") == "bye" else bye
        code = self.ws.close_code
        # The server waits for the answer.
        await self.ws.close()
        return code, bye


class RawScreen:
    """A screen on a bare socket, which reads only when it is told to, and can vanish."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._read = b""

    @classmethod
    async def connect(cls, url: URL, slug: str = "", *, receive_buffer_bytes: int = 8192) -> Self:
        """Connect to a canvas or, without a slug, to the events; read nothing but the answer to that."""
        sock = socket.socket()
        # Before connecting: it decides the window that the kernel offers.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        sock.setblocking(False)
        screen = cls(sock)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (url.host, url.port))
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET /ws{slug and '/'}{slug} HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        )
        await loop.sock_sendall(sock, request.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await screen._take(1)
        assert head.startswith(b"HTTP/1.1 101"), head
        return screen

    async def receive(self) -> tuple[int, bytes]:
        """Return the next message: its opcode and payload, put together from its fragments.

        Pings and pongs before it and between its fragments are passed over.

        Raises:
            ConnectionError: If the connection is over.
        """
        kind, message = 0, b""
        while True:
            is_last, opcode, payload = await self.receive_part()
            if opcode in (WSMsgType.PING, WSMsgType.PONG):
                continue
            if opcode == WSMsgType.CLOSE:
                return opcode, payload
            assert (opcode == WSMsgType.CONTINUATION) == bool(kind), f"opcode {opcode} after {kind}"
            kind, message = kind or opcode, message + payload
            if is_last:
                return kind, message

    async def receive_part(self) -> tuple[bool, int, bytes]:
        """Return the next WebSocket frame: whether it is the last of its message, opcode, payload.

        Raises:
            ConnectionError: If the connection is over.
        """
        async with asyncio.timeout(SOON_S):
            first, length = await self._take(2)
            if length == 126:
                (length,) = struct.unpack(">H", await self._take(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", await self._take(8))
            return first & 0x80 != 0, first & 0x0F, await self._take(length)

    async def frame(self) -> dict[str, Any]:
        """Return the next frame."""
        while True:
            opcode, payload = await self.receive()
            assert opcode == WSMsgType.BINARY, f"opcode {opcode}: {payload[:100]!r}"
            message: dict[str, Any] = msgpack.unpackb(payload)
            if message["type"] == "frame":
                return message

    async def send(self, type_: str, **fields: Any) -> None:
        """Send a message."""
        await self.send_part(WSMsgType.BINARY, msgpack.packb({"type": type_, **fields}))

    async def send_part(self, opcode: int, payload: bytes) -> None:
        """Send a small WebSocket frame; a mask of zeros is a mask, too."""
        assert len(payload) < 126
        head = bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0])
        await self._loop.sock_sendall(self.sock, head + payload)

    def vanish(self) -> None:
        """End the connection as a crash does: by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def _take(self, size_bytes: int) -> bytes:
        while len(self._read) < size_bytes:
            data = await self._loop.sock_recv(self.sock, 65536 if size_bytes > 1 else 1)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._read += data
        taken, self._read = self._read[:size_bytes], self._read[size_bytes:]
        return taken


def settings_for(inference: str, **changes: Any) -> Settings:
    """Make settings for tests: a free port, small pictures, many of them."""
    values = {
        "port": 0,
        "inference": inference,
        "canvases": ("left", "right"),
        "size": "64x64",
        "fps": 50.0,
        "default_prompt": "left one | right one",
        **changes,
    }
    return Settings(_env_file=None, **values)


@contextlib.asynccontextmanager
async def running_app(settings: Settings, *, handler_cancellation: bool = False) -> AsyncIterator[Site]:
    """Run the application as `python -m server` does, and fail if it logs an error."""
    app = make_app(settings)
    with no_errors_logged() as logs:
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=5.0, handler_cancellation=handler_cancellation
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = URL(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            async with aiohttp.ClientSession() as session:
                yield Site(url, session, app[PARTS], runner, logs)
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def running_site(
    folder: Path, *, engine: FakeEngine | None = None, handler_cancellation: bool = False, **changes: Any
) -> AsyncIterator[Site]:
    """Run the application and, beside it, an inference service with an engine that counts."""
    engine = engine or FakeEngine()
    async with running_service(engine, folder) as service:
        settings = settings_for(service.address, media_root=folder / "media", **changes)
        async with running_app(settings, handler_cancellation=handler_cancellation) as site:
            site.engine = engine
            try:
                yield site
            finally:
                # A test that failed may have left it closed.
                engine.gate.set()


def image(
    format_: str = "jpeg", *, size: tuple[int, int] = (64, 48), colour: tuple[int, int, int] = (200, 30, 60)
) -> EncodedImage:
    """Make an encoded image of one colour."""
    pixels = np.full((size[1], size[0], 3), colour, np.uint8)
    return encoders.encode(pixels, format_, 90)


def heavy_image(number: int, size_bytes: int = 100_000) -> EncodedImage:
    """Make something as heavy as a photograph that says its number; no screen here decodes it."""
    return EncodedImage(number.to_bytes(4, "big") * (size_bytes // 4), "jpeg", 512, 512)

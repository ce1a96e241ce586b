"""Stand-ins for browsers, in a process of their own: `python -m bench.screens`.

Commands come as JSON lines on standard input, each answered by one on standard output; the end of
the input ends the process, so that none outlives its bench. A screen acknowledges as a browser
does that shows every frame at once; nothing is decoded while measuring.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgpack

from bench.errors import BenchError, reason
from bench.figures import FORMS
from bench.wire import Head, read_image, read_msgpack, read_seed_json
from server.streaming.clock import now_ms
from server.streaming.wire import MSGPACK_PROTOCOL


# Frames of one refresh of a screen supersede each other.
REFRESH_HZ = 60.0
# What a screen remembers between two collections: the longest round, a minute at 60 frames per second,
# with room.
MAX_RECEIPTS = 4000
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
CLOCK_EXCHANGES = 8
OPEN_S = 20.0


class Screen:
    """One connection that receives one canvas and notes what comes when."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse[bool], slug: str, form: str, clock: Clock) -> None:
        self.slug = slug
        self.form = form
        self.newest = 0  # sequence
        self.error = ""  # why nothing more comes
        self.changed = asyncio.Event()
        self._ws = ws
        self._clock = clock
        self._receipts: list[tuple[Head, float, int, bool]] = []  # head, received ms, bytes, skipped
        self._last: bytes = b""
        self._refresh = -1
        self._skipped = 0  # since the last acknowledgement

    async def watch(self) -> None:
        """Receive until the connection ends."""
        try:
            if self.form == "msgpack":
                await self._say_ready()
            async for message in self._ws:
                received_ms = now_ms()
                data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
                head = read_msgpack(data) if self.form == "msgpack" else read_seed_json(data)
                if isinstance(head, Head):
                    await self._take(head, data, received_ms)
            self.error = f"the server closed {self.slug!r} with {self._ws.close_code}"
        except (BenchError, ConnectionError, aiohttp.ClientError) as exc:
            self.error = reason(exc)
        finally:
            self.changed.set()

    def collect(self, after: int, until: int) -> dict[str, Any]:
        """Report the frames of a span of sequences, first one excluded, and forget them."""
        receipts = [receipt for receipt in self._receipts if after < receipt[0].sequence <= until]
        self._receipts.clear()
        ages_ms = [ms + self._clock.offset_ms - head.published_ms for head, ms, _, _ in receipts]
        image = read_image(self._last, self.form) if receipts else b""
        return {
            "slug": self.slug,
            "frames": len(receipts),
            "bytes": sum(size for _, _, size, _ in receipts),
            "first_ms": receipts[0][1] if receipts else None,
            "last_ms": receipts[-1][1] if receipts else None,
            "ages_ms": [round(age, 3) for age in ages_ms],
            "skipped": sum(skipped for _, _, _, skipped in receipts),
            # Of the span, what never came although something newer did.
            "replaced": max((head.sequence for head, *_ in receipts), default=after) - after - len(receipts),
            "is_newest": self.newest >= until,
            "image_sha256": hashlib.sha256(image).hexdigest(),
        }

    async def _take(self, head: Head, data: bytes, received_ms: float) -> None:
        refresh = int(received_ms * REFRESH_HZ / 1000.0)
        is_superseding = refresh == self._refresh
        if is_superseding and self._receipts:
            earlier, ms, size, _ = self._receipts[-1]
            self._receipts[-1] = (earlier, ms, size, True)
        self._skipped += is_superseding
        self._refresh = refresh
        self._receipts.append((head, received_ms, len(data), False))
        del self._receipts[:-MAX_RECEIPTS]
        self._last = data
        if self.form == "msgpack":
            await self._acknowledge(head.sequence, received_ms)
        self.newest = head.sequence
        self.changed.set()

    async def _say_ready(self) -> None:
        viewport = {"width": 1920, "height": 1080}
        ready = {"type": "ready", "viewport": viewport, "formats": ["jpeg", "webp", "png"], "visible": True}
        await self._ws.send_bytes(msgpack.packb(ready))

    async def _acknowledge(self, sequence: int, received_ms: float) -> None:
        skipped, self._skipped = self._skipped, 0
        shown = {"received_ms": received_ms, "decoded_ms": received_ms, "presented_ms": received_ms}
        ack = {"type": "ack", "sequence": sequence, **shown, "skipped": skipped}
        clock = {"offset_ms": self._clock.offset_ms, "rtt_ms": self._clock.rtt_ms}
        await self._ws.send_bytes(msgpack.packb({**ack, **clock}))


class Clock:
    """The server's clock as seen from here: the exchange with the shortest round trip counts."""

    def __init__(self) -> None:
        self.offset_ms = 0.0  # what to add to our clock to get the server's
        self.rtt_ms = float("inf")

    async def compare(self, session: aiohttp.ClientSession, url: str) -> None:
        """Exchange times with the server on a connection of our own.

        Raises:
            BenchError: If it does not answer.
        """
        options: dict[str, Any] = {"max_msg_size": MAX_MESSAGE_BYTES, "compress": 0}
        async with session.ws_connect(url, protocols=(MSGPACK_PROTOCOL,), **options) as ws:
            for _ in range(CLOCK_EXCHANGES):
                await ws.send_bytes(msgpack.packb({"type": "time", "client_sent_ms": now_ms()}))
                self.take(*await _answer(ws))

    def take(self, answer: dict[str, Any], received_ms: float) -> None:
        """Take an answer, and when it came."""
        rtt_ms = received_ms - answer["client_sent_ms"]
        if rtt_ms < self.rtt_ms:
            self.rtt_ms = rtt_ms
            self.offset_ms = answer["server_time_ms"] - (answer["client_sent_ms"] + received_ms) / 2.0


async def _answer(ws: aiohttp.ClientWebSocketResponse[bool]) -> tuple[dict[str, Any], float]:
    async for message in ws:
        received_ms = now_ms()
        if isinstance(message.data, bytes):
            answer = read_msgpack(message.data)
            if isinstance(answer, dict) and answer["type"] == "time":
                return answer, received_ms
    raise BenchError(f"the server closed the connection with {ws.close_code} instead of telling its time")


class Wall:
    """All screens of this process.

    Resources:
        A context manager; leaving it closes the connections.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._open = contextlib.AsyncExitStack()
        self._screens: list[Screen] = []
        self._watching: list[asyncio.Task[None]] = []

    async def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what a command says.

        Raises:
            BenchError: If the server is not there or sends something unexpected.
        """
        match command["do"]:
            case "open":
                await self.open(command["url"], command["token"], command["slugs"], command["form"])
                return {"screens": len(self._screens)}
            case "collect":
                return await self.collect(command["after"], command["until"], command["deadline_s"])
            case "close":
                await self.close()
                return {}
        raise BenchError(f"unknown command {command['do']!r}")

    async def open(self, url: str, token: str | None, slugs: Sequence[str], form: str) -> None:
        """Connect one screen for each slug."""
        if form not in FORMS:
            raise BenchError(f"unknown form {form!r}; accepted are {', '.join(FORMS)}")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        base = "ws" + url.removeprefix("http") + "/ws"
        options: dict[str, Any] = {"max_msg_size": MAX_MESSAGE_BYTES, "compress": 0, "decode_text": False}
        if form == "msgpack":
            options["protocols"] = (MSGPACK_PROTOCOL,)
        query = "" if form == "msgpack" else "?format=json"
        try:
            async with asyncio.timeout(OPEN_S):
                session = await self._open.enter_async_context(aiohttp.ClientSession(headers=headers))
                clock = Clock()
                if slugs:
                    await clock.compare(session, f"{base}/{slugs[0]}")
                for slug in slugs:
                    connecting = session.ws_connect(f"{base}/{slug}{query}", **options)
                    ws = await self._open.enter_async_context(connecting)
                    self._hang(Screen(ws, slug, form, clock))
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise BenchError(f"no screen could connect to {base}: {reason(exc)}") from exc

    def _hang(self, screen: Screen) -> None:
        self._screens.append(screen)
        self._watching.append(self._tasks.create_task(screen.watch(), name=f"screen:{screen.slug}"))

    async def collect(
        self, after: dict[str, int], until: dict[str, int], deadline_s: float
    ) -> dict[str, Any]:
        """Wait until every screen has its canvas's newest frame, and report; late ones are told as such."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                for screen in self._screens:
                    while screen.newest < until[screen.slug] and not screen.error:
                        screen.changed.clear()
                        await screen.changed.wait()
        for screen in self._screens:
            if screen.error:
                raise BenchError(screen.error)
        reports = [screen.collect(after[screen.slug], until[screen.slug]) for screen in self._screens]
        return {"screens": reports}

    async def close(self) -> None:
        """Close the connections and wait for the screens to end."""
        await self._open.aclose()
        if self._watching:
            await asyncio.wait(self._watching)
        self._screens.clear()
        self._watching.clear()


async def serve() -> None:
    """Answer commands until the input ends."""
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader(limit=MAX_MESSAGE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        wall = Wall(tasks)
        try:
            while line := await commands.readline():
                try:
                    answer = await wall.answer(json.loads(line))
                except BenchError as exc:
                    answer = {"error": str(exc)}
                print(json.dumps(answer), flush=True)
        finally:
            await wall.close()


if __name__ == "__main__":
    asyncio.run(serve())

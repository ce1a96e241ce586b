"""Messages that are acted upon where they are read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketReader
from screens import RawScreen, Site, image, wait_for

from server.streaming.clock import now_ms
from server.web import connection
from server.web.inbox import Doorway, Inbox, install


async def test_with_this_aiohttp_no_task_takes_a_step_for_an_acknowledgement(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[bool] = []

    def note(*args: Any, **options: Any) -> bool:
        installed.append(install(*args, **options))
        return installed[-1]

    monkeypatch.setattr(connection, "install", note)
    async with still_site.screen("left") as screen:
        still_site.canvas("left").publish(image(), timestamp_ms=now_ms())
        await screen.ack(await screen.frame())
        await screen.sync()

        (subscriber,) = still_site.canvas("left").subscribers
        assert subscriber.flow.acknowledged == 1
    assert installed == [True]


async def test_with_another_aiohttp_everything_goes_the_usual_way(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "install", lambda *_, **__: False)
    async with still_site.screen("left") as screen:
        still_site.canvas("left").publish(image(), timestamp_ms=now_ms())
        await screen.ack(await screen.frame())
        await screen.sync()

        (subscriber,) = still_site.canvas("left").subscribers
        assert subscriber.flow.acknowledged == 1


def masked(opcode: int, body: bytes, *, is_final: bool = True) -> bytes:
    """Write a WebSocket frame as a client does."""
    mask = b"\x01\x02\x03\x04"
    length = bytes((0x80 | len(body),)) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2, "big")
    return (
        bytes((is_final << 7 | opcode,))
        + length
        + mask
        + bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))
    )


class Entrance:
    """A doorway before a real reader, and what came through by either way."""

    def __init__(self, *, takes: bool = True) -> None:
        self.takes = takes
        self.alone: list[bytes] = []
        self.read: list[Any] = []
        protocol: Any = FakeProtocol()
        self.inbox = Inbox(protocol, 2**16, loop=asyncio.get_running_loop())
        self.inbox.take = self._read
        reader = WebSocketReader(self.inbox, 2**16, compress=False, decode_text=True)
        self.doorway = Doorway(self.inbox, reader, self._take)

    def _read(self, message: Any) -> bool:
        self.read.append(message.data)
        return True

    def _take(self, data: bytes) -> bool:
        if self.takes:
            self.alone.append(data)
        return self.takes


class FakeProtocol:
    """Is never asked to pause."""

    _reading_paused = False


@pytest.mark.parametrize("size", [2, 125, 126, 150, 300])
async def test_a_binary_message_that_comes_alone_is_taken_before_it_is_parsed(size: int) -> None:
    entrance = Entrance()
    body = bytes(index % 251 for index in range(size))

    assert entrance.doorway.feed_data(masked(2, body)) == (False, b"")

    assert (entrance.alone, entrance.read) == ([body], [])


async def test_everything_else_comes_by_the_reader_whole_and_in_order() -> None:
    entrance = Entrance()
    for data in (
        masked(1, b"text"),
        masked(10, b"pong"),
        masked(2, b"one") + masked(2, b"two"),
    ):
        entrance.doorway.feed_data(data)
    entrance.doorway.feed_data(masked(2, b"alone"))

    assert entrance.read == ["text", b"pong", b"one", b"two"]
    assert entrance.alone == [b"alone"]


@pytest.mark.parametrize("cut", [1, 3, 6, 7, 20, 157])
async def test_from_half_a_message_on_the_reader_gets_all(cut: int) -> None:
    entrance = Entrance()
    data = masked(2, bytes(150))

    entrance.doorway.feed_data(data[:cut])
    entrance.doorway.feed_data(data[cut:])
    entrance.doorway.feed_data(masked(2, b"next"))

    assert (entrance.alone, entrance.read) == ([], [bytes(150), b"next"])


async def test_what_lies_in_a_part_of_a_message_is_no_message() -> None:
    entrance = Entrance()
    entrance.doorway.feed_data(masked(2, b"be", is_final=False))
    # Looks like a message of its own, and breaks the standard.
    ended, _ = entrance.doorway.feed_data(masked(2, b"gin"))

    assert ended
    assert (entrance.alone, entrance.read) == ([], [])


async def test_what_is_not_taken_comes_by_the_reader_and_nothing_overtakes_what_waits() -> None:
    entrance = Entrance(takes=False)
    entrance.doorway.feed_data(masked(2, b"refused"))
    assert entrance.read == [b"refused"]

    entrance.takes = True
    entrance.inbox.take = lambda message: False
    entrance.doorway.feed_data(masked(1, b"for the task"))
    entrance.doorway.feed_data(masked(2, b"behind it"))

    assert entrance.alone == []
    assert [(await entrance.inbox.read()).data for _ in range(2)] == ["for the task", b"behind it"]


@pytest.mark.parametrize("missing", ["_reader", "_parser"])
def test_what_is_another_websocket_is_left_alone(missing: str) -> None:
    class Other:
        _reader = object()
        _parser = object()
        protocol = object()

    delattr(Other, missing)
    other: Any = Other()

    assert not install(other, other, lambda _: True, max_message_bytes=100)


async def test_a_message_does_not_overtake_one_that_waits_for_the_task(still_site: Site) -> None:
    """The task gets what is no message of ours; what comes in the same packet stays behind it."""
    seen: list[tuple[WSMsgType, str]] = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoping=False, compress=False)
        await ws.prepare(request)

        def take(message: Any) -> bool:
            seen.append((message.type, "at once"))
            return bool(message.type is WSMsgType.BINARY)

        assert install(request, ws, take, max_message_bytes=1000)
        async for message in ws:
            seen.append((message.type, "by the task"))  # noqa: PERF401 - as they come
        return ws

    app = web.Application()
    app.router.add_get("/ws/left", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = still_site.url.with_port(runner.addresses[0][1])
        raw = await RawScreen.connect(url, "left")
        parts = [b"\x82\x81\0\0\0\0a", b"\x81\x81\0\0\0\0b", b"\x82\x81\0\0\0\0c"]
        await asyncio.get_running_loop().sock_sendall(raw.sock, b"".join(parts))
        await wait_for(lambda: len(seen) == 4)
        raw.sock.close()
    finally:
        await runner.cleanup()

    assert seen == [
        (WSMsgType.BINARY, "at once"),
        (WSMsgType.TEXT, "at once"),
        (WSMsgType.TEXT, "by the task"),
        (WSMsgType.BINARY, "by the task"),
    ]

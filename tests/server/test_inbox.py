"""Messages that are acted upon where they are read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from screens import RawScreen, Site, image, wait_for

from server.streaming.clock import now_ms
from server.web import connection
from server.web.inbox import install


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

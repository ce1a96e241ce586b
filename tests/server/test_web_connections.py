"""How connections end, and what one that stalls does to the others: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from screens import RawScreen, Site, heavy_image, running_site, wait_for

from server.streaming.canvas import Canvas
from server.streaming.clock import now_ms
from server.streaming.payload import FRAGMENT_BYTES
from server.web import sockets
from server.web.tcp import NOTSENT_LOWAT_BYTES


FRAME_BYTES = 100_000
# Where frames of a silent screen that reads nothing can hide: in the transport, unsent in the
# kernel, and sent but not read, which the small receive buffer here bounds.
ROOM_BYTES = FRAGMENT_BYTES + NOTSENT_LOWAT_BYTES + 64 * 1024 + FRAME_BYTES


def publish(canvas: Canvas, number: int) -> None:
    """Publish a heavy frame that says its number."""
    canvas.publish(heavy_image(number, FRAME_BYTES), timestamp_ms=now_ms())


@asynccontextmanager
async def stalled(site: Site, slug: str = "left") -> AsyncIterator[RawScreen]:
    """Connect a screen that reads nothing, and publish until its socket takes no more."""
    screen = await RawScreen.connect(site.url, slug)
    canvas = site.canvas(slug)
    try:
        await wait_for(lambda: canvas.subscribers)
        subscriber = max(canvas.subscribers, key=lambda subscriber: subscriber.number)
        while subscriber.mailbox.replaced < 3:
            publish(canvas, canvas._sequence + 1)
            # Let the writer go as far as it gets.
            for _ in range(20):
                await asyncio.sleep(0)
        yield screen
    finally:
        screen.sock.close()


@pytest.mark.parametrize("handler_cancellation", [True, False], ids=["cancellation", "no-cancellation"])
@pytest.mark.parametrize("end", ["polite", "abort", "stalled-abort", "shutdown", "stalled-shutdown"])
async def test_a_connection_leaves_nothing_behind_however_it_ends(
    tmp_path: Path, end: str, handler_cancellation: bool
) -> None:
    options = {"default_prompt": "", "handler_cancellation": handler_cancellation}
    async with running_site(tmp_path, **options) as site, AsyncExitStack() as stack:
        canvas = site.canvas("left")
        other = await stack.enter_async_context(site.screen("left"))
        await other.sync()
        if end.startswith("stalled"):
            raw = await stack.enter_async_context(stalled(site))
        else:
            raw = await RawScreen.connect(site.url, "left")
            await wait_for(lambda: len(canvas.subscribers) == 2)

        match end:
            case "polite":
                await asyncio.get_running_loop().sock_sendall(raw.sock, b"\x88\x82\0\0\0\0\x03\xe8")
                await wait_for(lambda: len(canvas.subscribers) == 1)
                raw.sock.close()
            case "abort" | "stalled-abort":
                raw.vanish()
                if end == "stalled-abort":
                    publish(canvas, 999)
            case _:
                async with asyncio.timeout(8), asyncio.TaskGroup() as tasks:
                    # It reads what it has been sent, and answers.
                    ended = tasks.create_task(other.end())
                    await site.runner.cleanup()
                assert ended.result()[0] == 1001

        if "shutdown" not in end:
            await wait_for(lambda: len(canvas.subscribers) == 1)
            publish(canvas, 1000)
            last = canvas.newest.sequence
            while (await other.frame())["sequence"] < last:
                pass
        else:
            assert not canvas.subscribers
            raw.sock.close()
    # That no task is left and no error was logged is looked at for every test here.


async def test_a_stalled_screen_delays_nobody_and_gets_the_newest_afterwards(tmp_path: Path) -> None:
    async with running_site(tmp_path, default_prompt="") as site, AsyncExitStack() as stack:
        canvas = site.canvas("left")
        good = [await stack.enter_async_context(site.screen("left")) for _ in range(3)]
        for screen in good:
            await screen.sync()
        slow = await RawScreen.connect(site.url, "left", receive_buffer_bytes=8192)
        await wait_for(lambda: len(canvas.subscribers) == 4)
        subscriber = max(canvas.subscribers, key=lambda subscriber: subscriber.number)

        for number in range(1, 201):
            publish(canvas, number)
            # The good ones get every single frame, at the pace of the source.
            for screen in good:
                assert (await screen.frame())["sequence"] == number
        sent = subscriber.flow.sent_frames

        assert subscriber.mailbox.replaced == 200 - sent - 1
        assert (sent - 1) * FRAME_BYTES <= ROOM_BYTES
        frames = []
        while not frames or frames[-1]["sequence"] < 200:
            frames.append(await slow.frame())
        assert len(frames) == sent + 1, "what the socket held, and then at once the newest"
        assert frames[-1]["image"] == heavy_image(200, FRAME_BYTES).data
        slow.sock.close()
        await wait_for(lambda: len(canvas.subscribers) == 3)


async def test_a_stalled_screen_that_acknowledges_holds_two_frames_at_most(still_site: Site) -> None:
    canvas = still_site.canvas("left")
    slow = await RawScreen.connect(still_site.url, "left")
    await wait_for(lambda: canvas.subscribers)
    publish(canvas, 1)
    await slow.send("ack", sequence=(await slow.frame())["sequence"])
    (subscriber,) = canvas.subscribers
    await wait_for(lambda: subscriber.flow.is_acknowledging)

    for number in range(2, 50):
        publish(canvas, number)
        await asyncio.sleep(0)
    sequences = []
    for _ in range(2):
        sequences.append((await slow.frame())["sequence"])
        await slow.send("ack", sequence=sequences[-1])
    while sequences[-1] < 49:
        sequences.append((await slow.frame())["sequence"])

    assert len(sequences) <= 3
    slow.sock.close()
    await wait_for(lambda: not canvas.subscribers)


async def test_a_screen_that_takes_nothing_is_cut_off_after_the_deadline(tmp_path: Path) -> None:
    async with (
        running_site(tmp_path, default_prompt="", send_deadline_s=2.0) as site,
        site.screen("left") as other,
        stalled(site) as slow,
    ):
        canvas = site.canvas("left")
        await wait_for(lambda: len(canvas.subscribers) == 1)
        assert site.parts.counters.too_slow == 1
        publish(canvas, 1000)
        last = canvas.newest.sequence
        while (await other.frame())["sequence"] < last:
            pass
        with pytest.raises(ConnectionError):
            # What the kernel held, and then the end of it.
            await read_to_the_end(slow)


async def read_to_the_end(screen: RawScreen) -> None:
    """Read frames until there are no more."""
    while True:
        await screen.frame()


async def test_a_screen_that_stops_acknowledging_is_told_that_it_is_too_slow(tmp_path: Path) -> None:
    async with running_site(tmp_path, send_deadline_s=0.2) as site, site.screen("left") as screen:
        await screen.ack(await screen.frame())

        code, _ = await screen.end()

        assert code == 4408
        assert site.parts.counters.too_slow == 1


async def test_a_bug_of_ours_closes_its_connection_and_is_logged(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sockets.Connection, "serve", serve)
    async with still_site.screen("left") as screen:
        assert (await screen.end())[0] == 1011

    (error,) = [event for event in still_site.logs if event["log_level"] == "error"]
    assert error["event"] == "connection failed"
    still_site.logs.clear()  # It was meant.


async def test_a_hidden_screen_may_be_silent_for_longer_than_the_deadline(tmp_path: Path) -> None:
    async with running_site(tmp_path, send_deadline_s=1.0) as site, site.screen("left") as screen:
        await screen.ack(await screen.frame())
        await screen.send("ready", visible=False)
        await screen.sync()
        async with site.screen("left") as other:
            first = await other.frame()
            # Its frames tell the time: three deadlines pass.
            while (await other.frame())["published_ms"] - first["published_ms"] < 3000:
                pass
        await screen.sync()
        assert len(site.canvas("left").subscribers) >= 1

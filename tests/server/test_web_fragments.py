"""Large frames on real sockets: what goes between their fragments, and what a stuck reader keeps alive."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import WSMsgType
from screens import RawScreen, Site, heavy_image, running_site, wait_for

from server.streaming.clock import now_ms
from server.streaming.payload import FRAGMENT_BYTES


LARGE_BYTES = 8_000_000


def publish(site: Site, number: int, size_bytes: int = LARGE_BYTES) -> None:
    site.canvas("left").publish(heavy_image(number, size_bytes), timestamp_ms=now_ms())


async def test_a_stuck_reader_keeps_no_more_than_a_fragment_in_its_transport(still_site: Site) -> None:
    raw = await RawScreen.connect(still_site.url, "left")
    canvas = still_site.canvas("left")
    await wait_for(lambda: canvas.subscribers)
    for number in range(1, 20):
        publish(still_site, number)
    await wait_for(lambda: len(canvas.held) == 1)

    def unsent() -> list[Any]:
        connections = still_site.runner.server.connections
        return [one for one in connections if one.transport.get_write_buffer_size()]

    # Between two fragments it is empty for a moment.
    (protocol,) = await wait_for(unsent)
    assert protocol.transport.get_write_buffer_size() <= FRAGMENT_BYTES + 16
    assert LARGE_BYTES <= canvas.held.held_bytes <= LARGE_BYTES + 10_000, "one frame, however many came"

    raw.sock.close()
    await wait_for(lambda: not canvas.subscribers)
    assert canvas.held.held_bytes == 0


async def test_a_ping_is_answered_between_two_fragments(still_site: Site) -> None:
    raw = await RawScreen.connect(still_site.url, "left")
    canvas = still_site.canvas("left")
    await wait_for(lambda: canvas.subscribers)
    publish(still_site, 1)
    await wait_for(lambda: len(canvas.held) == 1)

    await raw.send_part(WSMsgType.PING, b"are you there")
    await raw.send("time", client_sent_ms=1.0)
    kinds = []
    while WSMsgType.PONG not in kinds:
        is_last, opcode, payload = await raw.receive_part()
        if not (kinds == [] and is_last and opcode == WSMsgType.BINARY):
            # What comes before is the hello.
            kinds.append(opcode)
    assert payload == b"are you there"
    assert kinds.count(WSMsgType.CONTINUATION) >= 1

    rest = [await raw.receive_part()]
    while not rest[-1][0]:
        rest.append(await raw.receive_part())
    assert {opcode for _, opcode, _ in rest} == {WSMsgType.CONTINUATION}, "the frame goes on behind the pong"
    assert (await raw.receive_part())[1] == WSMsgType.BINARY, "the answer is a message, and waits for its end"
    raw.sock.close()
    await wait_for(lambda: not canvas.subscribers)


async def test_an_ordinary_client_reads_a_frame_of_many_fragments_and_answers_its_ping(
    still_site: Site,
) -> None:
    async with still_site.session.ws_connect(still_site.url / "ws" / "left", max_msg_size=0) as ws:
        # Hello and status.
        await ws.receive()
        await ws.receive()
        publish(still_site, 1)
        message = await ws.receive()

        assert message.type is aiohttp.WSMsgType.BINARY
        assert message.data.endswith(heavy_image(1, LARGE_BYTES).data)
        # Its library has answered the ping in front by itself.
        (subscriber,) = still_site.canvas("left").subscribers
        await wait_for(lambda: subscriber.flow.min_rtt_s is not None)


async def test_who_is_too_slow_is_told_between_two_fragments_and_may_come_back(tmp_path: Path) -> None:
    async with running_site(tmp_path, default_prompt="", send_deadline_s=1.0) as site:
        raw = await RawScreen.connect(site.url, "left")
        canvas = site.canvas("left")
        await wait_for(lambda: canvas.subscribers)
        publish(site, 1)
        await wait_for(lambda: len(canvas.held) == 1)
        await wait_for(lambda: len(canvas.held) == 0)

        # It reads again, within the time that a close may take.
        opcode, payload = 0, b""
        while opcode != WSMsgType.CLOSE:
            _, opcode, payload = await raw.receive_part()
        assert struct.unpack(">H", payload[:2]) == (4408,)
        raw.sock.close()
        await wait_for(lambda: not canvas.subscribers)
        assert site.parts.counters.too_slow == 1

        async with site.screen("left", max_msg_size=0) as screen:
            assert (await screen.frame())["sequence"] == 1

"""What goes over the wire when we close a connection: one close frame, and the log says which."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from pathlib import Path

import pytest
from aiohttp import WSMsgType
from screens import RawScreen, running_site, wait_for


async def closes(screen: RawScreen, *, answers: bool) -> list[int]:
    """Read to the end of the connection, and return the codes of the close frames in it."""
    codes = []
    with contextlib.suppress(ConnectionError):
        while True:
            _, opcode, payload = await screen.receive_part()
            if opcode != WSMsgType.CLOSE:
                continue
            codes.append(struct.unpack(">H", payload[:2])[0])
            if answers and len(codes) == 1:
                await screen.send_part(WSMsgType.CLOSE, payload[:2])
    screen.sock.close()
    return codes


@pytest.mark.parametrize("handler_cancellation", [True, False], ids=["cancellation", "no-cancellation"])
@pytest.mark.parametrize("answers", [True, False], ids=["answering", "not-answering"])
async def test_a_screen_of_a_deleted_canvas_gets_one_close_frame(
    tmp_path: Path, answers: bool, handler_cancellation: bool
) -> None:
    async with running_site(tmp_path, handler_cancellation=handler_cancellation) as site:
        screen = await RawScreen.connect(site.url, "left")
        canvas = site.canvas("left")
        await wait_for(lambda: canvas.subscribers)

        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(closes(screen, answers=answers))
            await site.call("DELETE", "/canvases/left")

        assert ended.result() == [4404]
        await wait_for(lambda: not canvas.subscribers)
        (gone,) = [event for event in site.logs if event["event"] == "screen gone"]
        assert gone["close_code"] == 4404


@pytest.mark.parametrize("answers", [True, False], ids=["answering", "not-answering"])
async def test_who_breaks_the_rules_gets_one_close_frame_that_says_so(tmp_path: Path, answers: bool) -> None:
    async with running_site(tmp_path, default_prompt="") as site:
        screen = await RawScreen.connect(site.url, "left")
        canvas = site.canvas("left")
        await wait_for(lambda: canvas.subscribers)

        await screen.send("ack", sequence=10**6)

        assert await closes(screen, answers=answers) == [1002]
        await wait_for(lambda: not canvas.subscribers)
        # It is logged when the wait for the answer is over.
        (gone,) = await wait_for(lambda: [event for event in site.logs if event["event"] == "screen gone"])
        assert gone["close_code"] == 1002

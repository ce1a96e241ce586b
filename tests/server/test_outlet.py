"""The task that waits where a writer cannot."""

from __future__ import annotations

import asyncio

import pytest
from writing import Desk, FakeLink

from server.web.endings import CLOSE_S
from server.web.outlet import LAST_MESSAGE_S, Outlet


class Pipe(FakeLink):
    """A link whose peer reads when the test says so."""

    def __init__(self, takes_bytes: float = float("inf")) -> None:
        super().__init__(takes_bytes)
        self.is_drained = asyncio.Event()
        self.aborted = 0

    async def drain(self) -> None:
        await self.is_drained.wait()
        if self.aborted:
            raise ConnectionResetError("aborted")
        self.take()

    def abort(self) -> None:
        self.aborted += 1
        self.is_drained.set()


def outlet_of(desk: Desk, pipe: Pipe, deadline_s: float = 10.0) -> Outlet:
    desk.writer.stop()
    return Outlet(
        desk.canvas, desk.subscriber, pipe, drain=pipe.drain, abort=pipe.abort, deadline_s=deadline_s
    )


async def test_it_ends_with_the_mailbox() -> None:
    desk, pipe = Desk(), Pipe()
    desk.mailbox.close("deleted", reconnect=False, close_code=4404)

    end = await outlet_of(desk, pipe).run()

    assert end == desk.mailbox.closed
    assert b"bye" in pipe.sent


async def test_it_goes_on_when_the_link_has_drained() -> None:
    desk, pipe = Desk(), Pipe(takes_bytes=0)
    outlet = outlet_of(desk, pipe)
    running = asyncio.create_task(outlet.run())
    await asyncio.sleep(0)  # lets it begin
    desk.publish(1000)
    desk.mailbox.close("server stops", reconnect=True, close_code=1001)
    desk.turn()
    await asyncio.sleep(0)  # lets it see that the link is full
    pipe.is_drained.set()

    async with asyncio.timeout(5):
        end = await running

    assert end.close_code == 1001
    assert b"bye" in pipe.sent


async def test_who_takes_nothing_is_given_up_and_then_cut_off() -> None:
    desk, pipe = Desk(), Pipe(takes_bytes=0)
    outlet = outlet_of(desk, pipe, deadline_s=0.01)
    running = asyncio.create_task(outlet.run())
    await asyncio.sleep(0)  # lets it begin
    desk.publish(1000)

    with pytest.raises(ConnectionResetError):
        async with asyncio.timeout(CLOSE_S + 5):
            await running

    assert pipe.aborted == 1
    assert outlet.writer.end is not None
    assert outlet.writer.end.close_code == 4408
    assert LAST_MESSAGE_S < CLOSE_S


async def test_cancelling_it_stops_the_writer() -> None:
    desk, pipe = Desk(), Pipe()
    outlet = outlet_of(desk, pipe)
    running = asyncio.create_task(outlet.run())
    await asyncio.sleep(0)  # lets it begin
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    desk.publish()
    assert not pipe.sent


async def test_a_bug_in_a_turn_is_raised_where_the_connection_is_served() -> None:
    desk, pipe = Desk(), Pipe()
    outlet = outlet_of(desk, pipe)
    running = asyncio.create_task(outlet.run())
    await asyncio.sleep(0)  # lets it begin
    outlet.writer.fail(RuntimeError("a bug"))

    with pytest.raises(RuntimeError, match="a bug"):
        await running

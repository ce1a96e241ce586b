"""A screen's own counting, over a connection that is played back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from bench import screens
from bench.screens import Clock, Screen
from server.streaming.frame import EncodedImage, Frame
from server.streaming.wire import Form, pack_frame


class RecordedSocket:
    """Plays messages back and keeps what is sent."""

    close_code = 1001

    def __init__(self, *messages: bytes | str) -> None:
        self._messages = messages
        self.sent: list[dict[str, Any]] = []

    async def __aiter__(self) -> AsyncIterator[SimpleNamespace]:
        for message in self._messages:
            yield SimpleNamespace(data=message)

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(msgpack.unpackb(data))


def frame(sequence: int, form: Form = Form.MSGPACK) -> bytes | str:
    image = EncodedImage(b"\xff\xd8picture\xff\xd9", "jpeg", 8, 8)
    stamp_ms = 1_000_000.0 + sequence
    published = Frame("left", sequence, f"epoch-{sequence}", stamp_ms, stamp_ms, image)
    packed = b"".join(pack_frame(published, form, "original"))
    return packed.decode() if form.is_text else packed


@pytest.fixture
def at_ms(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Give the instants at which messages are received, in order."""
    instants: list[float] = []
    monkeypatch.setattr(screens, "now_ms", lambda: instants.pop(0))
    yield instants
    assert not instants


def a_screen(socket: RecordedSocket, form: str = "msgpack") -> Screen:
    clock = Clock()
    clock.offset_ms, clock.rtt_ms = 10.0, 0.5
    return Screen(socket, "left", form, clock)  # type: ignore[arg-type] # a recording of one


async def test_a_screen_says_ready_and_acknowledges_every_frame(at_ms: list[float]) -> None:
    at_ms += [1000.0, 1100.0, 1200.0]
    socket = RecordedSocket(msgpack.packb({"type": "hello"}), frame(5), frame(7))
    await a_screen(socket).watch()
    ready, *acks = socket.sent
    assert ready["type"] == "ready"
    assert [(ack["type"], ack["sequence"], ack["received_ms"]) for ack in acks] == [
        ("ack", 5, 1100.0),
        ("ack", 7, 1200.0),
    ]
    assert acks[0]["offset_ms"] == 10.0


async def test_frames_of_one_refresh_supersede_each_other(at_ms: list[float]) -> None:
    # A refresh of 60 Hz lasts 16.7 ms.
    at_ms += [1000.0, 1001.0, 1050.0]
    socket = RecordedSocket(frame(1), frame(2), frame(3))
    screen = a_screen(socket)
    await screen.watch()
    assert [ack["skipped"] for ack in socket.sent[1:]] == [0, 1, 0]
    assert screen.collect(0, 3)["skipped"] == 1


async def test_a_collection_tells_what_came_and_what_did_not(at_ms: list[float]) -> None:
    at_ms += [1_000_001.0, 1_000_004.0, 1_000_009.0]
    screen = a_screen(RecordedSocket(frame(1), frame(2), frame(5)))
    await screen.watch()
    found = screen.collect(after=1, until=5)
    assert (found["frames"], found["replaced"], found["is_newest"]) == (2, 2, True)
    assert found["ages_ms"] == [12.0, 14.0]
    assert (found["first_ms"], found["last_ms"]) == (1_000_004.0, 1_000_009.0)
    assert found["bytes"] == len(frame(2)) + len(frame(5))


async def test_a_screen_that_lacks_the_newest_frame_says_so(at_ms: list[float]) -> None:
    at_ms += [1000.0]
    screen = a_screen(RecordedSocket(frame(1)))
    await screen.watch()
    assert not screen.collect(0, 2)["is_newest"]


async def test_the_first_clients_form_is_received_in_silence(at_ms: list[float]) -> None:
    at_ms += [1000.0]
    payload = frame(3, Form.SEED_JSON)
    assert isinstance(payload, str)
    socket = RecordedSocket(payload.encode())
    screen = a_screen(socket, "json")
    await screen.watch()
    assert socket.sent == []
    assert screen.collect(2, 3)["frames"] == 1


async def test_the_end_of_the_connection_is_an_error_of_the_screen() -> None:
    screen = a_screen(RecordedSocket())
    await screen.watch()
    assert screen.error == "the server closed 'left' with 1001"
    assert screen.changed.is_set()


def test_the_exchange_with_the_shortest_round_trip_decides_the_clock() -> None:
    clock = Clock()
    for sent_ms, server_ms, received_ms in ((0.0, 105.0, 10.0), (20.0, 121.5, 22.0), (30.0, 190.0, 50.0)):
        clock.take({"client_sent_ms": sent_ms, "server_time_ms": server_ms}, received_ms)
    assert (clock.rtt_ms, clock.offset_ms) == (2.0, 100.5)

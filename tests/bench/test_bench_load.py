"""The load of screens against a server that the test plays itself, byte by byte."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgpack
import pytest

from bench.alternatives.bare import handshake
from bench.alternatives.message import pack, websocket_header
from bench.errors import BenchError
from bench.load.crowd import Crowd, allow_files, warn_when_busy
from bench.load.groups import Group, Mode, Tally
from bench.load.screen import acknowledgement, masked
from bench.wire import glance, read_msgpack
from server.streaming.clock import now_ms


def message(sequence: int, size: int = 5000) -> bytes:
    head, image = pack("canvas-1", sequence, bytes(size), width=8, height=8, published_ms=now_ms() - 20.0)
    return head + image


def unmasked(data: bytes) -> list[tuple[int, bytes]]:
    """Read the messages of a client: opcode and payload."""
    found = []
    while data:
        assert data[1] & 0x80
        length, at = data[1] & 127, 2
        if length == 126:
            length, at = int.from_bytes(data[2:4], "big"), 4
        mask, body = data[at : at + 4], data[at + 4 : at + 4 + length]
        found.append((data[0] & 15, bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))))
        data = data[at + 4 + length :]
    return found


class Host:
    """A server that accepts screens, and then does what the test says."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.peers: list[socket.socket] = []
        self.greeting = b""
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            peer, _ = self.listener.accept()
            head = b""
            while b"\r\n\r\n" not in head:
                data = peer.recv(4096)
                if not data:
                    peer.close()
                    return
                head += data
            peer.sendall(handshake(head.partition(b"\r\n\r\n")[0])[1] + self.greeting)
            self.peers.append(peer)

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join()
        for sock in (*self.peers, self.listener):
            sock.close()


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


@pytest.fixture
def crowds() -> Iterator[list[Crowd]]:
    made: list[Crowd] = []
    yield made
    for crowd in made:
        crowd.close()


def open_crowd(host: Host, crowds: list[Crowd], *groups: Group, form: str = "msgpack") -> Crowd:
    crowd = Crowd(host.port, form, offers_deflate=False)
    crowds.append(crowd)
    crowd.open(groups)
    while len(host.peers) < sum(group.count for group in groups):
        crowd.turn(0.01)
    return crowd


def turn_until(crowd: Crowd, frames: int, name: str = "all") -> dict[str, Any]:
    """Serve the screens until that many frames came, and return the report of their group."""
    while crowd.frames(name) < frames:
        crowd.turn(1.0)
    report: dict[str, Any] = crowd.mark()["groups"][name]
    return report


ALL = Group("all", "canvas-1", 1)


def test_a_screen_says_what_it_is_and_acknowledges_what_comes(host: Host, crowds: list[Crowd]) -> None:
    crowd = open_crowd(host, crowds, Group("all", "canvas-1", 1, viewport=(1920, 1080)))
    (peer,) = host.peers
    data = message(7)
    peer.sendall(websocket_header(len(data)) + data)

    report = turn_until(crowd, 1)

    assert (report["frames"], report["bytes"], report["tiers"]) == (1, len(data), {"original": 1})
    assert 20.0 <= report["age_p50_ms"] < 5000.0
    ready, ack = (msgpack.unpackb(payload) for _, payload in unmasked(peer.recv(4096)))
    assert (ready["type"], ready["viewport"]) == ("ready", {"width": 1920, "height": 1080})
    assert (ack["type"], ack["sequence"], ack["skipped"]) == ("ack", 7, 0)
    assert ack["received_ms"] == ack["decoded_ms"] == ack["presented_ms"] == pytest.approx(now_ms(), abs=5000)


def test_a_message_may_come_in_fragments_with_pings_between_and_in_any_pieces(
    host: Host, crowds: list[Crowd]
) -> None:
    crowd = open_crowd(host, crowds, ALL)
    (peer,) = host.peers
    data = message(1, size=300_000)
    cuts = [data[:128_000], data[128_000:256_000], data[256_000:]]
    first, middle, last = (websocket_header(len(cut)) for cut in cuts)
    wire = b"".join(
        [
            b"\x89\x04tagA",
            bytes([0x02]) + first[1:] + cuts[0],
            b"\x89\x04tagB",
            bytes([0x00]) + middle[1:] + cuts[1],
            bytes([0x80]) + last[1:] + cuts[2],
        ]
    )
    for piece in (wire[:3], wire[3:12], wire[12:128_025], wire[128_025:]):
        peer.sendall(piece)
        crowd.turn(0.01)

    report = turn_until(crowd, 1)

    assert report["bytes"] == len(data)
    _, pong, other, _ = unmasked(peer.recv(4096))
    assert (pong, other) == ((10, b"tagA"), (10, b"tagB"))


def test_control_messages_are_no_frames_and_what_comes_with_the_handshake_counts(
    host: Host, crowds: list[Crowd]
) -> None:
    hello = msgpack.packb({"type": "hello", "protocol": 1})
    data = message(1)
    host.greeting = websocket_header(len(hello)) + hello + websocket_header(len(data)) + data
    crowd = open_crowd(host, crowds, ALL)

    assert turn_until(crowd, 1)["frames"] == 1


def test_frames_that_were_conflated_are_counted(host: Host, crowds: list[Crowd]) -> None:
    crowd = open_crowd(host, crowds, ALL)
    for sequence in (3, 4, 9):
        data = message(sequence)
        host.peers[0].sendall(websocket_header(len(data)) + data)

    assert turn_until(crowd, 3)["conflated"] == 4


def test_a_mark_counts_anew(host: Host, crowds: list[Crowd]) -> None:
    crowd = open_crowd(host, crowds, ALL)
    data = message(1)
    host.peers[0].sendall(websocket_header(len(data)) + data)
    turn_until(crowd, 1)

    report = crowd.mark()

    assert report["groups"]["all"]["frames"] == 0
    assert report["groups"]["all"]["screens"] == 1
    assert report["groups"]["all"]["age_p50_ms"] is None


def test_a_silent_screen_says_nothing_about_what_it_reads(host: Host, crowds: list[Crowd]) -> None:
    crowd = open_crowd(host, crowds, Group("all", "canvas-1", 1, Mode.SILENT))
    data = message(1)
    host.peers[0].sendall(websocket_header(len(data)) + data)
    turn_until(crowd, 1)

    ((_, payload),) = unmasked(host.peers[0].recv(4096))
    assert msgpack.unpackb(payload)["type"] == "ready"


def test_a_stuck_screen_reads_its_first_frames_only_and_a_dead_one_none(
    host: Host, crowds: list[Crowd]
) -> None:
    crowd = open_crowd(
        host,
        crowds,
        Group("all", "canvas-1", 1, Mode.STUCK),
        Group("dead", "canvas-1", 1, Mode.DEAD),
    )
    for peer in host.peers:
        peer.setblocking(False)
        for sequence in range(1, 9):
            data = message(sequence)
            peer.send(websocket_header(len(data)) + data)
            crowd.turn(0.01)

    groups = crowd.mark()["groups"]
    assert (groups["all"]["frames"], groups["dead"]["frames"]) == (3, 0)


def test_a_slow_screen_reads_no_faster_than_it_may(host: Host, crowds: list[Crowd]) -> None:
    crowd = open_crowd(host, crowds, Group("all", "canvas-1", 1, Mode.SLOW, rate_bytes_s=1_000_000.0))
    started_ms = now_ms()
    data = message(1, size=200_000)
    host.peers[0].setblocking(False)
    wire = memoryview(websocket_header(len(data)) + data)
    while wire:
        try:
            wire = wire[host.peers[0].send(wire) :]
        except BlockingIOError:
            crowd.turn(0.01)
    turn_until(crowd, 1)

    # 200 kB at 1 MB/s, but for the last sip, which is read before its time is over.
    assert now_ms() - started_ms >= 80.0


def test_who_was_sent_away_is_counted_and_comes_back(host: Host, crowds: list[Crowd]) -> None:
    crowd = open_crowd(host, crowds, ALL)
    host.peers[0].close()
    while len(host.peers) < 2:
        crowd.turn(0.05)

    report = crowd.mark()["groups"]["all"]
    assert (report["closed"], report["screens"]) == (1, 1)


def test_the_first_clients_json_is_read_as_far_as_its_time(host: Host, crowds: list[Crowd]) -> None:
    crowd = open_crowd(host, crowds, ALL, form="json")
    data = b'{"timestamp": "2026-01-02T03:04:05.678Z", "image": "' + b"a" * 3000 + b'", "image_id": "x-1"}'
    host.peers[0].sendall(websocket_header(len(data), opcode=1) + data)

    report = turn_until(crowd, 1)

    assert report["bytes"] == len(data)
    assert report["age_p50_ms"] == pytest.approx(now_ms() - 1_767_323_045_678.0, abs=5000.0)


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.socket() as taken:
        # Nobody else gets the port, and nobody listens at it.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(BenchError, match=f"no screen could connect to port {port}"):
            Crowd(port, "msgpack", offers_deflate=False).open([ALL])


def test_more_files_than_may_be_opened_are_told_before_anything_is_measured() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 10**12
    with pytest.raises(BenchError, match="open files are needed"):
        allow_files(hard + 1)


def test_a_load_that_measures_itself_says_so() -> None:
    assert warn_when_busy(0.5) is None
    assert "95%" in (warn_when_busy(0.95) or "")


def test_a_group_is_told_by_its_percentiles() -> None:
    tally = Tally(screens=1, frames=3, ages_ms=[1.0, 2.0, 3.0])

    report = tally.to_json()

    assert (report["age_p50_ms"], report["age_max_ms"]) == (2.0, 3.0)


def test_a_group_reaches_the_process_of_the_load_as_it_was() -> None:
    group = Group("slow", "canvas-2", 3, Mode.SLOW, 50_000.0, (1170, 2532), 8123)

    assert Group.from_json({**group.to_json(), "viewport": list(group.viewport)}) == group


def test_an_acknowledgement_is_what_a_browser_sends() -> None:
    assert msgpack.unpackb(acknowledgement(70_000, 12.5)) == {
        "type": "ack",
        "sequence": 70_000,
        "received_ms": 12.5,
        "decoded_ms": 12.5,
        "presented_ms": 12.5,
        "skipped": 0,
        "offset_ms": 0.0,
        "rtt_ms": 0.5,
    }


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1000])
def test_what_is_masked_can_be_read(size: int) -> None:
    assert unmasked(masked(2, b"x" * size)) == [(2, b"x" * size)]


@pytest.mark.parametrize("sequence", [1, 127, 128, 255, 256, 65_536, 2**40])
def test_a_glance_sees_what_reading_the_head_finds(sequence: int) -> None:
    data = message(sequence)
    seen, head = glance(data), read_msgpack(data)

    assert seen is not None
    assert (seen.sequence, seen.published_ms) == (head.sequence, head.published_ms)  # type: ignore[union-attr]
    assert seen.tier == "original"
    assert glance(b"before" + data, 6) == seen


def test_a_glance_at_anything_else_sees_no_frame() -> None:
    assert glance(msgpack.packb({"type": "hello", "sequence": 1})) is None
    assert glance(message(1)[:60]) is None

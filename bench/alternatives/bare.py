"""A bare loop over sockets, the physical limit: `python -m bench.alternatives.bare`.

It does what streaming cannot be done without, and nothing else: it paces the frames, sends the newest
one from a buffer that all screens share, keeps at most two unacknowledged in flight, and reads,
unmasks and parses the acknowledgements. No event loop, no HTTP server, no tasks.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import select
import socket
import time

import msgpack

from bench.alternatives.message import PROTOCOL, pack, websocket_header
from bench.alternatives.program import Pace, Plan, end_with_input, listen, read_plan, tell_address
from server.streaming.clock import now_ms


WINDOW = 2
READ_BYTES = 64 * 1024
# Nobody who speaks the protocol sends as much before being understood.
MAX_PENDING_BYTES = 64 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OPCODE_BINARY, _OPCODE_CLOSE = 2, 8


class Stream:
    """One canvas: its newest frame as the bytes of a WebSocket message."""

    __slots__ = ("peers", "sequence", "slug", "wire")

    def __init__(self, slug: str) -> None:
        self.slug = slug
        self.sequence = 0
        self.wire = memoryview(b"")
        self.peers: set[Peer] = set()

    def publish(self, image: bytes, plan: Plan) -> None:
        """Make an image the newest frame and send it to whoever can take it."""
        self.sequence += 1
        head, image = pack(
            self.slug,
            self.sequence,
            image,
            width=plan.width,
            height=plan.height,
            published_ms=now_ms(),
        )
        header = websocket_header(len(head) + len(image))
        self.wire = memoryview(b"".join((header, head, image)))
        for peer in tuple(self.peers):
            if peer.rest is None and peer.sent - peer.acknowledged < WINDOW:
                # Whoever is gone is found by the loop.
                with contextlib.suppress(ConnectionError):
                    peer.send_newest()


class Peer:
    """One connection."""

    __slots__ = ("acknowledged", "fd", "newest_sent", "pending", "poll", "rest", "sent", "sock", "stream")

    def __init__(self, sock: socket.socket, poll: select.epoll) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.poll = poll
        self.stream: Stream | None = None  # None until the handshake
        self.pending = b""  # read and not understood yet
        self.rest: memoryview | None = None  # of the message that the socket has not taken
        self.newest_sent = 0  # sequence
        self.sent = 0  # frames
        self.acknowledged = 0  # frames

    def send_newest(self) -> None:
        """Begin to send the newest frame.

        Raises:
            ConnectionError: If the peer is gone.
        """
        stream = self.stream
        assert stream is not None
        self.newest_sent = stream.sequence
        self.sent += 1
        self._send(stream.wire)

    def go_on(self) -> None:
        """Send more of what the socket had not taken."""
        assert self.rest is not None
        self._send(self.rest)

    def _send(self, rest: memoryview) -> None:
        try:
            sent = self.sock.send(rest)
        except BlockingIOError:
            sent = 0
        is_waiting = self.rest is not None
        if sent < len(rest):
            self.rest = rest[sent:]
            if not is_waiting:
                self.poll.modify(self.fd, select.EPOLLIN | select.EPOLLOUT)
        elif is_waiting:
            self.rest = None
            self.poll.modify(self.fd, select.EPOLLIN)

    def read(self) -> bool:
        """Take what came; tell whether the connection goes on."""
        data = self.sock.recv(READ_BYTES)
        if not data:
            return False
        data = self.pending + data if self.pending else data
        start, size = 0, len(data)
        while size - start >= 6:
            length, at = data[start + 1] & 127, start + 2
            if length == 126:
                length, at = int.from_bytes(data[at : at + 2], "big"), at + 2
            end = at + 4 + length
            if end > size:
                break
            opcode = data[start] & 15
            if opcode == _OPCODE_BINARY:
                self._take(_unmask(data[at : at + 4], data[at + 4 : end]))
            elif opcode == _OPCODE_CLOSE:
                return False
            start = end
        self.pending = data[start:]
        return len(self.pending) <= MAX_PENDING_BYTES

    def _take(self, payload: bytes) -> None:
        message = msgpack.unpackb(payload)
        if message["type"] != "ack":
            return
        # Frames that were conflated have no acknowledgement of their own: whatever was sent up to
        # this sequence has come.
        self.acknowledged = self.sent - (message["sequence"] < self.newest_sent)
        stream = self.stream
        assert stream is not None
        if stream.sequence > self.newest_sent and self.rest is None:
            self.send_newest()


def _unmask(mask: bytes, payload: bytes) -> bytes:
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")


def handshake(request: bytes) -> tuple[str, bytes]:
    """Read an upgrade request.

    Returns:
        The slug, and the answer.
    """
    first, *lines = request.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + _GUID).digest())
    protocol = PROTOCOL in headers.get("sec-websocket-protocol", "")
    answer = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept.decode()}",
        *([f"Sec-WebSocket-Protocol: {PROTOCOL}"] if protocol else []),
    ]
    slug = first.split(" ")[1].partition("?")[0].rpartition("/")[2]
    return slug, ("\r\n".join(answer) + "\r\n\r\n").encode()


def serve(plan: Plan, listener: socket.socket) -> None:
    """Serve for ever."""
    streams = {slug: Stream(slug) for slug in plan.slugs}
    by_index = list(streams.values())
    poll = select.epoll()
    peers: dict[int, Peer] = {}
    listener.setblocking(False)
    door = listener.fileno()
    poll.register(door, select.EPOLLIN)
    pace = Pace(plan, time.monotonic())
    while True:
        next_s = min(map(pace.next_s, range(plan.canvases)))
        for fd, event in poll.poll(max(0.0, next_s - time.monotonic())):
            if fd == door:
                _accept(listener, poll, peers)
                continue
            peer = peers[fd]
            try:
                if event & select.EPOLLOUT:
                    peer.go_on()
                if event & ~select.EPOLLOUT and not _read(peer, streams):
                    _drop(peer, peers)
            except ConnectionError:
                _drop(peer, peers)
        now_s = time.monotonic()
        for index, stream in enumerate(by_index):
            count = pace.take(index, now_s)
            if count is not None:
                stream.publish(plan.images[count % len(plan.images)], plan)


def _accept(listener: socket.socket, poll: select.epoll, peers: dict[int, Peer]) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            sock, _ = listener.accept()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peers[sock.fileno()] = Peer(sock, poll)
            poll.register(sock.fileno(), select.EPOLLIN)


def _read(peer: Peer, streams: dict[str, Stream]) -> bool:
    if peer.stream is not None:
        return peer.read()
    data = peer.sock.recv(READ_BYTES)
    peer.pending += data
    head, end, rest = peer.pending.partition(b"\r\n\r\n")
    if end:
        slug, answer = handshake(head)
        peer.stream, peer.pending = streams[slug], rest
        peer.sock.send(answer)
        peer.stream.peers.add(peer)
    return bool(data)


def _drop(peer: Peer, peers: dict[int, Peer]) -> None:
    if peer.stream is not None:
        peer.stream.peers.discard(peer)
    del peers[peer.fd]
    peer.sock.close()


def main() -> None:
    """Run the program."""
    plan = read_plan("bare")
    end_with_input()
    with listen() as listener:
        tell_address(listener)
        serve(plan, listener)


if __name__ == "__main__":
    main()

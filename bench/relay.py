"""A TCP relay that stands for a network: bounded rate, delay, jitter and buffers; it may stall and break.

`async with relay(to=(host, port), rate_bytes_s=2.5e6, rtt_s=0.08) as link:` in a test, or as a process
of its own that takes commands on its standard input:

    python -m bench.relay --to 127.0.0.1:8000 --rate 2500000 --rtt-ms 80

The way to the client has the rate; both ways have half of the round trip as their delay. Before the
slow place the relay holds next to nothing of its own: the kernel's receive buffer, made small, is the
buffer of this network, and what does not fit waits at the sender. Behind it, bytes are on the wire.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import random
import socket
import struct
import sys
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from bench.arguments import number, whole


# What the network holds before its slow place. More would let any sender's frames grow old in it.
BUFFER_BYTES = 64 * 1024
# The relay passes on so much at a time at most: a small message waits for no more.
QUANTUM_BYTES = 4096
QUANTUM_S = 0.002
# What a busy machine keeps this program from carrying in time is carried as soon as it may run.
CATCH_UP_S = 0.5
# Segments of an ordinary network. With those of loopback, 64 KiB, a small buffer takes one or none.
_SEGMENT_BYTES = 1448
_UNLIMITED_BYTES = 64 * 1024
# On a way without a rate; more waits at its sender.
_WIRE_BYTES = 1024 * 1024


@dataclass(eq=False)
class Relay:
    """A running relay; what it is like may be changed at any time.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        rate_bytes_s: To the client; infinite: not bounded.
        rtt_s: Both ways together.
        jitter_s: Each way takes up to this longer, at random; the order stays.
        buffer_bytes: Taken before the slow place, about; of connections made from then on.
        carried_bytes: To the client, of all connections.
        is_flowing: Whether anything is carried to clients: see `stall`.
    """

    to: tuple[str, int]
    rate_bytes_s: float
    rtt_s: float = 0.0
    jitter_s: float = 0.0
    buffer_bytes: int = BUFFER_BYTES
    port: int = 0
    carried_bytes: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self.is_flowing = asyncio.Event()
        self.is_flowing.set()
        self._running: dict[asyncio.Task[None], socket.socket] = {}

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._running)

    def stall(self) -> None:
        """Carry nothing to any client until `resume`."""
        self.is_flowing.clear()

    def resume(self) -> None:
        """Carry again."""
        self.is_flowing.set()

    def kill(self) -> None:
        """Break every connection with a reset, as a network does that has gone away."""
        for task, client in list(self._running.items()):
            # Closed like this a socket sends a reset instead of what it still holds.
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            task.cancel()

    async def accept(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """Carry every connection that comes."""
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = tasks.create_task(self.carry(client), name="relay:connection")
            self._running[task] = client
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Let a connection go that has ended, or never began because it was killed at once."""
        self._running.pop(task).close()

    def way_s(self) -> float:
        """Return how long the next bytes are on the wire."""
        return self.rtt_s / 2.0 + (self.chance.uniform(0.0, self.jitter_s) if self.jitter_s else 0.0)

    async def carry(self, client: socket.socket) -> None:
        """Connect a client to the server and carry both ways until one of them ends."""
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            _prepare(server, self.buffer_bytes)
            await asyncio.get_running_loop().sock_connect(server, self.to)
            async with asyncio.TaskGroup() as tasks:
                for direction in (_Direction(self, server, client, True), _Direction(self, client, server)):
                    tasks.create_task(direction.take(), name="relay:take")
                    tasks.create_task(direction.deliver(), name="relay:deliver")
        except* OSError:
            pass  # One end has gone: the other is told below.
        finally:
            client.close()
            server.close()


class _Direction:
    """One way of one connection: what it takes at its rate comes out after its delay."""

    def __init__(
        self, relay: Relay, source: socket.socket, target: socket.socket, is_slow: bool = False
    ) -> None:
        self._relay = relay
        self._source = source
        self._target = target
        self._is_slow = is_slow
        self._wire: deque[tuple[float, bytes]] = deque()
        self._wire_bytes = 0
        self._changed = asyncio.Event()
        self._left = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def take(self) -> None:
        """Take from the source as fast as the link carries, and put it on the wire."""
        relay = self._relay
        free_at = arrives_at = 0.0
        while True:
            if self._is_slow and not relay.is_flowing.is_set():
                await relay.is_flowing.wait()
                free_at = self._loop.time()
            await self._wait_for_room()
            rate = relay.rate_bytes_s if self._is_slow else math.inf
            data, was_waiting = await self._read(_quantum(rate))
            now = self._loop.time()
            # Bytes that waited while a timer was late are carried from when the link was free.
            start_at = free_at if was_waiting and now - free_at < CATCH_UP_S else max(now, free_at)
            free_at = start_at + len(data) / rate
            arrives_at = max(arrives_at, free_at + relay.way_s())
            self._wire.append((arrives_at, data))
            self._wire_bytes += len(data)
            self._changed.set()
            if not data:
                return
            if (wait_s := free_at - self._loop.time()) > 0.0:
                await asyncio.sleep(wait_s)

    async def deliver(self) -> None:
        """Give what has been on the wire for long enough to the target."""
        while True:
            while not self._wire:
                self._changed.clear()
                await self._changed.wait()
            at, data = self._wire[0]
            if (wait_s := at - self._loop.time()) > 0.0:
                await asyncio.sleep(wait_s)
            if not data:
                self._target.shutdown(socket.SHUT_WR)
                return
            await self._loop.sock_sendall(self._target, data)
            self._wire.popleft()
            self._wire_bytes -= len(data)
            self._left.set()
            if self._is_slow:
                self._relay.carried_bytes += len(data)

    async def _read(self, size: int) -> tuple[bytes, bool]:
        """Return bytes, and whether they were there already; no bytes: the source has ended."""
        try:
            return self._source.recv(size), True
        except BlockingIOError:
            return await self._loop.sock_recv(self._source, size), False

    async def _wait_for_room(self) -> None:
        """Wait while the target does not take what has arrived: a wire holds no more than its length."""
        while self._wire_bytes > self._wire_limit():
            self._left.clear()
            await self._left.wait()

    def _wire_limit(self) -> float:
        relay = self._relay
        if not self._is_slow or math.isinf(relay.rate_bytes_s):
            return _WIRE_BYTES
        return relay.rate_bytes_s * (relay.rtt_s / 2.0 + relay.jitter_s) + 2 * QUANTUM_BYTES


@contextlib.asynccontextmanager
async def relay(
    *,
    to: tuple[str, int],
    rate_bytes_s: float = math.inf,
    rtt_s: float = 0.0,
    jitter_s: float = 0.0,
    buffer_bytes: int = BUFFER_BYTES,
) -> AsyncIterator[Relay]:
    """Relay connections to a server while the block runs.

    Args:
        to: The server's address.
        rate_bytes_s: Bytes per second to the client.
        rtt_s: The delay of both ways together, seconds.
        jitter_s: Each way takes up to this longer.
        buffer_bytes: What the network holds before the slow place, at most.
    """
    link = Relay(to, rate_bytes_s, rtt_s, jitter_s, buffer_bytes)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * QUANTUM_BYTES)
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        listener.setblocking(False)
        link.port = listener.getsockname()[1]
        async with asyncio.TaskGroup() as tasks:
            accepting = tasks.create_task(link.accept(listener, tasks), name="relay:accept")
            try:
                yield link
            finally:
                accepting.cancel()
                link.kill()


def _prepare(sock: socket.socket, buffer_bytes: int) -> None:
    """Make a socket towards the server whose kernel buffer is the network's buffer."""
    sock.setblocking(False)
    # Before connecting, as the window is agreed on then. Linux takes twice what is asked for, of
    # which its own book-keeping gets about half.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes // 2)
    if hasattr(socket, "TCP_MAXSEG"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _quantum(rate_bytes_s: float) -> int:
    if math.isinf(rate_bytes_s):
        return _UNLIMITED_BYTES
    # On a slow link less, on a very fast one more: the interpreter carries a few thousand a second.
    return int(
        min(_UNLIMITED_BYTES, max(QUANTUM_BYTES, rate_bytes_s / 4000.0), max(64.0, rate_bytes_s * QUANTUM_S))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Relay until the standard input ends; its lines are commands."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    add = parser.add_argument
    add("--to", required=True, metavar="HOST:PORT", help="the server's address")
    add("--rate", type=number(1, 1e10), default=1e10, help="bytes per second to the client")
    add("--rtt-ms", type=number(0, 10_000), default=0.0, help="delay of both ways together, milliseconds")
    add("--jitter-ms", type=number(0, 1000), default=0.0, help="each way takes up to this longer")
    add("--buffer-kib", type=whole(4, 65536), default=BUFFER_BYTES // 1024, help="held by the network, KiB")
    words = parser.parse_args(arguments)
    host, _, port = words.to.rpartition(":")
    asyncio.run(_serve((host, int(port)), words))
    return 0


async def _serve(to: tuple[str, int], words: argparse.Namespace) -> None:
    async with relay(
        to=to,
        rate_bytes_s=words.rate,
        rtt_s=words.rtt_ms / 1000.0,
        jitter_s=words.jitter_ms / 1000.0,
        buffer_bytes=words.buffer_kib * 1024,
    ) as link:
        print(f"listening 127.0.0.1:{link.port}", flush=True)
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            obey(link, line.decode().split())


def obey(link: Relay, words: Sequence[str]) -> None:
    """Carry out a command: `rate BYTES_S`, `rtt MS`, `jitter MS`, `stall`, `resume`, `kill`."""
    try:
        match words:
            case ["rate", value]:
                link.rate_bytes_s = number(1, 1e10)(value)
            case ["rtt", value]:
                link.rtt_s = number(0, 10_000)(value) / 1000.0
            case ["jitter", value]:
                link.jitter_s = number(0, 1000)(value) / 1000.0
            case ["stall"]:
                link.stall()
            case ["resume"]:
                link.resume()
            case ["kill"]:
                link.kill()
            case _:
                print(f"no such command: {' '.join(words)}", file=sys.stderr)
    except argparse.ArgumentTypeError as exc:
        print(f"{words[0]}: {exc}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

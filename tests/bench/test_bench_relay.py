"""The relay that stands for a network, with real sockets on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bench.children import child
from bench.relay import BUFFER_BYTES, QUANTUM_BYTES, Relay, obey, relay


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SMALL = 16 * 1024
SENDER_BYTES = 8 * 1024
# A machine that halts for a moment spoils one measurement, not so many one after the other.
TRIES = 5


@contextlib.asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[tuple[str, int]]:
    """Serve connections; those that are open at the end are broken off."""
    running: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with contextlib.suppress(ConnectionError):
                await talk(reader, writer)
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@contextlib.asynccontextmanager
async def connected(link: Relay) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to the relay."""
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port, limit=SMALL)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes."""
    while data := await reader.read(SMALL):
        writer.write(data)
        await writer.drain()


def pouring(total: int) -> Talk:
    """Return a server that sends so many bytes and waits for the end."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(total))
        await writer.drain()
        await reader.read()

    return pour


async def assert_one_is_within(
    least_s: float, most_s: float, measure: Callable[[], Awaitable[float]]
) -> None:
    """Measure again as long as the machine may have been busy with something else."""
    took_s: list[float] = []
    while not took_s or (len(took_s) < TRIES and not least_s <= took_s[-1] <= most_s):
        took_s.append(await measure())
    assert least_s <= took_s[-1] <= most_s, took_s


async def timed(reader: asyncio.StreamReader, size: int) -> float:
    """Read so many bytes and return the seconds that it took."""
    start_s = time.monotonic()
    await reader.readexactly(size)
    return time.monotonic() - start_s


@pytest.mark.parametrize("rate_bytes_s", [500_000.0, 4_000_000.0])
async def test_bytes_come_at_the_rate(rate_bytes_s: float) -> None:
    size = int(rate_bytes_s * 0.15)
    async with (
        serving(pouring(2 * size)) as address,
        relay(to=address, rate_bytes_s=rate_bytes_s) as link,
    ):

        async def pour() -> float:
            start_s = time.monotonic()
            async with connected(link) as (reader, _):
                await reader.readexactly(size)
            took_s = time.monotonic() - start_s
            # Sooner they never come: after a halt the relay makes up for it, and no more.
            assert took_s >= 0.15
            return took_s

        await assert_one_is_within(0.15, 1.15 * 0.15, pour)


async def test_the_rate_may_change_while_bytes_flow() -> None:
    async with (
        serving(pouring(2_000_000)) as address,
        relay(to=address, rate_bytes_s=4e6) as link,
    ):

        async def slow_down() -> float:
            link.rate_bytes_s = 4e6
            async with connected(link) as (reader, _):
                await reader.readexactly(100_000)
                link.rate_bytes_s = 0.4e6
                await reader.readexactly(4 * QUANTUM_BYTES)
                return await timed(reader, 60_000)

        await assert_one_is_within(0.8 * 0.15, 1.2 * 0.15, slow_down)


async def test_a_message_and_its_answer_take_a_round_trip() -> None:
    async with (
        serving(echo) as address,
        relay(to=address, rtt_s=0.08) as link,
        connected(link) as (reader, writer),
    ):

        async def ping() -> float:
            writer.write(b"ping")
            took_s = await timed(reader, 4)
            assert took_s >= 0.08
            return took_s

        for _ in range(2):
            await assert_one_is_within(0.08, 0.13, ping)


async def test_jitter_lengthens_the_way_and_keeps_the_order() -> None:
    async with (
        serving(echo) as address,
        relay(to=address, rtt_s=0.01, jitter_s=0.02) as link,
        connected(link) as (reader, writer),
    ):
        sent = bytes(range(100))
        for number in sent:
            writer.write(bytes([number]))
            await writer.drain()

        assert await reader.readexactly(len(sent)) == sent


async def test_a_small_message_waits_for_no_more_than_what_was_sent_before_it() -> None:
    async def ping_before_a_megabyte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"ping" + bytes(1_000_000))
        await reader.read()

    async with (
        serving(ping_before_a_megabyte) as address,
        relay(to=address, rate_bytes_s=1e6) as link,
    ):

        async def ping() -> float:
            async with connected(link) as (reader, writer):
                writer.write(b"!")
                return await timed(reader, 4)

        await assert_one_is_within(0.0, 0.05, ping)


@pytest.mark.parametrize("buffer_bytes", [16 * 1024, BUFFER_BYTES])
async def test_a_stalled_relay_takes_no_more_than_its_buffer(buffer_bytes: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENDER_BYTES)
        async with (
            relay(to=listener.getsockname(), rate_bytes_s=1e6, buffer_bytes=buffer_bytes) as link,
            connected(link) as (reader, _),
        ):
            link.stall()
            sender, _ = await asyncio.get_running_loop().run_in_executor(None, listener.accept)
            with sender:
                sender.setblocking(False)
                taken = await poured_into(sender)

                # The sender's own kernel is not the network; Linux takes twice what was asked for.
                assert taken <= buffer_bytes + 2 * SENDER_BYTES + 4 * QUANTUM_BYTES

                link.resume()
                await reader.readexactly(taken // 2)


async def poured_into(sock: socket.socket) -> int:
    """Write until nothing has been taken for a while, and return how much was."""
    taken, quiet = 0, 0
    while quiet < 10:
        try:
            taken += sock.send(bytes(1024))
            quiet = 0
        except BlockingIOError:
            quiet += 1
            # The two kernels' ends of the loopback pass on what they have.
            await asyncio.sleep(0.002)
    return taken


async def test_a_killed_connection_is_reset_and_a_new_one_works() -> None:
    async with serving(echo) as address, relay(to=address) as link:
        async with connected(link) as (reader, writer):
            writer.write(b"ping")
            await reader.readexactly(4)
            assert link.connections == 1

            link.kill()

            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        async with connected(link) as (reader, writer):
            writer.write(b"ping")
            assert await reader.readexactly(4) == b"ping"


async def test_the_end_of_a_connection_goes_through_after_its_last_byte() -> None:
    async def say_goodbye(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"goodbye")

    async with (
        serving(say_goodbye) as address,
        relay(to=address, rtt_s=0.02) as link,
        connected(link) as (reader, _),
    ):
        assert await reader.read() == b"goodbye"


async def test_where_no_server_is_the_client_is_told() -> None:
    async with serving(echo) as address:
        pass
    async with relay(to=address) as link, connected(link) as (reader, _):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


async def test_commands_change_the_network() -> None:
    async with serving(echo) as address, relay(to=address) as link:
        for command in ("rate 1000", "rtt 50", "jitter 5"):
            obey(link, command.split())

        assert (link.rate_bytes_s, link.rtt_s, link.jitter_s) == (1000.0, 0.05, 0.005)


@pytest.mark.parametrize(
    ("command", "told"),
    [("melt", "no such command: melt"), ("rate fast", "rate: 'fast' is no number from 1 to 1e+10")],
)
async def test_a_wrong_command_is_told_and_changes_nothing(
    command: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(echo) as address, relay(to=address, rate_bytes_s=5e6) as link:
        obey(link, command.split())

        assert link.rate_bytes_s == 5e6
    assert told in capsys.readouterr().err


async def test_as_a_process_it_tells_its_address_and_takes_commands() -> None:
    async with (
        serving(echo) as (host, port),
        child("bench.relay", ["--to", f"{host}:{port}", "--rtt-ms", "1"]) as process,
    ):
        said = await process.line()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(said.rpartition(":")[2]))
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"

        await process.tell("kill")

        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

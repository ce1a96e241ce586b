"""Pictures that a source outside pushes over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fakes import FakeClock
from ffmpeg import find_ffmpeg
from screens import SOON_S, Site, image, running_site, wait_for

from server.errors import InvalidError
from server.generation.ingest import MAX_FPS
from server.streaming.images.encoders import MAX_IMAGE_BYTES
from server.web import endings, ingest
from server.web.ingest import MAX_ERRORS, MAX_WAITING, Answers


RED, GREEN, BLUE = (image(colour=colour).data for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250)))


class SourceClient:
    """A camera: sends pictures, and reads what it is told."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def next(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of a type, with these values in it."""
        async with asyncio.timeout(SOON_S):
            while True:
                message = await self.ws.receive()
                assert message.type is aiohttp.WSMsgType.TEXT, (
                    f"{message!r}, closed with {self.ws.close_code}"
                )
                told: dict[str, Any] = (
                    {"type": "pong"} if message.data == "pong" else json.loads(message.data)
                )
                if told["type"] == type_ and told | fields == told:
                    return told

    async def end(self) -> tuple[int | None, dict[str, Any] | None]:
        """Wait for the end, and return the close code and the `bye` before it."""
        bye = None
        async with asyncio.timeout(SOON_S):
            async for message in self.ws:
                told = json.loads(message.data)
                bye = told if told["type"] == "bye" else bye
        return self.ws.close_code, bye


@contextlib.asynccontextmanager
async def source(site: Site, slug: str, **options: Any) -> AsyncIterator[SourceClient]:
    async with site.session.ws_connect(site.url / "canvases" / slug / "ingest", **options) as ws:
        yield SourceClient(ws)


async def test_pushed_pictures_reach_the_screens_untouched_as_frames_of_one_job(still_site: Site) -> None:
    async with still_site.screen("stage") as screen, source(still_site, "stage") as camera:
        hello = await camera.next("hello")
        job = hello["job"]
        await camera.ws.send_bytes(RED)
        first = await screen.frame()
        await camera.ws.send_bytes(image("png").data)
        second = await screen.frame()
        status = await camera.next("status", accepted=2)
        running = (await still_site.call("GET", f"/jobs/{job['id']}"))["job"]
        await camera.ws.close()
        ended = await still_site.ended(job["id"])

    assert hello["limits"] == {"fps": MAX_FPS, "image_bytes": MAX_IMAGE_BYTES}
    assert (job["kind"], job["source"], job["canvas"]) == ("ingest", "ingest", "stage")
    assert (first["image"], first["format"], first["final"]) == (RED, "jpeg", False)
    assert (second["image"], second["format"]) == (image("png").data, "png")
    assert first["job"] == second["job"] == job["id"]
    assert (status["sequence"], status["dropped"], status["refused"]) == (second["sequence"], 0, 0)
    assert running["state"] == "running"
    assert (ended["state"], ended["step"]) == ("succeeded", 2)
    assert still_site.canvas("stage").is_temporary is False


async def test_the_last_picture_of_a_source_that_goes_is_shown(still_site: Site) -> None:
    async with source(still_site, "left") as camera:
        for picture in (RED, GREEN, BLUE):
            await camera.ws.send_bytes(picture)
    await wait_for(lambda: (newest := still_site.canvas("left").newest) and newest.image.data == BLUE)


async def test_a_source_ends_the_live_picture_and_a_new_one_ends_the_source(site: Site) -> None:
    async with site.screen("left") as screen:
        live = (await screen.frame())["job"]
        async with source(site, "left") as camera:
            await camera.ws.send_bytes(RED)
            frame = await screen.frame(
                format="jpeg", final=False, job=(await camera.next("hello"))["job"]["id"]
            )
            assert frame["image"] == RED
            assert (await site.ended(live))["reason"] == "superseded"
            painted = await site.paint("left", "a new picture")
            end = await camera.end()
            await screen.frame(job=painted["id"])

    assert end == (1008, {"type": "bye", "reason": "superseded", "reconnect": False})
    assert (await site.ended(frame["job"]))["state"] == "cancelled"


TAKEN_OVER = {
    "a pushed frame": ("POST", "/canvases/left/frames", 201, "superseded", 1008),
    "cancelled": ("DELETE", "/jobs/{id}", 200, "cancelled", 1008),
    "skipped": ("POST", "/canvases/left/queue/skip", 200, "skipped", 1008),
    "deleted": ("DELETE", "/canvases/left", 200, "deleted", 4404),
}


@pytest.mark.parametrize("what", TAKEN_OVER)
async def test_a_source_whose_job_is_ended_is_told_why_and_must_not_come_back(
    still_site: Site, what: str
) -> None:
    method, path, status, reason, code = TAKEN_OVER[what]
    async with source(still_site, "left") as camera:
        job = (await camera.next("hello"))["job"]["id"]
        await wait_for(lambda: still_site.parts.desk.get(job).started_ms)
        body = {"data": RED, "headers": {"Content-Type": "image/jpeg"}} if method == "POST" else {}
        await still_site.call(
            method, path.format(id=job), status=status, **(body if "frames" in path else {})
        )
        end = await camera.end()

    assert end == (code, {"type": "bye", "reason": reason, "reconnect": False})


async def send_all_the_time(site: Site, slug: str) -> int | None:
    """Send pictures of 2 MB as fast as they are taken; return the code that the connection closed with."""
    heavy = RED + bytes(2_000_000)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(site.url / "canvases" / slug / "ingest") as ws,
    ):

        async def send() -> None:
            with contextlib.suppress(ConnectionError):
                while not ws.closed:
                    await ws.send_bytes(heavy)

        connection = ws._response.connection
        assert connection is not None
        transport = connection.transport
        sending = asyncio.create_task(send())
        code, _ = await SourceClient(ws).end()
        await sending
        # What is unsent would keep its socket open beyond the end of this loop.
        if transport.get_write_buffer_size():
            transport.abort()
        await asyncio.sleep(0)
        return code


async def test_sources_that_send_without_a_pause_learn_why_they_are_sent_away(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine they may take their time to answer.
    monkeypatch.setattr(endings, "CLOSE_S", SOON_S)
    codes = []
    for number in range(16):
        canvas = still_site.parts.registry.ensure(f"camera-{number}", is_temporary=False)
        # With an event loop of its own: it goes on sending while the server closes.
        sends = send_all_the_time(still_site, canvas.slug)
        sending = asyncio.create_task(asyncio.to_thread(asyncio.run, sends))
        await wait_for(lambda canvas=canvas: canvas.newest)
        async with source(still_site, canvas.slug):
            codes.append(await sending)

    assert codes == [1008] * 16


async def test_a_queued_prompt_ends_a_source_since_that_would_never_end(site: Site) -> None:
    async with source(site, "left") as camera:
        await camera.next("hello")
        painted = await site.paint("left", "its turn", mode="once", when="queue")
        assert (await camera.end())[1] == {"type": "bye", "reason": "superseded", "reconnect": False}
        assert (await site.ended(painted["id"]))["state"] == "succeeded"


async def test_a_second_source_takes_the_canvas_from_the_first(still_site: Site) -> None:
    async with source(still_site, "left") as first, source(still_site, "left") as second:
        assert (await first.end())[0] == 1008
        await second.ws.send_bytes(GREEN)
        await second.next("status", accepted=1)


async def test_a_source_that_waits_for_a_picture_to_be_finished_shows_its_newest_then(tmp_path: Path) -> None:
    async with running_site(tmp_path, default_prompt="") as site:
        assert site.engine is not None
        site.engine.gate.clear()
        once = await site.paint("left", "takes its time", mode="once")
        async with source(site, "left") as camera:
            hello = await camera.next("hello")
            for picture in (RED, GREEN, BLUE):
                await camera.ws.send_bytes(picture)
            assert (await camera.next("status", dropped=2))["demand_fps"] == 0.0
            site.engine.gate.set()
            assert (await site.ended(once["id"]))["state"] == "succeeded"
            await camera.next("status", accepted=1)
            newest = site.canvas("left").newest
        async with source(site, "left") as first, source(site, "left"):
            await first.end()

    assert hello["job"]["state"] == "queued"
    assert newest is not None
    assert newest.image.data == BLUE


async def test_a_source_that_goes_while_it_waits_leaves_nothing_behind(tmp_path: Path) -> None:
    async with running_site(tmp_path, default_prompt="") as site:
        assert site.engine is not None
        site.engine.gate.clear()
        await site.paint("left", "takes its time", mode="once")
        async with source(site, "left") as camera:
            job = (await camera.next("hello"))["job"]["id"]
        ended = await site.ended(job)

    assert (ended["state"], ended["reason"]) == ("cancelled", "disconnected")


BAD = [
    (b"no picture", "unsupported_media_type"),
    (RED[:-2], "invalid"),
    (b"", "invalid"),
    (image("png").data[:-30], "invalid"),
]


async def test_what_is_no_picture_is_told_and_ends_nothing(still_site: Site) -> None:
    async with source(still_site, "left") as camera:
        for data, code in BAD:
            await camera.ws.send_bytes(data)
            error = (await camera.next("error"))["error"]
            assert (error["code"], error["field"]) == (code, "image")
        await camera.ws.send_bytes(RED)
        status = await camera.next("status", accepted=1)

    assert status["refused"] == len(BAD)


@contextlib.asynccontextmanager
async def bare_source(site: Site, slug: str) -> AsyncIterator[socket.socket]:
    """Connect a source on a bare socket, which reads nothing and takes little of what it is sent."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await loop.sock_connect(sock, (site.url.host, site.url.port))
        request = (
            f"GET /canvases/{slug}/ingest HTTP/1.1\r\nHost: 127.0.0.1:{site.url.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await loop.sock_sendall(sock, request.encode())
        yield sock


async def test_a_message_that_says_it_is_over_the_limit_ends_the_connection(still_site: Site) -> None:
    loop = asyncio.get_running_loop()
    async with bare_source(still_site, "left") as sock, asyncio.timeout(SOON_S):
        header = bytes([0x82, 0xFF]) + (MAX_IMAGE_BYTES + 1).to_bytes(8, "big") + bytes(4)
        await loop.sock_sendall(sock, header)
        answer = b""
        while data := await loop.sock_recv(sock, 4096):
            answer += data

    bye, _, close = answer.rpartition(b"\x88")
    assert close[1:3] == b"\x03\xf1", "closed with something else than 1009"
    assert b'"type": "bye", "reason": "a message is over the limit of' in bye
    assert b'"reconnect": false' in bye


async def test_a_ping_is_answered_and_other_words_are_not(still_site: Site) -> None:
    ignored = still_site.parts.counters.ignored_messages
    async with source(still_site, "left") as camera:
        await camera.ws.send_str("hello?")
        await camera.ws.send_str("ping")
        await camera.next("pong")

    assert still_site.parts.counters.ignored_messages == ignored + 1


async def test_a_source_is_told_at_once_when_screens_come_and_go(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing but the turns is told.
    monkeypatch.setattr(ingest, "STATUS_S", 3600.0)
    async with source(still_site, "left") as camera:
        assert (await camera.next("status"))["demand_fps"] == 0.0
        async with still_site.screen("left") as screen:
            assert (await camera.next("status"))["demand_fps"] == MAX_FPS
            await screen.send("ready", visible=False)
            assert (await camera.next("status"))["demand_fps"] == 0.0
            await screen.send("ready", visible=True)
            assert (await camera.next("status"))["demand_fps"] > 0.0
        assert (await camera.next("status"))["demand_fps"] == 0.0


async def test_pictures_that_come_faster_than_any_screen_conflate_into_the_newest(still_site: Site) -> None:
    count = 200
    async with source(still_site, "left") as camera:
        for number in range(count):
            await camera.ws.send_bytes(image(colour=(number, 0, 0)).data)
        last = image(colour=(count - 1, 0, 0)).data
        await wait_for(lambda: (newest := still_site.canvas("left").newest) and newest.image.data == last)
        status = await camera.next("status", demand_fps=0.0, refused=0)
        while status["accepted"] + status["dropped"] < count:
            status = await camera.next("status")

    assert status["accepted"] + status["dropped"] == count
    assert status["dropped"] > 0


async def test_a_picture_that_takes_time_to_judge_is_not_overtaken(still_site: Site) -> None:
    heavy = RED[:-2] + bytes(4_000_000) + RED[-2:]
    async with source(still_site, "left") as camera:
        for _ in range(5):
            for picture in (heavy, BLUE):
                await camera.ws.send_bytes(picture)
        status = await camera.next("status", refused=0)
        while status["accepted"] + status["dropped"] < 10:
            status = await camera.next("status")

    newest = still_site.canvas("left").newest
    assert newest is not None
    assert newest.image.data == BLUE


async def test_a_paused_canvas_shows_what_is_pushed_and_a_blank_one_holds_it(still_site: Site) -> None:
    canvas = still_site.canvas("left")
    canvas.configure(paused=True)
    async with source(still_site, "left") as camera:
        await camera.ws.send_bytes(RED)
        await wait_for(lambda: canvas.newest and canvas.newest.image.data == RED)
        canvas.configure(blank=True)
        await camera.ws.send_bytes(GREEN)
        await camera.next("status", accepted=2)
        assert canvas.newest is not None
        assert canvas.newest.image.data != GREEN
        canvas.configure(blank=False)

    assert canvas.newest.image.data == GREEN


async def test_sixteen_sources_go_their_ways(still_site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        slugs = [f"camera-{number}" for number in range(16)]
        cameras = [await stack.enter_async_context(source(still_site, slug)) for slug in slugs]
        for camera in cameras:
            await camera.ws.send_bytes(RED)
        for camera in cameras:
            await camera.next("status", accepted=1)

    for slug in slugs:
        newest = still_site.canvas(slug).newest
        assert newest is not None
        assert newest.image.data == RED


REFUSED = [
    ("/canvases/NO/ingest", {"Upgrade": "websocket", "Connection": "Upgrade"}, 400, "slug"),
    ("/canvases/left/ingest", {}, 400, "upgrade"),
]


@pytest.mark.parametrize(("path", "headers", "status", "field"), REFUSED)
async def test_what_cannot_become_a_source_is_refused_before_the_upgrade(
    site: Site, path: str, headers: dict[str, str], status: int, field: str
) -> None:
    running = site.parts.desk.lane("left").running

    error = await site.refused("GET", path, status=status, headers=headers)

    assert error["field"] == field
    assert site.parts.desk.lane("left").running is running


async def test_where_a_token_is_set_a_source_needs_it(tmp_path: Path) -> None:
    async with running_site(tmp_path, default_prompt="", token="secret-token-0123") as site:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with source(site, "left"):
                pass
        headers = {"Authorization": "Bearer secret-token-0123"}
        async with source(site, "left", headers=headers) as camera:
            await camera.next("hello")

    assert refused.value.status == 401


async def test_no_canvas_is_made_for_a_source_where_there_are_too_many(tmp_path: Path) -> None:
    async with running_site(tmp_path, default_prompt="", max_canvases=2) as site:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with source(site, "third"):
                pass

    assert refused.value.status == 503


@pytest.mark.parametrize("handler_cancellation", [False, True])
async def test_a_source_that_vanishes_ends_its_job(tmp_path: Path, handler_cancellation: bool) -> None:
    async with running_site(tmp_path, default_prompt="", handler_cancellation=handler_cancellation) as site:
        async with bare_source(site, "left") as sock:
            job = await wait_for(lambda: site.parts.desk.lane("left").running)
            # As a crash does: by a reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ended = await site.ended(job.id)

    assert ended["state"] == "succeeded"


async def test_a_server_that_stops_tells_its_sources_to_come_back(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with running_site(tmp_path, default_prompt="") as site:
            ws = await session.ws_connect(site.url / "canvases" / "left" / "ingest")
            camera = SourceClient(ws)
            await camera.next("hello")
            end = asyncio.create_task(camera.end())
        assert await end == (1001, {"type": "bye", "reason": "stopped", "reconnect": True})


async def test_a_source_that_reads_nothing_is_told_little_and_shown_all_the_same(still_site: Site) -> None:
    """A source on a bare socket sends thousands of pictures that are none, and never reads."""
    loop = asyncio.get_running_loop()
    async with bare_source(still_site, "left") as sock, asyncio.timeout(SOON_S):
        ping = bytes([0x81, 0x84, 0, 0, 0, 0]) + b"ping"
        for _ in range(100):
            await loop.sock_sendall(sock, ping * 500)
        picture = bytes([0x82, 0xFE, len(RED) >> 8, len(RED) & 0xFF, 0, 0, 0, 0]) + RED
        await loop.sock_sendall(sock, picture)
        await wait_for(lambda: (newest := still_site.canvas("left").newest) and newest.image.data == RED)


async def test_a_source_that_never_answers_is_let_go_all_the_same(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "CLOSE_S", 0.1)
    loop = asyncio.get_running_loop()
    async with bare_source(still_site, "left") as sock, asyncio.timeout(SOON_S):
        ping = bytes([0x81, 0x84, 0, 0, 0, 0]) + b"ping"
        await loop.sock_sendall(sock, ping * 500)
        job = await wait_for(lambda: still_site.parts.desk.lane("left").running)
        still_site.parts.desk.cancel(job)
        await wait_for(lambda: any(event["event"] == "source gone" for event in still_site.logs))


@pytest.mark.ffmpeg
async def test_a_film_can_be_pushed_by_ffmpeg(still_site: Site) -> None:
    ffmpeg = find_ffmpeg()
    assert ffmpeg is not None
    film = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-t", "0.5")
    player = await asyncio.create_subprocess_exec(
        *(ffmpeg, "-nostdin", "-loglevel", "error", "-re", *film, "-f", "mpjpeg", "-"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert player.stdout is not None
    pushed = 0
    async with source(still_site, "left") as camera, asyncio.timeout(30):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await player.stdout.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length:")[2].split()[0])
                await camera.ws.send_bytes(await player.stdout.readexactly(size))
                pushed += 1
        status = await camera.next("status")
        while status["accepted"] + status["dropped"] < pushed:
            status = await camera.next("status")
    await player.wait()

    assert pushed == 15
    assert status["refused"] == 0
    newest = still_site.canvas("left").newest
    assert newest is not None
    assert (newest.image.width, newest.image.height) == (320, 180)


def test_answers_are_bounded_in_number_and_errors_in_rate() -> None:
    clock = FakeClock()
    answers = Answers(lambda: {"demand_fps": 0.0}, clock)
    for _ in range(1000):
        answers.refuse(InvalidError("no picture", field="image"))

    told = list(iter(answers.take, None))
    assert len(told) == MAX_ERRORS
    assert told[0] == {
        "type": "error",
        "error": {"code": "invalid", "message": "no picture", "field": "image"},
    }
    for _ in range(1000):
        answers.post({"type": "pong"})
    assert len(list(iter(answers.take, None))) == MAX_WAITING
    clock.advance(1.0)
    answers.refuse(InvalidError("no picture"))
    assert answers.take() == {"type": "error", "error": {"code": "invalid", "message": "no picture"}}


def test_the_status_is_told_once_a_second_and_at_once_when_demand_turns() -> None:
    clock, status = FakeClock(), {"demand_fps": 0.0, "accepted": 0}
    answers = Answers(lambda: dict(status), clock)

    assert answers.take() == {"type": "status", "demand_fps": 0.0, "accepted": 0}
    status["accepted"] = 5
    assert answers.take() is None
    clock.advance(1.0)
    assert answers.take() == {"type": "status", "demand_fps": 0.0, "accepted": 5}
    status["demand_fps"] = 30.0
    assert answers.take() == {"type": "status", "demand_fps": 30.0, "accepted": 5}
    status["demand_fps"] = 20.0
    assert answers.take() is None
    clock.advance(1.0)
    assert answers.take() is not None
    clock.advance(1.0)
    assert answers.take() is None

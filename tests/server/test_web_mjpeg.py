"""A canvas as an endless answer of JPEG files: to a bare reader, to ffmpeg."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from ffmpeg import find_ffmpeg
from screens import SOON_S, Site, image, running_site, wait_for

from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders
from server.web import mjpeg


BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"
RED, GREEN = image(colour=(250, 0, 0)), image(colour=(0, 250, 0))


class Player:
    """Reads an endless answer, part by part."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def part(self) -> tuple[dict[str, str], bytes]:
        """Return the headers and the body of the next part, and read its boundary behind it."""
        async with asyncio.timeout(SOON_S):
            headers = {}
            while (line := (await self._line())) != b"":
                name, _, value = line.decode().partition(": ")
                headers[name] = value
            body = await self.response.content.readexactly(int(headers["Content-Length"]))
            assert await self._line() == b""
            # It is here already: the next part may never come.
            assert await self._line() == b"--frame"
            return headers, body

    async def picture(self, data: bytes) -> dict[str, str]:
        """Read parts until one is this picture, and return its headers."""
        async with asyncio.timeout(SOON_S):
            while True:
                headers, body = await self.part()
                if body == data:
                    return headers

    async def ended(self) -> bytes:
        """Return what comes until the end."""
        async with asyncio.timeout(SOON_S):
            return await self.response.content.read()

    async def _line(self) -> bytes:
        line = await self.response.content.readuntil(b"\r\n")
        assert line.endswith(b"\r\n"), "the answer has ended"
        return line[:-2]


@contextlib.asynccontextmanager
async def playing(site: Site, path: str) -> AsyncIterator[Player]:
    async with site.session.get(site.at(path)) as response:
        assert response.status == 200
        player = Player(response)
        assert await player._line() == b"--frame"
        yield player


def show(site: Site, picture: EncodedImage, slug: str = "left") -> int:
    return site.canvas(slug).publish(picture, timestamp_ms=now_ms()).sequence


async def test_frames_come_as_parts_with_what_is_known_of_them(still_site: Site) -> None:
    async with playing(still_site, "/canvases/left/stream.mjpeg") as player:
        for picture in (RED, GREEN):
            sequence = show(still_site, picture)
            headers = await player.picture(picture.data)
            assert headers["Content-Type"] == "image/jpeg"
            assert headers["X-Sequence"] == str(sequence)
            assert float(headers["X-Timestamp"]) == pytest.approx(time.time(), abs=60)
        response = player.response

    assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["Connection"] == "close"
    assert "Content-Length" not in response.headers
    assert "Transfer-Encoding" not in response.headers


async def test_what_is_no_jpeg_is_encoded_as_one(still_site: Site) -> None:
    show(still_site, image("png"))
    async with playing(still_site, "/canvases/left/stream.mjpeg") as player:
        _, body = await player.part()

    assert encoders.inspect(body).format == "jpeg"


async def test_a_stream_may_be_of_about_a_width(still_site: Site) -> None:
    # What is worth sending smaller: a picture with something in it.
    pixels = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)
    show(still_site, encoders.encode(pixels, "jpeg", 90))
    async with playing(still_site, "/canvases/left/stream.mjpeg?width=320") as player:
        picture = encoders.inspect((await player.part())[1])

    # The smallest of the tiers that fills it, nearly or wholly.
    assert (picture.width, picture.height) == (320, 180)


async def test_a_newcomer_gets_the_newest_frame_and_it_is_repeated_when_nothing_follows(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mjpeg, "LOOK_S", 0.02)
    monkeypatch.setattr(mjpeg, "KEEP_ALIVE_S", 0.2)
    show(still_site, RED)
    async with playing(still_site, "/canvases/left/stream.mjpeg") as player:
        parts = [await player.part() for _ in range(4)]

    assert {body for _, body in parts} == {RED.data}
    assert {headers["X-Sequence"] for headers, _ in parts} == {"1"}


async def test_blink_gets_the_next_headers_behind_each_picture(still_site: Site) -> None:
    show(still_site, RED)
    async with still_site.session.get(
        still_site.url / "canvases/left/stream.mjpeg", headers={"User-Agent": BROWSER}
    ) as response:
        head = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
        wanted = head + RED.data + b"\r\n" + head
        async with asyncio.timeout(SOON_S):
            assert await response.content.readexactly(len(wanted)) == wanted


async def test_a_slate_is_shown_where_nothing_was_yet_and_goes_with_the_first_frame(
    still_site: Site,
) -> None:
    async with playing(still_site, "/canvases/left/stream.mjpeg") as player:
        headers, body = await player.part()
        show(still_site, RED)
        await player.picture(RED.data)

    slate = encoders.inspect(body)
    assert (slate.width, slate.height) == (64, 64)
    assert headers["X-Sequence"] == "0"


async def test_the_slate_says_when_inference_is_away(
    still_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mjpeg, "LOOK_S", 0.02)
    async with playing(still_site, "/canvases/left/stream.mjpeg") as player:
        _, nothing = await player.part()
        still_site.canvas("left").set_status({"state": "unavailable", "job": None})
        bodies = [(await player.part())[1]]
        while bodies[-1] == nothing:
            bodies.append((await player.part())[1])

    assert encoders.inspect(bodies[-1]).format == "jpeg"


async def test_a_stream_counts_as_a_screen_for_as_long_as_it_is_read(site: Site) -> None:
    canvas = site.canvas("left")
    assert canvas.demand_fps == 0.0
    async with playing(site, "/canvases/left/stream.mjpeg?fps=20") as player:
        while (await player.part())[0]["X-Sequence"] == "0":
            pass
        assert canvas.demand_fps == 20.0
    await wait_for(lambda: not canvas.subscribers)
    assert canvas.demand_fps == 0.0


async def test_a_reader_that_vanishes_is_let_go(still_site: Site) -> None:
    show(still_site, RED)
    canvas = still_site.canvas("left")
    sock = await _bare_player(still_site, "left")
    await wait_for(lambda: canvas.subscribers)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    await wait_for(lambda: not canvas.subscribers)


async def test_a_reader_that_reads_nothing_is_cut_off_and_delays_nobody(tmp_path: Path) -> None:
    async with running_site(tmp_path, default_prompt="", send_deadline_s=3.0) as site:
        canvas = site.canvas("left")
        heavy = [
            EncodedImage(RED.data[:-2] + bytes([number]) * 3_000_000 + b"\xff\xd9", "jpeg", 64, 48)
            for number in range(1, 4)
        ]
        sock = await _bare_player(site, "left")
        await wait_for(lambda: canvas.subscribers)
        async with playing(site, "/canvases/left/stream.mjpeg") as player:
            for picture in heavy:
                canvas.publish(picture, timestamp_ms=now_ms())
                await player.picture(picture.data)
            await wait_for(lambda: len(canvas.subscribers) == 1)
        sock.close()
        assert site.parts.counters.too_slow == 1


async def test_a_removed_canvas_ends_its_streams(still_site: Site) -> None:
    show(still_site, RED)
    async with playing(still_site, "/canvases/left/stream.mjpeg") as player:
        await player.picture(RED.data)
        await still_site.call("DELETE", "/canvases/left")
        await player.ended()
    await wait_for(lambda: any(event["event"] == "stream gone" for event in still_site.logs))


async def test_a_server_that_stops_ends_its_streams(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with running_site(tmp_path, default_prompt="") as site:
            response = await session.get(site.url / "canvases/left/stream.mjpeg")
            await response.content.readuntil(b"--frame\r\n")
        await Player(response).ended()
        response.close()


async def test_head_tells_what_a_stream_is_and_sends_none(still_site: Site) -> None:
    async with still_site.session.head(still_site.url / "canvases/left/stream.mjpeg") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
        assert await response.read() == b""
    assert not still_site.canvas("left").subscribers


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("NO", "slug"),
        ("left?fps=0", "fps"),
        ("left?fps=61", "fps"),
        ("left?fps=nan", "fps"),
        ("left?fps=1_0", "fps"),
        ("left?width=7", "width"),
        ("left?width=4097", "width"),
        ("left?width=64.5", "width"),
        ("left?width=", "width"),
    ],
)
async def test_a_stream_that_cannot_be_made_names_its_field(still_site: Site, path: str, field: str) -> None:
    slug, _, query = path.partition("?")
    error = await still_site.refused("GET", f"/canvases/{slug}/stream.mjpeg?{query}", status=400)
    assert error["field"] == field


async def test_a_stream_may_name_a_new_canvas_as_a_screen_may(tmp_path: Path) -> None:
    async with running_site(tmp_path, default_prompt="", token="secret-token-0123") as site:
        path = "/canvases/new/stream.mjpeg"
        assert (await site.refused("GET", path, status=404))["code"] == "unknown_canvas"
        headers = {"Authorization": "Bearer secret-token-0123"}
        foreign = {**headers, "Sec-Fetch-Site": "cross-site"}
        await site.refused("GET", path, status=404, headers=foreign)
        async with site.session.get(site.at(path), headers=headers) as response:
            assert response.status == 200
            assert site.canvas("new").is_temporary is True


MEANT = [
    {"User-Agent": "VLC/3.0"},
    {"Sec-Fetch-Site": "same-origin", "User-Agent": BROWSER},
    {"Sec-Fetch-Site": "none", "User-Agent": BROWSER},
    {"Origin": "http://{host}", "User-Agent": BROWSER},
]
PERHAPS_FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "User-Agent": BROWSER},
    {"Sec-Fetch-Site": "same-site", "User-Agent": "VLC/3.0"},
    {"Sec-Fetch-Mode": "no-cors"},
    # As browsers ask an address that is neither https nor this machine.
    {"User-Agent": BROWSER},
]


@pytest.mark.parametrize("headers", MEANT)
async def test_who_means_to_watch_a_new_canvas_gets_one(still_site: Site, headers: dict[str, str]) -> None:
    told = {name: value.format(host=still_site.url.authority) for name, value in headers.items()}
    async with still_site.session.get(still_site.at("/canvases/new/stream.mjpeg"), headers=told) as response:
        assert response.status == 200
        assert still_site.canvas("new").is_temporary is True


@pytest.mark.parametrize("headers", PERHAPS_FOREIGN)
@pytest.mark.parametrize("path", ["stream.mjpeg", "snapshot"])
async def test_what_a_foreign_page_may_have_asked_for_makes_no_canvas(
    still_site: Site, headers: dict[str, str], path: str
) -> None:
    error = await still_site.refused("GET", f"/canvases/new/{path}", status=404, headers=headers)

    assert error["code"] == "unknown_canvas"
    assert len(still_site.parts.registry) == 2
    show(still_site, RED)
    async with still_site.session.get(still_site.at(f"/canvases/left/{path}"), headers=headers) as response:
        assert response.status == 200, "what is there may be looked at"


async def test_head_makes_no_canvas(still_site: Site) -> None:
    for path in ("stream.mjpeg", "snapshot"):
        async with still_site.session.head(still_site.at(f"/canvases/new/{path}")) as response:
            assert response.status == 404
    assert len(still_site.parts.registry) == 2


async def test_as_many_streams_as_screens_may_look_at_a_canvas(tmp_path: Path) -> None:
    path = "/canvases/left/stream.mjpeg"
    async with running_site(tmp_path, default_prompt="", max_subscribers=1) as site, playing(site, path):
        error = await site.refused("GET", path, status=503)
    assert error["code"] == "full"


async def _bare_player(site: Site, slug: str) -> socket.socket:
    """Ask for a stream on a bare socket, and read nothing."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.setblocking(False)
    await loop.sock_connect(sock, (site.url.host, site.url.port))
    request = f"GET /canvases/{slug}/stream.mjpeg HTTP/1.1\r\nHost: 127.0.0.1:{site.url.port}\r\n\r\n"
    await loop.sock_sendall(sock, request.encode())
    return sock


@pytest.mark.ffmpeg
@pytest.mark.parametrize(("seconds", "fps"), [(2, 10.0), (10, 8.0)], ids=["in brief", "for ten seconds"])
async def test_ffmpeg_reads_a_canvas_at_its_rate(still_site: Site, seconds: int, fps: float) -> None:
    ffmpeg = find_ffmpeg()
    assert ffmpeg is not None
    source = asyncio.create_task(_paint(still_site, fps=fps))
    try:
        url = str(still_site.url / "canvases/left/stream.mjpeg")
        player = await asyncio.create_subprocess_exec(
            *(ffmpeg, "-nostdin", "-loglevel", "error", "-use_wallclock_as_timestamps", "1", "-i", url),
            *("-t", str(seconds), "-fps_mode", "passthrough", "-f", "framecrc", "-"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, complaints = await player.communicate()
    finally:
        source.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await source

    assert player.returncode == 0, complaints.decode()
    frames = [line for line in out.decode().splitlines() if line and not line.startswith("#")]
    # A busy machine shows fewer, and has up to a second's ready when ffmpeg begins.
    assert 0.6 * seconds * fps <= len(frames) <= (seconds + 1) * fps, complaints.decode()
    assert not complaints, complaints.decode()


async def _paint(site: Site, *, fps: float) -> None:
    """Show another colour so many times a second, and never more often."""
    pictures = [image(colour=(number, 0, 0)) for number in range(0, 250, 5)]
    for number in range(10_000):
        show(site, pictures[number % len(pictures)])
        await asyncio.sleep(1.0 / fps)

"""Pushing at a rate, to a server that is played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.errors import BenchError
from bench.source import push_to_all
from bench.target import Target


class Canvases:
    """Takes pushes, and may hold the first one back."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.held = asyncio.Event()
        self.held.set()
        self.status = 201

    async def take(self, request: web.Request) -> web.Response:
        await self.held.wait()
        self.bodies.append(await request.read())
        answer = {"frame": {"sequence": len(self.bodies), "image_id": "x"}}
        return web.json_response(answer, status=self.status)


@pytest.fixture
def canvases() -> Canvases:
    return Canvases()


@pytest.fixture
async def target(canvases: Canvases) -> AsyncIterator[Target]:
    app = web.Application(client_max_size=1 << 22)
    app.router.add_post("/canvases/{slug}/frames", canvases.take)

    async def no_cpu() -> float:
        return 0.0

    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Target(str(server.make_url("")).rstrip("/"), None, session, no_cpu, "none")


async def test_files_are_pushed_in_turn(canvases: Canvases, target: Target) -> None:
    # The second file is over the size of which aiohttp warns.
    files = (b"one", b"2" * (1 << 21))
    (pushed,) = await push_to_all(target, ["left"], files, count=3, fps=60.0)
    assert canvases.bodies == [files[0], files[1], files[0]]
    assert (pushed.published, pushed.dropped, pushed.last_sequence) == (3, 0, 3)


async def test_frames_that_were_due_during_a_slow_push_are_dropped(
    canvases: Canvases, target: Target
) -> None:
    canvases.held.clear()
    pushing = asyncio.ensure_future(push_to_all(target, ["left"], (b"x",), count=100, fps=1000.0))
    # 100 frames at 1000 per second are all due 0.1 s after the start.
    asyncio.get_running_loop().call_later(0.15, canvases.held.set)
    (pushed,) = await pushing
    assert (pushed.published, pushed.dropped) == (1, 99)


async def test_a_refusal_ends_the_bench(canvases: Canvases, target: Target) -> None:
    canvases.status = 401
    with pytest.raises(BenchError, match="a frame for 'left' was refused with 401"):
        await push_to_all(target, ["left", "right"], (b"x",), count=1, fps=60.0)

"""Plain aiohttp, `await ws.send_bytes(newest)` for each screen: `python -m bench.alternatives.send_bytes`.

What a careful programmer writes first: no compression, one task for each screen that waits for the
newest frame, and no acknowledgements. It leaves megabytes of old frames to the kernel.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from aiohttp import web

from bench.alternatives.message import PROTOCOL, pack
from bench.alternatives.program import (
    Plan,
    end_with_input,
    listen,
    publish_paced,
    read_plan,
    tell_address,
)
from server.streaming.clock import now_ms


GRACE_S = 0.1


class Stream:
    """One canvas: its newest frame as a message, and whoever waits for a newer one."""

    def __init__(self, slug: str, plan: Plan) -> None:
        self._slug = slug
        self._plan = plan
        self.sequence = 0
        self.message = b""
        self.changed: set[asyncio.Event] = set()

    def publish(self, image: bytes) -> None:
        """Make an image the newest frame."""
        self.sequence += 1
        plan = self._plan
        head, image = pack(
            self._slug,
            self.sequence,
            image,
            width=plan.width,
            height=plan.height,
            published_ms=now_ms(),
        )
        self.message = head + image
        for event in self.changed:
            event.set()


def make_handler(streams: dict[str, Stream]) -> Callable[[web.Request], object]:
    """Make the handler of the WebSocket route."""

    async def send_newest(request: web.Request) -> web.WebSocketResponse:
        stream = streams[request.match_info["slug"]]
        ws = web.WebSocketResponse(protocols=(PROTOCOL,), compress=False)
        await ws.prepare(request)
        changed = asyncio.Event()
        stream.changed.add(changed)
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(_write(ws, stream, changed))
                async for _ in ws:
                    pass
                writer.cancel()
        except* ConnectionError:
            pass
        finally:
            stream.changed.discard(changed)
        return ws

    return send_newest


async def _write(ws: web.WebSocketResponse, stream: Stream, changed: asyncio.Event) -> None:
    while True:
        await changed.wait()
        changed.clear()
        await ws.send_bytes(stream.message)


async def serve(plan: Plan) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    streams = [Stream(slug, plan) for slug in plan.slugs]
    app = web.Application()
    app.router.add_get("/ws/{slug}", make_handler(dict(zip(plan.slugs, streams, strict=True))))  # type: ignore[arg-type]
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S)
    await runner.setup()
    try:
        listener = listen()
        await web.SockSite(runner, listener).start()
        publish_paced(
            plan,
            lambda canvas, image: streams[canvas].publish(image),
            call_at=loop.call_at,
            now_s=loop.time,
        )
        tell_address(listener)
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Run the program."""
    plan = read_plan("send_bytes")
    end_with_input()
    asyncio.run(serve(plan))


if __name__ == "__main__":
    main()

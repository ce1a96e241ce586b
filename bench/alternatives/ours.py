"""The product's own server, with a source inside: `python -m bench.alternatives.ours`.

Its whole application, with its real routes and sockets; only what paints is away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from bench.alternatives.program import (
    Plan,
    end_with_input,
    listen,
    publish_paced,
    read_plan,
    tell_address,
)
from bench.target import server_environment
from server import logs
from server.app import make_app
from server.interpreter import settle
from server.settings import Settings
from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage
from server.web.keys import PARTS


GRACE_S = 1.0
MAX_SUBSCRIBERS = 10_000


def make_settings(plan: Plan, folder: Path) -> Settings:
    """Make the settings of a server that paints nothing, from an environment that is nobody's."""
    environment = server_environment(folder, canvases=plan.canvases, subscribers=MAX_SUBSCRIBERS)
    if plan.tiers:
        environment["PSYCHE_TIERS"] = plan.tiers
    environment["PSYCHE_SEND_DEADLINE_S"] = f"{plan.deadline_s:g}"
    os.environ.clear()
    os.environ.update(environment)
    return Settings()


@contextlib.asynccontextmanager
async def showing(plan: Plan, settings: Settings) -> AsyncIterator[int]:
    """Serve, and publish to the canvases as planned; yields the port."""
    app = make_app(settings)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S, handler_cancellation=False)
    await runner.setup()
    try:
        listener = listen()
        await web.SockSite(runner, listener).start()
        registry = app[PARTS].registry
        canvases = [registry.ensure(slug, is_temporary=False) for slug in plan.slugs]
        images = {image: EncodedImage(image, "jpeg", plan.width, plan.height) for image in plan.images}
        loop = asyncio.get_running_loop()

        def publish(canvas: int, image: bytes) -> None:
            canvases[canvas].publish(images[image], timestamp_ms=now_ms())

        publish_paced(plan, publish, call_at=loop.call_at, now_s=loop.time)
        settle()
        tell_address(listener)
        yield int(listener.getsockname()[1])
    finally:
        await runner.cleanup()


async def serve(plan: Plan, settings: Settings) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with showing(plan, settings):
        await stop.wait()


def main() -> None:
    """Run the program."""
    plan = read_plan("ours")
    end_with_input()
    with tempfile.TemporaryDirectory(prefix="psyche-bench-") as folder:
        settings = make_settings(plan, Path(folder))
        logs.configure(level=settings.log_level, style=settings.log_format)
        asyncio.run(serve(plan, settings))


if __name__ == "__main__":
    main()

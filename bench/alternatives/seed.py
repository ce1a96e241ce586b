"""The first program as its requirements describe it: `python -m bench.alternatives.seed`.

FastAPI on uvicorn with its defaults (which compress messages where the browser offers it, as all do),
a `WebSocketManager`, and JSON text with the image in base64, made anew for each send, one screen
after the other.
"""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from bench.alternatives.program import (
    Pace,
    Plan,
    end_with_input,
    listen,
    read_plan,
    tell_address,
)


class WebSocketManager:
    """The open connections of each canvas."""

    def __init__(self) -> None:
        self._connections: defaultdict[str, set[WebSocket]] = defaultdict(set)

    async def connect(self, websocket: WebSocket, slug: str) -> None:
        """Accept a connection."""
        await websocket.accept()
        self._connections[slug].add(websocket)

    def disconnect(self, websocket: WebSocket, slug: str) -> None:
        """Forget a connection."""
        self._connections[slug].discard(websocket)

    def get_connections(self, slug: str) -> list[WebSocket]:
        """Return the connections of a canvas."""
        return list(self._connections[slug])


async def send_image(image: bytes, image_id: str, timestamp: str, websocket: WebSocket) -> None:
    """Send an image to one connection, in the form of the first protocol."""
    await websocket.send_json(
        {
            "timestamp": timestamp,
            "image": base64.b64encode(image).decode("utf-8"),
            "image_id": image_id,
        }
    )


async def stream(plan: Plan, canvas: int, pace: Pace, manager: WebSocketManager) -> None:
    """Send a canvas's frames when they are due, for ever."""
    slug = plan.slugs[canvas]
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(max(0.0, pace.next_s(canvas) - loop.time()))
        count = pace.take(canvas, loop.time())
        if count is None:
            continue
        image = plan.images[count % len(plan.images)]
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for websocket in manager.get_connections(slug):
            with suppress(WebSocketDisconnect, RuntimeError):
                await send_image(image, f"{slug}-{count + 1}", timestamp, websocket)


def make_app(plan: Plan) -> FastAPI:
    """Make the application."""
    manager = WebSocketManager()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pace = Pace(plan, asyncio.get_running_loop().time())
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(stream(plan, canvas, pace, manager)) for canvas in range(plan.canvases)
            ]
            yield
            for task in running:
                task.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/ws/{canvas_slug}")
    async def websocket_endpoint(websocket: WebSocket, canvas_slug: str) -> None:
        await manager.connect(websocket, canvas_slug)
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            manager.disconnect(websocket, canvas_slug)

    return app


def main() -> None:
    """Run the program."""
    plan = read_plan("seed")
    end_with_input()
    listener = listen()
    tell_address(listener)
    server = uvicorn.Server(uvicorn.Config(make_app(plan), log_level="warning", timeout_graceful_shutdown=1))
    with suppress(KeyboardInterrupt, SystemExit):
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()

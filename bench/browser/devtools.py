"""Chromium's developer tools over their WebSocket: commands, answers and events of a page and its workers.

Knows no page of ours. Written against the DevTools protocol's `Target`, `Runtime`, `Network` and `Tracing`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from bench.errors import BenchError


# A command that is not answered by then never will be; reading a large trace takes seconds.
COMMAND_S = 60.0

Handler = Callable[[dict[str, Any], str | None], None]
"""Takes the parameters of an event, and the session that it came from."""


class DevTools:
    """One connection to a browser."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._handlers: dict[str, list[Handler]] = {}

    def on(self, event: str, handler: Handler) -> None:
        """Have a handler called at every event of a name."""
        self._handlers.setdefault(event, []).append(handler)

    async def command(
        self, method: str, params: dict[str, Any] | None = None, *, session: str | None = None
    ) -> dict[str, Any]:
        """Have a command done and return what it answers.

        Raises:
            BenchError: If the browser refuses it, or does not answer.
        """
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await self.post(method, params, session=session, number=number)
            async with asyncio.timeout(COMMAND_S):
                told = await answer
        except TimeoutError:
            raise BenchError(f"Chromium did not answer {method}") from None
        finally:
            del self._waiting[number]
        if "error" in told:
            raise BenchError(f"Chromium refused {method}: {told['error'].get('message')}")
        result: dict[str, Any] = told["result"]
        return result

    async def post(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        session: str | None = None,
        number: int | None = None,
    ) -> None:
        """Send a command whose answer, without a number, nobody waits for.

        Raises:
            BenchError: If the browser has gone.
        """
        message: dict[str, Any] = {"id": next(self._numbers) if number is None else number, "method": method}
        message["params"] = params or {}
        if session is not None:
            message["sessionId"] = session
        try:
            await self._ws.send_json(message)
        except ConnectionError as exc:
            raise BenchError("Chromium has ended") from exc

    async def evaluate(self, expression: str, *, session: str) -> Any:
        """Return the value of a JavaScript expression; a promise is waited for.

        Raises:
            BenchError: If it throws.
        """
        params = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        told = await self.command("Runtime.evaluate", params, session=session)
        if "exceptionDetails" in told:
            details = told["exceptionDetails"]
            raise BenchError(f"the page threw {details.get('exception', {}).get('description', details)}")
        return told["result"].get("value")

    async def read(self) -> None:
        """Take what the browser sends, until the connection ends."""
        async for message in self._ws:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            told = message.json()
            if "id" in told:
                waiting = self._waiting.get(told["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(told)
            else:
                for handler in self._handlers.get(told["method"], ()):
                    handler(told["params"], told.get("sessionId"))


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[DevTools]:
    """Connect to a browser's WebSocket address.

    Raises:
        BenchError: If it does not answer.
    """
    async with aiohttp.ClientSession() as http:
        try:
            ws = await http.ws_connect(url, max_msg_size=0)
        except aiohttp.ClientError as exc:
            raise BenchError(f"Chromium does not answer: {exc}") from exc
        tools = DevTools(ws)
        reading = asyncio.ensure_future(tools.read())
        try:
            yield tools
        finally:
            reading.cancel()
            await asyncio.wait({reading})
            await ws.close()

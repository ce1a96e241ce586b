"""The standard health service: of the whole, of each model, and fit for a graceful stop.

The whole is SERVING as soon as it listens: what it cannot paint yet, it loads or says why not. A
model is SERVING while it is loaded. Knows no engine and no call but its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

# The distribution carries no types.
from grpc_health.v1 import health, health_pb2  # type: ignore[import-untyped]

from inference.errors import first_error
from inference.models.entry import State
from inference.models.house import ModelHouse
from protos import psyche_inference_v1_pb2 as pb


# What a checker may ask for: the whole server, or the service by its name, or a model of it as
# "<service>/<model>".
NAMES = ("", pb.DESCRIPTOR.services_by_name["ImageGenerationService"].full_name)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def name_of(model: str) -> str:
    """Return what a checker asks for to learn of a model."""
    return f"{NAMES[1]}/{model}"


class _EndOfWatch(Exception):
    """A watcher has been told the last that there will be to tell."""


class _Watcher:
    """A watcher's context that ends the watch after the first message of a shutdown."""

    def __init__(self, context: Any, servicer: HealthServicer) -> None:
        self._context = context
        self._servicer = servicer

    async def write(self, response: Any) -> None:
        await self._context.write(response)
        if self._servicer.is_stopping:
            raise _EndOfWatch


class HealthServicer(health.aio.HealthServicer):  # type: ignore[misc]
    """The standard servicer; its watches end once it has told them of the shutdown.

    The library's own never end, and a server that is watched would take its whole grace period
    to stop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_stopping = False
        self._server_status.clear()

    async def Watch(self, request: Any, context: Any) -> None:
        """Send the status and each change of it, until the shutdown."""
        try:
            await super().Watch(request, _Watcher(context, self))
        except _EndOfWatch:
            return

    async def start(self) -> None:
        """Tell that there is a service now."""
        for name in NAMES:
            await self.set(name, SERVING)

    async def enter_graceful_shutdown(self) -> None:
        """Tell everybody, for good, that there is none any more."""
        self.is_stopping = True
        await super().enter_graceful_shutdown()

    @asynccontextmanager
    async def following(self, house: ModelHouse) -> AsyncIterator[None]:
        """Tell the state of each model and each change of it, as long as the body lasts."""
        changed = asyncio.Event()
        states = {name: house.state(name) for name in house.models}

        def note(name: str, state: State) -> None:
            states[name] = state
            changed.set()

        async def tell() -> None:
            changed.clear()
            # A copy: states change while watchers are told of them.
            for name, state in list(states.items()):
                await self.set(name_of(name), SERVING if state is State.READY else NOT_SERVING)

        async def tell_forever() -> NoReturn:
            while True:
                await changed.wait()
                await tell()

        house.on_state = note
        try:
            await tell()
            with first_error():
                async with asyncio.TaskGroup() as tasks:
                    telling = tasks.create_task(tell_forever(), name="health of models")
                    try:
                        yield
                    finally:
                        telling.cancel()
        finally:
            house.on_state = None

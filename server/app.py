"""Puts the parts together: what lives as long as the server, in the order in which it stops.

Stopping: screens are told and their connections close with 1001, handlers return, producers end,
then the channel and the inference child.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import NoReturn

import structlog
from aiohttp import web

from server.generation.desk import Desk
from server.generation.easel import Easel
from server.generation.events import Event, EventBus
from server.generation.inference_child import InferenceChild
from server.generation.inference_client import InferenceClient
from server.generation.job import Job
from server.generation.lane import Lane
from server.generation.private_address import private_address
from server.generation.store import ImageShelf, MemoryJobStore
from server.interpreter import give_way
from server.resources import Resources, log_resources
from server.settings import EMBEDDED, Settings
from server.streaming.canvas import Canvas
from server.streaming.config import CanvasConfig
from server.streaming.registry import Registry
from server.streaming.wire import CloseCode
from server.web import (
    canvases,
    compatibility,
    frames,
    ingest,
    jobs,
    login,
    mjpeg,
    operation,
    pages,
    snapshot,
)
from server.web.access import Access
from server.web.events import events_socket
from server.web.idempotency import RepeatGuard
from server.web.keys import PARTS, Parts
from server.web.middleware import add_headers, answer
from server.web.offers import Offers
from server.web.requests import PromptBody
from server.web.sockets import canvas_socket


log = structlog.get_logger(__name__)

# How often canvases that only a screen has named are looked at, seconds.
SWEEP_S = 5.0
# How long the inference child may take to say that it serves, seconds.
PROBE_S = 1.0


def make_app(settings: Settings) -> web.Application:
    """Make the application; nothing is started before it runs."""
    app = web.Application(middlewares=[answer])
    rooms = (pages, login, canvases, frames, ingest, snapshot, mjpeg, jobs, compatibility, operation)
    for routes in rooms:
        app.add_routes(routes.routes)
    app.router.add_get("/ws", events_socket)
    app.router.add_get("/ws/{slug}", canvas_socket)
    pages.add_static(app)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(lambda app: _parts(app, settings))
    app.on_shutdown.append(_say_goodbye)
    return app


async def _parts(app: web.Application, settings: Settings) -> AsyncIterator[None]:
    """Make the parts, run their tasks beside the server, and end them after it."""
    with contextlib.ExitStack() as resources:
        executor = ThreadPoolExecutor(
            settings.encoder_threads, thread_name_prefix="encoder", initializer=give_way
        )
        resources.callback(executor.shutdown, wait=True, cancel_futures=True)
        is_embedded = settings.inference == EMBEDDED
        address = resources.enter_context(private_address()) if is_embedded else settings.inference
        async with InferenceClient(address) as client:
            child = (
                InferenceChild(address, lambda: client.is_serving(deadline_s=PROBE_S))
                if is_embedded
                else None
            )
            parts = _assemble(settings, client, executor, child)
            app[PARTS] = parts
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(parts.desk.run(), name="desk"),
                    tasks.create_task(_sweep(parts.registry), name="sweeper"),
                    tasks.create_task(log_resources(parts.registry, parts.resources), name="resources"),
                    tasks.create_task(parts.lag.watch(), name="loop-lag"),
                    tasks.create_task(parts.tally.tell(), name="tally"),
                ]
                if child:
                    running.append(tasks.create_task(child.run(), name="inference-child"))
                _hang_canvases(parts)
                yield
                for task in running:
                    task.cancel()


def _assemble(
    settings: Settings,
    client: InferenceClient,
    executor: ThreadPoolExecutor,
    child: InferenceChild | None,
) -> Parts:
    registry = Registry(
        default=CanvasConfig(width=settings.width, height=settings.height, fps=settings.fps),
        executor=executor,
        tiers=settings.tiers,
        max_canvases=settings.max_canvases,
        max_subscribers=settings.max_subscribers,
    )
    bus = EventBus()
    results, uploads = ImageShelf(), ImageShelf()

    def make_easel(lane: Lane, canvas: Canvas | None, notify: Callable[[Job], None]) -> Easel:
        return Easel(
            lane=lane,
            client=client,
            results=results,
            uploads=uploads,
            media_root=settings.media_root,
            executor=executor,
            notify=notify,
            canvas=canvas,
        )

    desk = Desk(
        registry=registry,
        store=MemoryJobStore(),
        bus=bus,
        make_easel=make_easel,
        max_waiting=settings.queue_max_size,
    )
    return Parts(
        settings=settings,
        access=Access(settings),
        registry=registry,
        desk=desk,
        bus=bus,
        client=client,
        offers=Offers(client),
        uploads=uploads,
        results=results,
        executor=executor,
        resources=Resources(),
        repeats=RepeatGuard(),
        describe_child=(lambda: asdict(child.state)) if child else None,
    )


def _hang_canvases(parts: Parts) -> None:
    """Make the configured canvases and have them paint the default prompts, in turn."""
    prompts = parts.settings.default_prompts
    for index, slug in enumerate(parts.settings.canvases):
        canvas = parts.registry.ensure(slug, is_temporary=False)
        if prompts:
            job = PromptBody(prompt=prompts[index % len(prompts)]).job(canvas=canvas.slug)
            job.source = "default"
            parts.desk.submit(job)


async def _sweep(registry: Registry) -> NoReturn:
    """Remove canvases that only a screen had named, some time after it has gone."""
    while True:
        await asyncio.sleep(SWEEP_S)
        for canvas in registry.remove_abandoned():
            log.info("temporary canvas removed", canvas=canvas.slug)


async def _say_goodbye(app: web.Application) -> None:
    """Tell every screen that the server goes away and that coming back is welcome."""
    parts = app[PARTS]
    parts.is_stopping.set()
    # Whoever waits for events looks up.
    parts.bus.tell(Event())
    for canvas in parts.registry:
        canvas.close("server stops", reconnect=True, close_code=CloseCode.GOING_AWAY)

"""The parts of the application, by typed key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from server.generation.desk import Desk
from server.generation.events import EventBus
from server.generation.inference_client import InferenceClient
from server.generation.store import ImageShelf
from server.loop_lag import LoopLag
from server.metrics import Recent
from server.resources import Resources
from server.settings import Settings
from server.streaming.clock import now_ms
from server.streaming.registry import Registry
from server.tally import Tally
from server.web.access import Access
from server.web.idempotency import RepeatGuard
from server.web.offers import Offers


@dataclass(eq=False, slots=True)
class Counters:
    """What happened since the start, for `/state`."""

    connections: int = 0
    protocol_errors: int = 0
    ignored_messages: int = 0
    too_slow: int = 0


@dataclass(eq=False, slots=True)
class Parts:
    """Everything that handlers work with."""

    settings: Settings
    access: Access
    registry: Registry
    desk: Desk
    bus: EventBus
    client: InferenceClient
    offers: Offers
    uploads: ImageShelf
    results: ImageShelf
    executor: Executor
    resources: Resources
    repeats: RepeatGuard
    # Describes the inference child for `/state`; None where the service is not ours.
    describe_child: Callable[[], dict[str, Any]] | None = None
    counters: Counters = field(default_factory=Counters)
    tally: Tally = field(default_factory=Tally)
    lag: LoopLag = field(default_factory=LoopLag)
    metrics: Recent = field(default_factory=Recent)
    started_ms: float = field(default_factory=now_ms)
    is_stopping: asyncio.Event = field(default_factory=asyncio.Event)


PARTS = web.AppKey("parts", Parts)

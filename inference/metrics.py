"""What Prometheus may read of the service, on a port of its own.

What happens often is counted as it happens (`Metrics` is the scheduler's observer and the servicer's);
what is a state is asked for when somebody reads. The one rule: readers come from threads of the
library, so the state is read on the event loop and handed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from inference.core import Core
from inference.errors import ConfigurationError
from inference.models.entry import ModelStatus, State


# Nobody but this machine: what is read tells the load and the models, and needs no token.
HOST = "127.0.0.1"

# For the state while the event loop is busy, seconds; a reader that waits longer gets an error.
READ_DEADLINE_S = 5.0

# From a frame of the painter to a model of a hundred steps on a processor, seconds.
PAINT_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
# The scheduler's own work, which must stay below a thousandth of a second, seconds.
OWN_BUCKETS_S = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01)
ROWS_BUCKETS = (1, 2, 4, 8, 16, 32)

_CACHE_HITS, _CACHE_MISSES = "_cache_hits", "_cache_misses"


class Metrics:
    """Counts what happens; the scheduler's `Observer`. Safe from any thread."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._queue_s = Histogram(
            "psyche_inference_queue_seconds", "Until the engine took a picture up.", ["model"],
            buckets=PAINT_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._paint_s = Histogram(
            "psyche_inference_paint_seconds", "From then until it was painted.", ["model"],
            buckets=PAINT_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._tick_s = Histogram(
            "psyche_inference_tick_seconds", "One step of the engine, for all that shared it.", ["model"],
            buckets=PAINT_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._own_s = Histogram(
            "psyche_inference_scheduler_seconds", "The scheduler's own work for one tick.",
            buckets=OWN_BUCKETS_S, registry=registry,
        )  # fmt: skip
        self._rows = Histogram(
            "psyche_inference_tick_rows", "Rows that a step carried.", ["model"],
            buckets=ROWS_BUCKETS, registry=registry,
        )  # fmt: skip
        self._bucket = Histogram(
            "psyche_inference_tick_bucket_rows", "Rows that it was padded to.", ["model"],
            buckets=ROWS_BUCKETS, registry=registry,
        )  # fmt: skip
        self._pictures = Counter(
            "psyche_inference_pictures", "Pictures painted.", ["model"], registry=registry
        )
        self._given_up = Counter(
            "psyche_inference_pictures_given_up", "Pictures that were not painted, by the reason.",
            ["reason"], registry=registry,
        )  # fmt: skip
        self._calls = Counter(
            "psyche_inference_calls", "Calls that ended, by their status.", ["rpc", "code"], registry=registry
        )
        ProcessCollector(registry=registry)

    def on_tick(self, model: str, rows: int, bucket: int, seconds: float, own_s: float) -> None:
        """Count one step of an engine."""
        self._tick_s.labels(model).observe(seconds)
        self._own_s.observe(own_s)
        self._rows.labels(model).observe(rows)
        self._bucket.labels(model).observe(bucket)

    def on_painted(self, model: str, queued_s: float, painted_s: float) -> None:
        """Count a picture that was painted."""
        self._pictures.labels(model).inc()
        self._queue_s.labels(model).observe(queued_s)
        self._paint_s.labels(model).observe(painted_s)

    def on_given_up(self, reason: str) -> None:
        """Count a picture that was not."""
        self._given_up.labels(reason).inc()

    def on_call(self, rpc: str, code: str) -> None:
        """Count a call that ended with a gRPC status."""
        self._calls.labels(rpc, code).inc()


@dataclass(frozen=True, slots=True)
class _Facts:
    """The state of the service at one moment."""

    statuses: tuple[ModelStatus, ...]
    house_counts: dict[str, int]
    engine_counts: dict[str, dict[str, int]]  # by model
    live_sessions: int
    unfinished: int


class _StateCollector(Collector):
    """Tells the state of a core whenever somebody reads."""

    def __init__(
        self, core: Core, loop: asyncio.AbstractEventLoop, free_bytes: Callable[[], int | None]
    ) -> None:
        self._core = core
        self._loop = loop
        self._free_bytes = free_bytes

    def describe(self) -> Iterable[Metric]:
        """Tell nothing: the registry would else read the state when this is made, on the event loop."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Read the state. Runs in a thread of the library."""
        asked = asyncio.run_coroutine_threadsafe(self._look(), self._loop)
        facts = asked.result(READ_DEADLINE_S)
        free_bytes = self._free_bytes()
        yield _gauge("live_sessions", "Live pictures that are open.", facts.live_sessions)
        yield _gauge("unfinished_pictures", "Pictures that wait or are being painted.", facts.unfinished)
        if free_bytes is not None:
            yield _gauge("device_free_bytes", "The device's free memory.", free_bytes)
        yield from _describe_models(facts)
        for name, about in (
            ("loads", "Models loaded."),
            ("load_failures", "Models that could not be loaded."),
            ("evictions", "Models unloaded."),
            ("fallbacks", "Requests that another model painted, since theirs could not be loaded."),
        ):
            counter = CounterMetricFamily(f"psyche_inference_model_{name}", about)
            counter.add_metric([], facts.house_counts.get(name, 0))
            yield counter
        yield from _describe_counts(facts.engine_counts)

    async def _look(self) -> _Facts:
        statuses = self._core.house.describe()
        return _Facts(
            statuses=statuses,
            house_counts=dict(self._core.house.counts),
            engine_counts={
                status.entry.model.name: dict(status.engine.counts) for status in statuses if status.engine
            },
            live_sessions=self._core.live_sessions,
            unfinished=self._core.scheduler.unfinished,
        )


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"psyche_inference_{name}", about, value=value)


def _describe_models(facts: _Facts) -> Iterator[Metric]:
    loaded = [status for status in facts.statuses if status.engine is not None]
    yield _gauge("models_loaded", "Models in memory.", len(loaded))
    states = GaugeMetricFamily(
        "psyche_inference_model_state", "1 for the state that a model is in.", labels=["model", "state"]
    )
    sizes = GaugeMetricFamily(
        "psyche_inference_model_memory_bytes", "The memory of a loaded model.", labels=["model"]
    )
    for status in facts.statuses:
        for state in State:
            states.add_metric([status.entry.model.name, state.name.lower()], float(state is status.state))
    for status in loaded:
        sizes.add_metric([status.entry.model.name], status.size_bytes)
    yield states
    yield sizes


def _describe_counts(counts: dict[str, dict[str, int]]) -> Iterator[Metric]:
    """Tell the engines' own counters: those of caches by cache and result, others by their name."""
    caches = CounterMetricFamily(
        "psyche_inference_cache_lookups", "Looks into an engine's cache.", labels=["model", "cache", "result"]
    )
    others = CounterMetricFamily(
        "psyche_inference_engine_events", "What else an engine counts.", labels=["model", "event"]
    )
    for model, of in counts.items():
        for name, value in of.items():
            if name.endswith(_CACHE_HITS):
                caches.add_metric([model, name.removesuffix(_CACHE_HITS), "hit"], value)
            elif name.endswith(_CACHE_MISSES):
                caches.add_metric([model, name.removesuffix(_CACHE_MISSES), "miss"], value)
            else:
                others.add_metric([model, name], value)
    yield caches
    yield others


@contextmanager
def telling_state(metrics: Metrics, core: Core, *, free_bytes: Callable[[], int | None]) -> Iterator[None]:
    """Let readers of the metrics see the state of a core as long as the body lasts.

    Args:
        metrics: What is read; not on the event loop.
        core: Whose state is told.
        free_bytes: Tells the device's free memory, or None; called in the reader's thread.
    """
    state = _StateCollector(core, asyncio.get_running_loop(), free_bytes)
    metrics.registry.register(state)
    try:
        yield
    finally:
        metrics.registry.unregister(state)


@asynccontextmanager
async def serving_metrics(
    metrics: Metrics, core: Core, port: int | None, *, free_bytes: Callable[[], int | None]
) -> AsyncIterator[int | None]:
    """Let Prometheus read as long as the body lasts.

    Args:
        metrics: What was and is being counted.
        core: Whose state is told.
        port: Of 127.0.0.1; 0: any free one; None: nothing is served.
        free_bytes: See `telling_state`.

    Yields:
        The port as taken.

    Raises:
        ConfigurationError: If the port cannot be taken.
    """
    if port is None:
        yield None
        return
    with telling_state(metrics, core, free_bytes=free_bytes):
        try:
            server, thread = start_http_server(port, HOST, metrics.registry)
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise ConfigurationError(f"--metrics-port {port} of {HOST} cannot be taken: {reason}") from exc
        address = f"http://{HOST}:{server.server_port}/metrics"
        structlog.get_logger("inference").info("metrics", address=address)
        try:
            yield server.server_port
        finally:
            # A reader may be waiting for the event loop, which this therefore does not hold up.
            await asyncio.to_thread(server.shutdown)
            server.server_close()
            thread.join()

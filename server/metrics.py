"""What Prometheus may read of this server: base units, no prompt and no secret.

The state is read on the event loop, in slices, and becomes text in a thread: a thousand screens are
some ten thousand lines.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import exposition
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from server.streaming.clock import Clock


Rows = list[tuple[tuple[str, ...], float]]

# However many ask: a snapshot is as old as this at most before another is taken, seconds.
FRESH_S = 1.0
# The thread that writes lets the event loop have the interpreter after so many lines, for so long:
# left alone, each turn would make frames wait 5 ms.
_LINES_IN_A_ROW = 32
_PAUSE_S = 0.00005
_QUANTILES = {"p50": "0.5", "p99": "0.99"}


@dataclass(frozen=True, slots=True)
class Description:
    """What is told of one metric, beside its values."""

    text: str
    labels: tuple[str, ...] = ()
    is_counter: bool = False


def _gauge(text: str, *labels: str) -> Description:
    return Description(text, labels)


def _counter(text: str, *labels: str) -> Description:
    return Description(text, labels, is_counter=True)


_OF_CANVAS = ("canvas",)
_OF_SCREEN = ("canvas", "subscriber")

CATALOGUE: Mapping[str, Description] = {
    "psyche_started_seconds": _gauge("When the server started, Unix time."),
    "psyche_inference_up": _gauge("Whether the inference service serves: 1 or 0."),
    "psyche_inference_restarts": _counter("How often the embedded inference service was started again."),
    "psyche_connections": _counter("Connections of screens so far."),
    "psyche_protocol_errors": _counter("Connections closed because the peer broke the protocol."),
    "psyche_ignored_messages": _counter("Messages and fields that are not known."),
    "psyche_too_slow": _counter("Connections closed because the peer did not read."),
    "psyche_event_loop_lag_seconds": _gauge(
        "How late the event loop was, over the last minute; quantile 1 is the worst.", "quantile"
    ),
    "psyche_process_resident_memory_bytes": _gauge("Memory that the process takes."),
    "psyche_process_cpu_seconds": _counter("Processor time that the process has taken."),
    "psyche_process_open_descriptors": _gauge("Files and sockets that the process has open."),
    "psyche_process_threads": _gauge("Threads of the process."),
    "psyche_encoder_waiting": _gauge("Pieces of work that wait for a thread of the encoders."),
    "psyche_canvas_subscribers": _gauge("Connections that receive the canvas.", *_OF_CANVAS),
    "psyche_canvas_fps": _gauge("Frames per second, in (published) and out (sent).", "canvas", "direction"),
    "psyche_canvas_demand_fps": _gauge("Frames per second that screens ask for.", *_OF_CANVAS),
    "psyche_canvas_frames": _counter("Frames published.", *_OF_CANVAS),
    "psyche_canvas_drops": _counter(
        "Frames that some screen did not show, departed screens included; dropped: before any screen.",
        "canvas", "reason",
    ),
    "psyche_canvas_age_seconds": _gauge(
        "Age of frames on the screen: quantile 0.5 of the usual screen, 0.99 of the worst.",
        "canvas", "quantile",
    ),
    "psyche_canvas_rtt_seconds": _gauge("Round trip: the usual screen's and the worst.", "canvas", "which"),
    "psyche_canvas_goodput_bytes_per_second": _gauge(
        "What links carry: the usual screen's and the worst.", "canvas", "which"
    ),
    "psyche_canvas_window_bytes": _gauge(
        "How much may be on its way: to the usual screen and the worst.", "canvas", "which"
    ),
    "psyche_canvas_tier_subscribers": _gauge("Screens by the tier that they get.", "canvas", "tier"),
    "psyche_canvas_unchanged": _counter("Frames not sent since the picture was shown already.", *_OF_CANVAS),
    "psyche_canvas_encoded": _counter("Images encoded for screens.", *_OF_CANVAS),
    "psyche_canvas_encodings_cancelled": _counter("Encodings that nobody wanted any more.", *_OF_CANVAS),
    "psyche_canvas_undecodable": _counter("Pictures that turned out to be broken.", *_OF_CANVAS),
    "psyche_canvas_ingest_frames": _counter(
        "Pictures that the present source has pushed, by what became of them.", "canvas", "result"
    ),
    "psyche_canvas_jobs_queued": _gauge("Jobs that wait for the canvas.", *_OF_CANVAS),
    "psyche_subscriber_fps": _gauge("Frames per second sent to the screen.", *_OF_SCREEN),
    "psyche_subscriber_sent_frames": _counter("Frames sent to the screen.", *_OF_SCREEN),
    "psyche_subscriber_sent_bytes": _counter("Bytes of frames sent to the screen.", *_OF_SCREEN),
    "psyche_subscriber_drops": _counter("Frames that the screen did not show.", *_OF_SCREEN, "reason"),
    "psyche_subscriber_age_seconds": _gauge(
        "Age of frames when they are on the screen, lately.", *_OF_SCREEN, "quantile"
    ),
    "psyche_subscriber_stage_seconds": _gauge("Median of each stage of that age.", *_OF_SCREEN, "stage"),
    "psyche_subscriber_tier": _gauge("1 for the tier that the screen gets.", *_OF_SCREEN, "tier"),
    "psyche_subscriber_rtt_seconds": _gauge("Round trip of the link.", *_OF_SCREEN),
    "psyche_subscriber_min_rtt_seconds": _gauge("Least round trip of the link, lately.", *_OF_SCREEN),
    "psyche_subscriber_goodput_bytes_per_second": _gauge("What the link carries.", *_OF_SCREEN),
    "psyche_subscriber_window_bytes": _gauge("How much may be on its way.", *_OF_SCREEN),
    "psyche_subscriber_in_flight_frames": _gauge("Frames on their way.", *_OF_SCREEN),
    "psyche_subscriber_in_flight_bytes": _gauge("Bytes on their way.", *_OF_SCREEN),
}  # fmt: skip
"""Every metric by name; counters get `_total` behind it in the text."""


class _Samples(list[Sample]):
    """The samples of one metric, made one by one: all at once would keep the garbage collector busy."""

    def __init__(self, name: str, about: Description, rows: Rows) -> None:
        super().__init__()
        self._name = f"{name}_total" if about.is_counter else name
        self._labels = about.labels
        self._rows = rows

    def __iter__(self) -> Iterator[Sample]:
        for position, (labels, value) in enumerate(self._rows):
            if position % _LINES_IN_A_ROW == 0:
                time.sleep(_PAUSE_S)
            yield Sample(self._name, dict(zip(self._labels, labels, strict=True)), value)


@dataclass(slots=True)
class Snapshot(Collector):
    """The values of one moment, which nothing changes any more."""

    values: dict[str, Rows] = field(default_factory=dict)

    def put(self, name: str, value: Any, *labels: str, scale: float = 1.0) -> None:
        """Add a value, times `scale`; what is not known (None) is not told."""
        if value is not None:
            self.values.setdefault(name, []).append((labels, float(value) * scale))

    def collect(self) -> Iterator[Metric]:
        """Give the values as `prometheus_client` wants them."""
        for name, rows in self.values.items():
            about = CATALOGUE[name]
            family = Metric(name, about.text, "counter" if about.is_counter else "gauge")
            family.samples = _Samples(name, about, rows)
            yield family

    def put_process(self, state: Mapping[str, Any]) -> None:
        """Add what `/state` tells of the server as a whole."""
        self.put("psyche_started_seconds", state["started_ms"], scale=1e-3)
        inference = state["inference"]
        self.put("psyche_inference_up", inference["serving"])
        self.put("psyche_inference_restarts", (inference["child"] or {}).get("restarts"))
        for name in ("connections", "protocol_errors", "ignored_messages", "too_slow"):
            self.put(f"psyche_{name}", state["counters"][name])
        for name, quantile in {**_QUANTILES, "max": "1"}.items():
            self.put("psyche_event_loop_lag_seconds", state["loop_lag_ms"][name], quantile, scale=1e-3)
        process = state["process"]
        self.put("psyche_process_resident_memory_bytes", process["rss_bytes"])
        self.put("psyche_process_cpu_seconds", process["cpu_s"])
        self.put("psyche_process_open_descriptors", process["descriptors"])
        self.put("psyche_process_threads", process["threads"])
        self.put("psyche_encoder_waiting", state["encoder"]["waiting"])

    def put_canvas(self, slug: str, state: Mapping[str, Any]) -> None:
        """Add what `/state` tells of a canvas, without its screens."""
        self.put("psyche_canvas_subscribers", state["subscribers_connected"], slug)
        self.put("psyche_canvas_fps", state["fps_in"], slug, "in")
        self.put("psyche_canvas_fps", state.get("fps_out"), slug, "out")
        self.put("psyche_canvas_demand_fps", state["demand_fps"], slug)
        self.put("psyche_canvas_frames", state["sequence"], slug)
        for reason, number in {**state.get("drops", {}), "dropped": state["dropped"]}.items():
            self.put("psyche_canvas_drops", number, slug, reason)
        self._put_screens(slug, state["screens"])
        self.put("psyche_canvas_unchanged", state.get("unchanged"), slug)
        self.put("psyche_canvas_encoded", state.get("encoded"), slug)
        self.put("psyche_canvas_encodings_cancelled", state.get("cancelled"), slug)
        self.put("psyche_canvas_undecodable", state.get("undecodable"), slug)
        for result, number in (state["ingest"] or {}).items():
            self.put("psyche_canvas_ingest_frames", number, slug, result)
        self.put("psyche_canvas_jobs_queued", state["queue"]["length"], slug)

    def _put_screens(self, slug: str, screens: Mapping[str, Any]) -> None:
        for name, quantile in _QUANTILES.items():
            self.put("psyche_canvas_age_seconds", screens["age"][name], slug, quantile, scale=1e-3)
        for which in ("usual", "worst"):
            self.put("psyche_canvas_rtt_seconds", screens["rtt_ms"][which], slug, which, scale=1e-3)
            goodput = screens["goodput_bytes_s"][which]
            self.put("psyche_canvas_goodput_bytes_per_second", goodput, slug, which)
            self.put("psyche_canvas_window_bytes", screens["window_bytes"][which], slug, which)
        for tier, number in screens["tiers"].items():
            self.put("psyche_canvas_tier_subscribers", number, slug, tier)

    def put_subscriber(self, slug: str, state: Mapping[str, Any]) -> None:
        """Add what `/state` tells of one screen."""
        labels = (slug, str(state["number"]))
        self.put("psyche_subscriber_fps", state["fps_out"], *labels)
        self.put("psyche_subscriber_sent_frames", state["sent_frames"], *labels)
        self.put("psyche_subscriber_sent_bytes", state["sent_bytes"], *labels)
        for reason, number in state["drops"].items():
            self.put("psyche_subscriber_drops", number, *labels, reason)
        for name, quantile in _QUANTILES.items():
            self.put("psyche_subscriber_age_seconds", state["age"][name], *labels, quantile, scale=1e-3)
        for stage, stage_ms in state["stages"].items():
            self.put("psyche_subscriber_stage_seconds", stage_ms, *labels, stage, scale=1e-3)
        if state["tier"]:
            self.put("psyche_subscriber_tier", 1, *labels, state["tier"])
        self.put("psyche_subscriber_rtt_seconds", state["rtt_ms"], *labels, scale=1e-3)
        self.put("psyche_subscriber_min_rtt_seconds", state["min_rtt_ms"], *labels, scale=1e-3)
        self.put("psyche_subscriber_goodput_bytes_per_second", state["goodput_bytes_s"], *labels)
        self.put("psyche_subscriber_window_bytes", state["window_bytes"], *labels)
        self.put("psyche_subscriber_in_flight_frames", state["in_flight"], *labels)
        self.put("psyche_subscriber_in_flight_bytes", state["in_flight_bytes"], *labels)


def snapshot_of(state: Mapping[str, Any]) -> Snapshot:
    """Make the metrics of what `/state` tells; blocking, for a thread."""
    snapshot = Snapshot()
    snapshot.put_process(state)
    for slug, canvas in state["canvases"].items():
        snapshot.put_canvas(slug, canvas)
        for position, subscriber in enumerate(canvas["subscribers"]):
            if position % 2 == 0:
                time.sleep(_PAUSE_S)
            snapshot.put_subscriber(slug, subscriber)
    return snapshot


def render(state: Mapping[str, Any], accept: str) -> tuple[bytes, str]:
    """Write the metrics in a format that the reader accepts; blocking, for a thread.

    Returns:
        The text, and its content type.
    """
    encode, content_type = exposition.choose_encoder(accept)
    # The library asks a registry for nothing but what there is to tell.
    text: bytes = encode(snapshot_of(state))
    return text, content_type


class Recent:
    """Reads the state once for all who ask at about the same time."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()
        self._answers: dict[str, tuple[float, tuple[bytes, str]]] = {}

    async def text(self, accept: str, read: Callable[[], Awaitable[Mapping[str, Any]]]) -> tuple[bytes, str]:
        """Return the metrics and their content type, `FRESH_S` old at most.

        Args:
            accept: The formats that the reader takes, as its header says.
            read: Reads what `/state` tells.
        """
        # One of a few, whatever a reader sends.
        key = exposition.choose_encoder(accept)[1]
        async with self._lock:
            told_at, answer = self._answers.get(key, (float("-inf"), (b"", "")))
            if self._clock() - told_at >= FRESH_S:
                answer = await asyncio.to_thread(render, await read(), accept)
                self._answers[key] = (self._clock(), answer)
        return answer

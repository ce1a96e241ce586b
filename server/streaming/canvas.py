"""The canvas: a named stream of frames with one newest frame.

Knows nothing of jobs, browsers or web servers. Every change of state is synchronous, hence whole:
`publish` and `subscribe` contain no await. The rule that must not be broken: a subscriber always
ends on the newest frame.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from server.errors import ServerFullError
from server.streaming.clock import Clock, now_ms
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.frame import EncodedImage, Frame
from server.streaming.images import encoders
from server.streaming.rates import Rate
from server.streaming.tiers.renditions import Renditions
from server.streaming.wire import CloseCode, Form


@dataclass(frozen=True, slots=True)
class CanvasConfig:
    """What can be changed of a canvas at run time."""

    width: int = 512  # pixels, of what is painted for it
    height: int = 512  # pixels
    fps: float = 4.0  # 0.1 to 60
    format: str = "jpeg"  # what the inference service encodes frames as
    quality: int = 90  # 1 to 100
    paused: bool = False  # nothing is painted
    blank: bool = False  # screens are black
    transition: dict[str, Any] = field(default_factory=lambda: {"kind": "cut", "duration_s": 0.0})
    processing: dict[str, Any] = field(default_factory=dict)
    audio: dict[str, Any] = field(default_factory=dict)


class FrameSink(Protocol):
    """The way of a finished picture to a canvas, wherever that canvas is.

    Implemented by `Canvas` here; another implementation may hand pictures to servers elsewhere.
    """

    def publish(
        self,
        image: EncodedImage,
        *,
        timestamp_ms: float,
        job: str | None = None,
        final: bool = False,
        stages: dict[str, float] | None = None,
    ) -> Frame:
        """Make an image the newest frame."""


class Canvas:
    """A named stream of frames. Implements `FrameSink`.

    Attributes:
        epoch: This incarnation: sequences of different epochs are not comparable.
        newest: The frame that a newcomer gets at once, or None before the first.
        is_temporary: Named by a screen only; vanishes some time after its last subscriber.
        dropped: Pictures that came while the canvas was blank and were not published.
    """

    def __init__(
        self,
        slug: str,
        config: CanvasConfig,
        *,
        executor: Executor,
        is_temporary: bool = False,
        max_subscribers: int = 1000,
        clock: Clock = time.monotonic,
    ) -> None:
        self.slug = slug
        self.config = config
        self.epoch = uuid.uuid4().hex[:12]
        self.is_temporary = is_temporary
        self.max_subscribers = max_subscribers
        self.newest: Frame | None = None
        self.subscribers: set[Subscriber] = set()
        self.renditions = Renditions(executor)
        self.published = Rate()
        self.dropped = 0
        self.empty_since_s = clock()
        self.status: dict[str, Any] = {}
        self.on_demand: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        self._sequence = 0
        self._held: tuple[EncodedImage, dict[str, Any]] | None = None  # the newest picture while blank
        self._was_held_shown = False
        self._clock = clock
        if config.blank:
            self._blank()

    @property
    def demand_fps(self) -> float:
        """The most frames per second that any screen can show: 0 without a visible screen."""
        return max((subscriber.wants_fps for subscriber in self.subscribers), default=0.0)

    def publish(
        self,
        image: EncodedImage,
        *,
        timestamp_ms: float,
        job: str | None = None,
        final: bool = False,
        stages: dict[str, float] | None = None,
    ) -> Frame:
        """Make an image the newest frame and offer it to every subscriber.

        While the canvas is blank the image is held back, to be shown when it is no longer; the frame
        returned then is the black one.
        """
        about: dict[str, Any] = {
            "timestamp_ms": timestamp_ms,
            "job": job,
            "final": final,
            "stages": stages or {},
        }
        if self.config.blank and self.newest is not None:
            self.dropped += self._held is not None and not self._was_held_shown
            self._held, self._was_held_shown = (image, about), False
            return self.newest
        return self._show(image, about)

    def configure(self, **changes: Any) -> None:
        """Change the configuration; blanking and unblanking show at once."""
        was_blank = self.config.blank
        self.config = replace(self.config, **changes)
        if self.config.blank and not was_blank:
            self._blank()
        elif was_blank and not self.config.blank and self._held:
            (image, about), self._held = self._held, None
            self._show(image, about)
        self.on_demand()
        self.on_change()

    @contextlib.contextmanager
    def subscribe(self, form: Form) -> Iterator[Subscriber]:
        """Receive this canvas: the newest frame at once, then each newer one.

        Raises:
            ServerFullError: If there are as many subscribers as there may be.
        """
        if len(self.subscribers) >= self.max_subscribers:
            raise ServerFullError(f"subscribers of {self.slug!r}", self.max_subscribers)
        subscriber = Subscriber(form)
        self.subscribers.add(subscriber)
        if self.newest is not None:
            subscriber.mailbox.offer(self.newest)
        try:
            self.on_demand()
            self.on_change()
            yield subscriber
        finally:
            self.subscribers.discard(subscriber)
            self.empty_since_s = self._clock()
            self.on_demand()
            self.on_change()

    def set_status(self, status: dict[str, Any]) -> None:
        """Tell every subscriber the canvas's newest status."""
        if status == self.status:
            return
        self.status = status
        for subscriber in self.subscribers:
            subscriber.mailbox.post_status(status)

    def close(self, reason: str, *, reconnect: bool, close_code: CloseCode) -> None:
        """Send every subscriber away."""
        for subscriber in self.subscribers:
            subscriber.mailbox.close(reason, reconnect=reconnect, close_code=close_code)

    def to_json(self) -> dict[str, Any]:
        """Describe it as the HTTP routes do."""
        job = self.status.get("job")
        return {
            "slug": self.slug,
            **asdict(self.config),
            "state": self.status.get("state", "idle"),
            "subscribers": len(self.subscribers),
            "job": job["id"] if job else None,
            "temporary": self.is_temporary,
            "epoch": self.epoch,
        }

    def counters(self) -> dict[str, Any]:
        """Describe its traffic for `/state`."""
        now_s = self._clock()
        newest = self.newest
        return {
            "epoch": self.epoch,
            "sequence": self._sequence,
            "fps_in": self.published.per_second(now_s),
            "newest_ms": newest.timestamp_ms if newest else None,
            "newest_bytes": len(newest.image.data) if newest else None,
            "dropped": self.dropped,
            "encoded": self.renditions.encoded,
            "demand_fps": self.demand_fps if self.demand_fps != float("inf") else None,
            "subscribers": [
                subscriber.state(now_s)
                for subscriber in sorted(self.subscribers, key=lambda subscriber: subscriber.number)
            ],
        }

    def _show(self, image: EncodedImage, about: dict[str, Any]) -> Frame:
        self._sequence += 1
        published_ms = now_ms()
        frame = Frame(
            canvas=self.slug,
            sequence=self._sequence,
            image_id=f"{self.epoch}-{self._sequence}",
            published_ms=published_ms,
            image=image,
            timestamp_ms=about["timestamp_ms"],
            job=about["job"],
            final=about["final"],
            stages={**about["stages"], "published": published_ms} if about["stages"] else {},
        )
        self.newest = frame
        self.published.count(self._clock())
        for subscriber in self.subscribers:
            subscriber.mailbox.offer(frame)
        return frame

    def _blank(self) -> None:
        if self.newest is not None:
            shown = self.newest
            about = {
                "timestamp_ms": shown.timestamp_ms,
                "job": shown.job,
                "final": shown.final,
                "stages": shown.stages,
            }
            self._held, self._was_held_shown = (shown.image, about), True
        self._show(
            # Small, since every screen stretches it anyway: black has no detail.
            encoders.black(self.config.width // 8, self.config.height // 8),
            {"timestamp_ms": now_ms(), "job": None, "final": True, "stages": {}},
        )

"""The canvas: a named stream of frames with one newest frame.

Knows nothing of jobs, browsers or web servers. Every change of state is synchronous, hence whole:
`publish` and `subscribe` contain no await. The rule that must not be broken: a subscriber always
ends on the newest frame.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from typing import Any

from server.errors import ServerFullError
from server.sound.hearing import Hearing
from server.sound.mapping import Modulation
from server.streaming.clock import Clock, now_ms
from server.streaming.config import CanvasConfig
from server.streaming.delivery.held import HeldPayloads
from server.streaming.delivery.rounds import Rounds
from server.streaming.delivery.subscriber import Subscriber
from server.streaming.demand import Demand
from server.streaming.frame import EncodedImage, Exhibit, Frame
from server.streaming.images import encoders
from server.streaming.processing import Treatment
from server.streaming.rates import Pace, Rate
from server.streaming.tiers.renditions import Renditions
from server.streaming.tiers.snapshots import Snapshots
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.wire import CloseCode, Form


# How long after the last offer a picture that has not changed is offered again, seconds: proof that
# the source lives, for a screen that would otherwise hear nothing.
KEEP_ALIVE_S = 10.0
# No source paints or pushes faster.
MAX_FPS = 60.0


class Canvas:
    """A named stream of frames. Implements `server.streaming.sink.FrameSink`.

    Attributes:
        epoch: This incarnation: sequences of different epochs are not comparable.
        newest: The frame that a newcomer gets at once, or None before the first. Where the picture has
            not changed since, its image is that of the frame which the others have been offered.
        is_temporary: Named by a screen only; vanishes some time after its last subscriber.
        dropped: Pictures that came while the canvas was blank and were not published.
        unchanged: Frames that were not offered, because every screen shows their picture already.
        taken: Pictures that sources have brought; what is only shown anew, or black, is none.
        left_at_s: When the last subscriber left that had kept it, monotonic seconds.
        hearing: The sound at it.
        tiers: What its frames may be encoded as.
        rounds: The line in which those who write to its subscribers take their turns.
        held: What they could only write half of.
        on_demand: Called when the producer has to look again: at `demand_fps`, or at the configuration.
        on_change: Called when what `to_json` tells has changed.
    """

    def __init__(
        self,
        slug: str,
        config: CanvasConfig,
        *,
        executor: Executor,
        tiers: Sequence[Tier] = (ORIGINAL,),
        rounds: Rounds | None = None,
        held: HeldPayloads | None = None,
        snapshots: Snapshots | None = None,
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
        self.tiers = tiers
        self.renditions = Renditions(executor, snapshots)
        # An empty one is false.
        self.rounds = Rounds() if rounds is None else rounds
        self.held = HeldPayloads() if held is None else held
        self.hearing = Hearing(clock=clock)
        self.published = Rate()
        self.dropped = 0
        self.unchanged = 0
        self.taken = 0
        self.left_at_s = clock()
        self.status: dict[str, Any] = {}
        self.on_demand: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        self._sequence = 0
        self._demand = Demand()
        self._treatment = config.treatment()
        # Told far more often than it changes: to every screen that comes.
        self._told_config = asdict(config)
        self._pace = Pace()
        self._offered_at = clock()
        self._gone = (0, 0, 0)  # replaced, skipped and hidden of the subscribers that have left
        self._exhibit: Exhibit | None = None  # the newest picture, held back while blank; black is none
        self._was_shown = False
        self._clock = clock
        if config.blank:
            self._blank()

    @property
    def demand_fps(self) -> float:
        """The most frames per second that any screen can show: 0 without a visible screen."""
        return self._demand.fps

    @property
    def interval_s(self) -> float:
        """The usual time between two pictures: measured, or what is configured until then."""
        return self._pace.interval_s or 1.0 / self.config.fps

    @property
    def rests_at_s(self) -> float:
        """From when on the canvas rests if nothing new comes, monotonic seconds; infinite without a frame."""
        return self._pace.rests_at

    @property
    def modulation(self) -> Modulation:
        """What the sound at it does to what is painted, at this moment."""
        return self.hearing.modulation(self.config.audio)

    def is_resting(self, now_s: float) -> bool:
        """Tell whether the picture has not changed for longer than its source usually takes."""
        return now_s >= self._pace.rests_at

    def publish(
        self,
        image: EncodedImage,
        *,
        timestamp_ms: float,
        job: str | None = None,
        final: bool = False,
        present_at_ms: float | None = None,
    ) -> Frame:
        """Make an image the newest frame and offer it to every subscriber.

        A picture that has not changed is a frame like any other, but is offered only every
        `KEEP_ALIVE_S`. While the canvas is blank the image is held back, to be shown when it is no
        longer; the frame returned then is the black one.

        Args:
            image: The image, as it comes from its source.
            timestamp_ms: When the picture was finished, Unix.
            job: Whose picture it is.
            final: Whether no other picture follows by itself.
            present_at_ms: When every screen shows it, Unix; None: as the configuration says.
        """
        self.taken += 1
        exhibit = Exhibit(image, timestamp_ms, job, final, present_at_ms)
        if self.config.blank and self.newest is not None:
            self.dropped += self._exhibit is not None and not self._was_shown
            self._exhibit, self._was_shown = exhibit, False
            return self.newest
        return self._show(exhibit, is_new=True)

    def configure(self, **changes: Any) -> None:
        """Change the configuration; blanking, unblanking and another processing show at once."""
        was_blank, was_treated = self.config.blank, self._treatment
        if "audio" in changes:
            # What was heard until now counts as it was set until now.
            self.hearing.modulation(self.config.audio)
        self.config = replace(self.config, **changes)
        self._treatment, self._told_config = self.config.treatment(), asdict(self.config)
        exhibit, at_ms = self._exhibit, now_ms()
        if self.config.blank and not was_blank:
            self._blank()
        elif exhibit is not None and was_blank and not self.config.blank:
            self._show(exhibit.again(at_ms) if self._was_shown else exhibit)
        elif exhibit is not None and self._treatment != was_treated and not self.config.blank:
            # The picture that stands there is made anew, at this moment.
            self._show(replace(exhibit.again(at_ms), timestamp_ms=at_ms))
        self.on_demand()
        self.on_change()

    @contextlib.contextmanager
    def subscribe(self, form: Form, *, keeps: bool = True) -> Iterator[Subscriber]:
        """Receive this canvas: the newest frame at once, then each newer one.

        A temporary canvas stays for all but those who do not mean to keep it.

        Raises:
            ServerFullError: If there are as many subscribers as there may be.
        """
        if len(self.subscribers) >= self.max_subscribers:
            raise ServerFullError(f"subscribers of {self.slug!r}", self.max_subscribers)
        subscriber = Subscriber(form, self.tiers, keeps=keeps)
        self.subscribers.add(subscriber)
        if self.newest is not None:
            subscriber.greet(self.newest)
        try:
            if self._demand.note(subscriber, subscriber.wants_fps):
                self.on_demand()
            self.on_change()
            yield subscriber
        finally:
            self.subscribers.discard(subscriber)
            self.left_at_s = self._clock() if keeps else self.left_at_s
            replaced, skipped, hidden = self._gone
            mailbox = subscriber.mailbox
            self._gone = (replaced + mailbox.replaced, skipped + subscriber.skipped, hidden + mailbox.hidden)
            if self._demand.forget(subscriber):
                self.on_demand()
            self.on_change()

    def demand_changed(self, subscriber: Subscriber) -> None:
        """Take in what a subscriber wants; to be called whenever that may have changed."""
        was_watched = self._demand.fps > 0.0
        if subscriber in self.subscribers and self._demand.note(subscriber, subscriber.wants_fps):
            self.on_demand()
            if was_watched != (self._demand.fps > 0.0):
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
        # A copy: one that is not being served leaves while it is told.
        for subscriber in tuple(self.subscribers):
            subscriber.mailbox.close(reason, reconnect=reconnect, close_code=close_code)

    def to_json(self) -> dict[str, Any]:
        """Describe it as the HTTP routes do."""
        job = self.status.get("job")
        return {
            "slug": self.slug,
            **self._told_config,
            "state": self.status.get("state", "idle"),
            # Without a screen that shows it a live picture stands still, whatever the state.
            "watched": self.demand_fps > 0.0,
            "subscribers": len(self.subscribers),
            "job": job["id"] if job else None,
            "temporary": self.is_temporary,
            "epoch": self.epoch,
        }

    def drops(self) -> dict[str, int]:
        """Count the frames that screens did not show, by reason, those that have left included."""
        replaced, skipped, hidden = self._gone
        for subscriber in self.subscribers:
            mailbox = subscriber.mailbox
            replaced += mailbox.replaced
            skipped += subscriber.skipped
            hidden += mailbox.hidden
        return {"replaced": replaced, "skipped": skipped, "hidden": hidden}

    def counters(self, *, lists_subscribers: bool = True) -> dict[str, Any]:
        """Describe its traffic for `/state`; each subscriber's, too, unless there is no time for that."""
        now_s = self._clock()
        newest = self.newest
        told: dict[str, Any] = {
            "epoch": self.epoch,
            "sequence": self._sequence,
            "fps_in": self.published.per_second(now_s),
            "fps_out": round(sum(subscriber.out.per_second(now_s) for subscriber in self.subscribers), 2),
            "interval_ms": round(self.interval_s * 1000.0, 1),
            "newest_ms": newest.timestamp_ms if newest else None,
            "newest_bytes": len(newest.image.data) if newest else None,
            "dropped": self.dropped,
            "unchanged": self.unchanged,
            "drops": self.drops(),
            "audio": self.hearing.counters(),
            "resting": self.is_resting(now_s),
            **self.renditions.counters(),
            # What a link could carry beyond what any source paints says nothing.
            "demand_fps": self.demand_fps if self.demand_fps <= MAX_FPS else None,
        }
        if lists_subscribers:
            told["subscribers"] = [
                subscriber.state(now_s)
                for subscriber in sorted(self.subscribers, key=lambda subscriber: subscriber.number)
            ]
        return told

    def _show(self, exhibit: Exhibit, *, is_new: bool = False) -> Frame:
        now_s = self._clock()
        self.published.count(now_s)
        treatment = self._treatment_now()
        is_unchanged = exhibit.is_shown_by(self.newest, treatment)
        if is_unchanged and self.newest:
            # One object for the same picture, so that it is kept, and encoded, only once.
            exhibit = replace(exhibit, image=self.newest.image)
        if not self.config.blank:
            self._exhibit, self._was_shown = exhibit, True
        self.newest = frame = self._frame(exhibit, treatment)
        if is_unchanged and now_s - self._offered_at < KEEP_ALIVE_S:
            self.unchanged += 1
            return frame
        if not is_unchanged:
            # What nobody has brought says nothing of how fast they come.
            (self._pace.change if is_new else self._pace.disturb)(now_s)
        self._offered_at = now_s
        for subscriber in self.subscribers:
            subscriber.mailbox.offer(frame)
        return frame

    def _treatment_now(self) -> Treatment | None:
        """Return what is done to a picture that is published at this moment."""
        if self.config.blank:
            # What is shown then is black, and stays it.
            return None
        palette = self.modulation.palette
        return self.config.treatment(palette) if palette else self._treatment

    def _frame(self, exhibit: Exhibit, treatment: Treatment | None) -> Frame:
        """Make the next frame out of what is to be shown."""
        self._sequence += 1
        published_ms = now_ms()
        present_at_ms, delay_ms = exhibit.present_at_ms, self.config.present_delay_ms
        # Black is shown as soon as it can be: whoever blanks the screens is in a hurry.
        if present_at_ms is None and delay_ms is not None and not self.config.blank:
            present_at_ms = published_ms + delay_ms
        return Frame(
            canvas=self.slug,
            sequence=self._sequence,
            image_id=f"{self.epoch}-{self._sequence}",
            timestamp_ms=exhibit.timestamp_ms,
            published_ms=published_ms,
            image=exhibit.image,
            job=exhibit.job,
            final=exhibit.final,
            present_at_ms=present_at_ms,
            treatment=treatment,
        )

    def _blank(self) -> None:
        # Small, since every screen stretches it anyway: black has no detail.
        black = encoders.black(self.config.width // 8, self.config.height // 8)
        self._show(Exhibit(black, now_ms(), final=True))

"""What a canvas's frames become on the wire: each encoded and packed once, for however many subscribers.

A frame in the tier `original` passes through untouched, unless its canvas processes its pictures. Every
other tier is encoded in a pool, never on the event loop; per tier at most one frame at a time, with the
newest one wanted behind it. Twins, frames that show the same picture, share what was encoded of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

from server.streaming.clock import now_ms
from server.streaming.frame import EncodedImage, Frame
from server.streaming.payload import Payload
from server.streaming.tiers.line import Line, Request
from server.streaming.tiers.sizes import TierSizes
from server.streaming.tiers.snapshots import Snapshots, rounded_width, snapshot_tier
from server.streaming.tiers.sources import Source
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.wire import Form, frame_payload


# A frame is sent while the next one is published; one more for who is slower than that.
_KEPT_SOURCES = 3
# Twins come one after the other, and only the last of them is asked for.
_KEPT_PAYLOADS = 48
# Packing copies the image once (0.1 ms for 1 MB); writing base64 into JSON costs ten times that,
# so from this size on it is done in the pool.
_TEXT_ON_LOOP_BYTES = 32 * 1024
# How long a processed picture is kept for screens that asked for the one before, seconds.
_EXPECT_S = 0.5


class Renditions:
    """The packed forms of one canvas's newest frames. Belongs to the event loop's thread.

    Attributes:
        encoded: Images that had to be encoded.
        cancelled: Encodings that nobody wanted any more, or that a newer frame took the place of.
        undecodable: Pictures that turned out to be broken.

    Resources: the executor belongs to the caller, and so do the snapshots, which all canvases share.
    """

    def __init__(self, executor: Executor, snapshots: Snapshots | None = None) -> None:
        self.encoded = 0
        self.cancelled = 0
        self.undecodable = 0
        self._executor = executor
        self._sizes = TierSizes()
        self._sources: list[Source] = []
        self._last: tuple[Frame, Tier, Form, Payload] | None = None
        self._lines: dict[Tier, Line] = {}
        self._payloads: OrderedDict[tuple[int, str, Tier, Form], tuple[Source, Payload]] = OrderedDict()
        self._expectation: asyncio.TimerHandle | None = None
        self._snapshots = Snapshots(executor) if snapshots is None else snapshots

    def estimate(self, frame: Frame, tier: Tier) -> tuple[int, float]:
        """Return about how many bytes a frame has in a tier, and how many seconds encoding it takes."""
        source = self._known(frame)
        if source is not None and (made := source.encoded.get(tier)):
            return len(made[0].data), 0.0
        return self._sizes.estimate(frame.image, tier, frame.treatment)

    def counters(self) -> dict[str, int]:
        """Describe the work for `/state`."""
        return {"encoded": self.encoded, "cancelled": self.cancelled, "undecodable": self.undecodable}

    def ready(self, frame: Frame, tier: Tier, form: Form) -> Payload | None:
        """Return a frame's message if it is there, or can be packed at once."""
        # All screens of a kind ask for the same, one after the other.
        last = self._last
        if last is not None and last[0] is frame and last[1] is tier and last[2] is form:
            return last[3]
        payload = self._find(frame, tier, form)
        self._last = None if payload is None else (frame, tier, form, payload)
        return payload

    def _find(self, frame: Frame, tier: Tier, form: Form) -> Payload | None:
        source = self._source_of(frame)
        key = (id(source), frame.image_id, tier, form)
        if key in self._payloads:
            self._payloads.move_to_end(key)
            return self._payloads[key][1]
        ready_made = source.is_ready_made(tier)
        made = (source.image, frame.published_ms) if ready_made else source.encoded.get(tier)
        if made is None or (form.is_text and len(made[0].data) > _TEXT_ON_LOOP_BYTES):
            return None
        payload = _pack(frame, tier, form, *made)
        self._keep(source, frame, tier, form, payload)
        return payload

    def request(
        self, frame: Frame, tier: Tier, form: Form, on_done: Callable[[Payload | None], None]
    ) -> Request:
        """Have a frame's message made.

        Args:
            frame: The frame.
            tier: What to encode it as.
            form: What to pack it as.
            on_done: Called once on the event loop, never before this returns: with the message, or with
                None where the picture is broken or a newer one took its place before work began.

        Returns:
            A handle on it; `on_done` is not called after its `cancel`.
        """
        loop = asyncio.get_running_loop()
        request = Request(frame, form, on_done)
        source = self._source_of(frame)
        source.ask(tier)
        if source.is_broken and not source.is_ready_made(tier):
            loop.call_soon(request.done, None)
            return request
        self._join(tier, source, request, loop)
        return request

    async def image(self, frame: Frame, format_: str, *, width: int | None = None) -> EncodedImage:
        """Return a frame's image, as it is shown, in a format, for those who ask for single pictures.

        Args:
            frame: The frame.
            format_: One of `FORMATS`.
            width: Pixels, rounded up to a multiple of 16; the height follows. Never enlarged.

        Raises:
            InvalidError: If the picture is broken.
            ServerFullError: If too many other pictures are waited for.

        Cancellation:
            Loses nothing; what nobody else waits for is given up.
        """
        # So that what is kept of it goes when newer ones come.
        source = self._source_of(frame)
        width = rounded_width(source.shape, width)
        tier = snapshot_tier(source.shape, format_, width)
        if source.is_ready_made(tier):
            return source.image
        if tier in source.encoded:
            return source.encoded[tier][0]
        try:
            return await self._snapshots.image(source, tier, width, self._note_snapshot)
        finally:
            self._count_broken(source)
            if source.is_expecting:
                self._expect(source, asyncio.get_running_loop())

    def _note_snapshot(self, source: Source, tier: Tier, image: EncodedImage) -> None:
        self.encoded += 1
        if tier is ORIGINAL:
            # Screens get the same.
            source.encoded.setdefault(tier, (image, now_ms()))

    def _count_broken(self, source: Source) -> None:
        if source.is_broken and not source.is_counted:
            source.is_counted = True
            self.undecodable += 1

    def _join(self, tier: Tier, source: Source, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        line = self._lines.get(tier)
        if line is None:
            line = self._lines[tier] = Line(tier, _pack)
        superseded = line.superseded
        for late in line.join(source, request):
            loop.call_soon(late.done, None)
        self.cancelled += line.superseded - superseded
        self._run(line, loop)

    def _run(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        """Have a line's next picture encoded, unless one is."""
        if not line.begin():
            return

        def work() -> None:
            line.work()
            # The pool is shut down after the canvases; a loop that is closed has nobody to be told.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._done, line, loop)

        # The pool is shut down when nobody is left but those who are about to go.
        with contextlib.suppress(RuntimeError):
            self._executor.submit(work)

    def _done(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        """Take in what a thread has made, tell those who wait for it, and go on.

        Raises:
            Exception: The bug that stopped it, for the loop's handler; everybody has been told then.
        """
        work, tier = line.end(), line.tier
        source = work.source
        self.cancelled += work.is_abandoned
        self._count_broken(source)
        if source.is_expecting:
            self._expect(source, loop)
        if work.made is not None and tier not in source.encoded:
            self.encoded += 1
            self._sizes.learn(source.image, tier, len(work.made[0].data), work.took_s, source.treatment)
            source.encoded[tier] = work.made
        for (_, form), (frame, payload) in work.packed.items():
            self._keep(source, frame, tier, form, payload)
        failed = (source.is_broken and not source.is_ready_made(tier)) or work.bug is not None
        for request in work.requests:
            packed = work.packed.get(request.key)
            if packed is not None or failed:
                request.done(packed[1] if packed else None)
            else:
                # It came while the thread was about to end: what remains is to pack it.
                self._join(tier, source, request, loop)
        self._run(line, loop)
        if work.bug is not None:
            raise work.bug

    def _expect(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        """Keep a processed picture for those who are expected to ask for it, but not for long."""
        if self._expectation is not None:
            self._expectation.cancel()
        self._expectation = loop.call_later(_EXPECT_S, source.expect_nobody)

    def _keep(self, source: Source, frame: Frame, tier: Tier, form: Form, payload: Payload) -> None:
        # Only of what is kept itself: an old frame's message is for those who wait for it.
        if source in self._sources:
            self._payloads[(id(source), frame.image_id, tier, form)] = (source, payload)
            while len(self._payloads) > _KEPT_PAYLOADS:
                self._payloads.popitem(last=False)

    def _known(self, frame: Frame) -> Source | None:
        for source in self._sources:
            if source.shows(frame):
                return source
        return None

    def _source_of(self, frame: Frame) -> Source:
        """Return what is kept of a frame's picture, beginning with it if it is new."""
        source = self._known(frame)
        if source is not None:
            source.sequence = max(source.sequence, frame.sequence)
            return source
        newest = self._sources[-1] if self._sources else None
        source = Source(frame.image, frame.sequence, frame.treatment)
        if newest is not None:
            source.expect(newest)
        self._sources.append(source)
        self._sources.sort(key=lambda kept: kept.sequence)
        while len(self._sources) > _KEPT_SOURCES:
            gone = self._sources.pop(0)
            self._snapshots.forget(gone)
            for key in [key for key, (kept, _) in self._payloads.items() if kept is gone]:
                del self._payloads[key]
        return source


def _pack(frame: Frame, tier: Tier, form: Form, image: EncodedImage, encoded_ms: float) -> Payload:
    stages = {**frame.stages, "encoded": encoded_ms}
    return frame_payload(replace(frame, image=image, stages=stages, treatment=None), form, tier.name)

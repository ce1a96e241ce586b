"""The line before one tier's encoder: one picture is being encoded, and the newest one waits behind it.

The event loop's thread joins and ends; one thread of the pool at a time works. What both touch is
changed under a lock that is held for microseconds. The rule that must not be broken: a picture that has
come to its turn is encoded to its end while anybody waits for it, so that a source which is faster than
the encoder does not keep everybody waiting for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from server.errors import InvalidError
from server.streaming.frame import EncodedImage, Frame
from server.streaming.payload import Payload
from server.streaming.tiers.sources import AbandonedError, Source
from server.streaming.tiers.tier import Tier
from server.streaming.wire import Form


Pack = Callable[[Frame, Tier, Form, EncodedImage, float], Payload]


class Request:
    """Somebody's wish for a frame's message."""

    def __init__(self, frame: Frame, form: Form, on_done: Callable[[Payload | None], None]) -> None:
        self.frame = frame
        self.form = form
        self._on_done: Callable[[Payload | None], None] | None = on_done
        self._work: Work | None = None

    @property
    def is_started(self) -> bool:
        """Whether a thread has begun with it: before that, a newer frame may as well be asked for."""
        return self._work is not None and self._work.is_started

    @property
    def key(self) -> tuple[str, Form]:
        """What tells messages of one picture in one tier apart."""
        return self.frame.image_id, self.form

    def assign(self, work: Work | None) -> None:
        """Note which work it waits for."""
        self._work = work

    def cancel(self) -> None:
        """Want it no longer. Idempotent."""
        self._on_done = None
        work, self._work = self._work, None
        if work is not None:
            work.leave(self)

    def done(self, payload: Payload | None) -> None:
        """Give what was asked for, once."""
        on_done, self._on_done = self._on_done, None
        self._work = None
        if on_done is not None:
            on_done(payload)


class Work:
    """Encoding one picture as one tier, and packing it for those who wait.

    Attributes:
        made: The image, and when it was done (Unix ms); None before, and where it failed.
        took_s: Seconds in the thread; 0.0 where it was there already.
        packed: Messages by `Request.key`.
        is_started: Whether a thread has begun.
        is_abandoned: Whether it was given up because nobody waited.
        bug: What went wrong otherwise.
    """

    def __init__(self, source: Source, tier: Tier, lock: threading.Lock) -> None:
        self.source = source
        self.requests: list[Request] = []
        self.made: tuple[EncodedImage, float] | None = None
        self.took_s = 0.0
        self.packed: dict[tuple[str, Form], tuple[Frame, Payload]] = {}
        self.is_started = False
        self.is_abandoned = False
        self.bug: Exception | None = None
        self._tier = tier
        self._lock = lock

    def leave(self, request: Request) -> None:
        """Take a request back."""
        with self._lock:
            if request in self.requests:
                self.requests.remove(request)

    def do(self, pack: Pack) -> None:
        """Do it; blocking."""
        try:
            self._encode()
            self._pack(pack)
        except (AbandonedError, InvalidError):
            # Noted where it was found.
            pass
        except Exception as exc:  # noqa: BLE001 # raised again on the event loop, after the others are told
            self.bug = exc

    def _encode(self) -> None:
        if self.source.is_ready_made(self._tier):
            return
        self.made = self.source.encoded.get(self._tier)
        if self.made is None:
            image, self.took_s, done_ms = self.source.encode(self._tier, self._check)
            self.made = (image, done_ms)

    def _check(self) -> None:
        with self._lock:
            if not self.requests:
                # From here on nobody can join it.
                self.is_abandoned = True
                raise AbandonedError

    def _pack(self, pack: Pack) -> None:
        """Pack for everybody who has joined so far."""
        while True:
            with self._lock:
                request = next((request for request in self.requests if request.key not in self.packed), None)
            if request is None:
                return
            made = self.made or (self.source.image, request.frame.published_ms)
            payload = pack(request.frame, self._tier, request.form, *made)
            self.packed[request.key] = (request.frame, payload)


class Line:
    """The line before one tier's encoder."""

    def __init__(self, tier: Tier, pack: Pack) -> None:
        self.tier = tier
        self.superseded = 0  # pictures that somebody waited for when a newer one took their place
        self._pack = pack
        self._lock = threading.Lock()
        self._waiting: Work | None = None
        self._running: Work | None = None
        self._is_busy = False

    def join(self, source: Source, request: Request) -> list[Request]:
        """Let a request wait for a picture.

        Returns:
            Those who wait no longer, because a newer picture does: this request, where it came late.
        """
        with self._lock:
            running, waiting = self._running, self._waiting
            if running is not None and running.source is source and not running.is_abandoned:
                return self._add(running, request)
            if waiting is not None and waiting.source is source:
                return self._add(waiting, request)
            if waiting is not None and waiting.source.sequence > source.sequence and waiting.requests:
                return [request]
            work = self._waiting = Work(source, self.tier, self._lock)
            source.want(self.tier)
            self._add(work, request)
        if waiting is None:
            return []
        waiting.source.unwant(self.tier)
        self.superseded += 1
        return waiting.requests

    def begin(self) -> bool:
        """Tell whether a thread is to work; then it must, and `end` must follow."""
        if self._is_busy or self._waiting is None:
            return False
        self._is_busy = True
        return True

    def work(self) -> None:
        """Encode the picture that waits; in a thread, blocking."""
        with self._lock:
            # Only now, so that the newest one is taken however long the pool had no thread.
            work = self._running = self._waiting
            self._waiting = None
            assert work is not None
            work.is_started = True
        work.do(self._pack)

    def end(self) -> Work:
        """Take what the thread has done."""
        with self._lock:
            work, self._running = self._running, None
        self._is_busy = False
        assert work is not None
        work.source.unwant(self.tier)
        return work

    def _add(self, work: Work, request: Request) -> list[Request]:
        work.requests.append(request)
        request.assign(work)
        return []

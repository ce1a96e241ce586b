"""The canvases by slug: made, found, removed, and never more than the limit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any

from server.errors import ConflictError, InvalidError, ServerFullError, UnknownCanvasError
from server.streaming.canvas import Canvas
from server.streaming.clock import Clock
from server.streaming.config import CanvasConfig
from server.streaming.delivery.held import HeldPayloads
from server.streaming.delivery.rounds import Rounds
from server.streaming.tiers.snapshots import Snapshots
from server.streaming.tiers.tier import ORIGINAL, Tier
from server.streaming.wire import CloseCode


SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# How long a canvas that only a screen has named outlives its last subscriber, seconds: a page
# that is reloaded must find it again.
TEMPORARY_S = 60.0
# What the first clients call the two canvases.
ALIASES = {"left-canva": "left", "right-canva": "right"}


def check_slug(slug: str) -> str:
    """Return a slug that is one.

    Raises:
        InvalidError: If it is not, naming field `slug`.
    """
    if not SLUG.fullmatch(slug):
        raise InvalidError(
            "slug must be 1 to 64 characters of a-z, 0-9 and '-', not starting with '-'", field="slug"
        )
    return slug


class Registry:
    """The canvases of this server.

    Args:
        default: The configuration of a canvas that is made without one.
        executor: Where frames are encoded; it belongs to the caller.
        tiers: What frames may be encoded as for screens that need it.
        max_canvases: How many there may be, temporary ones included.
        max_subscribers: How many connections each may have.

    Attributes:
        rounds: The one line in which the writers of all canvases take their turns.
        held: What peers that are stuck keep alive, on all canvases together.
    """

    def __init__(
        self,
        *,
        default: CanvasConfig,
        executor: Executor,
        tiers: Sequence[Tier] = (ORIGINAL,),
        max_canvases: int = 64,
        max_subscribers: int = 1000,
        clock: Clock = time.monotonic,
    ) -> None:
        self.default = default
        self.tiers = tiers
        self.max_canvases = max_canvases
        self.max_subscribers = max_subscribers
        self.on_created: Callable[[Canvas], None] = lambda canvas: None
        self.on_removed: Callable[[Canvas], None] = lambda canvas: None
        self.on_change: Callable[[], None] = lambda: None
        self.rounds = Rounds()
        self.held = HeldPayloads()
        # Single pictures are made one at a time, whichever canvas they are of.
        self._snapshots = Snapshots(executor)
        self._executor = executor
        self._clock = clock
        self._canvases: dict[str, Canvas] = {}

    def __iter__(self) -> Iterator[Canvas]:
        return iter(tuple(self._canvases.values()))

    def __len__(self) -> int:
        return len(self._canvases)

    def check_room(self, slugs: Iterable[str]) -> None:
        """Tell whether all of these canvases are there or can be made.

        Raises:
            ServerFullError: If there would be more than there may be.
        """
        new = {slug for slug in slugs if self.resolve(slug) not in self._canvases}
        if len(self._canvases) + len(new) > self.max_canvases:
            raise ServerFullError("canvases", self.max_canvases)

    def get(self, slug: str) -> Canvas:
        """Return a canvas.

        Raises:
            InvalidError: If the slug is none.
            UnknownCanvasError: If there is no such canvas.
        """
        canvas = self._canvases.get(self.resolve(check_slug(slug)))
        if canvas is None:
            raise UnknownCanvasError(slug)
        return canvas

    def ensure(self, slug: str, *, is_temporary: bool) -> Canvas:
        """Return a canvas, making it if there is none; naming it for good makes it last.

        Raises:
            InvalidError: If the slug is none.
            ServerFullError: If there are as many as there may be.
        """
        canvas = self._canvases.get(self.resolve(check_slug(slug)))
        if canvas is None:
            return self._add(slug, self.default, is_temporary=is_temporary)
        if canvas.is_temporary and not is_temporary:
            canvas.is_temporary = False
            self.on_change()
        return canvas

    def create(self, slug: str, config: CanvasConfig) -> Canvas:
        """Make a lasting canvas, or make a temporary one of that name last, with a configuration.

        Raises:
            ConflictError: If there is a lasting one already.
            InvalidError: If the slug is none.
            ServerFullError: If there are as many as there may be.
        """
        there = self._canvases.get(self.resolve(check_slug(slug)))
        if there is None:
            return self._add(slug, config, is_temporary=False)
        if not there.is_temporary:
            raise ConflictError(f"there is a canvas {slug!r} already", field="slug")
        there.is_temporary = False
        there.configure(**{name: getattr(config, name) for name in CanvasConfig.__dataclass_fields__})
        return there

    def remove(self, slug: str, *, reason: str = "deleted") -> Canvas:
        """Remove a canvas and send its subscribers away for good.

        Raises:
            UnknownCanvasError: If there is no such canvas.
        """
        canvas = self.get(slug)
        del self._canvases[canvas.slug]
        canvas.close(reason, reconnect=False, close_code=CloseCode.NO_SUCH_CANVAS)
        self.on_removed(canvas)
        self.on_change()
        return canvas

    def remove_abandoned(self) -> list[Canvas]:
        """Remove the temporary canvases that nobody has kept for `TEMPORARY_S`, whoever else watches them."""
        limit_s = self._clock() - TEMPORARY_S
        return [
            self.remove(canvas.slug, reason="abandoned")
            for canvas in self
            if canvas.is_temporary
            and canvas.left_at_s < limit_s
            and not any(subscriber.keeps for subscriber in canvas.subscribers)
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """Describe the canvases, in the order in which they were made."""
        return [canvas.to_json() for canvas in self]

    def resolve(self, slug: str) -> str:
        """Return the slug of the canvas that a name means."""
        alias = ALIASES.get(slug)
        return alias if alias in self._canvases and slug not in self._canvases else slug

    def _changed(self) -> None:
        # Looked up at the call: it may be set after the first canvases are made.
        self.on_change()

    def _add(self, slug: str, config: CanvasConfig, *, is_temporary: bool) -> Canvas:
        if len(self._canvases) >= self.max_canvases:
            raise ServerFullError("canvases", self.max_canvases)
        canvas = Canvas(
            slug,
            config,
            executor=self._executor,
            tiers=self.tiers,
            rounds=self.rounds,
            held=self.held,
            snapshots=self._snapshots,
            is_temporary=is_temporary,
            max_subscribers=self.max_subscribers,
            clock=self._clock,
        )
        canvas.on_change = self._changed
        self._canvases[slug] = canvas
        self.on_created(canvas)
        self.on_change()
        return canvas

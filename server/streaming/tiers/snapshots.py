"""Single pictures made of frames for those who ask by request: one at a time on the whole server.

Whoever asks for many must not keep the screens' tiers waiting, nor make work that outlives him. The rule
that must not be broken: what nobody waits for any more is not begun, and given up at the next step.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor

from server.errors import ServerFullError
from server.streaming.frame import EncodedImage, Shape
from server.streaming.processing import Treatment
from server.streaming.tiers.sources import AbandonedError, Source
from server.streaming.tiers.tier import ORIGINAL, Tier


# Different pictures that may be waited for, on all canvases together: a few seconds of work.
MAX_WAITING = 16
# What is kept of those that were made, with the frames that they were made of.
KEPT = 32
KEPT_BYTES = 64 * 1024 * 1024
# Widths are rounded up to a multiple of this, so that pages of all sizes share few pictures.
WIDTH_STEP_PX = 16
QUALITY = 85

_Key = tuple[int, Treatment | None, Tier]
_OnMade = Callable[[Source, Tier, EncodedImage], None]


def rounded_width(image: Shape, width: int | None) -> int | None:
    """Return how wide a picture becomes for who asks for a width, pixels; None: as wide as it is."""
    if width is None:
        return None
    rounded = -(-width // WIDTH_STEP_PX) * WIDTH_STEP_PX
    return rounded if rounded < image.width else None


def snapshot_tier(shape: Shape, format_: str, width: int | None) -> Tier:
    """Return what a picture is encoded as for who asks for a format and a width, which is rounded already."""
    if format_ == shape.format and width is None:
        return ORIGINAL
    return Tier(width / shape.width if width else 1.0, format_, QUALITY)


class _Making:
    """One picture that is being made, or waits for its turn."""

    def __init__(self, key: _Key, source: Source, tier: Tier, width: int | None, on_made: _OnMade) -> None:
        self.key = key
        self.source = source
        self.tier = tier
        self.width = width
        self.on_made = on_made
        self.waiting: list[asyncio.Future[EncodedImage]] = []

    def make(self) -> EncodedImage | None:
        """Make it; blocking. None if nobody waits any more.

        Raises:
            InvalidError: If the picture is broken.
        """
        shape, size = self.source.shape, None
        if self.width:
            size = self.width, max(1, round(shape.height * self.width / shape.width))
        try:
            return self.source.encode(self.tier, self._check, size)[0]
        except AbandonedError:
            return None

    def _check(self) -> None:
        if not self.waiting:
            raise AbandonedError


class Snapshots:
    """The single pictures of all canvases. Belongs to the event loop's thread.

    Resources: the executor belongs to the caller; at most one of its threads is taken.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._makings: OrderedDict[_Key, _Making] = OrderedDict()  # that wait, first come first
        self._running: _Making | None = None
        # The frame's image is kept with it, so that no other one takes its identity; not its source, with
        # which everything would be kept that screens got of it.
        self._kept: OrderedDict[_Key, tuple[EncodedImage, EncodedImage]] = OrderedDict()

    async def image(self, source: Source, tier: Tier, width: int | None, on_made: _OnMade) -> EncodedImage:
        """Return a picture in a format and width; made once for all who ask meanwhile.

        Args:
            source: A frame's picture.
            tier: As `snapshot_tier` returns it.
            width: Pixels, as `rounded_width` returns it.
            on_made: Called when it had to be made, with what was made of what.

        Raises:
            InvalidError: If the picture is broken.
            ServerFullError: If too many others are waited for.

        Cancellation:
            Takes the wish back.
        """
        key = (id(source.image), source.treatment, tier)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][1]
        making = self._makings.get(key) or self._running_for(key)
        if making is None:
            if len(self._makings) >= MAX_WAITING:
                raise ServerFullError("pictures waited for", MAX_WAITING)
            making = self._makings[key] = _Making(key, source, tier, width, on_made)
        future: asyncio.Future[EncodedImage] = asyncio.get_running_loop().create_future()
        making.waiting.append(future)
        self._run()
        try:
            return await future
        finally:
            making.waiting.remove(future)
            if not making.waiting and self._makings.get(key) is making:
                del self._makings[key]

    def forget(self, source: Source) -> None:
        """Keep nothing of a picture: newer ones are shown."""
        if self._kept:
            of = id(source.image), source.treatment
            for key in [key for key in self._kept if key[:2] == of]:
                del self._kept[key]

    def _running_for(self, key: _Key) -> _Making | None:
        running = self._running
        # One that nobody waits for may have been given up already.
        return running if running is not None and running.key == key and running.waiting else None

    def _run(self) -> None:
        """Have the next picture made, unless one is."""
        if self._running is not None or not self._makings:
            return
        _, making = self._makings.popitem(last=False)
        loop = asyncio.get_running_loop()

        def work() -> None:
            made: EncodedImage | Exception | None
            try:
                made = making.make()
            except Exception as exc:  # noqa: BLE001 # raised again by those who wait
                made = exc
            # The pool is shut down after the canvases; a loop that is closed has nobody to be told.
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._done, making, made)

        making.source.want(making.tier)
        try:
            self._executor.submit(work)
        except RuntimeError:
            # It is shut down when nobody is left but those who are about to go.
            making.source.unwant(making.tier)
            for future in making.waiting:
                future.cancel()
            return
        self._running = making

    def _done(self, making: _Making, made: EncodedImage | Exception | None) -> None:
        """Take in what the thread has made, tell those who wait for it, and go on."""
        self._running = None
        making.source.unwant(making.tier)
        if isinstance(made, EncodedImage):
            making.on_made(making.source, making.tier, made)
            self._keep(making, made)
        for future in making.waiting:
            if future.done():
                continue
            if isinstance(made, EncodedImage):
                future.set_result(made)
            elif made is not None:
                future.set_exception(made)
        self._run()

    def _keep(self, making: _Making, made: EncodedImage) -> None:
        self._kept[making.key] = (making.source.image, made)
        size_bytes = sum(_kept_bytes(*kept) for kept in self._kept.values())
        while len(self._kept) > KEPT or size_bytes > KEPT_BYTES:
            _, kept = self._kept.popitem(last=False)
            size_bytes -= _kept_bytes(*kept)


def _kept_bytes(of: EncodedImage, made: EncodedImage) -> int:
    """Return how much is kept alive by keeping a picture."""
    return len(of.data) + len(made.data)

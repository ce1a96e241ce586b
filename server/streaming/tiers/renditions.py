"""What a frame becomes on the wire: encoded and packed once, for however many subscribers.

A frame whose format the subscriber takes passes through untouched. For the others it is encoded
again as JPEG, in a thread, once for all who need that.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar

from server.streaming.frame import EncodedImage, Frame
from server.streaming.images import encoders
from server.streaming.wire import Form, pack_frame


T = TypeVar("T")

# A frame is sent while the next one is published; one more for who is slower than that.
_KEPT = 3
# Packing copies the image once (0.1 ms for 1 MB); writing base64 into JSON costs ten times that,
# so from this size on it is done in a thread.
_TEXT_ON_LOOP_BYTES = 32 * 1024


class Renditions:
    """The packed forms of one canvas's newest frames.

    Resources: the executor belongs to the caller.
    """

    def __init__(self, executor: Executor, quality: int = 85) -> None:
        self.quality = quality
        self.encoded = 0  # frames that had to be encoded again
        self._executor = executor
        self._made: OrderedDict[tuple[int, object], asyncio.Future[object]] = OrderedDict()

    async def payload(self, frame: Frame, form: Form, formats: frozenset[str]) -> bytes | str:
        """Return a frame packed for a subscriber.

        Args:
            frame: The frame.
            form: How the subscriber reads messages.
            formats: The image formats that it takes; JPEG is always one of them.

        Raises:
            InvalidError: If the frame must be encoded again and cannot be decoded.

        Cancellation:
            Atomic: the work goes on for the others who wait for it.
        """
        if form is Form.SEED_JSON:
            formats = frozenset({"jpeg"})
        if frame.image.format in formats:
            tier = "original"
        else:
            tier = "jpeg"
            frame = replace(frame, image=await self.image(frame, "jpeg"))

        def pack() -> bytes | str:
            return pack_frame(frame, form, tier)

        is_heavy = form.is_text and len(frame.image.data) > _TEXT_ON_LOOP_BYTES
        return await self._once(frame, (form, tier), pack, in_thread=is_heavy)

    async def image(self, frame: Frame, format_: str) -> EncodedImage:
        """Return a frame's image in a format; as it is where that is its own."""
        if frame.image.format == format_:
            return frame.image

        def encode() -> EncodedImage:
            self.encoded += 1
            return encoders.convert(frame.image, format_, self.quality)

        return await self._once(frame, format_, encode, in_thread=True)

    async def _once(self, frame: Frame, what: object, make: Callable[[], T], *, in_thread: bool) -> T:
        """Return what was made for this frame before, or make it."""
        key = (frame.sequence, what)
        made = self._made.get(key)
        if made is None:
            loop = asyncio.get_running_loop()
            if in_thread:
                made = loop.run_in_executor(self._executor, make)
            else:
                made = loop.create_future()
                made.set_result(make())
            self._made[key] = made
            newest = max(sequence for sequence, _ in self._made)
            for old in [kept for kept in self._made if kept[0] <= newest - _KEPT]:
                del self._made[old]
        result: object = await asyncio.shield(made)
        return result  # type: ignore[return-value] # the key decides the type

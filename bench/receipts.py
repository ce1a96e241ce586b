"""What one screen behind a slow link receives when, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgpack

from bench.errors import BenchError, reason
from bench.figures import percentile
from bench.wire import Head, read_msgpack
from server.streaming.clock import now_ms
from server.streaming.wire import MSGPACK_PROTOCOL


MAX_MESSAGE_BYTES = 64 * 1024 * 1024
# A change of the link is over when so many frames in a row are as new as the changed link allows.
SETTLED_FRAMES = 3
SETTLED_RATIO = 1.25


@dataclass(frozen=True, slots=True)
class Receipt:
    """One frame at its receipt; instants in milliseconds of the clock that this machine's programs share."""

    sequence: int
    size_bytes: int  # of the message
    published_ms: float
    received_ms: float

    @property
    def age_ms(self) -> float:
        """From publishing to receipt."""
        return self.received_ms - self.published_ms


@dataclass(frozen=True, slots=True)
class Road:
    """What the frames travel on, and how many there are of them.

    Attributes:
        frame_bytes: Weight of an image.
        rate_bytes_s: Of the link.
        rtt_s: Of the link, both ways.
        fps: Frames per second of the source.
        jitter_s: Each way takes up to this longer.
    """

    frame_bytes: int
    rate_bytes_s: float
    rtt_s: float
    fps: float
    jitter_s: float = 0.0

    @property
    def ideal_ms(self) -> float:
        """The age that nothing can beat for long: a transmission, the way, and half a source interval.

        The newest frame is on average half an interval old when the link is free for it.
        """
        way_s = (self.rtt_s + self.jitter_s) / 2.0
        return (self.frame_bytes / self.rate_bytes_s + way_s + 0.5 / self.fps) * 1000.0


@dataclass(frozen=True, slots=True)
class Ages:
    """How old frames were, and how full the link was.

    Attributes:
        frames: Received.
        p50_ms: Age at receipt; None without frames.
        p99_ms: The same.
        goodput_share: Bytes of frames between the first and the last receipt, of the link's rate.
    """

    frames: int
    p50_ms: float | None
    p99_ms: float | None
    goodput_share: float | None


def summarise(receipts: Sequence[Receipt], road: Road) -> Ages:
    """Return what a span of receipts says."""
    ages_ms = [receipt.age_ms for receipt in receipts]
    share = None
    if len(receipts) > 1:
        span_s = (receipts[-1].received_ms - receipts[0].received_ms) / 1000.0
        carried = sum(receipt.size_bytes for receipt in receipts[1:])
        share = carried / span_s / road.rate_bytes_s if span_s > 0.0 else None
    return Ages(len(receipts), percentile(ages_ms, 50), percentile(ages_ms, 99), share)


def settled_after(receipts: Sequence[Receipt], road: Road, changed_ms: float) -> int | None:
    """Return how many frames after a change of the link were older than the new link's ages.

    Args:
        receipts: Of the whole run.
        road: As it is from the change on.
        changed_ms: When it changed.

    Returns:
        Frames before the first of three in a row that are new enough; None if there are no such three.
    """
    after = [receipt for receipt in receipts if receipt.received_ms >= changed_ms]
    row = 0
    for index, receipt in enumerate(after):
        row = row + 1 if receipt.age_ms <= SETTLED_RATIO * road.ideal_ms else 0
        if row == SETTLED_FRAMES:
            return index + 1 - SETTLED_FRAMES
    return None


class Watcher:
    """One screen: it acknowledges on receipt, answers pings and decodes nothing."""

    def __init__(self, port: int, slug: str) -> None:
        self.receipts: list[Receipt] = []
        self._url = f"ws://127.0.0.1:{port}/ws/{slug}"

    async def watch(self) -> None:
        """Receive until cancelled.

        Raises:
            BenchError: If the connection ends.
        """
        options: dict[str, Any] = {"max_msg_size": MAX_MESSAGE_BYTES, "compress": 0}
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(self._url, protocols=(MSGPACK_PROTOCOL,), **options) as ws,
            ):
                viewport = {"width": 1920, "height": 1080}
                formats = ["jpeg", "webp", "png"]
                ready = {"type": "ready", "viewport": viewport, "formats": formats, "visible": True}
                await ws.send_bytes(msgpack.packb(ready))
                async for message in ws:
                    received_ms = now_ms()
                    head = read_msgpack(message.data)
                    if isinstance(head, Head):
                        await ws.send_bytes(msgpack.packb(self._take(head, len(message.data), received_ms)))
                raise BenchError(f"the server closed the connection with {ws.close_code}")
        except (aiohttp.ClientError, ConnectionError) as exc:
            raise BenchError(f"a screen lost its connection: {reason(exc)}") from exc

    def _take(self, head: Head, size_bytes: int, received_ms: float) -> dict[str, object]:
        self.receipts.append(Receipt(head.sequence, size_bytes, head.published_ms, received_ms))
        instants = {"received_ms": received_ms, "decoded_ms": received_ms, "presented_ms": received_ms}
        return {"type": "ack", "sequence": head.sequence, **instants, "skipped": 0}

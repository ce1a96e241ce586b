"""How old frames are when one screen shows them, and where that time went. Pure.

What was sent is remembered until it is acknowledged; then the time from the finished picture to the
screen is split by stage. A browser tells instants of its own clock, whose offset it measured over the
network: within half a round trip. The durations in the browser are exact nevertheless, so that a wrong
offset only moves them as a whole, and what is impossible (received before sent, presented after we
have heard of it) is moved to where it is possible. The network's stage takes the difference.

This runs for every acknowledgement: what was told is only kept, and is split when somebody asks.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from server.streaming.frame import Frame


# More than may be on its way to one peer.
MAX_SENT = 192
# Frames that were acknowledged on receipt, and may be told of once more when they are shown: a browser
# that holds them for their common instant does that.
MAX_HELD = 64
# What percentiles are taken of: so many acknowledgements at most, none older than this.
MAX_ACKNOWLEDGED = 256
WINDOW_MS = 30_000.0

STAGES = ("publish", "encode", "wait", "network", "decode", "present")
"""Where the time goes, in order: until the canvas has it, until it is encoded, until it is handed to
the socket, until the browser has it, until it is decoded, until it is on the screen."""

_UNKNOWN = math.nan
# When it was told; painted, published, encoded and sent; received, decoded and presented by the browser's
# clock, and its offset; NaN for what is not known. Packed, since a thousand screens times 256
# acknowledgements would otherwise be two million objects.
_ROW = struct.Struct("=9d")
_NOTHING = bytes(_ROW.size)


class Stages(NamedTuple):
    """What one acknowledgement tells, milliseconds; NaN where it is not known.

    The six stages add up to `age_ms`.
    """

    received_ms: float  # the age when the browser had it
    age_ms: float  # the age when it was on the screen
    publish: float
    encode: float
    wait: float
    network: float
    decode: float
    present: float


class Ages:
    """The ages of the frames that one subscriber acknowledged lately.

    Attributes:
        acknowledged_frames: Acknowledgements that were joined with a frame, ever.
        presented_frames: Those of them that were on the screen at a known instant, ever.
        clock_error_ms: How wrong the browser's clock may be told: half the round trip; None while unknown.
    """

    __slots__ = (
        "_held",
        "_newest",
        "_rows",
        "_sent",
        "acknowledged_frames",
        "clock_error_ms",
        "presented_frames",
    )

    def __init__(self) -> None:
        self.acknowledged_frames = 0
        self.presented_frames = 0
        self.clock_error_ms: float | None = None
        self._newest = -1
        self._sent: deque[tuple[int, float, float, float, float]] = deque(maxlen=MAX_SENT)
        # Made with the first frame that is acknowledged before it is shown.
        self._held: deque[tuple[int, float, float, float, float]] | None = None
        # Made with the first acknowledgement: most peers of some kinds never send one.
        self._rows = bytearray()

    def note_sent(self, sequence: int, frame: Frame, tier: str, encoded_ms: float, sent_ms: float) -> None:
        """Note a frame that was handed to the socket.

        The same frame once more, in a better tier, is not noted: the screen has shown its picture
        already, and how long it rested is nobody's delay.

        Args:
            sequence: Of the frame; those of one subscriber do not go down.
            frame: As the canvas published it.
            tier: What it was encoded as.
            encoded_ms: When that was done, Unix.
            sent_ms: When it was handed over, Unix.
        """
        if sequence <= self._newest:
            return
        self._newest = sequence
        published_ms = frame.published_ms if frame.published_ms < sent_ms else sent_ms
        painted_ms = frame.timestamp_ms if frame.timestamp_ms < published_ms else published_ms
        # Of a cached rendition: it was there before this frame was.
        encoded_ms = encoded_ms if encoded_ms > published_ms else published_ms
        encoded_ms = encoded_ms if encoded_ms < sent_ms else sent_ms
        self._sent.append((sequence, painted_ms, published_ms, encoded_ms, sent_ms))

    def acknowledged(  # noqa: PLR0917 # in the order of the stages
        self,
        sequence: int,
        received_ms: float,
        decoded_ms: float | None,
        presented_ms: float | None,
        offset_ms: float | None,
        rtt_ms: float | None,
        now_ms: float,
    ) -> bool:
        """Join an acknowledgement with the frame it means.

        Args:
            sequence: Of the frame.
            received_ms: When the browser had it, by the browser's clock.
            decoded_ms: When it was decoded there, or None.
            presented_ms: When it was on the screen, or None if it was not: hidden, or superseded.
            offset_ms: What makes the server's time of the browser's, or None while it does not know.
            rtt_ms: The round trip that the offset was measured over, or None.
            now_ms: When the acknowledgement came, Unix.

        Returns:
            Whether it counts: not for a frame that is not known, or was acknowledged before. One that was
            acknowledged without having been on the screen may be so once more when it is.
        """
        is_shown = presented_ms is not None
        entry = self._take(sequence, is_shown=is_shown)
        if entry is None:
            return False
        if rtt_ms is not None:
            self.clock_error_ms = rtt_ms / 2.0
        _, painted_ms, published_ms, encoded_ms, sent_ms = entry
        rows, position = self._rows, self.acknowledged_frames % MAX_ACKNOWLEDGED * _ROW.size
        if position == len(rows):
            rows += _NOTHING
        _ROW.pack_into(
            rows,
            position,
            now_ms,
            painted_ms,
            published_ms,
            encoded_ms,
            sent_ms,
            received_ms,
            _UNKNOWN if decoded_ms is None else decoded_ms,
            _UNKNOWN if presented_ms is None else presented_ms,
            _UNKNOWN if offset_ms is None else offset_ms,
        )
        self.acknowledged_frames += 1
        self.presented_frames += is_shown and offset_ms is not None
        return True

    def stages(self, now_ms: float) -> list[Stages]:
        """Return where the time of each frame of the last `WINDOW_MS` went, in no order."""
        first_ms = now_ms - WINDOW_MS
        return [_split(*row) for row in _ROW.iter_unpack(self._rows) if row[0] >= first_ms]

    def state(self, now_ms: float) -> dict[str, Any]:
        """Describe the last `WINDOW_MS` for `/state`: milliseconds, None where nothing is known."""
        rows = self.stages(now_ms)
        columns = (
            [_known(column) for column in zip(*rows, strict=True)] if rows else [[]] * len(Stages._fields)
        )
        error_ms = self.clock_error_ms
        return {
            "age": _percentiles(columns[1]),
            "received_age": _percentiles(columns[0]),
            "stages": {
                name: _round(_percentile(values, 0.5))
                for name, values in zip(STAGES, columns[2:], strict=True)
            },
            "clock_error_ms": None if error_ms is None else round(error_ms, 3),
        }

    def _take(self, sequence: int, *, is_shown: bool) -> tuple[int, float, float, float, float] | None:
        """Take what was sent as this sequence, and forget what was sent before it."""
        sent = self._sent
        entry = None
        while sent and sent[0][0] <= sequence:
            entry = sent.popleft()
        if entry is not None and entry[0] == sequence:
            if not is_shown:
                if self._held is None:
                    self._held = deque(maxlen=MAX_HELD)
                self._held.append(entry)
            return entry
        if not is_shown or self._held is None:
            return None
        entry = next((held for held in self._held if held[0] == sequence), None)
        if entry is not None:
            self._held.remove(entry)
        return entry


def _split(  # noqa: PLR0917 # as packed
    told_ms: float,
    painted_ms: float,
    published_ms: float,
    encoded_ms: float,
    sent_ms: float,
    received_ms: float,
    decoded_ms: float,
    presented_ms: float,
    offset_ms: float,
) -> Stages:
    """Split the time of one frame by stage. Comparisons with what is not known (NaN) are false."""
    decode_ms = decoded_ms - received_ms
    decode_ms = max(decode_ms, 0.0)
    present_ms = presented_ms - received_ms
    if present_ms == present_ms:  # noqa: PLR0124 # NaN is not
        present_ms = max(present_ms, 0.0)
        if decode_ms > present_ms:
            decode_ms = present_ms
        elif decode_ms != decode_ms:  # noqa: PLR0124
            decode_ms = 0.0
        present_ms -= decode_ms
    arrived_ms = received_ms + offset_ms
    if arrived_ms == arrived_ms:  # noqa: PLR0124
        # Whatever is said: it lasted no longer than from sending to hearing of it.
        room_ms = told_ms - sent_ms if told_ms > sent_ms else 0.0
        decode_ms = min(decode_ms, room_ms)
        room_ms -= decode_ms if decode_ms > 0.0 else 0.0
        present_ms = min(present_ms, room_ms)
        room_ms -= present_ms if present_ms > 0.0 else 0.0
        if arrived_ms < sent_ms:
            arrived_ms = sent_ms
        elif arrived_ms > sent_ms + room_ms:
            arrived_ms = sent_ms + room_ms
    return Stages(
        arrived_ms - painted_ms,
        arrived_ms + decode_ms + present_ms - painted_ms,
        published_ms - painted_ms,
        encoded_ms - published_ms,
        sent_ms - encoded_ms,
        arrived_ms - sent_ms,
        decode_ms,
        present_ms,
    )


def _known(values: Sequence[float]) -> list[float]:
    # Nearly always all are known; each screen has two thousand of these.
    return sorted(values if math.isfinite(sum(values)) else filter(math.isfinite, values))


def _percentile(values: list[float], share: float) -> float | None:
    """Return the value that this share of sorted values do not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def _percentiles(values: list[float]) -> dict[str, float | None]:
    return {"p50": _round(_percentile(values, 0.5)), "p99": _round(_percentile(values, 0.99))}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)

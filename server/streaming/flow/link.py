"""How fast a link carries frames: from when it took the first byte to when it had carried the last.

Pure: bytes and seconds in, bytes per second out. Both ends of a busy period must be without the
round trip in them; with it the estimate settles on a rate that is too low and stays there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


# The middle of so many samples: one lost packet's pause, or one burst, does not move it.
SAMPLES = 5
# So many of them from frames that came right behind another one outweigh the others: a link that was
# idle may start slowly (TCP does), and what it carries then says nothing of what it can.
BEHIND_SAMPLES = 2
# Two samples in a row that lie so far from the middle, on one side, are a changed link and not a slip.
FELL = 0.75
ROSE = 1.33
# Below this a span is the noise of clocks and event loops.
LEAST_SPAN_S = 0.0002
# A frame that is through in less than this leaves nothing to predict.
QUICK_SPAN_S = 0.002

# Sequence, bytes, sent at, whether it was sent before in another tier. A plain tuple: thousands a second.
Flying = tuple[int, int, float, bool]


class LinkRate:
    """The rate of one link while it is busy.

    Attributes:
        bytes_s: Bytes per second; None before the first sample.
    """

    __slots__ = ("_samples", "bytes_s")

    def __init__(self) -> None:
        self.bytes_s: float | None = None
        # Bytes per second, and whether the frame came right behind another one.
        self._samples: deque[tuple[float, bool]] = deque(maxlen=SAMPLES)

    def carried(self, size_bytes: int, span_s: float, noise_s: float, *, is_behind: bool) -> None:
        """Take a sample.

        Args:
            size_bytes: What the link has carried.
            span_s: In which time, without the round trip; may be below 0 by the noise of the round trip.
            noise_s: Spans below this are not told from each other: the link carried it at least so fast.
            is_behind: Whether the link had been busy right before.
        """
        # Plain comparisons: this runs for every acknowledgement.
        span_s = span_s if span_s > noise_s else noise_s
        sample = size_bytes / (span_s if span_s > LEAST_SPAN_S else LEAST_SPAN_S)
        samples = self._samples
        rate = self.bytes_s
        if rate is not None:
            if span_s < QUICK_SPAN_S and rate * FELL < sample < rate * ROSE:
                # Nothing new of a link that is quick: most acknowledgements end here.
                return
            before = samples[-1][0]
            if (sample < rate * FELL and before < rate * FELL) or (
                sample > rate * ROSE and before > rate * ROSE
            ):
                last = samples[-1]
                samples.clear()
                samples.append(last)
        samples.append((sample, is_behind))
        behind = [rate for rate, is_behind in samples if is_behind]
        rates = behind if len(behind) >= BEHIND_SAMPLES else [rate for rate, _ in samples]
        rates.sort()
        # The lower of the two middle ones: too low costs a round trip, too high a second transmission of age.
        self.bytes_s = rates[(len(rates) - 1) // 2]


def densest(taken: Sequence[Flying], carried_at: float, size: int, span_s: float) -> tuple[int, float]:
    """Return the bytes and the span of the highest rate that frames acknowledged together prove.

    Args:
        taken: The frames, in order.
        carried_at: When the link had carried the last of them, monotonic seconds.
        size: Bytes of all of them.
        span_s: In which time they were carried, which may hold pauses.
    """
    best = (size, span_s)
    rest = 0
    for _, size_bytes, sent_at, _ in reversed(taken[1:]):
        rest += size_bytes
        since_s = carried_at - sent_at
        if since_s > 0.0 and rest * best[1] > best[0] * since_s:
            best = (rest, since_s)
    return best

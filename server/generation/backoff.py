"""How long to wait before another try.

Pure: it waits for nothing itself and knows no clock. Its one rule: a pause never exceeds the cap.
"""

from __future__ import annotations

import random
from collections.abc import Callable


# The longest pause of whoever waits for the inference service: a restarted one is found at once.
RETRY_CAP_S = 1.0


class Backoff:
    """Pauses that double from try to try up to a cap, half of each drawn at random.

    The random half keeps many callers from coming back at the same instant; the fixed half keeps
    an unlucky draw from turning into a busy loop.

    Source:
        "Equal jitter" of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    def __init__(
        self,
        *,
        first_s: float = 0.2,
        cap_s: float = 10.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Start with the shortest pause.

        Args:
            first_s: The longest that the first pause may be, seconds above 0.
            cap_s: The longest that any pause may be, seconds, at least `first_s`.
            draw: Gives a number from 0 to 1.

        Raises:
            ValueError: If the two limits are not in order.
        """
        if not 0.0 < first_s <= cap_s:
            raise ValueError(f"first_s {first_s} must be above 0 and at most cap_s {cap_s}")
        self._first_s = first_s
        self._cap_s = cap_s
        self._draw = draw
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """Return the pause before the next try, in seconds, and lengthen the one after it."""
        ceiling_s = self._ceiling_s
        self._ceiling_s = min(self._cap_s, ceiling_s * 2.0)
        return ceiling_s * (0.5 + 0.5 * self._draw())

    def reset(self) -> None:
        """Begin with the shortest pause again, after a try that worked."""
        self._ceiling_s = self._first_s

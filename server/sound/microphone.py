"""One connection that may tell what it hears: whether, and how often. Pure."""

from __future__ import annotations


# Messages a second that count, and how many may come at once after a rest: a page's timers come in bunches.
PER_S = 20
BURST = 5


class Microphone:
    """Who tells of sound.

    Attributes:
        is_allowed: Whether it may: where a token is set, only who has shown it.
        heard: Messages that counted.
        ignored: Messages that did not: it may not, too many came, or too many others are heard.
    """

    __slots__ = ("_at_s", "_left", "heard", "ignored", "is_allowed")

    def __init__(self, *, is_allowed: bool = False) -> None:
        self.is_allowed = is_allowed
        self.heard = 0
        self.ignored = 0
        self._left = float(BURST)
        self._at_s: float | None = None

    def may_speak(self, now_s: float) -> bool:
        """Tell whether a message counts that comes now, and take it into account."""
        if not self.is_allowed:
            return False
        if self._at_s is not None:
            self._left = min(float(BURST), self._left + max(0.0, now_s - self._at_s) * PER_S)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def note(self, *, is_heard: bool) -> None:
        """Count a message."""
        if is_heard:
            self.heard += 1
        else:
            self.ignored += 1

    def state(self) -> dict[str, int | bool]:
        """Describe it for `/state`."""
        return {"allowed": self.is_allowed, "heard": self.heard, "ignored": self.ignored}

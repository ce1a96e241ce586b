"""What a canvas hears, from however many microphones, and what that does to it at a moment. Pure.

Of several microphones the loudest counts that was heard within the last second. Each mapping follows what
it is told at its own pace; that is computed, not stepped, so that it does not depend on how often anybody
looks. Silence is not a quiet sound: in it every parameter goes to where it changes nothing, and stays there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from server.sound.mapping import DEFAULT_AUDIO, PARAMETERS, Audio, Mapping, Modulation, Parameter


# How long a microphone counts after it was heard, seconds.
HEARD_S = 1.0
# Microphones that are listened to at the same time: everybody in a room may have one open.
MAX_MICROPHONES = 16
# In silence a parameter is where it changes nothing once it is as near as this, in parts of its range.
_STILL = 0.001
# And nothing is left to follow once all are as near as this.
_AT_REST = 1e-9
_NEUTRAL = Modulation()


@dataclass(frozen=True, slots=True)
class Features:
    """What one microphone tells of a moment, each from 0 to 1."""

    level: float = 0.0
    low: float = 0.0
    mid: float = 0.0
    high: float = 0.0
    onset: float = 0.0
    beat: float = 0.0


class _Follower:
    """One mapping on its way to what it is told: how far its parameter is from the neutral value."""

    def __init__(self, mapping: Mapping, deviation: float = 0.0) -> None:
        self.mapping = mapping
        self.deviation = deviation
        least, greatest, self._neutral = PARAMETERS[mapping.parameter]
        self._range = greatest - least

    def follow(self, features: Features | None, elapsed_s: float) -> None:
        """Go on for so long with the same sound; None is silence."""
        mapping, target = self.mapping, 0.0
        if features is not None:
            share = getattr(features, mapping.feature)
            target = mapping.low + share * (mapping.high - mapping.low) - self._neutral
        if mapping.smoothing_s <= 0.0:
            self.deviation = target
        else:
            self.deviation = target + (self.deviation - target) * math.exp(-elapsed_s / mapping.smoothing_s)

    def told(self, *, is_silent: bool) -> float:
        """Return the deviation as it is made known: in silence what is nearly nothing is nothing."""
        return 0.0 if is_silent and abs(self.deviation) < _STILL * self._range else self.deviation

    @property
    def is_at_rest(self) -> bool:
        """Whether silence has nothing left to change."""
        return abs(self.deviation) < _AT_REST * self._range


class Hearing:
    """The sound at one canvas.

    Attributes:
        heard: Messages that counted, ever.
        ignored: Messages that did not.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.heard = 0
        self.ignored = 0
        self._clock = clock
        # Until when each counts, and what it told last.
        self._microphones: dict[Hashable, tuple[float, Features]] = {}
        self._audio = DEFAULT_AUDIO
        self._followers = [_Follower(mapping) for mapping in DEFAULT_AUDIO.mappings]
        self._at_s = clock()
        # Nothing is heard, and nothing moves until something is: most canvases never hear anything.
        self._is_still = True

    def hear(self, sender: Hashable, features: Features) -> bool:
        """Take what a microphone tells; returns whether it counts: not while many others are heard."""
        now_s = self._advance()
        self._forget(now_s)
        if sender not in self._microphones and len(self._microphones) >= MAX_MICROPHONES:
            self.ignored += 1
            return False
        self._microphones[sender] = (now_s + HEARD_S, features)
        self._is_still = False
        self.heard += 1
        return True

    def modulation(self, audio: Audio) -> Modulation:
        """Return what the sound does at this moment; neutral without sound.

        A setting that is another one than the last time counts from now on.
        """
        if self._is_still and audio is self._audio:
            return _NEUTRAL
        now_s = self._advance()
        if audio is not self._audio and audio != self._audio:
            self._take(audio)
        self._audio = audio
        features, _ = self._loudest(now_s)
        deviations = dict.fromkeys(PARAMETERS, 0.0)
        for follower in self._followers:
            # What follows at once is there before any time has passed.
            follower.follow(features, 0.0)
            deviations[follower.mapping.parameter] += follower.told(is_silent=features is None)
        if features is None and all(follower.is_at_rest for follower in self._followers):
            self._is_still = True
        if not any(deviations.values()):
            return _NEUTRAL
        return Modulation(**{name: _moved(name, by) for name, by in deviations.items()})

    def counters(self) -> dict[str, int]:
        """Describe it for `/state`, which changes nothing of what is heard."""
        now_s = self._clock()
        microphones = sum(until_s > now_s for until_s, _ in self._microphones.values())
        return {"heard": self.heard, "ignored": self.ignored, "microphones": microphones}

    def _take(self, audio: Audio) -> None:
        """Take another setting; mappings of the same feature and parameter go on from where they are."""
        before: dict[tuple[str, str], list[float]] = {}
        for follower in self._followers:
            kind = (follower.mapping.feature, follower.mapping.parameter)
            before.setdefault(kind, []).append(follower.deviation)
        self._followers = []
        for mapping in audio.mappings if audio.enabled else ():
            deviations = before.get((mapping.feature, mapping.parameter))
            self._followers.append(_Follower(mapping, deviations.pop(0) if deviations else 0.0))

    def _advance(self) -> float:
        """Have every mapping follow what was heard since the last time; returns the present."""
        now_s = self._clock()
        while self._at_s < now_s:
            features, until_s = self._loudest(self._at_s)
            until_s = min(until_s, now_s)
            for follower in self._followers:
                follower.follow(features, until_s - self._at_s)
            self._at_s = until_s
        return now_s

    def _loudest(self, at_s: float) -> tuple[Features | None, float]:
        """Return what is heard at an instant, None being silence, and until when nothing changes that."""
        self._forget(at_s)
        until_s, features = max(
            self._microphones.values(), key=lambda told: told[1].level, default=(math.inf, Features())
        )
        return (features, until_s) if features.level > 0.0 else (None, math.inf)

    def _forget(self, at_s: float) -> None:
        """Forget the microphones that were not heard for too long."""
        for sender in [sender for sender, (until_s, _) in self._microphones.items() if until_s <= at_s]:
            del self._microphones[sender]


def _moved(parameter: Parameter, by: float) -> float:
    """Return the value of a parameter; the deviations of all that move it add up, within its range."""
    least, greatest, neutral = PARAMETERS[parameter]
    return min(greatest, max(least, neutral + by))

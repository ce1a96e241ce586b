"""What can be changed of a canvas at run time. Pure values."""

from __future__ import annotations

from dataclasses import dataclass

from server.sound.mapping import DEFAULT_AUDIO, Audio
from server.streaming.processing import IDENTITY, Processing, Treatment
from server.streaming.transition import CUT, Transition


@dataclass(frozen=True, slots=True)
class CanvasConfig:
    """What can be changed of a canvas at run time."""

    width: int = 512  # pixels, of what is painted for it
    height: int = 512  # pixels
    fps: float = 4.0  # 0.1 to 60
    format: str = "jpeg"  # what frames are encoded as, by the inference service and after processing
    quality: int = 90  # 1 to 100
    paused: bool = False  # nothing is painted
    blank: bool = False  # screens are black
    # How long after its publication every screen shows a frame, milliseconds; None: as soon as it can.
    present_delay_ms: int | None = None
    transition: Transition = CUT
    processing: Processing = IDENTITY
    audio: Audio = DEFAULT_AUDIO

    def treatment(self, hue: float = 0.0) -> Treatment | None:
        """Return what becomes of its pictures; None: they pass through as they come.

        Args:
            hue: Degrees by which every hue is turned beyond what the processing says.
        """
        processing = self.processing.turned(hue)
        return None if processing.is_identity else Treatment(processing, self.format, self.quality)

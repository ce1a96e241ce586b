"""Where the ffmpeg for the tests that play a stream is."""

from __future__ import annotations

import os
import shutil


def find_ffmpeg() -> str | None:
    """Return the path of an ffmpeg, or None; where PSYCHE_FFMPEG names one, it is that or none."""
    if named := os.environ.get("PSYCHE_FFMPEG"):
        return shutil.which(named)
    try:
        # It comes with one where there is a wheel for the platform, and looks for the system's elsewhere.
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return shutil.which("ffmpeg")

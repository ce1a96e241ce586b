"""Where the browser for the browser tests is."""

from __future__ import annotations

import os
import shutil


# As `tests/browser/install.sh` has it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None; where PSYCHE_CHROMIUM names one, it is that or none."""
    if named := os.environ.get("PSYCHE_CHROMIUM"):
        return shutil.which(named)
    return next((path for name in (*NAMES, MAC) if (path := shutil.which(name))), None)

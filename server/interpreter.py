"""How the interpreter of a server is set up that must answer within milliseconds, and runs for weeks."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading


# Objects that were made and not let go of before the collector looks for cycles among the youngest, and how
# many such looks before it looks among older ones. Frames and acknowledgements leave no cycles: Python's own
# 700 have it look through live ones several times for each frame of fifty screens, 6 us of 80 for each.
YOUNG_OBJECTS = 20_000
LOOKS = (20, 50)
# How long a thread that encodes may keep the interpreter from the event loop, seconds; Python's own is 5 ms.
SWITCH_INTERVAL_S = 0.001
# How much less of a processor threads that encode get where there are fewer than want to run: frames that
# are ready must not wait for those that are not.
ENCODER_NICENESS = 10


def settle() -> None:
    """Set it up, once everything is imported and started."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # What is there by now stays: a look through all of it holds the event loop up for tens of milliseconds.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *LOOKS)


def give_way() -> None:
    """Let the event loop's thread go first where processors are scarce; called in a thread that encodes."""
    if sys.platform == "linux":
        # Elsewhere a priority belongs to the whole process. A system may forbid it; nothing is lost then.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ENCODER_NICENESS)

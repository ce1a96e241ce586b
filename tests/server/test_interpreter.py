"""How the interpreter of a server is set up."""

from __future__ import annotations

import gc
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from server.interpreter import ENCODER_NICENESS, SWITCH_INTERVAL_S, YOUNG_OBJECTS, give_way, settle


def test_the_collector_leaves_what_is_there_alone_and_threads_give_way_soon() -> None:
    thresholds, interval_s = gc.get_threshold(), sys.getswitchinterval()
    try:
        settle()

        assert gc.get_threshold()[0] == YOUNG_OBJECTS
        assert gc.get_freeze_count() > 1000
        assert gc.isenabled(), "cycles of whoever made some still end"
        assert abs(sys.getswitchinterval() - SWITCH_INTERVAL_S) < 1e-6
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval_s)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority belongs to the whole process")
def test_a_thread_that_encodes_gives_way_and_nobody_else_does() -> None:
    with ThreadPoolExecutor(1, initializer=give_way) as pool:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        its = pool.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result()

    assert its == ENCODER_NICENESS
    assert os.getpriority(os.PRIO_PROCESS, 0) == own

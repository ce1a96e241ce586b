"""How many frames per second a browser presents of those that it gets."""

from __future__ import annotations

import math

from server.streaming.delivery.pace import LEAST_FPS, PresentPace


def show(pace: PresentPace, *, seconds: float, fps: float, skips: int, since_s: float = 0.0) -> float:
    """Acknowledge at a rate, each time with so many frames skipped; return when that ends."""
    for index in range(int(seconds * fps) + 1):
        pace.note(since_s + index / fps, presented=True, skipped=skips)
    return since_s + seconds


def test_a_browser_that_shows_what_it_gets_is_not_limited() -> None:
    pace = PresentPace()

    show(pace, seconds=10, fps=30, skips=0)

    assert pace.max_fps == math.inf


def test_a_browser_that_skips_every_other_frame_is_given_what_it_shows_and_a_quarter_more() -> None:
    pace = PresentPace()

    show(pace, seconds=2.1, fps=15, skips=1)

    assert 15 * 1.25 <= pace.max_fps <= 16 * 1.25


def test_a_skip_now_and_then_does_not_count() -> None:
    pace = PresentPace()
    for index in range(200):
        pace.note(index / 20, presented=True, skipped=1 if index % 6 == 0 else 0)

    assert pace.max_fps == math.inf


def test_a_browser_that_got_quicker_is_offered_more_step_by_step() -> None:
    pace = PresentPace()
    now_s = show(pace, seconds=2.1, fps=10, skips=2)
    limited = pace.max_fps

    now_s = show(pace, seconds=2.1, fps=10, skips=0, since_s=now_s)
    assert limited * 1.2 <= pace.max_fps <= limited * 1.3

    show(pace, seconds=60, fps=10, skips=0, since_s=now_s)
    assert pace.max_fps == math.inf


def test_a_browser_that_hardly_shows_anything_still_gets_something() -> None:
    pace = PresentPace()

    show(pace, seconds=10, fps=0.3, skips=50)

    assert pace.max_fps >= LEAST_FPS


def test_whoever_tells_nothing_of_its_screen_is_not_limited() -> None:
    pace = PresentPace()
    for index in range(100):
        pace.note(index / 10, presented=False, skipped=1)

    assert pace.max_fps == math.inf


def test_what_was_before_a_long_silence_is_forgotten() -> None:
    pace = PresentPace()
    show(pace, seconds=1, fps=10, skips=5)

    assert not pace.note(1000.0, presented=True, skipped=0)
    assert pace.max_fps == math.inf

"""Repeated conditions in the log."""

from __future__ import annotations

import structlog
from fakes import FakeClock

from server.tally import MAX_CANVASES, OTHERS, Tally


def test_the_first_is_told_at_once_and_the_rest_as_one_line_a_second() -> None:
    clock = FakeClock()
    tally = Tally(clock)
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            tally.count("too slow", canvas="left")
        tally.count("gone", canvas="left", times=3)
        tally.flush()
        assert [line["counts"] for line in lines] == [{"too slow": 1}]
        clock.advance(1.0)
        tally.flush()

        assert [line["counts"] for line in lines] == [{"too slow": 1}, {"too slow": 999, "gone": 3}]
        assert {line["canvas"] for line in lines} == {"left"}


def test_nothing_is_told_where_nothing_happened() -> None:
    clock = FakeClock()
    tally = Tally(clock)
    with structlog.testing.capture_logs() as lines:
        tally.count("gone", canvas="left", times=0)
        tally.flush()
        assert not lines
        tally.count("gone")
        for _ in range(5):
            clock.advance(1.0)
            tally.flush()
        tally.count("gone")

    assert [line["counts"] for line in lines] == [{"gone": 1}] * 2
    assert "canvas" not in lines[0]


def test_one_canvas_does_not_silence_another_and_there_is_an_end_to_them() -> None:
    clock = FakeClock()
    tally = Tally(clock)
    with structlog.testing.capture_logs() as lines:
        for number in range(MAX_CANVASES + 1000):
            tally.count("connected", canvas=f"c{number}")
        assert len(lines) == MAX_CANVASES + 1
        assert lines[-1]["canvas"] == OTHERS
        clock.advance(1.0)
        tally.flush()
        assert lines[-1] == {**lines[-1], "canvas": OTHERS, "counts": {"connected": 999}}

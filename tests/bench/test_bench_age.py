"""The age bench: what follows from receipts, and one short run with real programs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import psutil
import pytest

from bench.__main__ import main
from bench.age import Row, goals, read_options, row_of_phase
from bench.receipts import Ages, Receipt, Road, settled_after, summarise


ROAD = Road(frame_bytes=100_000, rate_bytes_s=1e6, rtt_s=0.1, fps=10.0)


def received(ages_ms: Sequence[float], every_ms: float = 100.0, start_ms: float = 1000.0) -> list[Receipt]:
    """Return frames of these ages, received at equal distances."""
    instants = [start_ms + index * every_ms for index in range(len(ages_ms))]
    return [
        Receipt(index, 100_000, at - age, at)
        for index, (at, age) in enumerate(zip(instants, ages_ms, strict=True))
    ]


def test_the_ideal_is_a_transmission_half_a_round_trip_and_half_an_interval() -> None:
    assert ROAD.ideal_ms == pytest.approx(100.0 + 50.0 + 50.0)


def test_the_ideal_counts_the_mean_of_what_the_way_is_longer() -> None:
    assert Road(100_000, 1e6, 0.1, 10.0, jitter_s=0.02).ideal_ms == pytest.approx(210.0)


def test_receipts_are_summed_up_to_ages_and_goodput() -> None:
    ages = summarise(received([200.0, 210.0, 220.0], every_ms=125.0), ROAD)

    assert (ages.frames, ages.p50_ms) == (3, pytest.approx(210.0))
    assert ages.p99_ms == pytest.approx(219.8)
    assert ages.goodput_share == pytest.approx(0.8)


@pytest.mark.parametrize("count", [0, 1])
def test_of_too_few_receipts_there_is_no_goodput(count: int) -> None:
    assert summarise(received([200.0] * count), ROAD).goodput_share is None


def test_a_link_has_settled_when_three_frames_in_a_row_are_new() -> None:
    frames = received([900.0, 240.0, 900.0, 240.0, 240.0, 240.0])

    assert settled_after(frames, ROAD, changed_ms=0.0) == 3
    assert settled_after(frames, ROAD, changed_ms=1250.0) == 0
    assert settled_after(frames[:5], ROAD, changed_ms=0.0) is None


def test_the_row_of_a_change_tells_ages_from_when_it_has_settled() -> None:
    row = row_of_phase("fallen", ROAD, received([900.0, 200.0, 200.0, 200.0]), 0.0)

    assert (row.settled_after, row.ages.frames) == (1, 3)
    assert row.ratio == pytest.approx(1.0)


def test_the_goals_judge_the_worst_of_the_links() -> None:
    rows = [
        Row(ROAD, "psyche", Ages(9, 200.0, 210.0, 0.99)),
        Row(ROAD, "psyche", Ages(9, 220.0, 230.0, 0.94)),
    ]

    age, goodput = goals(rows)

    assert (age.measured, age.is_met) == (pytest.approx(1.1), True)
    assert (goodput.measured, goodput.is_met) == (0.94, False)


def test_what_was_not_measured_meets_no_goal() -> None:
    assert [goal.is_met for goal in goals([Row(ROAD, "psyche", Ages(0, None, None, None))])] == [False, False]


def test_the_whole_bench_measures_both_loads_at_all_round_trips() -> None:
    roads = read_options([]).roads()

    assert {(road.frame_bytes, road.rate_bytes_s) for road in roads} == {
        (1_000_000, 2.5e6),
        (300_000, 1.25e6),
    }
    assert [road.rtt_s for road in roads] == 2 * [0.0, 0.02, 0.08, 0.2]


def test_wrong_options_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_options(["--seconds", "0"])
    assert "no number from 0.5 to 600" in capsys.readouterr().err


def test_a_quick_run_measures_and_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["age", "--quick", "--seconds", "2"]) == 0

    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["bench"] == "age"
    rows = {row["kind"]: row for row in report["rows"]}
    assert list(rows) == ["psyche", "send_bytes"]
    for row in rows.values():
        assert row["frames"] >= 2
        # Nothing is faster than the link.
        assert row["p50_ms"] >= 1000.0 * (row["frame_bytes"] / row["rate_bytes_s"] + row["rtt_s"] / 2.0)
        # What it is exactly follows from receipts, above; here the machine may halt for a moment.
        assert 0.1 <= row["goodput_share"] <= 1.5
    assert len(report["goals"]) == 2
    assert not psutil.Process().children(recursive=True)

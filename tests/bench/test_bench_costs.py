"""From rounds to what is reported: costs, ratios, goals, the sheet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import fanout, isolation, scale, tiers
from bench.costs import median_ratio, rows_of, warnings
from bench.goals import Goal
from bench.isolation import Memory, Pair
from bench.load.groups import Group
from bench.round_options import RoundOptions, parser_of, read
from bench.rounds import BARE, OURS, SEED, Case, Outcome
from bench.sheet import Sheet
from bench.table import Column
from bench.tiers import Found, Part


CASE = Case("60 kB", (Group("all", "canvas-1", 10),), frame_bytes=60_000, fps=10.0)
OPTIONS = RoundOptions(seconds=3.0, warm_up_s=1.0, rounds=5, is_quick=False)


def outcome(*, cpu_ms: float, frames: int = 100, p99_ms: float | None = 2.0, load: float = 0.1) -> Outcome:
    """One second of measuring."""
    group: dict[str, Any] = {"frames": frames, "bytes": frames * 1000, "closed": 0, "tiers": {}}
    ages = {"age_p50_ms": None if p99_ms is None else p99_ms / 2.0, "age_p99_ms": p99_ms}
    return Outcome(1.0, cpu_ms / 1000.0, load, 50_000_000, {"all": {**group, **ages}})


def test_a_row_holds_the_median_of_the_rounds_and_their_range() -> None:
    found = {
        OURS.name: [outcome(cpu_ms=cpu_ms) for cpu_ms in (3.0, 9.0, 4.0)],
        BARE.name: [outcome(cpu_ms=cpu_ms) for cpu_ms in (2.0, 3.0, 1.0)],
    }

    ours, bare = rows_of(CASE, found)

    assert (ours.cpu_us, ours.cpu_least_us, ours.cpu_most_us) == pytest.approx((40.0, 30.0, 90.0))
    # Round by round 1.5, 3 and 4: what disturbs both kinds alike does not count.
    assert ours.of_bare == pytest.approx(3.0)
    assert bare.of_bare == pytest.approx(1.0)
    assert ours.frames_per_cpu_s == pytest.approx(25_000.0)
    assert (ours.fps, ours.age_p99_ms, ours.is_short) == (10.0, 2.0, False)


def test_a_ratio_needs_both() -> None:
    assert median_ratio([outcome(cpu_ms=1.0)], []) is None
    assert median_ratio([outcome(cpu_ms=1.0, frames=0)], [outcome(cpu_ms=1.0)]) is None


def test_what_makes_a_row_doubtful_is_said() -> None:
    rows = rows_of(CASE, {OURS.name: [outcome(cpu_ms=1.0, frames=50, load=0.95)]})

    short, busy = warnings(rows)

    assert "5.00 of 10 frames/s" in short
    assert busy.startswith("WARNING 60 kB, psyche: the load took 95%")


@pytest.mark.parametrize(
    ("goal", "line"),
    [
        (Goal("cost", 1.65, 1.7), "met: cost: 1.65, at most 1.7"),
        (Goal("cost", 1.75, 1.7), "not met: cost: 1.75, at most 1.7"),
        (Goal("rate", 11.9, 12.0, is_ceiling=False), "not met: rate: 11.9, at least 12"),
        (Goal("rate", 12.0, 12.0, is_ceiling=False), "met: rate: 12, at least 12"),
        (Goal("cost", None, 1.7), "not measured: cost: at most 1.7"),
    ],
)
def test_a_goal_is_judged_by_what_was_measured(goal: Goal, line: str) -> None:
    assert goal.line() == line
    assert goal.is_met == line.startswith("met")


def test_the_goals_of_fanout_are_ratios_of_what_was_found() -> None:
    near = {OURS.name: [outcome(cpu_ms=4.0)], BARE.name: [outcome(cpu_ms=2.0)]}
    far = {OURS.name: [outcome(cpu_ms=4.0)], SEED.name: [outcome(cpu_ms=100.0)]}

    goals = fanout.goals({"60 kB": near, "2 MB": near, "2 MB, calm": near, "4K": far})

    assert [goal.measured for goal in goals] == [2.0, 2.0, 2.0, 25.0]
    assert [goal.is_met for goal in goals] == [False, False, False, True]
    assert [goal.measured for goal in fanout.goals({})] == [None] * 4


def test_the_goals_of_scale_compare_few_screens_with_many() -> None:
    many = {OURS.name: [outcome(cpu_ms=200.0, p99_ms=30.0)]}
    equal = {
        screens: {OURS.name: [outcome(cpu_ms=cpu_ms)]}
        for screens, cpu_ms in ((10, 5.0), (100, 4.0), (1000, 4.4))
    }

    share, age, spread = scale.goals(many, equal)

    assert (share.measured, age.measured, spread.measured) == pytest.approx((0.2, 30.0, 1.25))
    assert (share.is_met, age.is_met, spread.is_met) == (True, True, False)


def test_a_number_of_screens_without_a_figure_leaves_the_comparison_unmeasured() -> None:
    equal = {10: {OURS.name: [outcome(cpu_ms=5.0)]}, 1000: {OURS.name: [outcome(cpu_ms=5.0, frames=0)]}}

    assert scale.goals({}, equal)[2].measured is None


def pair(alone_ms: float, beside_ms: float | None) -> Pair:
    def ages(p99_ms: float | None) -> dict[str, Any]:
        return {"age_p50_ms": 1.0, "age_p99_ms": p99_ms, "frames": 10}

    return Pair(ages(alone_ms), ages(beside_ms))


def test_the_others_may_move_by_five_milliseconds_or_a_tenth() -> None:
    memory = {OURS.name: Memory(stuck=200, before_bytes=0, samples=(1,), minutes=1.0)}

    near, *_ = isolation.goals({OURS.name: [pair(10.0, 14.0), pair(10.0, 40.0), pair(10.0, 11.0)]}, memory)
    slow, *_ = isolation.goals({OURS.name: [pair(200.0, 215.0)]}, memory)

    assert (near.measured, near.limit, near.is_met) == (4.0, 5.0, True)
    assert (slow.measured, slow.limit, slow.is_met) == (15.0, 20.0, True)


def test_a_pair_in_which_nothing_came_leaves_the_move_unmeasured() -> None:
    goal, *_ = isolation.goals({OURS.name: [pair(10.0, 10.0), pair(10.0, None)]}, {})

    assert goal.measured is None


def test_memory_is_counted_per_stuck_screen_and_its_growth_over_the_run() -> None:
    mib = 1024 * 1024
    memory = Memory(
        stuck=4, before_bytes=50 * mib, samples=(50 * mib, 51 * mib, 52 * mib, 55 * mib), minutes=1.0
    )

    assert memory.kib_each == pytest.approx(1280.0)
    assert memory.drift == pytest.approx(0.1)


def part(**fields: Any) -> Part:
    usual = {"count": 2, "viewport": (1920, 1080), "fps": 8.0, "frame_bytes": 900.0, "bytes_s": 7200.0}
    return Part(
        **{"name": "1080p", "age_p50_ms": 1.0, "age_p99_ms": 2.0, "tiers": {"a": 3}, **usual, **fields}
    )


def test_a_screen_that_gets_more_frames_is_charged_for_them() -> None:
    assert part().share_of(4000.0, 8.0) == pytest.approx(0.225)
    assert part(bytes_s=16_000.0).share_of(4000.0, 8.0) == pytest.approx(0.5)
    # And one that gets fewer is not let off.
    assert part(bytes_s=800.0).share_of(4000.0, 8.0) == pytest.approx(0.225)
    assert part(frame_bytes=None).share_of(4000.0, 8.0) is None


def test_the_goals_of_tiers_are_of_the_1080p_screens_and_the_loop() -> None:
    found = Found((part(name="4K"), part()), 4000.0, lag_p99_ms=6.0, cpu_share=0.5, load_share=0.1)

    lag, share = tiers.goals(found)

    assert (lag.measured, lag.is_met) == (6.0, False)
    assert (share.measured, share.is_met) == (pytest.approx(0.225), True)


def test_tiers_are_told_by_how_often_they_came() -> None:
    assert part(tiers={"jpeg-50-85": 1, "original": 3}).tiers_in_words() == "original 75%, jpeg-50-85 25%"


def test_a_sheet_is_a_table_with_goals_and_one_json_line_last(capsys: pytest.CaptureFixture[str]) -> None:
    sheet = Sheet(
        bench="fanout",
        title="what it costs",
        columns=(Column("kind", is_text=True), Column("CPU", "us")),
        blocks=[[["psyche", "40.0"]]],
        rows=[{"kind": "psyche", "cpu_us": 40.000_04}],
        goals=[Goal("cost", 1.65, 1.7)],
        notes=["Medians."],
        options=OPTIONS.to_json(),
        machine={
            "cpu": "c",
            "cores": 2,
            "load_1min": 0.0,
            "system": "s",
            "python": "3",
            "packages": {},
            "commit": "abc",
        },
        date="2026-11-21 14:00 UTC",
    )

    sheet.write()

    *lines, last = capsys.readouterr().out.splitlines()
    assert "2026-11-21 14:00 UTC" in lines
    assert any("commit abc" in line for line in lines)
    assert "met: cost: 1.65, at most 1.7" in lines
    report = json.loads(last)
    assert report["rows"] == [{"kind": "psyche", "cpu_us": 40.0}]
    assert report["goals"][0]["is_met"]


def test_quick_is_one_short_round_unless_told_otherwise() -> None:
    quick = read(parser_of("fanout", ""), ["--quick"])
    told = read(parser_of("fanout", ""), ["--quick", "--rounds", "3", "--kinds", "bare,ours"])

    assert (quick.rounds, quick.seconds) == (1, 0.5)
    assert told.rounds == 3
    # In the bench's order, not in the command line's.
    assert told.chosen([OURS, SEED, BARE]) == [OURS, BARE]


def test_a_kind_that_there_is_not_is_told_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        read(parser_of("fanout", ""), ["--kinds", "flash"])

    assert "'flash' is no kind; accepted are ours, bare, send_bytes, seed" in capsys.readouterr().err

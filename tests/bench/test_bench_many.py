"""The benches with many screens, short and with few, with real servers and a real load."""

from __future__ import annotations

import importlib
import importlib.util
import json
from typing import Any

import psutil
import pytest

from bench.__main__ import BENCHES, main
from bench.isolation import Pair, goals, notes
from bench.round_options import RoundOptions
from bench.rounds import Outcome
from bench.scale import goals as scale_goals


# Long enough for a frame to every screen on a busy machine.
SHORT = ["--quick", "--seconds", "1"]


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(arguments) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert not psutil.Process().children(recursive=True)
    return found


def test_fanout_sets_what_a_frame_costs_beside_the_bare_loop(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "fanout", *SHORT, "--kinds", "ours,bare")

    assert [row["kind"] for row in found["rows"]] == ["psyche", "bare loop"]
    ours, bare = found["rows"]
    assert ours["of_bare"] == pytest.approx(ours["cpu_us"] / bare["cpu_us"], rel=0.01)
    assert ours["fps"] > 0.0
    light, heavy, calm, _ = found["goals"]
    assert light["measured"] == ours["of_bare"]
    assert light["is_met"] == (ours["of_bare"] <= light["limit"])
    assert (heavy["measured"], calm["measured"]) == (None, None)


def test_scale_measures_many_screens_and_fewer_at_the_same_rate(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "scale", *SHORT, "--kinds", "ours")

    assert [row["case"] for row in found["rows"]] == ["20 screens", "60 frames/s to 2", "60 frames/s to 10"]
    assert all(goal["measured"] is not None for goal in found["goals"])


def outcome(frames: int, age_p99_ms: float | None) -> Outcome:
    return Outcome(1.0, 0.1, 0.1, 0, {"all": {"frames": frames, "age_p99_ms": age_p99_ms}})


def test_scale_leaves_no_round_out_in_which_nothing_came() -> None:
    full, empty = outcome(100, 5.0), outcome(0, None)

    whole = scale_goals({"psyche": [full]}, {10: {"psyche": [full]}, 100: {"psyche": [full]}})
    lacking = scale_goals({"psyche": [full, empty]}, {10: {"psyche": [full, empty]}, 100: {"psyche": [full]}})

    assert [goal.measured for goal in whole] == [0.1, 5.0, 1.0]
    assert [goal.measured for goal in lacking] == [0.1, None, None]


def test_isolation_measures_pairs_of_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "isolation", *SHORT, "--kinds", "ours", "--only", "pairs")

    (row,) = found["rows"]
    assert row["moved_p99_ms"] is not None
    assert row["kib_each"] is None
    assert [goal["measured"] is not None for goal in found["goals"]] == [True]


def test_isolation_measures_the_memory_of_stuck_screens(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "isolation", *SHORT, "--kinds", "ours", "--minutes", "0.01", "--only", "memory")

    (row,) = found["rows"]
    assert (row["stuck"], row["minutes"]) == (10, 0.01)
    assert row["moved_p99_ms"] is None
    assert [goal["measured"] is not None for goal in found["goals"]] == [True, True]


def test_isolation_judges_both_parts_unless_one_is_asked_for() -> None:
    judged = {only: goals({}, {}, only) for only in (None, "pairs", "memory")}

    assert judged[None] == judged["pairs"] + judged["memory"]
    assert not any(goal.is_met for goal in judged[None]), "what was not measured is not met"


def test_tiers_measures_screens_of_all_sizes_and_a_thin_link(capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("fastapi") is None:
        pytest.skip("no fastapi: install the extra 'bench'")
    found = report(capsys, "tiers", *SHORT)

    assert [row["name"] for row in found["rows"]] == ["4K", "1080p", "phone", "thin link"]
    assert all(row["fps"] > 0.0 for row in found["rows"])
    _, weight = found["goals"]
    assert weight["measured"] is not None


def test_isolation_says_whose_other_screens_got_few_frames_only_where_that_was_so() -> None:
    options = RoundOptions(seconds=1.0, warm_up_s=1.0, rounds=1, is_quick=True, only="pairs")
    alone = {"frames": 100, "age_p99_ms": 1.0}
    pairs = {
        "quick": [Pair(alone, {"frames": 98, "age_p99_ms": 2.0})],
        "stopped": [Pair(alone, {"frames": 3, "age_p99_ms": None})],
    }

    said = [note for note in notes(options, pairs, 100_000.0) if "of the frames" in note]

    assert said == ["stopped: beside the dead and the slow screen the others got 3% of the frames."]


@pytest.mark.parametrize("bench", ["fanout", "scale", "age"])
def test_a_bench_that_encodes_nothing_says_so(bench: str) -> None:
    module = importlib.import_module(f"bench.{bench}")
    options = RoundOptions(seconds=1.0, warm_up_s=1.0, rounds=1, is_quick=True)

    said = module.notes(options, 1.0) if bench == "scale" else module.notes(options)

    assert any("PSYCHE_TIERS=original" in note for note in said)


@pytest.mark.parametrize("bench", ["fanout", "scale", "isolation", "tiers"])
def test_a_bench_says_what_it_measures(bench: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([bench, "--help"])

    assert ended.value.code == 0
    assert "--quick" in capsys.readouterr().out


def test_streaming_is_measured_unless_another_bench_is_asked_for() -> None:
    assert next(iter(BENCHES)) == "streaming"
    assert {"fanout", "age", "isolation", "tiers", "scale"} <= set(BENCHES)

"""The benches with many screens, short and with few, with real servers and a real load."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import psutil
import pytest

from bench.__main__ import BENCHES, main


SHORT = ["--quick", "--seconds", "0.3"]


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
    light, heavy, _ = found["goals"]
    assert light["measured"] == ours["of_bare"]
    assert light["is_met"] == (ours["of_bare"] <= light["limit"])
    assert heavy["measured"] is None


def test_scale_measures_many_screens_and_fewer_at_the_same_rate(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "scale", *SHORT, "--kinds", "ours")

    assert [row["case"] for row in found["rows"]] == ["20 screens", "60 frames/s to 2", "60 frames/s to 10"]
    assert all(goal["measured"] is not None for goal in found["goals"])


def test_isolation_measures_pairs_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    found = report(capsys, "isolation", *SHORT, "--kinds", "ours", "--minutes", "0.01")

    (row,) = found["rows"]
    assert row["moved_p99_ms"] is not None
    assert (row["stuck"], row["minutes"]) == (10, 0.01)
    assert all(goal["measured"] is not None for goal in found["goals"])


def test_tiers_measures_screens_of_all_sizes_and_a_thin_link(capsys: pytest.CaptureFixture[str]) -> None:
    if importlib.util.find_spec("fastapi") is None:
        pytest.skip("no fastapi: install the extra 'bench'")
    found = report(capsys, "tiers", *SHORT)

    assert [row["name"] for row in found["rows"]] == ["4K", "1080p", "phone", "thin link"]
    assert all(row["fps"] > 0.0 for row in found["rows"])
    _, weight = found["goals"]
    assert weight["measured"] is not None


@pytest.mark.parametrize("bench", ["fanout", "scale", "isolation", "tiers"])
def test_a_bench_says_what_it_measures(bench: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([bench, "--help"])

    assert ended.value.code == 0
    assert "--quick" in capsys.readouterr().out


def test_streaming_is_measured_unless_another_bench_is_asked_for() -> None:
    assert next(iter(BENCHES)) == "streaming"
    assert {"fanout", "age", "isolation", "tiers", "scale"} <= set(BENCHES)

"""The whole streaming bench, short, with a real server and real processes of screens."""

from __future__ import annotations

import json
from typing import Any

import psutil
import pytest

from bench.__main__ import main


# 0.2 s at 60 frames per second are twelve frames a round.
SHORT = ["--quick", "--seconds", "0.2", "--fps", "60"]


def report(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(arguments) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_a_quick_run_measures_both_forms_and_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = report([*SHORT, "--sizes", "512", "--canvases", "2", "--subscribers", "2"], capsys)
    rows = {row["form"]: row for row in found["rows"]}
    assert list(rows) == ["msgpack", "json"]
    for row in rows.values():
        # Every screen ends on the newest frame, and frames are lost by being replaced only.
        assert row["undelivered"] == 0
        assert row["frames"] + row["replaced"] == 2 * (2 * 12 - row["dropped"])
        assert row["fps"] > 0
        assert row["cpu_gross_ms"] > 0
        assert row["cpu_ingest_ms"] > 0
        assert 0 < row["age_p50_ms"] <= row["age_p99_ms"]
        assert row["bytes_per_frame"] > row["jpeg_bytes"]
    (ratio,) = found["ratios"]
    assert ratio["bytes_per_frame"] <= 0.76
    assert not psutil.Process().children(recursive=True)


def test_one_form_alone_has_no_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    found = report([*SHORT, "--sizes", "64x64", "--forms", "json"], capsys)
    assert [row["form"] for row in found["rows"]] == ["json"]
    assert found["ratios"] == []

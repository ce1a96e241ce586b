"""The engine bench, on small pictures."""

from __future__ import annotations

import json
import os

import pytest

from bench.__main__ import main
from bench.engine import CHANGE, PROMPTS, Row, one_core
from inference.procedural.places import PAINTERS
from inference.procedural.words import read


def test_every_place_of_the_painter_is_measured() -> None:
    assert {read(prompt).place for prompt in PROMPTS.values()} == set(PAINTERS)
    assert all(read(prompt).place == place for place, prompt in PROMPTS.items())


def test_painting_and_encoding_are_told_apart_and_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "--sizes", "64x64", "--places", f"sea,{CHANGE}", "--frames", "3"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    report = json.loads(last)
    assert [row["place"] for row in report["rows"]] == ["sea", CHANGE]
    for row in report["rows"]:
        assert set(row) == {*Row.__dataclass_fields__, "reaches_goal"}
        assert 0 < row["paint_min_ms"] <= row["paint_median_ms"]
        assert 0 < row["encode_min_ms"] <= row["encode_median_ms"]
        assert row["both_min_ms"] >= row["paint_min_ms"] + row["encode_min_ms"] - 0.001
        assert row["fps"] == pytest.approx(1000.0 / row["both_median_ms"], rel=1e-3)
    assert any(line.startswith(CHANGE) for line in lines)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin")
def test_the_cores_are_given_back() -> None:
    before = os.sched_getaffinity(0)
    with one_core() as core:
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before

"""The picture of a report."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

from bench.__main__ import main
from bench.figures import Case, Round, summarise
from bench.options import read_options
from bench.plot import plot
from bench.report import Report
from bench.sizes import NAMED


def test_a_report_becomes_a_picture(tmp_path: Path) -> None:
    served = Round(published=2, cpu_s=0.1, delivered=2, received_bytes=10, fps=8.0, ages_ms=(1.0, 2.0))
    nothing = Round(published=2, cpu_s=0.1)
    case = Case(NAMED["512"], 1, 1, 8.0)
    rows = (
        summarise(case, "msgpack", 5.0, [served], [nothing]),
        summarise(case, "json", 5.0, [nothing], [nothing]),
    )
    machine = {"cpu": "A processor", "cores": 2, "python": "3.11", "commit": None}
    plot(Report(machine, {}, read_options([]), rows), tmp_path / "report.png")
    with Image.open(tmp_path / "report.png") as image:
        assert image.format == "PNG"
        assert image.width > 1000


@pytest.mark.parametrize(
    ("name", "told"), [("report.gif", "must end in .png"), ("nowhere/report.png", "there is no folder")]
)
def test_a_picture_that_cannot_be_written_is_told_before_measuring(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--plot", str(tmp_path / name)]) == 1
    assert told in capsys.readouterr().err


def test_without_matplotlib_only_the_picture_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["--plot", "report.png"]) == 1
    assert "--plot needs matplotlib" in capsys.readouterr().err

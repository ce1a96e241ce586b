"""What people and programs read."""

from __future__ import annotations

import json

import pytest

from bench.figures import Case, Round, Row, summarise
from bench.options import read_options
from bench.report import Report, table, write_report
from bench.sizes import NAMED
from bench.table import Column, number, render


def a_row(form: str, *, fps: float = 8.0, subscribers: int = 1, undelivered: int = 0) -> Row:
    case = Case(NAMED["4k"], 1, subscribers, 8.0)
    weight = 1_500_000 if form == "msgpack" else 2_000_000
    cpu_s = 0.012 if form == "msgpack" else 0.100
    served = Round(
        published=4,
        cpu_s=cpu_s,
        delivered=4 * subscribers,
        received_bytes=4 * subscribers * weight,
        fps=fps,
        ages_ms=(2.0, 3.0),
        undelivered=undelivered,
    )
    return summarise(case, form, 1_499_900.0, [served], [Round(published=4, cpu_s=0.008)])


def a_report(*rows: Row) -> Report:
    machine = {
        "cpu": "A processor",
        "cores": 2,
        "load_1min": 0.5,
        "system": "Linux",
        "python": "3.11",
        "packages": {"aiohttp": "3", "turbojpeg": None},
        "commit": None,
    }
    server = {
        "version": "0.1.0",
        "jpeg_encoder": "pillow",
        "url": "http://127.0.0.1:1",
        "own": True,
        "cpu_clock": "a clock",
    }
    return Report(machine, server, read_options(["--token", "secret"]), rows)


def test_columns_are_aligned_and_carry_their_units() -> None:
    lines = render([Column("size", is_text=True), Column("age", "ms")], [[["512", "1.0"]], [["4k", "12.5"]]])
    assert lines == ["size   age", "        ms", "----------", "512    1.0", "", "4k    12.5"]


def test_a_missing_number_is_a_dash() -> None:
    assert number(None) == "-"
    assert number(1234.56, 1) == "1,234.6"


def test_the_ratio_of_the_forms_stands_below_them() -> None:
    lines = table([a_row("msgpack"), a_row("json"), a_row("msgpack", subscribers=8)])
    below = next(line for line in lines if "msgpack / json" in line)
    assert below.split()[3:] == ["1.00", "0.750", "0.120", "0.043"]
    assert lines.index(below) == 5
    assert lines[6] == ""


def test_the_json_line_comes_last_and_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    write_report(a_report(a_row("msgpack"), a_row("json")))
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found) == {"bench", "schema", "machine", "server", "options", "rows", "ratios", "notes"}
    assert set(found["rows"][0]) == set(Row.__dataclass_fields__)
    assert found["rows"][0]["bytes_per_frame"] == 1_500_000
    assert found["ratios"][0]["cpu_gross"] == 0.12


def test_the_token_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    write_report(a_report(a_row("msgpack")))
    assert "secret" not in capsys.readouterr().out


def test_a_missed_rate_is_marked_and_warned_of() -> None:
    report = a_report(a_row("msgpack", fps=5.0), a_row("json"))
    assert "5.00 !" in table(report.rows)[3]
    (warning,) = [note for note in report.notes() if note.startswith("WARNING")]
    assert warning.startswith("WARNING 4k, 1 x 1, msgpack: 5.00 of 8 frames/s reached")


def test_a_subscriber_that_missed_the_newest_frame_is_warned_of() -> None:
    notes = a_report(a_row("json", undelivered=2)).notes()
    assert any(
        note.startswith("WARNING") and "2 subscribers did not end on the newest" in note for note in notes
    )

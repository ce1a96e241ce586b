"""The command line of the benches."""

from __future__ import annotations

import pytest

from bench.__main__ import main
from bench.options import read_options


def test_by_default_all_sizes_are_measured_and_4k_is_shared_as_well() -> None:
    cases = [(case.size.name, case.subscribers) for case in read_options([]).cases()]
    assert cases == [("512", 1), ("800", 1), ("1080p", 1), ("4k", 1), ("4k", 8)]


def test_every_number_of_subscribers_is_measured_at_every_size() -> None:
    options = read_options(["--sizes", "512,640x360", "--subscribers", "1,3", "--canvases", "2"])
    cases = [(case.size.width, case.size.height, case.canvases, case.subscribers) for case in options.cases()]
    assert cases == [(512, 512, 2, 1), (512, 512, 2, 3), (640, 360, 2, 1), (640, 360, 2, 3)]


def test_quick_is_short_and_gives_way_to_what_is_asked_for() -> None:
    assert [case.size.name for case in read_options(["--quick"]).cases()] == ["512", "4k"]
    options = read_options(["--quick", "--sizes", "800", "--rounds", "2"])
    assert (options.rounds, options.sizes[0].name) == (2, "800")


def test_the_token_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PSYCHE_TOKEN", "from outside")
    assert read_options([]).token == "from outside"
    assert read_options(["--token", "mine"]).token == "mine"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--sizes", "8k"], "'8k' is no size; accepted are 512, 800, 1080p, 4k"),
        (["--sizes", "100x100"], "each a multiple of 8"),
        (["--fps", "0"], "'0' is no number from 0.5 to 60"),
        (["--fps", "nan"], "'nan' is no number"),
        (["--rounds", "0"], "'0' is no whole number from 1 to 100"),
        (["--subscribers", "1,-2"], "'-2' is no whole number"),
        (["--forms", "xml"], "'xml' is no form; accepted are msgpack, json"),
        (["engine", "--places", "moon"], "'moon' is no place; accepted are sea"),
        (["engine", "--frames", "0"], "'0' is no whole number from 1 to 10000"),
    ],
)
def test_a_wrong_option_is_told_with_what_is_accepted(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert told in capsys.readouterr().err


def test_an_unknown_bench_is_told_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "there is no bench 'speed'; there are streaming, fanout, age" in capsys.readouterr().err

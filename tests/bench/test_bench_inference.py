"""The inference bench without a network: options, arithmetic, verdicts, and whole runs of a fake engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fakes import FakeEngine

from bench.__main__ import main
from bench.inference import command, rig
from bench.inference.checks import (
    LIGHT,
    OURS_ALONE,
    OURS_SHARED,
    PLAIN,
    PLAIN_KEPT,
    TWICE_BEAT,
    TWICE_SPREAD,
    Findings,
    accelerator_checks,
    scheduler_checks,
    tiny_checks,
)
from bench.inference.floors import Peak, Work, floor_s, images_per_s_at_best, stage_rows
from bench.inference.loads import Watch
from bench.inference.measures import (
    BucketRow,
    ComparisonRow,
    LoadRow,
    OwnCostRow,
    Served,
    Tick,
    bucket_row,
    compare,
    load_row,
    own_cost_row,
)
from bench.inference.options import Options, read_options
from bench.inference.rig import Rig, check_memory
from inference.engine import OutOfMemoryError, PaintingFailedError


class FakePlainLoop:
    """A pipeline that paints nothing, and notes how it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bool]] = []

    def paint(self, index: int, *, keeps_text: bool) -> None:
        self.asked.append((index, keeps_text))


UseRig = Callable[[Rig], None]


@pytest.fixture
def use_rig(monkeypatch: pytest.MonkeyPatch) -> UseRig:
    """Measure a rig instead of what the options ask for."""

    def use(chosen: Rig) -> None:
        monkeypatch.setattr(command, "build_rig", lambda options: chosen)

    return use


def load_of(name: str, **fields: float) -> LoadRow:
    usual = {
        "callers": 16, "offered_per_s": 100.0, "images_per_s": 100.0, "rate_spread": 1.0, "least_served": 1.0,
        "mean_rows": 12.0, "p50_ms": 5.0, "p99_ms": 9.0, "queued_p50_ms": 0.2, "queued_p99_ms": 0.4,
    }  # fmt: skip
    return LoadRow(load=name, **{**usual, **fields})  # type: ignore[arg-type]


def report_of(capsys: pytest.CaptureFixture[str]) -> tuple[list[str], dict[str, object]]:
    *lines, last = capsys.readouterr().out.splitlines()
    return lines, json.loads(last)


def test_the_tiny_pipeline_is_measured_small_on_one_thread_and_the_real_size_as_it_is_used() -> None:
    tiny, full = (read_options(["--engine", name]) for name in ("tiny", "sdxl-random"))

    assert (tiny.size, tiny.threads, tiny.dtype, tiny.has_baseline) == (64, 1, "float32", True)
    assert (full.size, full.threads, full.dtype, full.steps) == (512, 0, "auto", 1)
    assert (tiny.callers, tiny.seconds, tiny.rounds) == ((1, 4, 16), 3.0, 5)


def test_quick_gives_way_to_what_is_asked_for() -> None:
    quick = read_options(["--engine", "tiny", "--quick", "--rounds", "3"])

    assert (quick.seconds, quick.rounds) == (0.5, 3)


def test_the_painter_has_nothing_to_be_compared_with() -> None:
    assert not read_options([]).has_baseline
    assert not read_options(["--engine", "tiny", "--no-baseline"]).has_baseline


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--engine", "flux"], "invalid choice: 'flux'"),
        (["--size", "100"], "'100' is no multiple of 8 from 64 to 2048"),
        (["--callers", "1,0"], "'0' is no whole number from 1 to 256"),
        (["--seconds", "nan"], "'nan' is no number from 0.05 to 120"),
        (["--seconds", "1", "--pictures", "4"], "not allowed with argument"),
        (["--steps", "101"], "'101' is no whole number from 1 to 100"),
        (["--baseline"], "the procedural engine has no pipeline"),
    ],
)
def test_a_wrong_option_is_told_with_what_is_accepted(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["inference", *arguments])

    assert exit_info.value.code == 2
    assert told in capsys.readouterr().err


def test_a_batch_is_as_late_as_its_whole_and_as_fast_as_its_share() -> None:
    row = bucket_row(4, [0.1, 0.3])

    assert row == BucketRow(bucket=4, batches=2, images_per_s=20.0, p50_ms=200.0, p99_ms=pytest.approx(298.0))


def test_a_load_tells_the_spread_of_rates_and_who_was_served_least() -> None:
    served = [Served(10, (0.1,) * 10, (0.0,) * 10), Served(10, (0.3,) * 8, (0.1,) * 8)]

    row = load_row("light", served, [Tick(2, 2, 0.1, 0.0), Tick(1, 1, 0.1, 0.0)], 2.0, 10.0)

    assert (row.callers, row.images_per_s, row.rate_spread) == (2, 9.0, 1.25)
    assert (row.least_served, row.mean_rows) == (0.8, 1.5)
    assert (row.p50_ms, row.queued_p50_ms) == (pytest.approx(100.0), 0.0)


def test_a_caller_that_gets_nothing_makes_the_spread_infinite() -> None:
    row = load_row("full speed", [Served(0, (0.1,), (0.0,)), Served(0, (), ())], [], 1.0, None)

    assert row.rate_spread == float("inf")
    assert row.least_served is None


def test_the_own_cost_is_of_ticks_of_so_many_rows_only() -> None:
    ticks = [Tick(16, 16, 0.1, 0.0004), Tick(16, 16, 0.1, 0.0006), Tick(1, 1, 0.1, 0.5)]

    row = own_cost_row(ticks, 16)

    assert row is not None
    assert (row.ticks, row.mean_ms, row.share) == (2, pytest.approx(0.5), pytest.approx(0.005))
    assert own_cost_row(ticks, 4) is None


def test_ways_are_compared_round_by_round() -> None:
    rows = compare({"plain": [10.0, 20.0, 10.0], "ours": [30.0, 40.0, 10.0]}, "plain")

    assert rows[0] == ComparisonRow("plain", 10.0, None, None)
    assert rows[1] == ComparisonRow("ours", 30.0, 2.0, (1.0, 3.0))


def test_a_floor_is_the_longer_of_arithmetic_and_memory() -> None:
    peak = Peak(flops_per_s=100.0, bytes_per_s=10.0)
    work = Work(flops=50.0, weight_bytes=10.0)

    # The weights are read once for all, the arithmetic is done for each.
    assert floor_s(work, peak, 1) == (1.0, "memory")
    assert floor_s(work, peak, 4) == (2.0, "arithmetic")
    assert images_per_s_at_best([work, work], peak, 4) == 1.0


def test_stages_are_told_for_one_picture_and_without_a_floor_where_there_is_none() -> None:
    rows = stage_rows({"denoise": 8.0, "rest": 1.0}, {"denoise": Work(50.0, 10.0)}, Peak(100.0, 10.0), 4)

    denoise, rest = rows
    assert (denoise.ms, denoise.floor_ms, denoise.of_floor) == (2000.0, 500.0, 0.25)
    assert (rest.ms, rest.floor_ms, rest.of_floor) == (250.0, None, None)


def test_the_verdicts_follow_the_figures() -> None:
    good = Findings(
        buckets=[BucketRow(1, 9, 60.0, 15.0, 18.0)],
        loads=[
            load_of("full speed", images_per_s=250.0, offered_per_s=None),
            load_of(LIGHT), load_of(TWICE_BEAT), load_of(TWICE_SPREAD),
        ],
        own_costs=[OwnCostRow(16, 9, 0.4, 0.4, 0.9, 0.01)],
        comparison=[
            ComparisonRow(OURS_ALONE, 60.0, 1.5, (1.4, 1.6)),
            ComparisonRow(OURS_SHARED, 250.0, 6.0, (5.0, 7.0)),
        ],
        shared_by=16,
    )  # fmt: skip
    bad = Findings(
        buckets=[BucketRow(1, 9, 20.0, 50.0, 60.0)],
        loads=[
            load_of("full speed", images_per_s=90.0, offered_per_s=None),
            load_of(LIGHT, queued_p50_ms=30.0, least_served=0.5),
            load_of(TWICE_BEAT, mean_rows=3.0, rate_spread=1.0), load_of(TWICE_SPREAD, rate_spread=1.5),
        ],
        own_costs=[OwnCostRow(16, 9, 1.4, 1.4, 2.9, 0.1)],
        comparison=[
            ComparisonRow(OURS_ALONE, 20.0, 0.9, (0.8, 1.0)),
            ComparisonRow(OURS_SHARED, 50.0, 2.0, (1.0, 3.0)),
        ],
        shared_by=16,
    )  # fmt: skip

    for judge in (tiny_checks, scheduler_checks, accelerator_checks):
        assert {check.word for check in judge(good)} == {"met"}
        assert {check.word for check in judge(bad)} == {"MISSED"}
        assert {check.word for check in judge(Findings())} == {"not measured"}


def test_batches_are_judged_on_one_beat_and_the_spread_load_is_told_beside_it() -> None:
    found = Findings(loads=[load_of(TWICE_BEAT, mean_rows=12.0), load_of(TWICE_SPREAD, mean_rows=4.0)])

    judged = next(check for check in tiny_checks(found) if "mean batch" in check.name)

    assert judged.is_met
    assert "all on one beat" in judged.name
    assert judged.measured.startswith("12.0 rows; spread evenly 4.0: without waiting")


@pytest.mark.parametrize(
    ("beat", "spread", "is_met"), [(1.1, 1.1, True), (1.2, 1.0, False), (1.0, 1.2, False)]
)
def test_rates_are_judged_on_both_loads(beat: float, spread: float, is_met: bool) -> None:
    loads = [load_of(TWICE_BEAT, rate_spread=beat), load_of(TWICE_SPREAD, rate_spread=spread)]

    judged = tiny_checks(Findings(loads=loads))[-1]

    assert judged.is_met is is_met
    assert tiny_checks(Findings(loads=loads[:1]))[-1].is_met is None


def test_what_lies_between_ticks_is_told_where_callers_never_rest() -> None:
    now = iter([10.0, 10.5, 11.5, 20.0])
    watch = Watch(lambda: next(now))

    with watch.watching(is_busy=True) as busy:
        for seconds in (0.1, 0.4, 0.75):
            watch.on_tick("tiny", 16, 16, seconds, 0.01)
    with watch.watching() as resting:
        watch.on_tick("tiny", 16, 16, 0.1, 0.01)

    assert [tick.outside_s for tick in busy] == [None, pytest.approx(0.1), pytest.approx(0.25)]
    assert [tick.outside_s for tick in resting] == [None]
    told, untold = own_cost_row(watch.ticks, 16), own_cost_row(resting, 16)
    assert told is not None
    assert told.outside_p50_ms == pytest.approx(175.0)
    assert untold is not None
    assert untold.outside_p50_ms is None


def test_stages_are_painted_apart_where_they_must_be_waited_for_and_memory_is_the_engine_s(
    use_rig: UseRig, capsys: pytest.CaptureFixture[str]
) -> None:
    engine, plain = FakeEngine(max_batch=1), FakePlainLoop()
    painted: list[int] = []

    @contextmanager
    def exact() -> Iterator[None]:
        before = len(engine.finished)
        yield
        painted.append(len(engine.finished) - before)

    rig = Rig(
        engine,
        "colours",
        make_plain_loop=lambda: plain,
        peak_memory=lambda: 9 * 10**9 if plain.asked else 2 * 10**9,
        exact_stages=exact,
    )
    use_rig(rig)

    assert main(["inference", "--engine", "tiny", "--pictures", "1", "--callers", "1", "--rounds", "1"]) == 0

    _, report = report_of(capsys)
    assert len(painted) == 2
    assert min(painted) > 0
    notes = " ".join(report["notes"])
    assert "with full batches 2.00 GB at most" in notes
    assert "waiting for the device at every border" in notes


def test_another_crowd_than_the_asked_one_is_not_judged_by_its_ratio() -> None:
    found = Findings(comparison=[ComparisonRow(OURS_SHARED, 250.0, 6.0, (5.0, 7.0))], shared_by=4)

    assert "met" not in {check.word for check in tiny_checks(found)}


def test_a_whole_run_tells_every_part_in_tables_and_json(
    use_rig: UseRig, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    engine, plain = FakeEngine(max_batch=16), FakePlainLoop()
    use_rig(
        Rig(
            engine,
            "nothing but colours",
            {"device": "cpu"},
            works={"denoise": Work(1e6, 1e3)},
            find_peak=lambda: Peak(1e12, 1e10),
            make_plain_loop=lambda: plain,
        )
    )
    table = tmp_path / "figures.md"

    arguments = ["--engine", "tiny", "--seconds", "0.05", "--rounds", "2", "--table", str(table)]
    assert main(["inference", *arguments]) == 0

    lines, report = report_of(capsys)
    assert (report["bench"], report["schema"]) == ("inference", 1)
    assert [row["bucket"] for row in report["buckets"]] == [1, 2, 4, 8, 16]
    assert [row["load"] for row in report["loads"]][-3:] == [LIGHT, TWICE_BEAT, TWICE_SPREAD]
    assert [row["callers"] for row in report["loads"]][:3] == [1, 4, 16]
    assert {row["way"] for row in report["comparison"]} == {PLAIN, PLAIN_KEPT, OURS_ALONE, OURS_SHARED}
    assert {kept for _, kept in plain.asked} == {True, False}
    assert any(row["stage"] == "denoise" and row["of_floor"] is not None for row in report["stages"])
    assert len(report["checks"]) == 7
    assert "Checks" in lines
    # All of it in one thread, the engines' own.
    assert len(engine.threads) == 1
    written = table.read_text(encoding="utf-8")
    assert written.startswith(f"### `python -m bench inference {' '.join(arguments)}`")
    assert "| 16 |" in written
    assert "nothing but colours" in written


def test_a_run_of_few_pictures_leaves_out_what_needs_more(
    use_rig: UseRig, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine(max_batch=16)
    use_rig(Rig(engine, "colours"))

    assert main(["inference", "--pictures", "2"]) == 0

    _, report = report_of(capsys)
    assert [row["bucket"] for row in report["buckets"]] == [1, 2]
    assert [row["callers"] for row in report["loads"]] == [1]
    assert "Batches of 4 and more were left out: more than --pictures." in report["notes"]
    assert {check["is_met"] for check in report["checks"]} == {None}
    assert len(engine.finished) < 20


def test_batches_that_do_not_fit_are_left_out_and_told(
    use_rig: UseRig, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine(max_batch=4)
    engine.fail = lambda prompts: OutOfMemoryError("no room for so many") if len(prompts) > 2 else None
    use_rig(Rig(engine, "colours"))

    assert main(["inference", "--seconds", "0.05", "--callers", "1"]) == 0

    _, report = report_of(capsys)
    assert [row["bucket"] for row in report["buckets"]] == [1, 2]
    assert "Batches of 4 and more were left out: no room for so many." in report["notes"]


@pytest.mark.parametrize("error", [OutOfMemoryError("too small"), PaintingFailedError("broken")])
def test_an_engine_that_cannot_paint_at_all_ends_the_bench_in_one_line(
    error: Exception, use_rig: UseRig, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine()
    engine.fail = lambda prompts: error
    use_rig(Rig(engine, "colours"))

    assert main(["inference", "--pictures", "1"]) == 1

    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("bench: ")
    assert str(error) in last


def test_an_engine_that_fails_under_the_scheduler_ends_the_bench_in_one_line(
    use_rig: UseRig, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine(max_batch=16)
    # The second caller's prompt is painted alone only where there are callers.
    engine.fail = lambda prompts: (
        PaintingFailedError("broken") if prompts == ("aurora over snowy mountains at night, stars",) else None
    )
    use_rig(Rig(engine, "colours"))

    assert main(["inference", "--seconds", "0.05", "--callers", "16"]) == 1

    assert capsys.readouterr().err.splitlines()[-1] == "bench: the engine failed: broken"


def test_without_torch_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rig.importlib.util, "find_spec", lambda name: None)

    assert main(["inference", "--engine", "tiny"]) == 1

    assert "install the extra 'diffusion'" in capsys.readouterr().err


def test_a_model_that_does_not_fit_is_refused_before_it_is_built() -> None:
    with pytest.raises(rig.BenchError, match=r"needs about 8\.5 GB of free memory on cpu; 2\.0 GB are free"):
        check_memory("sdxl-random", "cpu", 8.5e9, 2_000_000_000)
    check_memory("sdxl-random", "mps", 8.5e9, None)


def test_a_table_without_its_folder_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["inference", "--table", str(tmp_path / "none" / "t.md")]) == 1

    assert "there is no folder for --table" in capsys.readouterr().err


def test_the_painter_is_measured_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inference", "--size", "64", "--pictures", "2", "--callers", "1"]) == 0

    lines, report = report_of(capsys)
    assert lines[0] == "Psyche, inference bench: procedural, 64 x 64, 1 step"
    assert report["buckets"][0]["images_per_s"] > 0
    assert report["comparison"] == []


def test_options_survive_the_json_line() -> None:
    options = read_options(["--table", "figures.md"])

    assert json.loads(json.dumps(options.to_json()))["table"] == "figures.md"
    assert set(options.to_json()) == set(Options.__dataclass_fields__)

"""From counts to figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Case, Round, comparisons, percentile, ratio, summarise
from bench.sizes import NAMED


CASE = Case(NAMED["4k"], canvases=2, subscribers=4, fps=8.0)
IDLE = [Round(published=10, cpu_s=0.010), Round(published=10, cpu_s=0.020), Round(published=10, cpu_s=0.090)]


def a_round(cpu_s: float, **fields: object) -> Round:
    return Round(**{"published": 10, "cpu_s": cpu_s, "delivered": 40, "received_bytes": 4000, **fields})  # type: ignore[arg-type] # the fields that a test is about


def test_percentiles_lie_between_their_neighbours() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile([1.0, 2.0, 3.0], 99) == pytest.approx(2.98)


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile([], 50) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_never_outside_the_values(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found is not None
    assert min(values) - 1e-6 <= found <= max(values) + 1e-6


@pytest.mark.parametrize(("part", "whole"), [(None, 1.0), (1.0, None), (1.0, 0.0), (1.0, -0.5)])
def test_there_is_no_ratio_to_nothing(part: float | None, whole: float | None) -> None:
    assert ratio(part, whole) is None


def test_the_cost_of_a_frame_is_told_gross_and_net_of_the_pushes() -> None:
    row = summarise(CASE, "msgpack", 900.0, [a_round(0.100)], IDLE)
    assert row.cpu_gross_ms == pytest.approx(2.5)
    # The median round without subscribers took 2 ms for each pushed frame: 20 of the 100 ms.
    assert row.cpu_ingest_ms == pytest.approx(2.0)
    assert row.cpu_net_ms == pytest.approx(2.0)


def test_a_disturbed_round_does_not_move_the_median() -> None:
    rounds = [a_round(0.100, fps=8.0), a_round(9.0, fps=1.0), a_round(0.104, fps=7.9)]
    row = summarise(CASE, "json", 900.0, rounds, IDLE)
    assert row.cpu_gross_ms == pytest.approx(2.6)
    assert row.cpu_gross_range_ms == (pytest.approx(2.5), pytest.approx(225.0))
    assert row.fps == 7.9


def test_what_was_lost_is_summed_over_the_rounds() -> None:
    rounds = [a_round(0.1, replaced=1, dropped=2, skipped=3, undelivered=4)] * 2
    row = summarise(CASE, "json", 900.0, rounds, IDLE)
    assert (row.replaced, row.dropped, row.skipped, row.undelivered) == (2, 4, 6, 8)


def test_ages_of_all_rounds_count_together() -> None:
    rounds = [a_round(0.1, ages_ms=(1.0, 2.0)), a_round(0.1, ages_ms=(3.0,))]
    row = summarise(CASE, "json", 900.0, rounds, IDLE)
    assert row.age_p50_ms == 2.0
    assert row.age_p99_ms == pytest.approx(2.98)


def test_a_form_that_delivered_nothing_has_no_figures_and_is_short() -> None:
    row = summarise(CASE, "json", 900.0, [Round(published=10, cpu_s=0.1)], IDLE)
    assert (row.fps, row.bytes_per_frame, row.cpu_gross_ms, row.cpu_net_ms) == (None, None, None, None)
    assert row.is_short


@pytest.mark.parametrize(("fps", "is_short"), [(8.0, False), (7.7, False), (7.5, True)])
def test_a_rate_is_short_below_95_percent_of_what_was_asked(fps: float, is_short: bool) -> None:
    assert summarise(CASE, "json", 900.0, [a_round(0.1, fps=fps)], IDLE).is_short is is_short


def test_forms_are_compared_case_by_case() -> None:
    ours = summarise(CASE, "msgpack", 900.0, [a_round(0.060, ages_ms=(1.0,))], IDLE)
    theirs = summarise(CASE, "json", 900.0, [a_round(0.420, received_bytes=5333, ages_ms=(4.0,))], IDLE)
    alone = summarise(Case(NAMED["512"], 1, 1, 8.0), "msgpack", 900.0, [a_round(0.1)], IDLE)
    (found,) = comparisons([ours, theirs, alone])
    assert found.size == "4k"
    assert found.bytes_per_frame == pytest.approx(0.75, abs=1e-3)
    assert found.cpu_gross == pytest.approx(1 / 7)
    assert found.cpu_net == pytest.approx(0.1)
    assert found.age_p50 == 0.25

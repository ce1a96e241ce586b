"""What steps cost, as learned, and what size of step is worth it."""

from __future__ import annotations

import gc

import pytest
from fakes import FakeEngine

from inference.cost import FRESH_S, LIMIT_S, MAX_KEYS, CostModel, CostTable


BUCKETS = (1, 2, 4, 8, 16)


def learned(times_s: dict[int, float], buckets: tuple[int, ...] = BUCKETS, at_s: float = 0.0) -> CostModel:
    """Return a model that has seen so many seconds a bucket often enough."""
    cost = CostModel(buckets)
    for bucket, seconds in times_s.items():
        for _ in range(3):
            cost.add_step(bucket, seconds, at_s)
    return cost


def linear(a_s: float, b_s: float) -> CostModel:
    return learned({bucket: a_s * bucket + b_s for bucket in BUCKETS})


def test_nothing_is_claimed_before_anything_was_measured() -> None:
    cost = CostModel(BUCKETS)

    assert cost.line(0.0) is None
    assert cost.seconds(4, 0.0) == cost.row_s(0.0) == cost.picture_s == 0.0
    assert cost.step_times == {}


def test_the_line_is_found() -> None:
    cost = learned({1: 0.025, 4: 0.040})

    assert cost.line(0.0) == pytest.approx((0.005, 0.020))
    assert cost.seconds(16, 0.0) == pytest.approx(0.100)
    assert cost.row_s(0.0) == pytest.approx(0.100 / 16)
    assert cost.step_times == {1: 0.025, 4: 0.040}


def test_a_step_takes_no_less_than_nothing_whatever_was_measured() -> None:
    falling, steep = learned({1: 0.030, 4: 0.020}), learned({4: 0.010, 8: 0.100})

    assert falling.line(0.0) == pytest.approx((0.0, 0.025))
    slope, constant = steep.line(0.0) or (0.0, 0.0)
    assert slope > 0.0
    assert constant == 0.0


def test_one_bucket_alone_makes_hope_where_something_may_be_won() -> None:
    quick, slow = learned({4: 0.040}), learned({4: 4.0})

    assert [quick.seconds(bucket, 0.0) for bucket in (2, 16)] == pytest.approx([0.040, 0.040])
    assert [slow.seconds(bucket, 0.0) for bucket in (2, 16)] == pytest.approx([2.0, 4.0])


def test_steps_with_a_large_constant_are_filled_up() -> None:
    cost = linear(0.001, 0.020)

    assert [cost.pick(rows, 16, 0.0) for rows in (1, 2, 3, 4, 6, 8, 12, 16, 40)] == [
        *(1, 2, 4, 4, 8, 8, 16, 16, 16)
    ]


def test_steps_without_a_constant_are_not_padded_and_kept_small() -> None:
    cost = linear(0.1, 0.0)

    assert [cost.pick(rows, 16, 0.0) for rows in (1, 2, 3, 5, 16, 40)] == [1] * 6


def test_a_little_more_throughput_is_taken_in_short_steps_and_not_in_long_ones() -> None:
    # Sixteen rows in one step finish 5 % more rows per second than eight.
    short = learned({8: 0.040, 16: 0.0762})
    long = learned({8: 4.0, 16: 7.62})

    assert short.pick(16, 16, 0.0, least=8) == 16
    assert long.pick(16, 16, 0.0, least=8) == 8


def test_padding_is_paid_only_where_it_pays() -> None:
    # 5 rows in a step of 8 take 55 ms, 4 of them in one of 4 take 35 ms.
    cost = linear(0.005, 0.015)

    assert cost.pick(5, 16, 0.0) == 4
    assert cost.pick(7, 16, 0.0) == 8


def test_a_picture_of_two_rows_gets_a_step_that_holds_it() -> None:
    cost = linear(0.1, 0.0)

    assert cost.pick(2, 16, 0.0, least=2) == 2
    assert cost.pick(6, 16, 0.0, least=2) == 2


def test_before_anything_is_known_a_step_stays_moderate() -> None:
    cost = CostModel(BUCKETS)

    assert [cost.pick(rows, 16, 0.0) for rows in (1, 2, 3, 16)] == [1, 2, 4, 4]


def test_from_one_bucket_on_quick_steps_are_tried_at_once_and_slow_ones_one_size_further() -> None:
    quick, slow = learned({1: 0.020}), learned({1: 2.5})

    assert quick.pick(16, 16, 0.0) == 16
    assert slow.pick(16, 16, 0.0) == 2


def test_a_slow_first_step_of_a_size_is_forgotten_with_the_second() -> None:
    cost = learned({1: 0.020, 2: 0.022})
    cost.add_step(4, 30.0, 0.0)  # Something was compiled.

    assert cost.pick(4, 16, 0.0) == 4
    cost.add_step(4, 0.026, 0.0)
    assert cost.seconds(4, 0.0) == pytest.approx(0.026)


def test_a_pause_of_the_machine_moves_a_mean_little_and_a_change_moves_it() -> None:
    cost = learned({1: 0.020})
    cost.add_step(1, 10.0, 0.0)
    assert cost.seconds(1, 0.0) < 0.035

    for _ in range(30):
        cost.add_step(1, 0.200, 0.0)
    assert cost.seconds(1, 0.0) == pytest.approx(0.200, rel=0.02)


def test_what_was_slow_long_ago_is_tried_again() -> None:
    cost = learned({1: 0.020, 2: 0.022, 8: 1.0})
    later_s = FRESH_S + 1.0
    for bucket in (1, 2):
        cost.add_step(bucket, 0.018 + 0.002 * bucket, later_s)

    assert cost.pick(8, 16, FRESH_S) != 8
    assert cost.pick(8, 16, later_s) == 8

    cost.add_step(8, 0.034, later_s)
    assert cost.seconds(8, later_s) == pytest.approx(0.034)


def test_after_a_long_rest_what_was_learned_still_holds() -> None:
    cost = linear(0.1, 0.0)

    assert cost.pick(16, 16, 100 * FRESH_S) == 1


def test_what_a_picture_takes_beside_its_steps_is_a_mean() -> None:
    cost = CostModel(BUCKETS)
    cost.add_picture(0.010)
    assert cost.picture_s == pytest.approx(0.010)
    cost.add_picture(0.020)
    assert cost.picture_s == pytest.approx(0.012)


def test_a_bucket_that_memory_is_too_small_for_is_left_alone_for_a_while() -> None:
    cost = CostModel(BUCKETS)

    assert cost.limit(8, at_s=10.0) == 4
    assert cost.largest(10.0 + LIMIT_S - 1.0) == 4
    assert cost.largest(10.0 + LIMIT_S) == 16
    assert cost.limit(1, at_s=10.0) == 1


def test_a_table_keeps_what_is_used_of_each_engine_and_no_more_than_so_many_keys() -> None:
    table, engine = CostTable(), FakeEngine()
    first = table.get(engine, 0)
    for key in range(1, MAX_KEYS):
        table.get(engine, key)
    assert table.get(engine, 0) is first

    table.get(engine, "one more")

    assert len(table) == MAX_KEYS
    assert table.get(engine, 0) is first
    assert table.newest("fake") is first
    assert table.newest("tiny") is None


def test_a_table_forgets_engines_that_nobody_holds() -> None:
    table, engine = CostTable(), FakeEngine()
    table.get(engine, "key").add_step(1, 0.1, 0.0)

    del engine
    gc.collect()

    assert len(table) == 0
    assert table.newest("fake") is None

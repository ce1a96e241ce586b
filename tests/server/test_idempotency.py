"""Repeats made harmless."""

from __future__ import annotations

import pytest

from server.errors import ConflictError, InvalidError
from server.generation.job import Job, Kind
from server.generation.picture import PictureOrder
from server.web.idempotency import MAX_KEY_CHARS, MAX_KEYS, RepeatGuard


def make_job() -> Job:
    return Job(kind=Kind.ONCE, order=PictureOrder(prompt="a fox"))


ONE, TWO = make_job(), make_job()
REQUEST = ("/canvases/left/prompt", {"prompt": "a fox", "seed": 7})


def test_a_repeat_is_answered_with_the_jobs_of_the_first_time() -> None:
    guard = RepeatGuard()
    assert guard.find("key", REQUEST) is None

    guard.note("key", REQUEST, [ONE, TWO])

    assert guard.find("key", REQUEST) == [ONE, TWO]
    assert guard.find("other", REQUEST) is None


def test_the_order_of_fields_makes_no_other_request() -> None:
    guard = RepeatGuard()
    guard.note("key", REQUEST, [ONE])

    assert guard.find("key", (REQUEST[0], {"seed": 7, "prompt": "a fox"})) == [ONE]


@pytest.mark.parametrize(
    "other",
    [
        ("/canvases/right/prompt", REQUEST[1]),
        (REQUEST[0], {"prompt": "a fox", "seed": 8}),
        (REQUEST[0], {"prompt": "a fox"}),
        (REQUEST[0], {"prompt": "a fox", "seed": "7"}),
    ],
)
def test_a_key_that_came_with_another_request_is_a_conflict(other: tuple[str, dict[str, object]]) -> None:
    guard = RepeatGuard()
    guard.note("key", REQUEST, [ONE])

    with pytest.raises(ConflictError, match="another request") as told:
        guard.find("key", other)

    assert told.value.field == "idempotency-key"


def test_without_a_key_nothing_is_remembered() -> None:
    guard = RepeatGuard()
    guard.note(None, REQUEST, [ONE])

    assert guard.find(None, REQUEST) is None
    assert len(guard._known) == 0


@pytest.mark.parametrize("key", ["", "x" * (MAX_KEY_CHARS + 1)])
def test_an_empty_or_endless_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidError, match=f"1 to {MAX_KEY_CHARS} characters") as told:
        RepeatGuard().find(key, REQUEST)

    assert told.value.field == "idempotency-key"


def test_the_longest_key_is_taken() -> None:
    assert RepeatGuard().find("x" * MAX_KEY_CHARS, REQUEST) is None


def test_only_the_newest_keys_are_remembered() -> None:
    guard = RepeatGuard()

    for number in range(MAX_KEYS + 2):
        guard.note(f"key {number}", REQUEST, [ONE if number == 2 else TWO])

    assert guard.find("key 1", REQUEST) is None
    assert guard.find("key 2", REQUEST) == [ONE]
    assert len(guard._known) == MAX_KEYS

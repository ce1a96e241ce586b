"""How often somebody may show a wrong token."""

from __future__ import annotations

import pytest
from fakes import FakeClock

from server.errors import TooManyError
from server.web.guesses import IN_ALL, MAX_PEERS, PER_PEER, WINDOW_S, Guesses


def test_an_address_that_was_wrong_too_often_waits_and_the_others_do_not() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    for _ in range(PER_PEER):
        guesses.check("10.0.0.1")
        guesses.note("10.0.0.1")

    with pytest.raises(TooManyError, match="wrong tokens") as refusal:
        guesses.check("10.0.0.1")
    guesses.check("10.0.0.2")

    assert refusal.value.retry_after_s == WINDOW_S / PER_PEER
    clock.advance(refusal.value.retry_after_s)
    guesses.check("10.0.0.1")


def test_within_a_minute_no_more_are_wrong_than_may_be() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    wrong = 0
    for _ in range(600):
        try:
            guesses.check("10.0.0.1")
        except TooManyError:
            pass
        else:
            guesses.note("10.0.0.1")
            wrong += 1
        clock.advance(WINDOW_S / 600)

    assert PER_PEER <= wrong <= 2 * PER_PEER


def test_many_addresses_together_have_a_limit_too() -> None:
    guesses = Guesses(FakeClock())
    for number in range(IN_ALL):
        guesses.check(f"10.0.0.{number}")
        guesses.note(f"10.0.0.{number}")

    with pytest.raises(TooManyError):
        guesses.check("192.168.0.1")


def test_only_so_many_addresses_are_remembered() -> None:
    guesses = Guesses(FakeClock())
    for number in range(2 * MAX_PEERS):
        guesses.note(f"peer {number}")

    assert len(guesses._peers) == MAX_PEERS
    assert f"peer {2 * MAX_PEERS - 1}" in guesses._peers

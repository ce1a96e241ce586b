"""How often somebody may show a wrong token, and who else is kept out by that."""

from __future__ import annotations

from itertools import count

import pytest
from fakes import FakeClock

from server.errors import TooManyError
from server.web.guesses import IN_ALL, LOCAL, MAX_PEERS, MAX_WRONG, PER_PEER, WINDOW_S, Guesses, peer_of


RIGHT = b"open sesame"
numbers = count()


def guess(guesses: Guesses, address: str | None = "10.0.0.1") -> bool:
    """Show a token that nobody has shown before; tell whether it was compared."""
    try:
        assert not guesses.judge(address, b"guess %d" % next(numbers), is_right=False)
    except TooManyError:
        return False
    return True


def log_in(guesses: Guesses, address: str | None = "10.0.0.1") -> bool:
    """Show the right token; tell whether that lets in."""
    try:
        return guesses.judge(address, RIGHT, is_right=True)
    except TooManyError:
        return False


def test_an_address_that_was_wrong_too_often_waits_and_the_others_do_not() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    assert [guess(guesses) for _ in range(PER_PEER)] == [True] * PER_PEER

    with pytest.raises(TooManyError, match="wrong tokens") as refusal:
        guesses.judge("10.0.0.1", b"one more", is_right=False)
    assert guess(guesses, "10.0.0.2")

    assert refusal.value.retry_after_s == WINDOW_S / PER_PEER
    clock.advance(refusal.value.retry_after_s)
    assert guess(guesses)


def test_the_right_token_tells_a_guesser_nothing_either() -> None:
    guesses = Guesses(FakeClock())
    while guess(guesses):
        pass

    assert not log_in(guesses)
    assert log_in(guesses, "10.0.0.2")


def test_within_a_minute_no_more_are_wrong_than_may_be() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    wrong = 0
    for _ in range(600):
        wrong += guess(guesses)
        clock.advance(WINDOW_S / 600)

    assert PER_PEER <= wrong <= 2 * PER_PEER


def test_the_same_wrong_token_is_one_guess_however_often_and_by_whom_it_is_shown() -> None:
    guesses = Guesses(FakeClock())
    for address in ("10.0.0.1", "10.0.0.2"):
        for _ in range(10 * PER_PEER):
            assert not guesses.judge(address, b"the token of last year", is_right=False)

    assert log_in(guesses)
    assert log_in(guesses, "10.0.0.2")


def test_many_addresses_together_have_a_limit_too() -> None:
    guesses = Guesses(FakeClock())
    assert all(guess(guesses, f"10.0.1.{number}") for number in range(IN_ALL))

    assert not guess(guesses, "192.168.0.1")
    assert not log_in(guesses, "192.168.0.1")


def test_guessers_at_many_addresses_do_not_lock_out_who_was_in_before_nor_this_machine() -> None:
    guesses = Guesses(FakeClock())
    assert log_in(guesses, "192.168.0.1")
    for number in range(2 * IN_ALL):
        guess(guesses, f"10.0.{number // 200}.{number % 200}")

    assert log_in(guesses, "192.168.0.1")
    for local in ("127.0.0.1", "::1", "", None):
        assert log_in(guesses, local)
    # Their own tries are limited nevertheless, and not at the cost of the others.
    assert sum(guess(guesses, "192.168.0.1") for _ in range(3 * PER_PEER)) == PER_PEER
    assert not log_in(guesses, "192.168.0.1")


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", LOCAL),
        ("127.8.0.1", LOCAL),
        ("::1", LOCAL),
        ("::ffff:127.0.0.1", LOCAL),
        ("", LOCAL),
        (None, LOCAL),
    ],
)
def test_whoever_has_many_addresses_has_the_tries_of_one(address: str | None, peer: str) -> None:
    assert peer_of(address) == peer


def test_only_so_much_is_remembered() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    for number in range(2 * MAX_PEERS):
        clock.advance(WINDOW_S)
        assert guess(guesses, f"10.0.{number // 250}.{number % 250}")
        assert log_in(guesses, f"10.1.{number // 250}.{number % 250}")

    assert len(guesses._peers) == len(guesses._trusted) == MAX_PEERS
    assert len(guesses._wrong) == MAX_WRONG
    assert RIGHT not in guesses._wrong

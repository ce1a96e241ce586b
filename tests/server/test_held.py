"""What stuck peers keep alive."""

from __future__ import annotations

from fakes import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from server.streaming.delivery.held import CROWDED, PATIENCE_S, HeldPayloads
from server.streaming.payload import Payload, plain_payload


def ledger(limit_bytes: int, crowded_bytes: int = 10**9) -> tuple[HeldPayloads, FakeClock]:
    """Return a ledger on a clock that stands still."""
    clock = FakeClock()
    clock.now_s = 100.0
    return HeldPayloads(limit_bytes, crowded_bytes=crowded_bytes, clock=clock), clock


class Peer:
    """A stuck peer that notes whether it was cut off."""

    def __init__(self) -> None:
        self.is_cut_off = False

    def cut_off(self, reason: str) -> None:
        assert reason == CROWDED
        self.is_cut_off = True


def payload_of(size_bytes: int) -> Payload:
    return plain_payload([bytes(size_bytes)])


def test_what_several_hold_counts_once_and_until_the_last_lets_go() -> None:
    held = HeldPayloads()
    payload, peers = payload_of(100), [Peer(), Peer()]
    for peer in peers:
        held.hold(peer, payload)
    assert held.held_bytes == 100

    held.release(peers[0])
    assert held.held_bytes == 100
    held.release(peers[1])
    held.release(peers[1])
    assert (held.held_bytes, len(held)) == (0, 0)


def test_past_the_limit_the_longest_stuck_is_cut_off() -> None:
    held, clock = ledger(250)
    peers = [Peer() for _ in range(3)]
    for peer in peers[:2]:
        held.hold(peer, payload_of(100))
    clock.now_s += PATIENCE_S
    assert not any(peer.is_cut_off for peer in peers)

    held.hold(peers[2], payload_of(100))

    assert [peer.is_cut_off for peer in peers] == [True, False, False]
    assert (held.held_bytes, held.cut_off) == (200, 1)


def test_thirty_viewers_that_are_slow_and_no_more_keep_their_frames() -> None:
    held, clock = ledger(250)
    peers = {Peer(): payload_of(100) for _ in range(30)}

    for _ in range(10):
        for peer, payload in peers.items():
            # Each takes a part of its own frame now and then.
            held.hold(peer, payload)
        clock.now_s += PATIENCE_S - 0.1

    assert not any(peer.is_cut_off for peer in peers)
    assert held.held_bytes == 3000


def test_however_many_wait_memory_has_an_end() -> None:
    held, _ = ledger(250, 500)
    peers = [Peer() for _ in range(6)]

    for peer in peers:
        held.hold(peer, payload_of(100))
        assert held.held_bytes <= 500

    assert [peer.is_cut_off for peer in peers] == [True, *[False] * 5]


def test_who_holds_a_payload_alone_goes_before_those_who_share_one() -> None:
    held, clock = ledger(250)
    shared, peers = payload_of(100), [Peer() for _ in range(5)]
    for peer in peers[:3]:
        held.hold(peer, shared)
    held.hold(peers[3], payload_of(100))
    clock.now_s += PATIENCE_S

    held.hold(peers[4], payload_of(100))

    assert [peer.is_cut_off for peer in peers] == [False, False, False, True, False]


def test_whoever_shares_what_is_too_much_goes_until_it_is_gone() -> None:
    held, clock = ledger(150)
    shared, peers = payload_of(100), [Peer() for _ in range(4)]
    for peer in peers[:3]:
        held.hold(peer, shared)
    clock.now_s += PATIENCE_S

    held.hold(peers[3], payload_of(100))

    assert [peer.is_cut_off for peer in peers] == [True, True, True, False]
    assert held.held_bytes == 100


def test_who_is_stuck_with_another_payload_has_let_go_of_the_first() -> None:
    held, _ = ledger(250)
    peer = Peer()
    held.hold(peer, payload_of(100))

    held.hold(peer, payload_of(50))

    assert (held.held_bytes, len(held)) == (50, 1)


def test_who_was_stuck_and_went_on_is_the_last_in_line() -> None:
    held, clock = ledger(250)
    peers = [Peer() for _ in range(3)]
    held.hold(peers[0], payload_of(100))
    held.hold(peers[1], payload_of(100))
    held.release(peers[0])
    held.hold(peers[0], payload_of(100))
    clock.now_s += PATIENCE_S

    held.hold(peers[2], payload_of(100))

    assert [peer.is_cut_off for peer in peers] == [False, True, False]


def test_a_payload_that_is_larger_than_the_limit_is_not_held_at_all() -> None:
    held, _ = ledger(40, 50)
    peer = Peer()

    held.hold(peer, payload_of(100))

    assert peer.is_cut_off
    assert held.held_bytes == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), max_size=60))
def test_the_ledger_is_true_and_never_over_the_limit(steps: list[tuple[bool, int, int]]) -> None:
    held, clock = ledger(400, 600)
    peers = [Peer() for _ in range(6)]
    payloads = [payload_of(size) for size in (100, 200, 300, 400)]
    holding: dict[Peer, Payload] = {}
    for is_hold, peer, payload in steps:
        clock.now_s += 1.0
        if is_hold:
            held.hold(peers[peer], payloads[payload])
            holding[peers[peer]] = payloads[payload]
        else:
            held.release(peers[peer])
            holding.pop(peers[peer], None)
        for one in peers:
            if one.is_cut_off:
                holding.pop(one, None)
                one.is_cut_off = False

        assert held.held_bytes == sum(one.size_bytes for one in set(holding.values())) <= 600
        assert len(held) == len(holding)

"""What stuck peers keep alive."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from server.streaming.delivery.held import HeldPayloads
from server.streaming.payload import Payload, plain_payload


class Peer:
    """A stuck peer that notes whether it was cut off."""

    def __init__(self) -> None:
        self.is_cut_off = False

    def cut_off(self) -> None:
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
    held = HeldPayloads(limit_bytes=250)
    peers = [Peer() for _ in range(4)]
    for peer in peers[:2]:
        held.hold(peer, payload_of(100))
    # Stuck again with the same: it keeps its place.
    held.hold(peers[0], payload_of(100))
    assert not any(peer.is_cut_off for peer in peers)

    held.hold(peers[2], payload_of(100))

    assert [peer.is_cut_off for peer in peers] == [True, False, False, False]
    assert (held.held_bytes, held.cut_off) == (200, 1)


def test_who_was_stuck_and_went_on_is_the_last_in_line() -> None:
    held = HeldPayloads(limit_bytes=250)
    peers = [Peer() for _ in range(3)]
    held.hold(peers[0], payload_of(100))
    held.hold(peers[1], payload_of(100))
    held.release(peers[0])
    held.hold(peers[0], payload_of(100))

    held.hold(peers[2], payload_of(100))

    assert [peer.is_cut_off for peer in peers] == [False, True, False]


def test_a_payload_that_is_larger_than_the_limit_is_not_held_at_all() -> None:
    held = HeldPayloads(limit_bytes=50)
    peer = Peer()

    held.hold(peer, payload_of(100))

    assert peer.is_cut_off
    assert held.held_bytes == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), max_size=60))
def test_the_ledger_is_true_and_never_over_the_limit(steps: list[tuple[bool, int, int]]) -> None:
    held = HeldPayloads(limit_bytes=600)
    peers = [Peer() for _ in range(6)]
    payloads = [payload_of(size) for size in (100, 200, 300, 400)]
    holding: dict[Peer, Payload] = {}
    for is_hold, peer, payload in steps:
        if is_hold:
            held.hold(peers[peer], payloads[payload])
            holding.setdefault(peers[peer], payloads[payload])
        else:
            held.release(peers[peer])
            holding.pop(peers[peer], None)
        for one in peers:
            if one.is_cut_off:
                holding.pop(one, None)
                one.is_cut_off = False

        assert held.held_bytes == sum(one.size_bytes for one in set(holding.values())) <= 600
        assert len(held) == len(holding)

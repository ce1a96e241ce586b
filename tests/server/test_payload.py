"""Messages as they go on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writing import read_messages

from server.streaming.payload import (
    FRAGMENT_BYTES,
    control_frame,
    message_bytes,
    plain_payload,
    pong_bytes,
    websocket_payload,
)


# At every change of the header's form, and around every cut.
SIZES = [
    0,
    1,
    125,
    126,
    65_535,
    65_536,
    FRAGMENT_BYTES - 1,
    FRAGMENT_BYTES,
    FRAGMENT_BYTES + 1,
    3 * FRAGMENT_BYTES + 7,
]


def text_of(size_bytes: int) -> bytes:
    return (b"0123456789abcdef" * (size_bytes // 16 + 1))[:size_bytes]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_message_of_any_size_is_read_as_it_was_written(size_bytes: int) -> None:
    payload = websocket_payload([text_of(size_bytes)], is_text=True, tag=None)

    messages, _, parts = read_messages(b"".join(payload.parts))

    assert messages == [text_of(size_bytes).decode()]
    assert parts == len(payload.parts) == max(1, -(-size_bytes // FRAGMENT_BYTES))
    assert payload.size_bytes == sum(map(len, payload.parts))


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_ping_in_front_can_be_left_out_by_slicing(size_bytes: int) -> None:
    payload = websocket_payload([text_of(size_bytes)], is_text=True, tag=7)
    bare = websocket_payload([text_of(size_bytes)], is_text=True, tag=None)

    messages, _, _ = read_messages(b"".join(payload.parts))

    assert messages == [(9, b"\0\0\0\7"), text_of(size_bytes).decode()]
    assert payload.ping_bytes == 6
    assert bytes(payload.whole[6:]) == bytes(bare.whole)
    assert payload.size_bytes == bare.size_bytes


def test_a_part_is_no_larger_than_a_fragment_with_its_header_and_ping() -> None:
    payload = websocket_payload([bytes(1_000_000)], is_text=False, tag=2**40)

    assert max(map(len, payload.parts)) <= FRAGMENT_BYTES + 10 + payload.ping_bytes


def test_the_end_of_the_part_that_a_byte_is_in() -> None:
    payload = websocket_payload([bytes(300_000)], is_text=False, tag=1)
    first, second, last = payload.ends

    assert [payload.end_after(at) for at in (0, first - 1, first, second, last - 1)] == [
        first,
        first,
        second,
        last,
        last,
    ]
    assert last == len(payload.whole)


def test_all_parts_are_views_of_one_copy() -> None:
    payload = websocket_payload([b"head", bytes(300_000)], is_text=False, tag=1)

    assert len({id(part.obj) for part in payload.parts}) == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 200_000), max_size=5))
def test_pieces_may_end_anywhere(sizes: list[int]) -> None:
    pieces = [text_of(size) for size in sizes]

    messages, _, _ = read_messages(b"".join(websocket_payload(pieces, is_text=True, tag=None).parts))

    assert messages == [b"".join(pieces).decode()]


@pytest.mark.parametrize("size_bytes", [1, FRAGMENT_BYTES, FRAGMENT_BYTES + 1, 400_000])
def test_a_plain_message_is_its_pieces_in_parts_that_are_no_larger(size_bytes: int) -> None:
    payload = plain_payload([b"head", text_of(size_bytes)])

    assert b"".join(payload.parts) == b"head" + text_of(size_bytes)
    assert max(map(len, payload.parts)) <= FRAGMENT_BYTES
    assert (payload.ping_bytes, payload.size_bytes) == (0, size_bytes + 4)


def test_small_messages_are_one_frame() -> None:
    assert read_messages(message_bytes("pong"))[0] == ["pong"]
    assert read_messages(message_bytes(b"\x80"))[0] == [{}]
    assert read_messages(message_bytes("x" * 70_000))[0] == ["x" * 70_000]


def test_control_frames_carry_their_data() -> None:
    assert pong_bytes(b"abc") == b"\x8a\x03abc"
    assert control_frame(0x8, b"") == b"\x88\0"

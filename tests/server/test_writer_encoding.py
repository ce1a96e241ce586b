"""What a writer does with frames that must be encoded first, and with a canvas that rests."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from writing import SMALL, scaled


def test_a_frame_is_asked_for_once_it_may_leave_and_sent_when_it_is_encoded() -> None:
    desk = scaled()
    desk.publish()
    (request,) = desk.renditions.requests
    assert (request.frame.sequence, request.tier) == (2, SMALL)
    assert desk.frames() == []

    request.grant()

    (message,) = [message for message in desk.messages() if isinstance(message, dict)]
    assert (message["sequence"], message["tier"]) == (2, SMALL.name)
    assert desk.subscriber.tier == SMALL.name


def test_a_frame_that_nobody_has_begun_to_encode_gives_way_to_a_newer_one() -> None:
    desk = scaled()
    for _ in range(3):
        desk.publish()

    assert [request.frame.sequence for request in desk.renditions.wanted] == [4]
    assert desk.mailbox.replaced == 2
    desk.renditions.wanted[0].grant()
    assert desk.frames() == [4]


def test_a_frame_that_is_being_encoded_is_delivered_whatever_comes_meanwhile() -> None:
    desk = scaled()
    got = []
    for _ in range(20):
        # Always a newer one before the older is done: whoever swapped then would never send any.
        desk.publish()
        request = desk.renditions.wanted[-1]
        request.is_started = True
        desk.publish()
        assert desk.renditions.wanted[-1] is request
        request.grant()
        got += desk.frames()
        desk.acknowledge(got[-1])

    assert len(got) == 20
    desk.renditions.wanted[-1].grant()
    assert desk.frames() == [41]


def test_a_frame_that_nobody_can_decode_is_passed_over_and_the_next_one_sent() -> None:
    desk = scaled()
    desk.publish()
    for _ in range(2):
        desk.renditions.wanted[-1].refuse()
    assert desk.frames() == []
    assert len(desk.renditions.requests) == 2, (
        "it may have been superseded once; it is not asked for for ever"
    )

    desk.publish()
    desk.renditions.wanted[-1].grant()

    assert desk.frames() == [3]


def test_a_frame_that_was_superseded_elsewhere_is_replaced_by_the_newest() -> None:
    desk = scaled()
    desk.publish()
    first = desk.renditions.wanted[0]
    first.is_started = True
    desk.publish()

    first.refuse()

    assert [request.frame.sequence for request in desk.renditions.wanted] == [2, 3]
    assert desk.mailbox.replaced == 1


def test_a_frame_that_was_superseded_elsewhere_is_asked_for_again_where_it_is_still_the_newest() -> None:
    desk = scaled()
    desk.publish()

    desk.renditions.wanted[0].refuse()

    assert [request.frame.sequence for request in desk.renditions.wanted] == [2, 2]


def test_a_screen_that_was_hidden_while_its_frame_was_encoded_gets_it_when_it_is_shown() -> None:
    desk = scaled()
    desk.publish()
    desk.subscriber.show(is_shown=False, viewport=None, max_fps=None)
    desk.turn()
    desk.renditions.wanted[0].grant()
    assert desk.frames() == []

    desk.subscriber.show(is_shown=True, viewport=None, max_fps=None)
    desk.turn()
    desk.renditions.wanted[-1].grant()

    assert desk.frames() == [2]


def test_an_answer_for_a_link_that_is_full_by_then_is_not_lost() -> None:
    desk = scaled()
    desk.publish()
    desk.link.takes_bytes = 0
    desk.mailbox.post({"type": "time"})
    desk.turn()
    assert desk.writer.is_blocked

    desk.renditions.wanted[0].grant()
    desk.drain()
    desk.renditions.wanted[-1].grant()

    assert desk.frames() == [2]


def test_who_is_gone_wants_nothing_any_more() -> None:
    desk = scaled()
    desk.publish()

    desk.writer.stop()

    assert desk.renditions.wanted == []


def test_encoding_begins_so_early_that_it_is_done_when_the_link_runs_dry() -> None:
    desk = scaled()
    desk.renditions.encode_s = 0.05
    asked_s = []
    for prepare_s in (0.0, 0.05):
        desk.renditions.encode_s = prepare_s
        asked_s.append(desk.flow.opens_at(desk.clock(), size_bytes=100, prepare_s=prepare_s))

    assert asked_s[1] <= asked_s[0]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["publish", "start", "grant", "refuse", "ack", "time", "hide", "show"]), max_size=40
    )
)
def test_with_encoding_too_every_visible_screen_ends_on_the_newest_frame(steps: list[str]) -> None:
    desk = scaled()
    shown: list[int] = [1]

    def grant() -> None:
        pending = [request for request in desk.renditions.wanted if request not in done]
        if pending:
            done.append(pending[-1])
            pending[-1].grant()

    done: list[object] = []
    for step in steps:
        pending = [request for request in desk.renditions.wanted if request not in done]
        match step:
            case "publish":
                desk.publish()
            case "start":
                for request in pending:
                    request.is_started = True
            case "grant":
                grant()
            case "refuse":
                # Superseded: only where a newer one waits.
                if pending and desk.mailbox.has_frame:
                    done.append(pending[-1])
                    pending[-1].refuse()
            case "ack":
                desk.acknowledge(shown[-1])
            case "time":
                desk.timers.advance(0.3)
            case _:
                desk.subscriber.show(is_shown=step == "show", viewport=None, max_fps=None)
        desk.turn()
        shown += desk.frames()
        assert len([request for request in desk.renditions.wanted if request not in done]) <= 1

    desk.subscriber.show(is_shown=True, viewport=None, max_fps=None)
    desk.turn()
    for _ in range(4):
        grant()
        shown += desk.frames()
        desk.acknowledge(shown[-1])
        desk.timers.advance(5.0)
        desk.turn()
    newest = desk.canvas.newest
    assert newest is not None
    assert shown[-1] == newest.sequence
    assert shown == sorted(shown)

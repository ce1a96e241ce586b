"""The canvases by slug."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import pytest
from fakes import FakeClock
from images import TINY

from server.errors import ConflictError, InvalidError, ServerFullError, UnknownCanvasError
from server.streaming.canvas import CanvasConfig
from server.streaming.registry import TEMPORARY_S, Registry, check_slug
from server.streaming.wire import Form


def make_registry(**options: Any) -> Registry:
    # Nothing is encoded here.
    return Registry(default=CanvasConfig(fps=7.0), executor=Executor(), **options)


@pytest.mark.parametrize("slug", ["a", "0", "left", "a-", "a--b", "0" * 64])
def test_good_slugs_are_taken(slug: str) -> None:
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug", ["", "-a", "A", "a_b", "a b", "a/b", "..", "ä", "a\n", "a" * 65, "a\x00", "٣", "%61"]
)  # fmt: skip
def test_bad_slugs_are_refused_by_the_name_of_the_field(slug: str) -> None:
    registry = make_registry()

    for ask in (
        check_slug,
        registry.get,
        registry.remove,
        lambda slug: registry.ensure(slug, is_temporary=True),
        lambda slug: registry.create(slug, CanvasConfig()),
    ):
        with pytest.raises(InvalidError) as told:
            ask(slug)
        assert told.value.field == "slug"
    assert len(registry) == 0


def test_a_canvas_that_is_not_there_is_unknown() -> None:
    with pytest.raises(UnknownCanvasError, match="no canvas 'left'"):
        make_registry().get("left")


def test_a_canvas_is_made_once_and_found_again() -> None:
    registry = make_registry()
    made: list[str] = []
    registry.on_created = lambda canvas: made.append(canvas.slug)

    left = registry.ensure("left", is_temporary=False)

    assert registry.ensure("left", is_temporary=False) is left
    assert registry.get("left") is left
    assert made == ["left"]
    assert left.config.fps == 7.0
    assert [canvas.slug for canvas in registry] == ["left"]


def test_no_more_canvases_than_the_limit_are_made_by_any_way() -> None:
    registry = make_registry(max_canvases=2)
    registry.ensure("a", is_temporary=True)
    registry.ensure("b", is_temporary=False)

    with pytest.raises(ServerFullError, match="2 canvases"):
        registry.ensure("c", is_temporary=True)
    with pytest.raises(ServerFullError, match="2 canvases"):
        registry.create("c", CanvasConfig())

    assert registry.ensure("a", is_temporary=True).slug == "a"
    registry.remove("a")
    assert registry.create("c", CanvasConfig()).slug == "c"


def test_room_for_several_canvases_is_told_before_any_is_made() -> None:
    registry = make_registry(max_canvases=3)
    registry.ensure("left", is_temporary=False)

    registry.check_room(["left", "left-canva", "a", "b", "b"])
    with pytest.raises(ServerFullError, match="3 canvases"):
        registry.check_room(["a", "b", "c"])

    assert len(registry) == 1


def test_each_canvas_gets_the_limit_of_its_subscribers() -> None:
    canvas = make_registry(max_subscribers=1).ensure("a", is_temporary=False)

    with canvas.subscribe(Form.MSGPACK), pytest.raises(ServerFullError), canvas.subscribe(Form.MSGPACK):
        pass


def test_the_names_of_the_first_clients_lead_to_the_canvases_of_today() -> None:
    registry = make_registry()
    left = registry.ensure("left", is_temporary=False)

    assert registry.get("left-canva") is left
    assert registry.ensure("left-canva", is_temporary=True) is left
    with pytest.raises(ConflictError):
        registry.create("left-canva", CanvasConfig())
    assert registry.remove("left-canva") is left


def test_an_old_name_is_a_name_of_its_own_where_the_canvas_of_today_is_not() -> None:
    registry = make_registry()

    assert registry.ensure("right-canva", is_temporary=True).slug == "right-canva"


def test_a_canvas_that_bears_an_old_name_keeps_it_when_the_one_of_today_comes() -> None:
    registry = make_registry()
    old = registry.ensure("left-canva", is_temporary=False)
    today = registry.ensure("left", is_temporary=False)

    assert registry.get("left-canva") is old
    assert registry.get("left") is today


def test_a_temporary_canvas_vanishes_a_minute_after_it_was_made() -> None:
    clock = FakeClock()
    registry = make_registry(clock=clock)
    canvas = registry.ensure("guest", is_temporary=True)

    clock.advance(TEMPORARY_S)
    assert registry.remove_abandoned() == []
    clock.advance(0.1)
    assert registry.remove_abandoned() == [canvas]
    assert len(registry) == 0


def test_a_temporary_canvas_stays_while_it_is_watched_and_a_minute_longer() -> None:
    clock = FakeClock()
    registry = make_registry(clock=clock)
    canvas = registry.ensure("guest", is_temporary=True)

    with canvas.subscribe(Form.MSGPACK):
        clock.advance(10 * TEMPORARY_S)
        assert registry.remove_abandoned() == []
    clock.advance(TEMPORARY_S)
    assert registry.remove_abandoned() == []

    clock.advance(0.1)
    assert registry.remove_abandoned() == [canvas]


def test_who_only_watches_a_temporary_canvas_does_not_keep_it() -> None:
    clock = FakeClock()
    registry = make_registry(clock=clock)
    canvas = registry.ensure("guest", is_temporary=True)
    with canvas.subscribe(Form.MSGPACK, keeps=False) as watching:
        with canvas.subscribe(Form.MSGPACK):
            assert canvas.to_json()["subscribers"] == 2
            clock.advance(10 * TEMPORARY_S)
            assert registry.remove_abandoned() == []
        clock.advance(TEMPORARY_S / 2)
        with canvas.subscribe(Form.MSGPACK, keeps=False):
            assert canvas.demand_fps > 0.0, "what it shows is painted all the same"
        clock.advance(TEMPORARY_S / 2 + 0.1)

        assert registry.remove_abandoned() == [canvas]
        assert watching.mailbox.closed is not None
        assert not watching.mailbox.closed.reconnect


def test_lasting_canvases_never_vanish() -> None:
    clock = FakeClock()
    registry = make_registry(clock=clock)
    registry.ensure("left", is_temporary=False)
    guest = registry.ensure("guest", is_temporary=True)
    registry.ensure("guest", is_temporary=False)

    clock.advance(10 * TEMPORARY_S)

    assert registry.remove_abandoned() == []
    assert not guest.is_temporary


def test_a_screen_does_not_make_a_lasting_canvas_temporary() -> None:
    registry = make_registry()
    canvas = registry.ensure("left", is_temporary=False)

    registry.ensure("left", is_temporary=True)

    assert not canvas.is_temporary


def test_creating_over_a_temporary_canvas_keeps_its_screens_and_configures_it() -> None:
    registry = make_registry()
    guest = registry.ensure("guest", is_temporary=True)
    config = CanvasConfig(width=640, fps=30.0, paused=True)

    with guest.subscribe(Form.MSGPACK):
        made = registry.create("guest", config)

        assert made is guest
        assert len(made.subscribers) == 1
    assert made.config == config
    assert not made.is_temporary


def test_creating_over_a_lasting_canvas_is_a_conflict_and_changes_nothing() -> None:
    registry = make_registry()
    canvas = registry.create("left", CanvasConfig(fps=2.0))

    with pytest.raises(ConflictError, match="'left'") as told:
        registry.create("left", CanvasConfig(fps=9.0))

    assert told.value.field == "slug"
    assert canvas.config.fps == 2.0


def test_removing_sends_the_screens_away_for_good() -> None:
    registry = make_registry()
    removed: list[str] = []
    registry.on_removed = lambda canvas: removed.append(canvas.slug)
    canvas = registry.ensure("left", is_temporary=False)

    with canvas.subscribe(Form.MSGPACK) as subscriber:
        assert registry.remove("left") is canvas

        closed = subscriber.mailbox.closed
    assert closed is not None
    assert (closed.reason, closed.reconnect, closed.close_code) == ("deleted", False, 4404)
    assert removed == ["left"]
    with pytest.raises(UnknownCanvasError):
        registry.remove("left")


def test_the_writers_of_all_canvases_share_one_line_and_one_limit() -> None:
    registry = make_registry()
    left = registry.ensure("left", is_temporary=False)
    right = registry.ensure("right", is_temporary=True)

    assert left.rounds is right.rounds is registry.rounds
    assert left.held is right.held is registry.held


def test_a_canvas_that_is_made_again_begins_anew() -> None:
    registry = make_registry()
    before = registry.ensure("left", is_temporary=False)
    before.publish(TINY, timestamp_ms=0.0)
    registry.remove("left")

    after = registry.ensure("left", is_temporary=False)

    assert after.epoch != before.epoch
    assert after.newest is None


def test_every_change_of_the_list_is_told_after_it_is_made() -> None:
    registry = make_registry()
    told: list[list[tuple[str, bool, int]]] = []
    registry.on_change = lambda: told.append(
        [(canvas["slug"], canvas["temporary"], canvas["subscribers"]) for canvas in registry.to_json()]
    )

    guest = registry.ensure("guest", is_temporary=True)
    registry.ensure("guest", is_temporary=False)
    with guest.subscribe(Form.MSGPACK):
        pass
    registry.remove("guest")

    assert told == [
        [("guest", True, 0)],
        [("guest", False, 0)],
        [("guest", False, 1)],
        [("guest", False, 0)],
        [],
    ]

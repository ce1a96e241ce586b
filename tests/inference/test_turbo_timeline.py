"""A live picture is a pure function of its timeline and its time, whatever the frame rate."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
from itertools import pairwise

import numpy as np
from tiny_turbo import ask, half_mask, make_engine, paint, paint_all, picture, tiny

from inference.engine import Keyframe, PictureRequest, Pixels, Timeline
from inference.turbo.engine import TurboEngine


pytestmark = pytest.mark.diffusion


def live(prompt: str, **changes: object) -> PictureRequest:
    return ask(prompt, is_live=True, **changes)


FIRST = live("a cabin in the woods", seed=1)
SECOND = live("the sea under the moon", seed=2)
TRANSITION = Timeline((Keyframe(FIRST, 0.0, 0.0), Keyframe(SECOND, 1.0, 0.4)))


def engine_of() -> TurboEngine:
    return make_engine(tiny("sdxl", "tiny"))


def difference(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_ten_and_twenty_five_frames_a_second_agree_at_common_times() -> None:
    slow, fast = engine_of(), engine_of()
    times = [1.0 + step * 0.2 for step in range(3)]

    frames = {round(frame / 10, 3): paint(slow, TRANSITION, frame / 10) for frame in range(9, 16)}
    others = {round(frame / 25, 3): paint(fast, TRANSITION, frame / 25) for frame in range(23, 39)}

    for time_s in times:
        assert np.array_equal(frames[round(time_s, 3)], others[round(time_s, 3)])


def test_seeking_backwards_gives_the_same_pictures() -> None:
    engine = engine_of()
    times = [0.0, 0.9, 1.1, 1.3, 2.0]
    forwards = [paint(engine, TRANSITION, time_s) for time_s in times]

    backwards = [paint(engine, TRANSITION, time_s) for time_s in reversed(times)]

    assert all(np.array_equal(one, other) for one, other in zip(forwards, reversed(backwards), strict=True))


def test_the_first_frame_of_a_transition_is_no_repetition() -> None:
    engine = engine_of()
    before = paint(engine, TRANSITION, 0.999)
    at_start, soon = (paint(engine, TRANSITION, time_s) for time_s in (1.0, 1.04))

    # The change begins where the last picture was, and the next frame is on its way already.
    assert difference(before, at_start) < difference(before, soon)
    assert difference(at_start, soon) > 0.0
    # Every frame differs from the one before, also while nothing changes but time.
    still_going = paint(engine, TRANSITION, 0.96)
    assert not np.array_equal(before, still_going)


def test_a_transition_ends_at_its_target_alone() -> None:
    engine = engine_of()
    alone = Timeline.still(SECOND)

    for time_s in (1.4, 2.5, 40.0):
        assert np.array_equal(paint(engine, TRANSITION, time_s), paint(engine, alone, time_s))


def test_a_live_picture_begins_as_the_still_and_then_evolves() -> None:
    engine = engine_of()
    timeline = Timeline.still(FIRST)
    # The still is decoded by the full autoencoder: its latents are compared.
    still = paint_all(engine, [engine.begin(Timeline.still(ask(FIRST.prompt, seed=1)), 0.0)])[0]
    frames = [paint_all(engine, [engine.begin(timeline, time_s)])[0] for time_s in (0.0, 0.2, 5.0)]

    assert torch.equal(frames[0].latents, still.latents)
    changes = [float((frame.latents - still.latents).abs().mean()) for frame in frames[1:]]
    assert 0.0 < changes[0] < changes[1]


def test_a_still_does_not_depend_on_time() -> None:
    engine = engine_of()
    timeline = Timeline.still(ask("a fox", seed=3, steps=2))

    assert np.array_equal(paint(engine, timeline, 0.0), paint(engine, timeline, 12.0))


def test_pooled_embeddings_move_as_well_as_tokens() -> None:
    engine = engine_of()
    runs = [engine.begin(TRANSITION, time_s) for time_s in (1.0, 1.1, 1.2, 1.3, 1.4)]

    for get in (lambda run: run.conditions.tokens, lambda run: run.conditions.pooled):
        ways = [float((get(after) - get(before)).norm()) for before, after in pairwise(runs)]
        whole = float((get(runs[-1]) - get(runs[0])).norm())
        assert whole > 0.0
        assert all(0.0 < way < whole for way in ways)


def test_a_target_in_the_middle_of_a_transition_takes_up_from_there() -> None:
    engine = engine_of()
    third = live("a red tower", seed=3)
    interrupted = TRANSITION.then(Keyframe(third, 1.2, 0.4))

    before, after = paint(engine, interrupted, 1.1999), paint(engine, interrupted, 1.2001)

    assert np.array_equal(before, paint(engine, TRANSITION, 1.1999))
    assert difference(before, after) < difference(before, paint(engine, interrupted, 1.4))
    assert np.array_equal(paint(engine, interrupted, 1.7), paint(engine, Timeline.still(third), 1.7))


def test_strength_and_guidance_move_in_a_straight_line() -> None:
    engine = make_engine(tiny("sdxl", "tiny"), uses_guidance=True)
    source = picture(1)
    start = live("a cabin", steps=100, source=source, strength=0.2, guidance_scale=2.0)
    end = live("a cabin", steps=100, source=source, strength=0.6, guidance_scale=6.0)
    timeline = Timeline((Keyframe(start, 0.0, 0.0), Keyframe(end, 1.0, 1.0)))

    halfway = engine.begin(timeline, 1.5)

    assert halfway.total_steps == 40
    assert halfway.guidance == pytest.approx(4.0)


def test_sources_are_cross_faded() -> None:
    engine = engine_of()
    start, end = (live("a cabin", steps=2, source=picture(seed), strength=0.5) for seed in (1, 2))
    timeline = Timeline((Keyframe(start, 0.0, 0.0), Keyframe(end, 1.0, 1.0)))
    alone = [engine.begin(Timeline.still(request), 1.5).latents for request in (start, end)]

    halfway = engine.begin(timeline, 1.5).latents

    assert torch.allclose(halfway, (alone[0] + alone[1]) / 2, atol=1e-4)


def test_steps_size_and_mask_are_those_of_the_current_target() -> None:
    engine = engine_of()
    start = live("a cabin", steps=4)
    end = live("a cabin", width=72, height=128, steps=2, source=picture(1), mask=half_mask())
    timeline = Timeline((Keyframe(start, 0.0, 0.0), Keyframe(end, 1.0, 1.0)))

    (run,) = paint_all(engine, [engine.begin(timeline, 1.5)])

    assert run.total_steps == 2
    assert engine.finish(run).shape == (128, 72, 3)


def test_a_source_counts_from_the_very_instant_of_its_target() -> None:
    engine = engine_of()
    with_source = live("a cabin", seed=1, steps=2, source=picture(1), strength=0.5)
    timeline = Timeline((Keyframe(live("a cabin", seed=1), 0.0, 0.0), Keyframe(with_source, 1.0, 1.0)))

    runs = paint_all(engine, [engine.begin(timeline, time_s) for time_s in (1.0, 1.001)])

    # All of it is painted anew at first, as without a source.
    assert [run.total_steps for run in runs] == [2, 2]
    assert difference(engine.finish(runs[0]), engine.finish(runs[1])) < 1.0


def test_more_than_two_targets_at_once_are_painted() -> None:
    engine = engine_of()
    timeline = Timeline.still(FIRST)
    for index in range(4):
        timeline = timeline.then(Keyframe(live("a dog", seed=10 + index), 1.0 + index * 0.1, 1.0))

    frames = [paint(engine, timeline, time_s) for time_s in (1.35, 1.4, 1.45)]

    assert len({frame.tobytes() for frame in frames}) == 3

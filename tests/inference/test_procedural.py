"""The procedural engine as its callers see it."""

from __future__ import annotations

import colorsys
import itertools
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inference.engine import Keyframe, OutOfMemoryError, PictureRequest, Pixels, RejectedError, Timeline
from inference.procedural import ProceduralEngine
from inference.procedural.compose import Composer
from inference.procedural.places import PAINTERS
from inference.styles import STYLES


SIZE = 96
PLACES = {
    "sea": "a boat on the sea",
    "mountain": "mountains and a lake",
    "forest": "a fox in the forest, fireflies",
    "city": "city at night in the rain",
    "space": "saturn and stars",
    "flowers": "poppies in a meadow, snow",
    "desert": "desert dunes, storm",
    "sky": "a starry sky with clouds",
    "abstract": "the sound of tomorrow",
}


@pytest.fixture(scope="module")
def engine() -> ProceduralEngine:
    return ProceduralEngine()


def asked(prompt: str, **fields: object) -> PictureRequest:
    small: dict[str, object] = {"width": SIZE, "height": SIZE}
    return PictureRequest(prompt, **{**small, **fields})  # type: ignore[arg-type]  # any field by name


def painted(engine: ProceduralEngine, timeline: Timeline | PictureRequest, time_s: float = 3.0) -> Pixels:
    if isinstance(timeline, PictureRequest):
        timeline = Timeline.still(timeline)
    run = engine.begin(timeline, time_s)
    while run.step < run.total_steps:
        engine.step([run], 1)
    return engine.finish(run)


def apart(first: Pixels, second: Pixels) -> float:
    """Return the mean absolute difference, 0 to 255."""
    return float(np.abs(first.astype(np.int16) - second).mean())


def hue_distance(pixels: Pixels, name_hue: float) -> float:
    """Return how far the picture's mean colour is from a hue, 0 to 0.5 of the circle."""
    red, green, blue = (float(value) / 255.0 for value in pixels.reshape(-1, 3).mean(axis=0))
    turn = abs(colorsys.rgb_to_hsv(red, green, blue)[0] - name_hue)
    return min(turn, 1.0 - turn)


@pytest.mark.parametrize("prompt", PLACES.values(), ids=PLACES)
def test_same_request_time_and_size_give_the_same_bytes_in_every_engine(
    engine: ProceduralEngine, prompt: str
) -> None:
    request = asked(prompt)
    painted(engine, request, 50.0)

    again = painted(engine, request, 3.0)
    fresh = painted(ProceduralEngine(), request, 3.0)

    assert again.tobytes() == fresh.tobytes()
    assert again.shape == (SIZE, SIZE, 3)
    assert again.dtype == np.uint8
    assert again.flags.c_contiguous


@pytest.mark.parametrize("prompt", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("time_s", [0.0, 7.0, 36_000.0])
def test_consecutive_frames_differ_a_little(engine: ProceduralEngine, prompt: str, time_s: float) -> None:
    request = asked(prompt)

    step = apart(painted(engine, request, time_s), painted(engine, request, time_s + 1 / 30))

    # Rain streaks and water glitter move most; a cut between two scenes is above 20.
    assert 0.0 < step < 4.0


@pytest.mark.parametrize("prompt", PLACES.values(), ids=PLACES)
def test_a_minute_later_the_picture_has_moved_but_is_the_same_scene(
    engine: ProceduralEngine, prompt: str
) -> None:
    request = asked(prompt)

    first, later = painted(engine, request, 0.0), painted(engine, request, 61.0)

    assert apart(first, later) > 0.5
    assert abs(float(first.mean()) - float(later.mean())) < 16.0


# Texels per second at which the painter's textures drift: each wraps after 512 texels.
DRIFTS = (0.23 * 1.1, 0.34, 0.35, 0.5, 0.55, 0.6, 0.8, 0.95, 1.0, 1.1, 1.6, 1.7, 1.9, 2.1, 2.6, 3.7)


@pytest.mark.parametrize("prompt", ["sea in the fog", "aurora over a lake", "forest", "galaxy"])
@pytest.mark.parametrize("texels_per_s", DRIFTS)
def test_nothing_jumps_where_a_drifting_texture_wraps(
    engine: ProceduralEngine, prompt: str, texels_per_s: float
) -> None:
    request = asked(prompt)
    wrap_s = 512.0 / texels_per_s

    step = apart(painted(engine, request, wrap_s - 1 / 60), painted(engine, request, wrap_s + 1 / 60))

    assert step < 2.5


def test_every_place_has_a_painter_and_looks_like_no_other(engine: ProceduralEngine) -> None:
    pictures = [painted(engine, asked(prompt)) for prompt in PLACES.values()]

    differences = [
        apart(first, second) for index, first in enumerate(pictures) for second in pictures[index + 1 :]
    ]

    assert set(PLACES) == set(PAINTERS)
    assert min(differences) > 12.0


def test_words_that_name_nothing_still_give_different_pictures(engine: ProceduralEngine) -> None:
    first, second, third = (painted(engine, asked(prompt)) for prompt in ("jazz", "hope", "jazz and hope"))

    assert min(apart(first, second), apart(second, third), apart(first, third)) > 12.0


def test_the_seed_changes_the_composition(engine: ProceduralEngine) -> None:
    first, second = (painted(engine, asked("mountains at dawn", seed=seed)) for seed in (1, 2))

    assert apart(first, second) > 5.0


@pytest.mark.parametrize(("colour", "hue"), [("red", 0.0), ("green", 0.36), ("blue", 0.62), ("purple", 0.79)])
@pytest.mark.parametrize("prompt", ["dreams", "galaxy", "forest by day"])
def test_colour_words_steer_the_hue(engine: ProceduralEngine, prompt: str, colour: str, hue: float) -> None:
    pixels = painted(engine, asked(f"{colour} {prompt}"))

    assert hue_distance(pixels, hue) < 0.13


@pytest.mark.parametrize("prompt", ["a red fox in the snow", "рыжая лиса на снегу"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_red_fox_is_red_and_its_snow_is_not(engine: ProceduralEngine, prompt: str, seed: int) -> None:
    pixels = painted(engine, asked(prompt, seed=seed, width=192, height=192)).astype(np.int16)

    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    fur = (red > 120) & (red > green + 50) & (red > blue + 60)
    assert 0.002 < float(fur.mean()) < 0.08
    assert float((blue - red)[~fur].mean()) > 0.0


@pytest.mark.parametrize("prompt", ["red {} in the forest by day", "red wooden {}, forest, day"])
@pytest.mark.parametrize("thing", ["fox", "house", "bird"])
def test_the_colour_of_a_thing_leaves_the_scene_alone(
    engine: ProceduralEngine, prompt: str, thing: str
) -> None:
    own = painted(engine, asked(prompt.format(thing)))
    plain = painted(engine, asked(prompt.format(thing).replace("red ", "")))

    assert apart(own, plain) < 3.0


@pytest.mark.parametrize("prompt", ["night sky", "кит в ночном небе"])
def test_a_night_sky_is_a_dark_sky_over_darker_land_or_water(engine: ProceduralEngine, prompt: str) -> None:
    pixels = painted(engine, asked(prompt))

    assert float(pixels.mean()) < 90.0
    # The moon may glitter on water, so it is what lies beside it that counts.
    assert float(np.median(pixels[-6:])) < float(np.median(pixels[62:72]))


def test_guidance_deepens_the_colours_that_words_name(engine: ProceduralEngine) -> None:
    def saturation(guidance: float) -> float:
        pixels = painted(engine, asked("red dreams", guidance_scale=guidance)).astype(np.int16)
        return float((pixels.max(axis=2) - pixels.min(axis=2)).mean())

    assert saturation(20.0) > saturation(0.0) + 1.0


def test_night_is_darker_than_day(engine: ProceduralEngine) -> None:
    day, night = (painted(engine, asked(f"sea at {light}")).mean() for light in ("noon", "night"))

    assert night < day * 0.6


def test_russian_words_paint_the_same_as_english_ones(engine: ProceduralEngine) -> None:
    english = painted(engine, asked("mountains at sunset, snow"))
    russian = painted(engine, asked("горы на закате, снег"))

    assert english.tobytes() == russian.tobytes()


def test_a_negative_prompt_removes_what_it_names(engine: ProceduralEngine) -> None:
    without = painted(engine, asked("mountains by day, snow", negative_prompt="snow"))
    snowy = painted(engine, asked("mountains by day, snow"))
    denied = painted(engine, asked("mountains by day, no snow"))

    assert apart(without, snowy) > 1.0
    assert apart(without, denied) == 0.0


def test_a_negative_colour_is_moved_away_from(engine: ProceduralEngine) -> None:
    request = asked("sea at sunset")

    plain, moved = painted(engine, request), painted(engine, replace(request, negative_prompt="red, orange"))

    assert hue_distance(moved, 0.04) > hue_distance(plain, 0.04) + 0.03


@pytest.mark.parametrize("prompt", ["mountain lake at dawn", "jazz"])
def test_each_style_changes_the_picture_visibly(engine: ProceduralEngine, prompt: str) -> None:
    pictures = [painted(engine, asked(prompt, style=style)) for style in ("", *STYLES)]

    differences = [
        apart(first, second) for index, first in enumerate(pictures) for second in pictures[index + 1 :]
    ]

    assert min(differences) > 3.0


def test_noir_has_no_colour(engine: ProceduralEngine) -> None:
    pixels = painted(engine, asked("red forest at dawn", style="noir")).astype(np.int16)

    assert (pixels.max(axis=2) - pixels.min(axis=2)).mean() < 8.0


def test_previews_come_nearer_to_the_final_picture_with_each_step(engine: ProceduralEngine) -> None:
    run = engine.begin(Timeline.still(asked("sea at sunset", width=512, height=320, steps=6)), 2.0)
    previews = [engine.preview(run)]
    while run.step < run.total_steps:
        engine.step([run], 1)
        previews.append(engine.preview(run))

    final = np.asarray(Image.fromarray(engine.finish(run)).resize((256, 160), Image.Resampling.BOX))
    errors = [apart(preview, final) for preview in previews]

    assert {preview.shape for preview in previews} == {(160, 256, 3)}
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 6.0 < errors[0]


def test_more_steps_paint_more_detail(engine: ProceduralEngine) -> None:
    def detail(steps: int) -> float:
        pixels = painted(engine, asked("mountain lake at dawn", width=256, height=256, steps=steps))
        return float(np.abs(np.diff(pixels.astype(np.int16), axis=1)).mean())

    assert detail(8) > detail(1)


def test_more_steps_keep_the_composition(engine: ProceduralEngine) -> None:
    live, fine = (painted(engine, asked("mountain lake at dawn", steps=steps)) for steps in (1, 8))

    assert apart(live, fine) < 8.0


def test_an_unfinished_picture_is_not_given_out(engine: ProceduralEngine) -> None:
    run = engine.begin(Timeline.still(asked("sea", steps=2)), 0.0)
    engine.step([run], 1)

    with pytest.raises(Exception, match="step 1 of 2 is not the last one"):
        engine.finish(run)


def test_runs_that_differ_in_everything_may_take_turns(engine: ProceduralEngine) -> None:
    requests = [
        asked("sea"),
        asked("galaxy", width=160, steps=3),
        asked("jazz", height=64, style="oil", steps=2),
    ]
    runs = [engine.begin(Timeline.still(request), 1.5) for request in requests]

    for index in (0, 1, 2, 1, 2, 1):
        engine.step([runs[index]], 1)

    assert [run.step for run in runs] == [1, 3, 2]
    for run, request in zip(runs, requests, strict=True):
        assert engine.finish(run).tobytes() == painted(engine, request, 1.5).tobytes()


@pytest.mark.parametrize("prompt", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize(("width", "height"), [(64, 64), (160, 88), (88, 160), (512, 64), (64, 512)])
def test_every_size_and_aspect_is_painted(
    engine: ProceduralEngine, prompt: str, width: int, height: int
) -> None:
    pixels = painted(engine, asked(prompt, width=width, height=height))

    assert pixels.shape == (height, width, 3)
    assert float(pixels.std()) > 3.0


@pytest.mark.parametrize("style", STYLES)
def test_every_style_paints_odd_sizes(engine: ProceduralEngine, style: str) -> None:
    pixels = painted(engine, asked("city at dusk", width=200, height=72, style=style))

    assert pixels.shape == (72, 200, 3)


@pytest.mark.parametrize("prompt", PLACES.values(), ids=PLACES)
def test_sizes_show_the_same_scene(engine: ProceduralEngine, prompt: str) -> None:
    small = painted(engine, asked(prompt, width=128, height=128))
    large = Image.fromarray(painted(engine, asked(prompt, width=320, height=320)))

    assert apart(small, np.asarray(large.resize((128, 128), Image.Resampling.BOX))) < 14.0


def test_a_change_begins_and_ends_at_the_pure_targets(engine: ProceduralEngine) -> None:
    first, second = asked("sea at dawn"), asked("city at night")
    timeline = Timeline.still(first).then(Keyframe(second, 10.0, 4.0, 1))

    before, after = painted(engine, timeline, 10.0), painted(engine, timeline, 14.0)

    assert before.tobytes() == painted(engine, first, 10.0).tobytes()
    assert after.tobytes() == painted(engine, second, 14.0).tobytes()


def test_a_change_moves_steadily_from_one_target_to_the_other(engine: ProceduralEngine) -> None:
    first, second = asked("sea at dawn"), asked("city at night")
    timeline = Timeline.still(first).then(Keyframe(second, 0.0, 4.0, 1))
    goal = painted(engine, second, 4.0)

    left = [apart(painted(engine, timeline, time_s), goal) for time_s in np.linspace(0.0, 4.0, 9)]
    jump = apart(painted(engine, timeline, 2.0), painted(engine, timeline, 2.0 + 1 / 30))

    # Half a step of brightness for what moves by itself meanwhile.
    assert all(later < earlier + 0.5 for earlier, later in itertools.pairwise(left))
    assert left[-1] == 0.0
    assert jump < 4.0


def test_many_changes_at_once_are_painted(engine: ProceduralEngine) -> None:
    timeline = Timeline.still(asked("sea"))
    for index, prompt in enumerate(("forest", "galaxy", "jazz")):
        timeline = timeline.then(Keyframe(asked(prompt), index * 0.5, 4.0, index))

    assert painted(engine, timeline, 2.0).shape == (SIZE, SIZE, 3)


def source_picture() -> Pixels:
    y, x = np.mgrid[:120, :200]
    return np.stack([x, y * 2, 255 - x], axis=-1).astype(np.uint8)


def fitted_source() -> Pixels:
    image = Image.fromarray(source_picture()).resize((SIZE, SIZE), box=(40, 0, 160, 120))
    return np.asarray(image)


def test_strength_leads_from_the_source_to_the_prompt(engine: ProceduralEngine) -> None:
    source = source_picture()
    pictures = [
        painted(engine, asked("city at night", source=source, strength=strength))
        for strength in (0.02, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]

    changes = [apart(picture, fitted_source()) for picture in pictures]

    assert changes == sorted(changes)
    assert changes[0] < 3.0
    assert pictures[-1].tobytes() == painted(engine, asked("city at night")).tobytes()


def test_another_source_is_another_picture(engine: ProceduralEngine) -> None:
    first = painted(engine, asked("sea", source=source_picture(), strength=0.3))
    second = painted(engine, asked("sea", source=255 - source_picture(), strength=0.3))

    assert apart(first, second) > 20.0


def test_black_of_the_mask_keeps_the_source_and_white_is_painted(engine: ProceduralEngine) -> None:
    mask = np.zeros((50, 50), np.uint8)
    mask[:, 25:] = 255

    pixels = painted(engine, asked("city at night", source=source_picture(), mask=mask, strength=1.0))
    free = painted(engine, asked("city at night"))

    assert apart(pixels[:, :40], fitted_source()[:, :40]) < 1.0
    assert apart(pixels[:, 56:], free[:, 56:]) < 1.0


def test_a_mask_may_have_three_channels(engine: ProceduralEngine) -> None:
    flat = np.full((8, 8), 255, np.uint8)
    coloured = np.repeat(flat[..., None], 3, axis=2)

    pictures = [
        painted(engine, asked("sea", source=source_picture(), mask=mask, strength=0.5))
        for mask in (flat, coloured)
    ]

    assert pictures[0].tobytes() == pictures[1].tobytes()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": "sdxl-turbo"}, "model"),
        ({"style": "cubism"}, "settings.style"),
        ({"width": 100}, "settings.width"),
        ({"width": 56}, "settings.width"),
        ({"height": 4104}, "settings.height"),
        ({"steps": 0}, "settings.steps"),
        ({"steps": 101}, "settings.steps"),
        ({"source": np.zeros((8, 8, 3), np.uint8), "strength": 0.0}, "settings.strength"),
        ({"mask": np.zeros((8, 8), np.uint8)}, "mask"),
    ],
)
def test_what_it_cannot_paint_is_rejected_with_its_field(
    engine: ProceduralEngine, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(RejectedError) as caught:
        engine.check(asked("sea", **fields))

    assert caught.value.field == field


def test_an_unknown_style_is_answered_with_those_on_offer(engine: ProceduralEngine) -> None:
    with pytest.raises(RejectedError, match="'cubism'; accepted: oil, watercolor"):
        engine.check(asked("sea", style="cubism"))


def test_everything_that_a_good_request_carries_is_used(engine: ProceduralEngine) -> None:
    request = asked(
        "sea", model="procedural", style="oil", negative_prompt="rain", guidance_scale=7.0, steps=9
    )

    assert engine.check(request) == ()


def test_it_says_that_it_is_no_neural_network(engine: ProceduralEngine) -> None:
    model = engine.model

    assert model.name == model.engine == "procedural"
    assert model.is_neural is False
    assert "not a neural network" in model.description
    assert (engine.device, engine.dtype) == ("cpu", "")


def test_pictures_of_one_size_share_what_is_learned_of_steps_and_each_takes_one_row(
    engine: ProceduralEngine,
) -> None:
    guided, other = asked("sea", guidance_scale=7.0), asked("city", height=160)

    assert engine.buckets == (1,)
    assert engine.rows(guided) == 1
    assert engine.batch_key(guided) == engine.batch_key(asked("forest")) != engine.batch_key(other)


def test_it_needs_no_preparation_and_paints_the_same_after_it_was_closed(engine: ProceduralEngine) -> None:
    before = painted(engine, asked("a quiet sea"))

    assert list(engine.prepare()) == []
    engine.close()

    assert painted(engine, asked("a quiet sea")).tobytes() == before.tobytes()
    assert engine.size_bytes == 0
    assert dict(engine.counts) == {}


def test_a_run_tells_how_long_it_was_painted(engine: ProceduralEngine) -> None:
    run = engine.begin(Timeline.still(asked("sea")), 0.0)
    assert run.stage_s == {"paint": 0.0}
    engine.step([run], 1)

    assert run.stage_s["paint"] > 0.0
    assert run.warnings == ()


def test_a_step_that_memory_is_too_small_for_is_not_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Pixels:
        raise MemoryError

    engine = ProceduralEngine()
    run = engine.begin(Timeline.still(asked("sea")), 0.0)
    with monkeypatch.context() as patches:
        patches.setattr(Composer, "paint", refuse)
        with pytest.raises(OutOfMemoryError, match="not enough memory"):
            engine.step([run], 1)

    assert run.step == 0
    engine.step([run], 1)
    assert engine.finish(run).shape == (SIZE, SIZE, 3)

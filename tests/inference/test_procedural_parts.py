"""The painter's pure parts: words, colours, noise, its bounded memory, styles and samples."""

from __future__ import annotations

import numpy as np
import pytest

from inference.engine import PictureRequest
from inference.procedural import looks, palettes, vocabulary
from inference.procedural.cache import ByteCache
from inference.procedural.compose import Composer
from inference.procedural.layers import Geometry
from inference.procedural.noise import TEXTURE_SIZE, digest, sample, silk, texture
from inference.procedural.samples import SAMPLES, encode
from inference.procedural.source import dissolve, dissolve_mask, fit
from inference.procedural.weather import lightning
from inference.procedural.words import read
from inference.styles import STYLES


@pytest.mark.parametrize(
    ("prompt", "place", "light"),
    [
        ("a foggy mountain valley at dawn", "mountain", "dawn"),
        ("MOUNTAINS, sunset", "mountain", "sunset"),
        ("foxes in the snowy woods", "forest", ""),
        ("neon city in the rain", "city", "neon"),
        ("галактики и звёзды", "space", "night"),
        ("тёплый закат над морем", "sea", "sunset"),
        ("ночной город", "city", "night"),
        ("маки в поле", "flowers", ""),
        ("северное сияние над горами", "mountain", "aurora"),
        ("the northern lights over dunes", "desert", "aurora"),
        ("мороженое", "abstract", ""),
        ("a season of reason", "abstract", ""),
        ("", "abstract", ""),
        ("night sky", "sky", "night"),
        ("a whale in the night sky", "sky", "night"),
        ("night sky, no clouds", "sky", "night"),
        ("кит в ночном небе", "sky", "night"),
        ("небо", "sky", ""),
        ("sunset", "sky", "sunset"),
        ("aurora", "sky", "aurora"),
        ("clouds", "sky", ""),
        ("a night sky over the sea", "sea", "night"),
        ("stars above a city", "city", "night"),
        ("красный дом", "mountain", ""),
    ],
)
def test_words_name_place_and_light(prompt: str, place: str, light: str) -> None:
    brief = read(prompt)

    assert (brief.place, brief.light) == (place, light)


def test_words_name_weather_subjects_and_colours_in_order() -> None:
    brief = read("a teal sea with boats and gulls in a storm, golden birds")

    assert brief.weather == {"storm"}
    assert {"boat", "birds"} <= brief.subjects
    assert brief.colours == ("teal", "gold")


@pytest.mark.parametrize(
    ("prompt", "own", "scene"),
    [
        ("a red fox in the snow", (("fox", "red"),), ()),
        ("a red sleepy fox in the snow", (("fox", "red"),), ()),
        ("a red and white boat on the sea", (("boat", "red"), ("boat", "white")), ()),
        ("рыжая лиса", (("fox", "orange"),), ()),
        ("красный дом", (("cabin", "red"),), ()),
        ("a black wolf in the forest", (("other", "black"),), ()),
        ("red roses in a garden", (("flowers", "red"),), ("rose",)),
        ("teal sea, a red boat", (("boat", "red"),), ("teal",)),
        ("red, a fox in the snow", (), ("red",)),
        ("a red sky over a fox", (), ("red",)),
        ("golden pine forest", (), ("gold",)),
        ("golden forest", (), ("gold",)),
        ("purple mountains", (), ("purple",)),
        ("teal sea", (), ("teal",)),
        ("красное небо", (), ("red",)),
        ("red, abstract", (), ("red",)),
    ],
)
def test_a_colour_before_a_thing_is_its_own(
    prompt: str, own: tuple[tuple[str, str], ...], scene: tuple[str, ...]
) -> None:
    brief = read(prompt)

    assert brief.own_colours == own
    assert brief.scene_colours == scene


def test_a_second_place_becomes_a_feature_of_the_first() -> None:
    brief = read("flowers under mountains")

    assert brief.place == "flowers"
    assert "mountain" in brief.subjects


@pytest.mark.parametrize("prompt", ["sea, no clouds", "sea without clouds", "море без облаков"])
def test_denied_words_are_avoided(prompt: str) -> None:
    brief = read(prompt)

    assert "clouds" not in brief.weather
    assert "clouds" in brief.avoided


def test_the_negative_prompt_takes_out_places_weather_and_colours() -> None:
    brief = read("red sea and forest in the rain", "sea, rain, red")

    assert brief.place == "forest"
    assert brief.weather == frozenset()
    assert brief.colours == ()
    assert brief.avoided_colours == ("red",)


def test_light_and_colour_leave_the_composition_and_unknown_words_change_it() -> None:
    dawn, night = read("sea at dawn", seed=4), read("red sea at night", seed=4)

    assert dawn.seed == night.seed
    assert read("serendipity sea", seed=4).seed != dawn.seed
    assert read("sea at dawn", seed=5).seed != dawn.seed


@pytest.mark.parametrize(
    "table",
    [vocabulary.PLACES, vocabulary.LIGHT, vocabulary.WEATHER, vocabulary.SUBJECTS, vocabulary.COLOURS],
)
def test_every_word_has_both_languages(table: dict[str, str]) -> None:
    halves = [stems.split("|") for stems in table.values()]

    assert all(len(half) == 2 and half[0].split() and half[1].split() for half in halves)


def test_every_light_and_colour_word_is_known_to_the_palettes() -> None:
    assert set(vocabulary.LIGHT) == set(palettes.LIGHTS)
    assert set(vocabulary.COLOURS) == set(palettes.NAMED)


def test_oklab_leads_back_to_the_same_colour() -> None:
    colours = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [12, 200, 90]], np.float32)

    assert np.abs(palettes.to_srgb(palettes.to_oklab(colours)) - colours).max() < 0.5


def test_a_vivid_ramp_does_not_pass_through_grey() -> None:
    stops = [palettes.NAMED["teal"], palettes.NAMED["coral"]]
    middle = np.array([0.5], np.float32)

    dull, vivid = (palettes.ramp(stops, [0.0, 1.0], middle, vivid)[0] for vivid in (0.0, 1.0))

    assert np.ptp(vivid) > np.ptp(dull)


def test_digests_depend_on_every_part() -> None:
    assert digest("a", "b") == digest("a", "b")
    assert len({digest("a", "b"), digest("ab"), digest("b", "a"), digest("a", "b", 0)}) == 4


@pytest.mark.parametrize("make", [lambda: texture(7, 2.0), lambda: silk(7)])
def test_textures_wrap_around(make: object) -> None:
    values = make()  # type: ignore[operator]  # one of the two above
    v = np.linspace(0, 40, 9, dtype=np.float32)

    edge = sample(values, np.full(9, TEXTURE_SIZE - 0.001, np.float32), v)
    start = sample(values, np.zeros(9, np.float32), v)

    assert np.abs(edge - start).max() < 0.01
    assert abs(float(values.mean()) - 0.5) < 0.01


def test_sampling_reads_negative_places_and_between_texels() -> None:
    values = texture(3, 2.0)
    at = np.array([-0.5], np.float32)

    middle = sample(values, at, np.zeros(1, np.float32))

    assert middle[0] == pytest.approx((values[0, -1] + values[0, 0]) / 2, abs=1e-6)


def test_the_cache_keeps_to_its_bytes_and_the_most_recent() -> None:
    cache: ByteCache[bytes] = ByteCache(10, len)
    for key in "abc":
        cache.get(key, lambda: b"1234")
    cache.get("b", lambda: b"never made again")
    cache.get("d", lambda: b"1234")

    made: list[str] = []
    cache.get("b", lambda: made.append("b") or b"")  # type: ignore[func-returns-value]  # notes the call
    assert made == []
    assert cache.held_bytes == 8
    assert len(cache) == 2


def test_the_cache_keeps_one_value_that_is_larger_than_its_limit() -> None:
    cache: ByteCache[bytes] = ByteCache(4, len)

    cache.get("small", lambda: b"12")
    cache.get("large", lambda: b"123456789")

    assert (len(cache), cache.held_bytes) == (1, 9)


def test_scenes_do_not_pile_up() -> None:
    composer = Composer(1 << 20)

    for index in range(12):
        composer.paint([(PictureRequest(f"thought {index}", width=128, height=128), 1.0)], 0.0, 128, 128, 0)

    assert composer.scenes.held_bytes <= 1 << 20
    assert 1 <= len(composer.scenes) < 12


def test_new_sources_under_one_prompt_bake_no_new_scene() -> None:
    composer = Composer(1 << 20)

    for shade in range(0, 200, 10):
        source = np.full((64, 64, 3), shade, np.uint8)
        request = PictureRequest("sea", width=128, height=128, source=source, strength=0.5)
        composer.paint([(request, 1.0)], 0.0, 128, 128, 0)

    assert len(composer.scenes) == 1
    assert composer.blends.held_bytes <= 1 << 18


def test_the_working_size_stays_bounded_for_live_pictures() -> None:
    geometry = Geometry.of(3840, 2160, 0)

    assert geometry.work_width * geometry.work_height < 500_000
    assert Geometry.of(3840, 2160, 2).work_width == 3840


def test_a_source_covers_the_size_and_keeps_its_middle() -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = 255

    fitted = fit(wide, 64, 64)

    assert fitted.shape == (64, 64, 3)
    assert fitted[:, 4:60].min() > 200


def test_a_dissolve_is_pure_at_its_ends_and_between_elsewhere() -> None:
    first, second = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 200, np.uint8)
    order = dissolve_mask(5, 64, 64)

    means = [
        float(dissolve(first, second, share, order).mean()) for share in (0.0, 0.01, 0.3, 0.7, 0.99, 1.0)
    ]

    assert means == sorted(means)
    assert (means[0], means[-1]) == (0.0, 200.0)
    assert means[1] < 6.0
    assert means[-2] > 194.0


def test_lightning_is_rare_and_never_flickers() -> None:
    light = np.array([lightning(3, index / 30) for index in range(30 * 300)])

    flashes = int(((light[1:] > 0.2) & (light[:-1] <= 0.2)).sum())

    assert 5 < flashes < 60  # in five minutes
    assert np.abs(np.diff(light)).max() < 0.08


def test_every_style_has_a_look_a_line_and_a_template() -> None:
    assert set(looks.LOOKS) == set(STYLES)
    for name, style in STYLES.items():
        assert style.name == name
        assert style.description
        assert style.painting
        assert style.prompt("a {fox}").startswith("a {fox}, ")


def test_samples_are_encoded_within_their_limit() -> None:
    noisy = np.random.default_rng(1).integers(0, 255, (400, 400, 3)).astype(np.uint8)

    assert len(encode(noisy)) <= 150_000
    assert 6 <= len(SAMPLES) <= 8

"""Every field: what it accepts, what it means when it is not there, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes import FakeEngine

from inference.engine import ModelDescription, RejectedError
from inference.requests import (
    SEEDS,
    Catalogue,
    check_time,
    check_transition,
    check_weight,
    parse,
    parse_count,
)
from inference.styles import STYLES, TEMPLATES
from protos import psyche_inference_v1_pb2 as pb


MODELS = (
    FakeEngine().model,
    FakeEngine("tiny", max_size=512, max_steps=4).model,
    ModelDescription("net", "A network", "sdxl", is_neural=True, prompt_template="best of {prompt}"),
)
CATALOGUE = Catalogue({model.name: model for model in MODELS}, "fake", {"the-fake-one": "fake"})


def request(**fields: object) -> pb.ImageRequest:
    return pb.ImageRequest(**{"prompt": "a lighthouse", **fields})  # type: ignore[arg-type]


def settings(**fields: object) -> pb.ImageRequest:
    return request(settings=pb.ImageSettings(**fields))  # type: ignore[arg-type]


def test_what_is_left_open_is_the_models_default() -> None:
    order = parse(request(prompt="  a lighthouse\n"), CATALOGUE)

    picture = order.picture
    assert (picture.prompt, picture.model, picture.style) == ("a lighthouse", "fake", "")
    assert (picture.width, picture.height, picture.steps, picture.guidance_scale) == (512, 512, 1, 0.0)
    assert (picture.strength, order.format, order.quality) == (0.6, "jpeg", 90)
    assert (order.upscale, order.context, order.user_id) == (1, (), "")
    assert len(order.request_id) == 32
    assert order.warnings == ()


def test_an_unset_seed_is_drawn_anew() -> None:
    seeds = {parse(request(), CATALOGUE).picture.seed for _ in range(8)}

    assert len(seeds) > 1
    assert all(0 <= seed < SEEDS for seed in seeds)


def test_zero_is_a_value_not_an_absence() -> None:
    picture = parse(settings(seed=0, guidance_scale=0.0), CATALOGUE).picture

    assert (picture.seed, picture.guidance_scale) == (0, 0.0)


@pytest.mark.parametrize(
    "accepted",
    [
        settings(width=64, height=2048, steps=100, guidance_scale=20.0, seed=SEEDS - 1, strength=1.0),
        settings(style="oil", template="photo"),
        settings(width=1024, height=64, upscale=4),
        settings(width=2048, upscale=2),
        settings(upscale=1),
        request(model="the-fake-one"),
        request(prompt="x" * 2000, negative_prompt="y" * 2000, user_id="u" * 128, request_id="r" * 64),
        request(context=["z" * 2000] * 16, model="tiny"),
        request(output=pb.OutputSettings(format="png", quality=1)),
    ],
)
def test_the_limits_themselves_are_accepted(accepted: pb.ImageRequest) -> None:
    parse(accepted, CATALOGUE)


SIZES = "must be a multiple of 8 from 64 to 2048"

REFUSED: list[tuple[pb.ImageRequest, str, str]] = [
    (request(prompt=""), "prompt", "prompt must be 1 to 2000 characters, got none"),
    (request(prompt=" \n\t"), "prompt", "prompt must be 1 to 2000 characters, got none"),
    (request(prompt="x" * 2001), "prompt", "prompt must be at most 2000 characters, got 2001"),
    (request(negative_prompt="x" * 2001), "negative_prompt", "negative_prompt must be at most 2000"),
    (request(model="none"), "model", "model must be one of fake, tiny, net, got 'none'"),
    (request(user_id="x" * 129), "user_id", "user_id must be at most 128 characters, got 129"),
    (request(request_id="x" * 65), "request_id", "request_id must be at most 64 characters, got 65"),
    (request(context=["x"] * 17), "context", "context must be at most 16 turns, got 17"),
    (request(context=["x" * 2001]), "context", "context must be at most 2000 characters, got 2001"),
    (request(mask=pb.SourceImage(data=b"x")), "mask", "mask must come with a source, got no source"),
    (settings(width=13), "settings.width", f"settings.width {SIZES}, got 13"),
    (settings(width=0), "settings.width", f"settings.width {SIZES}, got 0"),
    (settings(width=-64), "settings.width", f"settings.width {SIZES}, got -64"),
    (settings(width=56), "settings.width", f"settings.width {SIZES}, got 56"),
    (settings(height=2056), "settings.height", f"settings.height {SIZES}, got 2056"),
    (settings(height=100), "settings.height", f"settings.height {SIZES}, got 100"),
    (settings(steps=0), "settings.steps", "settings.steps must be a whole number from 1 to 100, got 0"),
    (settings(steps=101), "settings.steps", "settings.steps must be a whole number from 1 to 100, got 101"),
    (settings(guidance_scale=-0.5), "settings.guidance_scale", "settings.guidance_scale must be a number"),
    (settings(guidance_scale=20.5), "settings.guidance_scale", "settings.guidance_scale must be a number"),
    (settings(guidance_scale=float("nan")), "settings.guidance_scale", "settings.guidance_scale must be"),
    (settings(guidance_scale=float("inf")), "settings.guidance_scale", "settings.guidance_scale must be"),
    (settings(seed=-1), "settings.seed", "settings.seed must be a whole number from 0 to 2147483647, got -1"),
    (settings(style="none"), "settings.style", f"settings.style must be one of {', '.join(STYLES)}, got"),
    (
        settings(template="none"),
        "settings.template",
        f"settings.template must be one of {', '.join(TEMPLATES)}, got 'none'",
    ),
    (settings(upscale=0), "settings.upscale", "settings.upscale must be 1, 2 or 4, got 0"),
    (settings(upscale=3), "settings.upscale", "settings.upscale must be 1, 2 or 4, got 3"),
    (
        settings(width=1032, height=64, upscale=4),
        "settings.upscale",
        "settings.upscale must make no side longer than 4096 pixels, got 4128 x 256",
    ),
    (
        settings(strength=0.0),
        "settings.strength",
        "settings.strength must be a number above 0 up to 1, got 0",
    ),
    (settings(strength=1.5), "settings.strength", "settings.strength must be a number above 0 up to 1"),
    (settings(strength=float("nan")), "settings.strength", "settings.strength must be a number above 0"),
    (
        request(output=pb.OutputSettings(format="gif")),
        "output.format",
        "output.format must be one of jpeg, webp, png, got 'gif'",
    ),
    (request(output=pb.OutputSettings(quality=0)), "output.quality", "output.quality must be a whole number"),
    (request(output=pb.OutputSettings(quality=101)), "output.quality", "output.quality must be a whole"),
]


@pytest.mark.parametrize(("refused", "field", "message"), REFUSED)
def test_each_bad_field_is_refused_by_its_name(refused: pb.ImageRequest, field: str, message: str) -> None:
    with pytest.raises(RejectedError) as error:
        parse(refused, CATALOGUE)

    assert error.value.field == field
    assert str(error.value).startswith(message)


def test_a_models_own_limits_count() -> None:
    with pytest.raises(RejectedError, match=r"^settings.width must be .* from 64 to 512, got 520$"):
        parse(pb.ImageRequest(prompt="a", model="tiny", settings=pb.ImageSettings(width=520)), CATALOGUE)
    with pytest.raises(RejectedError, match=r"^settings.steps must be .* from 1 to 4, got 5$"):
        parse(pb.ImageRequest(prompt="a", model="tiny", settings=pb.ImageSettings(steps=5)), CATALOGUE)


def test_what_no_model_could_use_is_said() -> None:
    order = parse(settings(strength=0.5), CATALOGUE)

    assert order.warnings == ("settings.strength was not used: there is no source",)


def test_what_only_an_engine_can_judge_is_left_to_it() -> None:
    order = parse(request(negative_prompt="fog", settings=pb.ImageSettings(guidance_scale=7.5)), CATALOGUE)

    assert order.warnings == ()


def test_context_joins_the_prompt_and_empty_turns_do_not() -> None:
    order = parse(request(context=[" in winter ", " ", "at night"]), CATALOGUE)

    assert order.picture.prompt == "a lighthouse, at night, in winter"
    assert order.context == ("in winter", "at night")


def test_a_network_gets_style_and_template_as_words_and_a_painter_only_the_template() -> None:
    asked = settings(style="noir", template="portrait")
    words = TEMPLATES["portrait"].prompt("a lighthouse")

    painted = parse(asked, CATALOGUE).picture
    asked.model = "net"
    generated = parse(asked, CATALOGUE).picture

    assert (painted.prompt, painted.style) == (words, "noir")
    assert (generated.prompt, generated.style) == (f"best of {STYLES['noir'].prompt(words)}", "noir")


def test_a_model_that_stands_in_has_its_own_defaults_and_keeps_the_id() -> None:
    order = parse(settings(width=64), CATALOGUE, model="net", request_id="r1")

    assert (order.model.name, order.picture.model, order.request_id) == ("net", "net", "r1")
    assert order.picture.prompt == "best of a lighthouse"


def test_variations_wrap_round_at_the_last_seed() -> None:
    order = parse(settings(seed=SEEDS - 1), CATALOGUE)

    assert [order.variation(index).picture.seed for index in range(3)] == [SEEDS - 1, 0, 1]


@pytest.mark.parametrize("count", [0, 65])
def test_a_bad_count_is_refused(count: int) -> None:
    with pytest.raises(RejectedError, match=f"^count must be a whole number from 1 to 64, got {count}$"):
        parse_count(pb.ImageVariationsRequest(count=count))


@pytest.mark.parametrize(
    ("check", "bad"),
    [
        (lambda value: check_time("at_s", value), -0.1),
        (lambda value: check_time("at_s", value), float("nan")),
        (lambda value: check_time("at_s", value), float("inf")),
        (check_transition, -1.0),
        (check_transition, 600.5),
        (check_transition, float("nan")),
    ],
)
def test_bad_times_are_refused(check: Callable[[float], float], bad: float) -> None:
    with pytest.raises(RejectedError, match=r"^(at_s|transition_s) must be a number of seconds"):
        check(bad)


@pytest.mark.parametrize("weight", [0.1, 1.0, 10.0])
def test_the_bounds_of_a_weight_are_accepted(weight: float) -> None:
    assert check_weight(weight) == weight

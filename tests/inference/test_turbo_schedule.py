"""Steps are diffusers' own, and a source is never painted in none."""

from __future__ import annotations

import pytest


pytest.importorskip("torch")

from inference.turbo.schedule import Schedules, first_step


pytestmark = pytest.mark.diffusion

TURBO = {
    "_class_name": "EulerAncestralDiscreteScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
}
# As Stable Diffusion 1.5 is published.
PNDM = TURBO | {"_class_name": "PNDMScheduler", "timestep_spacing": "leading", "skip_prk_steps": True}


@pytest.mark.parametrize(("steps", "timesteps"), [(1, [999]), (2, [999, 499]), (4, [999, 749, 499, 249])])
def test_trailing_steps_begin_at_the_noisiest(steps: int, timesteps: list[float]) -> None:
    schedule = Schedules(TURBO).of(steps)

    assert [step.timestep for step in schedule.steps] == timesteps


def test_the_configuration_of_another_scheduler_is_understood() -> None:
    schedule = Schedules(PNDM).of(2)

    assert [step.timestep for step in schedule.steps] == [501, 1]
    # Noise is added to the picture and does not replace it.
    assert schedule.init_sigma == pytest.approx((schedule.sigmas[0] ** 2 + 1) ** 0.5)


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
def test_every_count_has_that_many_steps_from_noise_to_none(spacing: str) -> None:
    schedules = Schedules(TURBO | {"timestep_spacing": spacing})

    for steps in range(1, 101):
        schedule = schedules.of(steps)

        assert len(schedule.steps) == steps
        assert all(step.timestep >= 0 for step in schedule.steps)
        assert list(schedule.sigmas) == sorted(schedule.sigmas, reverse=True)
        assert schedule.sigmas[-1] == schedule.steps[-1].rest == schedule.steps[-1].fresh == 0.0


def test_what_is_left_of_the_noise_and_what_is_new_make_up_the_next_sigma() -> None:
    schedule = Schedules(TURBO).of(5)

    for step, sigma in zip(schedule.steps, schedule.sigmas, strict=False):
        assert (step.rest * sigma) ** 2 + step.fresh**2 == pytest.approx(step.next_sigma**2, abs=1e-6)


def test_a_schedule_is_made_once() -> None:
    schedules = Schedules(TURBO)

    assert schedules.of(3) is schedules.of(3)


@pytest.mark.parametrize("changed", [{"prediction_type": "sample"}, {"beta_schedule": "of my own"}])
def test_a_scheduler_that_cannot_be_followed_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"sample|of my own"):
        Schedules(TURBO | changed)


@pytest.mark.parametrize(
    ("steps", "strength", "left"),
    [
        (1, 0.01, 1),
        (1, 1.0, 1),
        (2, 0.5, 1),
        (2, 0.75, 2),  # half up
        (4, 0.3, 1),
        (4, 1.0, 4),
        (49, 1 / 49, 1),  # 0.9999999999999999 steps
        (50, 0.29, 15),  # 14.499999999999998 steps, and 14.5 are meant
        (100, 0.001, 1),
        (100, 0.999, 100),
    ],
)
def test_strength_is_rounded_to_steps_and_never_to_none(steps: int, strength: float, left: int) -> None:
    assert steps - first_step(steps, strength) == left


@pytest.mark.parametrize(
    ("steps", "strength", "longer"), [(1, 0.5, 2), (1, 0.25, 4), (2, 0.5, 4), (3, 0.75, 4)]
)
def test_a_schedule_that_begins_within_is_the_end_of_a_longer_one(
    steps: int, strength: float, longer: int
) -> None:
    schedules = Schedules(TURBO)

    begun = schedules.begun_within(steps, strength)

    whole = schedules.of(longer)
    assert [step.timestep for step in begun.steps] == [step.timestep for step in whole.steps[-steps:]]
    assert begun.sigmas == pytest.approx(whole.sigmas[-steps - 1 :], rel=1e-5)


def test_a_weaker_strength_begins_at_less_noise() -> None:
    schedules = Schedules(TURBO)

    first = [schedules.begun_within(1, strength).sigmas[0] for strength in (0.001, 0.2, 0.6, 0.999)]

    assert first == sorted(first)
    assert 0.0 < first[0] < 0.1
    assert first[-1] < schedules.of(1).sigmas[0]

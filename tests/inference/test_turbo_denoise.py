"""One call of the UNet steps many unlike pictures, and changes none of them itself."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
import copy
from dataclasses import replace
from typing import Any

from tiny_turbo import CPU, ask, half_mask, make_engine, picture, tiny

from inference.engine import Keyframe, PaintingFailedError, PictureRequest, Timeline
from inference.turbo.denoise import Denoiser
from inference.turbo.forward import Inputs, run
from inference.turbo.run import TurboRun


pytestmark = pytest.mark.diffusion

MIXED = [
    ask("a fox", seed=1, steps=4),
    ask("a dog", seed=2, guidance_scale=4.0, negative_prompt="ugly"),
    ask("snow", seed=3, steps=4, source=picture(), strength=0.5),
    ask("a tree", seed=4, steps=2, source=picture(), mask=half_mask(), guidance_scale=3.0),
    ask("the sea", seed=5, steps=2, source=picture(), mask=half_mask()),
]


class Watching:
    """Runs the tiny UNet and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Inputs] = []

    def __call__(self, inputs: Inputs) -> Any:
        self.told.append(inputs)
        return run(tiny().unet, inputs)


def begin(*requests: PictureRequest) -> list[TurboRun]:
    engine = make_engine(uses_guidance=True)
    return [engine.begin(Timeline.still(request), 0.0) for request in requests]


def denoiser_of(forward: Watching) -> Denoiser:
    return Denoiser(forward, device="cpu", dtype=torch.float32, takes_size=True, scale=8)


@torch.inference_mode()
def test_unlike_pictures_share_one_call_with_a_timestep_each() -> None:
    unet = Watching()

    runs = begin(*MIXED)
    denoiser_of(unet).step(runs, 8)

    (told,) = unet.told
    assert len(told.sample) == len(told.tokens) == 8
    expected = [run_.next_step.timestep for run_ in runs]
    # Two of them have a negative row at the same timestep; the eighth row repeats the first.
    expected += [expected[1], expected[3], told.timesteps[0].item()]
    assert sorted(told.timesteps.tolist()) == sorted(expected)
    assert told.time_ids is not None
    assert told.time_ids[0].tolist() == [64, 64, 0, 0, 64, 64]


@torch.inference_mode()
def test_rows_that_are_missing_repeat_the_first() -> None:
    unet = Watching()

    denoiser_of(unet).step(begin(MIXED[0]), 4)

    (told,) = unet.told
    assert len(told.sample) == 4
    assert all(torch.equal(told.sample[row], told.sample[0]) for row in range(4))
    assert all(torch.equal(told.tokens[row], told.tokens[0]) for row in range(4))


@torch.inference_mode()
def test_a_guided_row_is_told_its_own_negative_prompt() -> None:
    unet = Watching()
    plain, guided = begin(MIXED[0], MIXED[1])
    assert guided.negative is not None

    denoiser_of(unet).step([plain, guided], 4)

    (told,) = unet.told
    (row,) = [row for row in range(3) if torch.equal(told.tokens[row], guided.negative.tokens)]
    (positive,) = [row for row in range(3) if torch.equal(told.tokens[row], guided.conditions.tokens)]
    assert torch.equal(told.sample[row], told.sample[positive])
    assert told.timesteps[row] == told.timesteps[positive]


@torch.inference_mode()
def test_a_step_changes_no_run_and_comes_out_the_same_again() -> None:
    denoiser, runs = denoiser_of(Watching()), begin(*MIXED)
    before = [run_.latents.clone() for run_ in runs]

    first, second = denoiser.step(runs, 8), denoiser.step(runs, 8)

    assert all(torch.equal(run_.latents, latents) for run_, latents in zip(runs, before, strict=True))
    assert [run_.step for run_ in runs] == [0] * len(runs)
    for one, other in zip(first, second, strict=True):
        assert one.run is other.run
        assert torch.equal(one.latents, other.latents)
        assert torch.equal(one.estimate, other.estimate)


@torch.inference_mode()
def test_every_run_gets_its_own_result_back() -> None:
    denoiser, runs = denoiser_of(Watching()), begin(*MIXED)
    alone = {id(run_): denoiser.step([run_], 8)[0].latents for run_ in runs}

    together = denoiser.step(runs, 8)

    assert sorted(map(id, runs)) == sorted(id(made.run) for made in together)
    assert all(torch.equal(made.latents, alone[id(made.run)]) for made in together)


@torch.inference_mode()
def test_the_last_step_adds_no_noise_and_is_the_estimate() -> None:
    (made,) = denoiser_of(Watching()).step(begin(ask("a fox", seed=1)), 1)

    assert torch.equal(made.latents, made.estimate)
    assert made.is_finite


@torch.inference_mode()
def test_where_nothing_is_painted_the_source_stays_as_noisy_as_the_rest() -> None:
    (run_,) = begin(MIXED[4])
    assert run_.kept is not None
    expected = run_.kept.latents + run_.next_step.next_sigma * run_.kept.noise

    (made,) = denoiser_of(Watching()).step([run_], 1)

    assert torch.equal(made.latents[..., :4], expected[..., :4])
    assert not torch.equal(made.latents[..., 4:], expected[..., 4:])


def test_everything_that_a_step_needs_is_brought_to_the_device() -> None:
    # Tensors without data refuse to meet the CPU's, as a card's do, until the numbers are read at the end.
    components = copy.deepcopy(tiny("sdxl", "kl"))
    elsewhere = replace(CPU, name="meta", kind="mps")
    engine = make_engine(components, uses_guidance=True, device=elsewhere)
    for _, module in components.parts():
        module.to("meta")
    timeline = Timeline((Keyframe(replace(MIXED[2], is_live=True), 0.0, 0.0), Keyframe(MIXED[3], 1.0, 1.0)))
    runs = [engine.begin(Timeline.still(request), 0.0) for request in MIXED]

    with pytest.raises(PaintingFailedError, match="Cannot copy out of meta tensor"):
        engine.step([*runs, engine.begin(timeline, 1.5)], 16)


def test_what_is_copied_to_the_device_is_there_before_it_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    runs = [engine.begin(Timeline.still(ask("a fox", seed=seed, steps=2)), 0.0) for seed in range(2)]
    seen: list[dict[str, Any]] = []
    plain = torch.Tensor.to

    def to(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs)
        return plain(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "to", to)
    engine.step(runs, 2)

    assert seen
    assert not any(kwargs.get("non_blocking") for kwargs in seen)

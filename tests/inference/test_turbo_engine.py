"""The neural engine: what it refuses, warns of, counts and survives."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from tiny_turbo import CPU, ask, describe, half_mask, make_engine, paint, paint_all, picture, tiny

from inference.engine import (
    OutOfMemoryError,
    PaintingFailedError,
    PictureRequest,
    RejectedError,
    Timeline,
)
from inference.errors import ModelLoadError
from inference.turbo import engine as engine_module
from inference.turbo.accepting import is_guided
from inference.turbo.device import Device
from inference.turbo.engine import TurboEngine
from inference.turbo.finishing import OVERFLOW
from inference.turbo.forward import Inputs, run
from inference.turbo.graphs import Recorder
from inference.turbo.memory import is_out_of_memory
from inference.turbo.run import TurboRun


pytestmark = pytest.mark.diffusion

LIVE = ask("a fox", seed=1, is_live=True)


class FlawedRecorder(Recorder):
    """Runs the UNet, but does to its output whatever a test says."""

    def __init__(self, flaw: Callable[[Any], Any]) -> None:
        super().__init__(tiny().unet, "none", "cpu")
        self.flaw = flaw

    def __call__(self, inputs: Inputs) -> Any:
        return self.flaw(run(tiny().unet, inputs))


def raising(error: Exception) -> Callable[[Any], Any]:
    def flaw(_: Any) -> Any:
        raise error

    return flaw


def begin(engine: TurboEngine, *requests: PictureRequest) -> list[TurboRun]:
    return [engine.begin(Timeline.still(request), 0.0) for request in requests]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": "another"}, "model"),
        ({"width": 65}, "settings.width"),
        ({"height": 60}, "settings.height"),
        ({"height": 32}, "settings.height"),
        ({"width": 520}, "settings.width"),
        ({"steps": 0}, "settings.steps"),
        ({"steps": 101}, "settings.steps"),
        ({"mask": half_mask()}, "mask"),
        ({"source": picture(), "strength": 0.0}, "settings.strength"),
        ({"source": picture(), "strength": 1.5}, "settings.strength"),
        ({"source": picture(), "strength": float("nan")}, "settings.strength"),
    ],
)
def test_what_cannot_be_painted_is_refused_by_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(RejectedError) as caught:
        make_engine().check(ask(**changes))

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("limits", "changes", "field"),
    [
        ({"paints_from_source": False}, {"source": picture()}, "source"),
        ({"paints_from_mask": False}, {"source": picture(), "mask": half_mask()}, "mask"),
    ],
)
def test_what_the_model_does_not_offer_is_refused(
    limits: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    engine = TurboEngine(describe(**limits), tiny(), CPU)

    with pytest.raises(RejectedError) as caught:
        engine.check(ask(**changes))

    assert caught.value.field == field


def test_a_model_without_guidance_says_what_it_did_not_use_and_paints_the_same() -> None:
    engine = make_engine()
    wanted = ask("a fox", guidance_scale=7.5, negative_prompt="ugly")

    assert engine.check(wanted) == (
        "guidance_scale was not used: tiny paints without guidance",
        "negative_prompt was not used: tiny paints without guidance",
    )
    assert engine.check(ask(guidance_scale=1.0)) == ()
    assert engine.rows(wanted) == 1
    assert np.array_equal(paint(engine, wanted), paint(engine, ask("a fox")))


def test_a_model_with_guidance_uses_it_and_carries_a_second_row() -> None:
    engine = make_engine(uses_guidance=True)
    guided = ask("a fox", guidance_scale=7.5, negative_prompt="ugly")

    assert engine.check(guided) == ()
    assert engine.rows(guided) == 2
    assert engine.rows(ask("a fox")) == 1
    assert is_guided(guided, engine.model)
    assert not np.array_equal(paint(engine, guided), paint(engine, ask("a fox")))
    assert not np.array_equal(paint(engine, guided), paint(engine, replace(guided, negative_prompt="dark")))
    unused = engine.check(ask("a fox", negative_prompt="ugly", guidance_scale=1.0))
    assert unused == ("negative_prompt was not used: it needs a guidance_scale above 1",)


def test_a_device_of_one_row_at_a_time_paints_guided_pictures_too() -> None:
    single = make_engine(uses_guidance=True, device=replace(CPU, buckets=(1,)))
    guided = ask("a fox", guidance_scale=7.5, steps=2)

    painted = paint(single, guided, bucket=1).astype(int)

    assert single.rows(guided) == 1
    expected = paint(make_engine(uses_guidance=True), guided).astype(int)
    assert int(np.abs(painted - expected).max()) <= 1


def test_words_beyond_the_limit_are_told() -> None:
    engine = make_engine()
    (run_,) = begin(engine, ask("snow " * 100 + "zebra"))

    (warning,) = run_.warnings
    assert warning.startswith("prompt was cut after 77 tokens")
    assert "snow snow" in warning
    assert begin(engine, ask("snow"))[0].warnings == ()


def test_pictures_of_one_size_share_a_step() -> None:
    engine = make_engine()

    assert engine.batch_key(ask()) == engine.batch_key(ask("a fox", steps=4, source=picture()))
    assert engine.batch_key(ask()) != engine.batch_key(ask(width=72))


@pytest.mark.parametrize("width", [64, 72, 128])
def test_a_picture_has_the_size_that_was_asked_for(width: int) -> None:
    engine = make_engine()

    painted = paint(engine, ask(width=width, height=80))

    assert (painted.shape, painted.dtype) == ((80, width, 3), np.uint8)
    assert painted.flags.c_contiguous


def test_a_source_of_any_size_is_fitted() -> None:
    engine = make_engine()

    painted = paint(engine, ask(source=picture(1, 200, 90), mask=half_mask(30, 50), steps=2))

    assert painted.shape == (64, 64, 3)


def test_inpainting_keeps_the_pixels_where_the_mask_is_black() -> None:
    engine = make_engine()
    source = picture(1)

    painted = paint(engine, ask("a fox", source=source, mask=half_mask(), steps=3))

    assert np.array_equal(painted[:, :32], source[:, :32])
    assert not np.array_equal(painted[:, 32:], source[:, 32:])


def test_a_grey_mask_mixes_painted_and_kept_pixels() -> None:
    engine = make_engine()
    source, grey = picture(1), np.full((64, 64, 3), 200, np.uint8)

    painted = paint(engine, ask("a fox", seed=4, source=source, mask=grey)).astype(int)

    (run_,) = paint_all(engine, begin(engine, ask("a fox", seed=4, source=source, mask=grey)))
    assert run_.pixels is not None
    expected = (source * 55.0 + run_.pixels * 200.0) / 255.0
    assert float(np.abs(painted - expected).max()) <= 1.0


def test_a_picture_begun_at_a_source_takes_its_share_of_the_steps_and_never_none() -> None:
    engine = make_engine()
    runs = begin(
        engine,
        ask(source=picture(), steps=10, strength=0.25),
        ask(source=picture(), steps=1, strength=0.01),
        ask(steps=10, strength=0.25),
    )

    assert [each.total_steps for each in runs] == [3, 1, 10]


def test_a_preview_is_the_picture_without_its_noise_and_ends_as_the_picture() -> None:
    engine = make_engine()
    (run_,) = begin(engine, ask("a fox", steps=3, is_live=True))
    previews = []
    for _ in range(3):
        engine.step([run_], 1)
        previews.append(engine.preview(run_).tobytes())

    assert len(set(previews)) == 3
    assert previews[-1] == engine.finish(run_).tobytes()
    assert run_.stage_s["preview"] > 0.0


def test_a_preview_is_at_most_256_pixels_a_side() -> None:
    engine = make_engine()
    (run_,) = begin(engine, ask("a fox", width=512, height=256, steps=2))

    engine.step([run_], 1)

    assert engine.preview(run_).shape == (128, 256, 3)


def test_a_preview_needs_a_step_and_a_picture_all_of_them() -> None:
    engine = make_engine()
    (run_,) = begin(engine, ask(steps=2))

    with pytest.raises(PaintingFailedError, match="nothing to preview"):
        engine.preview(run_)
    engine.step([run_], 1)
    with pytest.raises(PaintingFailedError, match="step 1 of 2 is not the last one"):
        engine.finish(run_)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "cudnn", "python"],
)
def test_out_of_memory_leaves_every_run_as_it_was(error: Exception) -> None:
    recorder = FlawedRecorder(raising(error))
    engine, sound = make_engine(recorder=recorder), make_engine()
    requests = [ask("a fox", seed=1, steps=3), LIVE, ask("snow", seed=2, steps=2, source=picture())]
    runs = begin(engine, *requests)
    before = [(each.latents.clone(), each.step, dict(each.stage_s)) for each in runs]

    assert is_out_of_memory(error)
    for _ in range(2):
        with pytest.raises(OutOfMemoryError):
            engine.step(runs, 4)
    for run_, (latents, step, stage_s) in zip(runs, before, strict=True):
        assert torch.equal(run_.latents, latents)
        assert (run_.step, run_.stage_s) == (step, stage_s)
        assert run_.pixels is run_.estimate is None

    recorder.flaw = lambda output: output
    paint_all(engine, runs, 4)
    for run_, request in zip(runs, requests, strict=True):
        assert np.array_equal(engine.finish(run_), paint(sound, request, bucket=4))


def test_out_of_memory_while_decoding_leaves_every_run_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    runs = begin(engine, ask("a fox", seed=1, steps=2), LIVE)
    expected = [paint(engine, request, bucket=2) for request in (ask("a fox", seed=1, steps=2), LIVE)]
    assert engine._loaded is not None
    with monkeypatch.context() as patched:
        patched.setattr(engine._loaded.autoencoder, "decode", raising_decode)
        with pytest.raises(OutOfMemoryError):
            engine.step(runs, 2)

    assert [each.step for each in runs] == [0, 0]
    paint_all(engine, runs, 2)
    assert [engine.finish(each).tobytes() for each in runs] == [each.tobytes() for each in expected]


def raising_decode(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_any_other_failure_of_torch_is_a_failed_painting() -> None:
    engine = make_engine(recorder=FlawedRecorder(raising(RuntimeError("mat1 and mat2\nshapes"))))

    with pytest.raises(PaintingFailedError, match=r"painting failed: mat1 and mat2$"):
        engine.step(begin(engine, LIVE), 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_whose_numbers_overflow_fails_alone(value: float) -> None:
    def flaw(output: Any) -> Any:
        output = output.clone()
        output[1] = value
        return output

    engine = make_engine(recorder=FlawedRecorder(flaw))
    runs = begin(engine, LIVE, ask("snow", steps=4), ask("a dog", steps=2))
    expected = paint(make_engine(), LIVE, bucket=4)

    engine.step(runs, 4)

    assert np.array_equal(engine.finish(runs[0]), expected)
    # It counts as done, so that nobody goes on with it.
    assert (runs[1].step, runs[1].total_steps) == (4, 4)
    with pytest.raises(PaintingFailedError, match="overflowed"):
        engine.finish(runs[1])
    with pytest.raises(PaintingFailedError, match="overflowed"):
        engine.preview(runs[1])
    assert runs[2].step == 1


def test_a_picture_that_the_autoencoder_overflows_at_fails_alone() -> None:
    engine = make_engine()
    other = ask("snow", seed=2, is_live=True)
    expected = paint(engine, LIVE, bucket=2)
    runs = begin(engine, other, LIVE)
    # Finite, and beyond what float32 holds once it is squared.
    runs[0].latents = torch.full_like(runs[0].latents, 1e37)

    engine.step(runs, 2)

    assert np.array_equal(engine.finish(runs[1]), expected)
    with pytest.raises(PaintingFailedError) as caught:
        engine.finish(runs[0])
    assert str(caught.value) == OVERFLOW


def test_stages_are_timed_by_each_picture_s_share() -> None:
    engine = make_engine(tiny("sdxl", "kl"), uses_guidance=True)
    guided, plain = paint_all(
        engine, begin(engine, ask("a fox", guidance_scale=3.0, source=picture()), ask("snow"))
    )

    assert set(guided.stage_s) == {"text", "noise", "source", "denoise", "decode"}
    assert set(plain.stage_s) == {"text", "noise", "denoise", "decode"}
    assert guided.stage_s["denoise"] == pytest.approx(2 * plain.stage_s["denoise"])
    assert all(seconds >= 0.0 for seconds in guided.stage_s.values())


def test_remembered_prompts_and_sources_are_counted() -> None:
    engine = make_engine()
    begin(engine, ask("a fox"), ask("a fox"), ask("a fox", source=picture(1)), ask(source=picture(1)))

    assert engine.counts == {
        "text_cache_hits": 2,
        "text_cache_misses": 2,
        "source_cache_hits": 1,
        "source_cache_misses": 1,
    }


def test_getting_ready_goes_piece_by_piece() -> None:
    engine = make_engine(tiny("sdxl", "kl"))

    pieces = list(engine.prepare())

    assert pieces[-3:] == ["unet", "prompt", "bucket 1"]
    assert "text encoder 1" in pieces
    assert engine.size_bytes > 1_000_000
    assert (engine.device, engine.dtype) == ("cpu", "float32")


def test_an_upscaler_that_came_with_the_model_is_offered_until_it_is_closed() -> None:
    class Upscaler:
        def parts(self) -> list[Any]:
            return []

    upscaler = Upscaler()
    engine = make_engine(replace(tiny(), upscaler=upscaler))

    assert engine.upscaler is upscaler
    engine.close()
    assert engine.upscaler is None
    assert make_engine().upscaler is None


def test_the_failed_attempt_s_tensors_are_let_go_before_the_next() -> None:
    held: list[Any] = []

    def flaw(_: Any) -> Any:
        tensor = torch.zeros(8)
        held.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    engine = make_engine(recorder=FlawedRecorder(flaw))

    with pytest.raises(OutOfMemoryError):
        engine.step(begin(engine, LIVE), 1)

    assert held[0]() is None


def test_a_bucket_that_does_not_fit_is_left_out() -> None:
    class Small(FlawedRecorder):
        uses_to_record = 2

        @property
        def acceleration(self) -> str:
            return "graphs"

        def __call__(self, inputs: Inputs) -> Any:
            if len(inputs.sample) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().__call__(inputs)

    engine = make_engine(recorder=Small(lambda output: output))

    pieces = list(engine.prepare())

    assert pieces[-1] == "bucket 4"
    assert engine.buckets == (1, 2, 4)


def test_a_device_that_is_too_small_for_one_picture_is_told() -> None:
    engine = make_engine(recorder=FlawedRecorder(raising(torch.OutOfMemoryError("CUDA out of memory"))))

    with pytest.raises(OutOfMemoryError):
        list(engine.prepare())


def test_a_closed_engine_paints_no_more_and_keeps_its_counts() -> None:
    engine = make_engine()
    runs = begin(engine, LIVE)
    engine.close()
    engine.close()

    assert engine.counts["text_cache_misses"] == 1
    with pytest.raises(PaintingFailedError, match="unloaded"):
        engine.step(runs, 1)


def test_a_unet_or_a_scheduler_of_another_kind_is_refused() -> None:
    velocity = replace(tiny(), scheduler_config=tiny().scheduler_config | {"prediction_type": "sample"})

    with pytest.raises(ModelLoadError, match="prediction_type"):
        make_engine(velocity)
    with pytest.raises(ModelLoadError, match="9 channels"):
        make_engine(replace(tiny(), unet=_NineChannels()))


class _NineChannels:
    class config:
        in_channels = 9

    def parameters(self) -> list[Any]:
        return []

    buffers = parameters


def test_a_single_step_keeps_more_of_the_source_at_a_weaker_strength() -> None:
    engine = make_engine()
    source = ask("a fox", seed=1, source=picture(3), strength=0.001)
    requests = [replace(source, strength=strength) for strength in (0.1, 0.9)]

    almost_untouched, weak, strong = begin(engine, source, *requests)

    assert weak.total_steps == strong.total_steps == 1
    added = [(run.latents - almost_untouched.latents).abs().mean() for run in (weak, strong)]
    assert added[0] < 0.2 * added[1]


def test_a_live_source_goes_through_the_tiny_autoencoder(monkeypatch: pytest.MonkeyPatch) -> None:
    components = tiny("sdxl", "kl")
    engine = make_engine(components)
    live = ask("a fox", seed=1, source=picture(3), is_live=True)

    def refuse(_: Any) -> Any:
        raise AssertionError("the full autoencoder was used")

    monkeypatch.setattr(components.autoencoder, "encode", refuse)
    (run,) = begin(engine, live)

    assert run.latents.isfinite().all()
    with pytest.raises(AssertionError):
        begin(engine, replace(live, is_live=False))


class NotingDevice(Device):
    """Notes whether it is the current one."""

    current = False

    @contextmanager
    def as_current(self) -> Iterator[None]:
        before, NotingDevice.current = NotingDevice.current, True
        try:
            yield
        finally:
            NotingDevice.current = before


def test_everything_that_a_card_does_is_done_while_it_is_the_current_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, bool]] = []

    def watch(owner: Any, name: str) -> None:
        plain = getattr(owner, name)

        def watching(*args: Any, **kwargs: Any) -> Any:
            seen.append((name, NotingDevice.current))
            return plain(*args, **kwargs)

        monkeypatch.setattr(owner, name, watching)

    recorder = FlawedRecorder(lambda output: output)
    watch(engine_module, "move")
    watch(recorder, "flaw")
    engine = make_engine(recorder=recorder, device=NotingDevice("cpu", "cpu", "CPU", torch.float32, 0))
    assert engine._loaded is not None
    for name in ("encode", "decode", "preview"):
        watch(engine._loaded.autoencoder, name)

    for _ in engine.prepare():
        # Between two pieces other engines paint.
        assert not NotingDevice.current
    (run_,) = begin(engine, ask(source=picture(), steps=2))
    engine.step([run_], 1)
    engine.preview(run_)
    engine.step([run_], 1)

    assert {name for name, _ in seen} == {"move", "flaw", "encode", "decode", "preview"}
    assert all(is_current for _, is_current in seen)


def test_a_guided_picture_is_stepped_in_a_bucket_smaller_than_its_rows() -> None:
    engine = make_engine(uses_guidance=True)
    guided = ask("a fox", guidance_scale=7.5, steps=2)

    painted = paint(engine, guided, bucket=1).astype(int)

    assert engine.rows(guided) == 2
    assert int(np.abs(painted - paint(engine, guided)).max()) <= 1


def test_stages_are_timed_by_the_engine_s_clock() -> None:
    ticks = iter(range(1000))
    engine = TurboEngine(describe(), tiny(), CPU, clock=lambda: float(next(ticks)))

    (run_,) = paint_all(engine, begin(engine, ask("a fox", source=picture())))

    assert run_.stage_s == {"text": 1.0, "noise": 1.0, "source": 2.0, "denoise": 1.0, "decode": 1.0}


def test_a_cpu_is_warmed_up_with_one_small_picture() -> None:
    seen: list[tuple[int, ...]] = []

    def note(output: Any) -> Any:
        seen.append(tuple(output.shape))
        return output

    engine = TurboEngine(
        replace(describe(), default_width=512, default_height=512, min_size=64),
        tiny(),
        CPU,
        recorder=FlawedRecorder(note),
    )

    for _ in engine.prepare():
        pass

    assert seen == [(1, 4, 8, 8)]

"""Recorded forward passes are kept within bounds, and whatever fails is painted eagerly and told."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
from typing import Any

import numpy as np
from structlog.testing import capture_logs
from tiny_turbo import ask, make_engine, paint, tiny

from inference.turbo.graphs import MAX_RECORDINGS, Forward, Inputs, Recorder, UNet, run


pytestmark = pytest.mark.diffusion


def inputs_of(rows: int = 1, width: int = 8, fill: float = 0.5) -> Inputs:
    return Inputs(
        sample=torch.full((rows, 4, 8, width), fill),
        timesteps=torch.full((rows,), 999.0),
        tokens=torch.zeros((rows, 77, 64)),
        pooled=torch.zeros((rows, 32)),
        time_ids=torch.zeros((rows, 6)),
    )


def doubling(sample: Any, timesteps: Any, **_: Any) -> tuple[Any]:
    """A UNet that is seen through."""
    return (sample * 2.0 + timesteps[:, None, None, None],)


class Recording:
    """Records as CUDA graphs do: fixed inputs, one output that each replay overwrites."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int, int]] = []
        self.replays = 0

    def record(self, unet: UNet, inputs: Inputs) -> Forward:
        self.shapes.append(inputs.shape)

        def replay(fresh: Inputs) -> Any:
            assert fresh.shape == inputs.shape
            self.replays += 1
            return run(unet, fresh)

        return replay


class Failing:
    """Records nothing."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tries = 0

    def record(self, unet: UNet, inputs: Inputs) -> Forward:
        self.tries += 1
        raise self.error


def run_often(recorder: Recorder, inputs: Inputs, times: int = 4) -> None:
    for _ in range(times):
        recorder(inputs)


def test_nothing_is_recorded_without_acceleration() -> None:
    recorder = Recorder(doubling, "auto", "cpu")

    assert (recorder.acceleration, recorder.uses_to_record) == ("none", 1)
    assert torch.equal(recorder(inputs_of()), torch.full((1, 4, 8, 8), 1000.0))


def test_graphs_are_chosen_on_cuda_and_refused_elsewhere_with_a_line() -> None:
    assert Recorder(doubling, "auto", "cuda").acceleration == "graphs"
    assert Recorder(doubling, "auto", "rocm").acceleration == "none"
    with capture_logs() as lines:
        assert Recorder(doubling, "graphs", "mps").acceleration == "none"

    assert [(line["event"], line["reason"]) for line in lines] == [
        ("acceleration_fallback", "there are no CUDA graphs on mps")
    ]


def test_a_shape_is_recorded_when_it_has_come_often_enough() -> None:
    recording = Recording()
    recorder = Recorder(doubling, "graphs", "cuda", record=recording.record)

    run_often(recorder, inputs_of(), recorder.uses_to_record - 1)
    assert recording.shapes == []
    run_often(recorder, inputs_of(), 5)

    assert recording.shapes == [(1, 8, 8)]
    assert recording.replays >= 5


def test_a_shape_is_compiled_at_its_first_use_as_compiled_kernels_round_otherwise() -> None:
    recording = Recording()
    recorder = Recorder(doubling, "compile", "cpu", record=recording.record)

    recorder(inputs_of())

    assert recording.shapes == [(1, 8, 8)]
    assert recording.replays > 1


def test_each_bucket_and_size_has_its_own_recording() -> None:
    recording = Recording()
    recorder = Recorder(doubling, "graphs", "cuda", record=recording.record)

    for rows, width in ((1, 8), (2, 8), (1, 16)):
        run_often(recorder, inputs_of(rows, width))

    assert recording.shapes == [(1, 8, 8), (2, 8, 8), (1, 8, 16)]


def test_recordings_are_bounded_and_the_least_recently_used_goes() -> None:
    recording = Recording()
    recorder = Recorder(doubling, "graphs", "cuda", record=recording.record)
    for width in range(1, MAX_RECORDINGS + 1):
        run_often(recorder, inputs_of(width=width))
    recorder(inputs_of(width=1))

    run_often(recorder, inputs_of(width=MAX_RECORDINGS + 1))
    recorded = len(recording.shapes)
    recorder(inputs_of(width=1))
    assert len(recording.shapes) == recorded == MAX_RECORDINGS + 1

    run_often(recorder, inputs_of(width=2))
    assert recording.shapes[-1] == (1, 8, 2)


def test_a_recording_that_fails_is_painted_eagerly_and_told_once() -> None:
    failing = Failing(RuntimeError("operation not permitted when stream is capturing\nmore of it"))
    recorder = Recorder(doubling, "graphs", "cuda", record=failing.record)

    with capture_logs() as lines:
        run_often(recorder, inputs_of(), 10)

    assert failing.tries == 1
    assert lines == [
        {
            "event": "acceleration_fallback",
            "log_level": "warning",
            "acceleration": "graphs",
            "rows": 1,
            "width": 64,
            "height": 64,
            "reason": "operation not permitted when stream is capturing",
        }
    ]
    assert torch.equal(recorder(inputs_of()), torch.full((1, 4, 8, 8), 1000.0))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), OSError(), KeyError("x")])
def test_no_failure_of_a_recording_fails_a_picture(error: Exception) -> None:
    recorder = Recorder(tiny().unet, "compile", "cpu", record=Failing(error).record)
    engine = make_engine(recorder=recorder)
    expected = paint(make_engine(), ask("a fox", steps=6))

    with capture_logs() as lines:
        painted = paint(engine, ask("a fox", steps=6))

    assert np.array_equal(painted, expected)
    assert [line["event"] for line in lines] == ["acceleration_fallback"]


def test_recorded_pictures_are_the_eager_ones() -> None:
    recording = Recording()
    recorder = Recorder(tiny().unet, "graphs", "cuda", record=recording.record)
    engine = make_engine(recorder=recorder)

    painted = paint(engine, ask("a fox", seed=3, steps=8))

    assert recording.replays > 4
    assert np.array_equal(painted, paint(make_engine(), ask("a fox", seed=3, steps=8)))


def test_all_buckets_are_recorded_while_the_engine_gets_ready() -> None:
    recording = Recording()
    recorder = Recorder(tiny().unet, "graphs", "cuda", record=recording.record)
    engine = make_engine(recorder=recorder)

    list(engine.prepare())

    assert recording.shapes == [(rows, 8, 8) for rows in engine.buckets]


def test_compiling_more_shapes_than_dynamo_keeps_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[dict[str, Any]] = []

    def compile_(unet: UNet, **options: Any) -> UNet:
        compiled.append(options)
        return unet

    monkeypatch.setattr(torch, "compile", compile_)
    recorder = Recorder(doubling, "compile", "cpu")

    with capture_logs() as lines:
        for width in range(1, 10):
            run_often(recorder, inputs_of(width=width))

    assert len(compiled) == 8
    assert compiled[0] == {"dynamic": False, "mode": "default"}
    assert [line["reason"] for line in lines] == ["no more than 8 shapes can be compiled"]


def test_closing_forgets_the_recordings() -> None:
    recording = Recording()
    recorder = Recorder(doubling, "graphs", "cuda", record=recording.record)
    run_often(recorder, inputs_of())
    recorder.close()

    run_often(recorder, inputs_of())

    assert len(recording.shapes) == 2

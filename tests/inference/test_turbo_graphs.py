"""Recorded forward passes are kept within bounds, and whatever fails is painted eagerly and told."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
from typing import Any

import numpy as np
from fake_cuda import FakeCuda
from structlog.testing import capture_logs
from tiny_turbo import CPU, ask, make_engine, paint, paint_all, tiny

from inference.engine import Timeline
from inference.turbo.cuda_graphs import CudaGraphs
from inference.turbo.device import Device, choose_device
from inference.turbo.forward import Forward, Inputs, UNet
from inference.turbo.graphs import MAX_RECORDINGS, RETRY_AFTER_S, Recorder
from inference.turbo.random_weights import build_tiny


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
        self.cuda = FakeCuda()
        self.graphs = CudaGraphs("cuda:0", self.cuda)

    @property
    def replays(self) -> int:
        return self.cuda.replays

    def record(self, unet: UNet, inputs: Inputs) -> tuple[Forward, Any]:
        self.shapes.append(inputs.shape)
        return self.graphs.record(unet, inputs)


class Failing:
    """Records nothing."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tries = 0

    def record(self, unet: UNet, inputs: Inputs) -> tuple[Forward, Any]:
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
    assert recording.replays == 1


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


class Compiling:
    """Stands for `torch.compile` with Dynamo in earnest, but nothing made faster."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiled = 0
        self.options: dict[str, Any] = {}
        compile_ = torch.compile

        def backend(module: Any, _: Any) -> Any:
            self.compiled += 1
            return module.forward

        def compile_simply(unet: UNet, **options: Any) -> Any:
            self.options = dict(options)
            del options["mode"]
            return compile_(unet, backend=backend, **options)

        monkeypatch.setattr(torch, "compile", compile_simply)


# Dynamo's own modules warn while they are imported, of what torch itself still calls.
dynamo_warns = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")


@dynamo_warns
def test_the_shapes_of_two_models_are_all_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    compiling = Compiling(monkeypatch)
    first, second = (Recorder(doubling, "compile", "cpu") for _ in range(2))

    with capture_logs() as lines:
        for width in range(2, 9):
            run_often(first, inputs_of(width=width))
        for width in range(9, 16):
            run_often(second, inputs_of(width=width))

    # By itself Dynamo stops at 8 of one piece of code, whatever model it is of.
    assert compiling.compiled == 14
    assert lines == []
    assert (compiling.options["dynamic"], compiling.options["mode"]) == (False, "default")


@dynamo_warns
def test_a_shape_that_dynamo_does_not_compile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    compiling = Compiling(monkeypatch)
    recorder = Recorder(doubling, "compile", "cpu")

    with torch._dynamo.config.patch(accumulated_recompile_limit=2), capture_logs() as lines:
        for width in range(2, 5):
            run_often(recorder, inputs_of(width=width))

    assert compiling.compiled == 2
    assert [(line["event"], line["width"]) for line in lines] == [("acceleration_fallback", 32)]
    assert torch.equal(recorder(inputs_of(width=4)), torch.full((1, 4, 8, 4), 1000.0))


def test_no_more_shapes_are_compiled_than_recordings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda unet, **_: unet)
    recorder = Recorder(doubling, "compile", "cpu")

    with capture_logs() as lines:
        for width in range(1, MAX_RECORDINGS + 2):
            run_often(recorder, inputs_of(width=width))

    assert [line["reason"] for line in lines] == ["no more than 15 shapes of a model are compiled"]


def test_closing_forgets_the_recordings() -> None:
    recording = Recording()
    recorder = Recorder(doubling, "graphs", "cuda", record=recording.record)
    run_often(recorder, inputs_of())
    recorder.close()

    run_often(recorder, inputs_of())

    assert len(recording.shapes) == 2


def graphs_of(cuda: FakeCuda, device: str = "cuda:0") -> Recorder:
    return Recorder(doubling, "graphs", "cuda", record=CudaGraphs(device, cuda).record)


def test_a_replay_is_told_what_is_new_and_leaves_what_it_gave_alone() -> None:
    recorder = graphs_of(FakeCuda())
    run_often(recorder, inputs_of())

    first, second = recorder(inputs_of(fill=1.0)), recorder(inputs_of(fill=2.0))

    assert torch.equal(first, torch.full((1, 4, 8, 8), 1001.0))
    assert torch.equal(second, torch.full((1, 4, 8, 8), 1003.0))


def test_the_answer_of_the_call_that_records_stays_its_caller_s() -> None:
    recorder = graphs_of(FakeCuda())
    answers = [recorder(inputs_of(fill=float(index))) for index in range(5)]

    assert [float(answer[0, 0, 0, 0]) for answer in answers] == [999.0, 1001.0, 1003.0, 1005.0, 1007.0]


def test_recording_runs_the_unet_once_before_on_the_recording_s_own_stream() -> None:
    cuda = FakeCuda()
    streams: list[Any] = []

    def unet(sample: Any, timesteps: Any, **_: Any) -> tuple[Any]:
        streams.append(cuda.current_stream("cuda:0"))
        return (sample * 2.0,)

    graphs = CudaGraphs("cuda:0", cuda)
    own = cuda.current_stream("cuda:0")
    for rows in (1, 2):
        graphs.record(unet, inputs_of(rows))

    assert len(streams) == 4
    assert len(set(map(id, streams))) == 1
    assert streams[0] is not own
    assert streams[0].waited_for == [own] * 2
    assert own.waited_for == [streams[0]] * 2
    assert len(cuda.pools) == 1


def test_graphs_are_recorded_on_the_card_that_the_network_is_on() -> None:
    cuda = FakeCuda("cuda:1")
    recorder = graphs_of(cuda, "cuda:1")

    with capture_logs() as lines:
        run_often(recorder, inputs_of(), 5)

    assert lines == []
    assert cuda.replays > 1
    assert cuda.current == "cuda:0"
    assert torch.equal(recorder(inputs_of()), torch.full((1, 4, 8, 8), 1000.0))


def test_a_recording_that_holds_nothing_is_not_used_and_told() -> None:
    cuda = FakeCuda("cuda:1")
    recorder = graphs_of(cuda, "cuda:0")

    with capture_logs() as lines:
        run_often(recorder, inputs_of(), 5)

    assert [line["reason"] for line in lines] == ["the recording paints nothing"]
    assert cuda.replays == 1
    assert torch.equal(recorder(inputs_of()), torch.full((1, 4, 8, 8), 1000.0))


def test_a_recording_that_cannot_be_ended_leaves_the_stream_and_the_next_recording_alone() -> None:
    cuda = FakeCuda()
    own = cuda.current_stream("cuda:0")
    recorder = graphs_of(cuda)
    cuda.cannot_end = True
    with capture_logs() as lines:
        run_often(recorder, inputs_of())

    assert cuda.current_stream("cuda:0") is own
    cuda.cannot_end = False
    run_often(recorder, inputs_of(2))

    assert [line["rows"] for line in lines] == [1]
    assert cuda.replays > 0


def test_a_shape_that_ran_out_of_memory_is_tried_again_after_some_minutes() -> None:
    now = 0.0
    failing = Failing(torch.OutOfMemoryError("CUDA out of memory"))
    recorder = Recorder(doubling, "graphs", "cuda", record=failing.record, clock=lambda: now)
    with capture_logs() as lines:
        run_often(recorder, inputs_of(), 10)
        now = RETRY_AFTER_S - 1.0
        recorder(inputs_of())
        assert failing.tries == 1
        now = RETRY_AFTER_S
        run_often(recorder, inputs_of(), 10)

    assert failing.tries == 2
    assert [line["reason"] for line in lines] == ["out of memory"] * 2


def places() -> list[Device]:
    """Return every card that is there, and one that is played on the CPU."""
    cards = [choose_device(f"cuda:{index}", "float32") for index in range(torch.cuda.device_count())]
    return [CPU, *(card for card in cards if card.kind == "cuda")]


@pytest.mark.parametrize("place", places(), ids=lambda place: place.name)
def test_replayed_pictures_are_the_eager_ones_whatever_buckets_take_turns(place: Device) -> None:
    replaying, eager = build_tiny("sdxl"), build_tiny("sdxl")
    recording = Recording()
    engine = make_engine(
        replaying,
        uses_guidance=True,
        device=place,
        recorder=Recorder(replaying.unet, "graphs", "cuda", record=recording.record)
        if place is CPU
        else Recorder(replaying.unet, "graphs", place.kind, place.name),
    )
    plain = make_engine(eager, uses_guidance=True, device=place)
    with capture_logs() as lines:
        for each in (engine, plain):
            list(each.prepare())

    for turn, bucket in enumerate((4, 1, 2, 1, 4, 2, 2, 4)):
        # The last one is guided; in a bucket of 1 the UNet is called twice for it.
        count = max(1, bucket - 1)
        requests = [ask(f"a fox {turn} {row}", seed=10 * turn + row, steps=2) for row in range(count - 1)]
        requests.append(ask(f"a dog {turn}", seed=turn, steps=2, guidance_scale=4.0, negative_prompt="ugly"))
        pictures = []
        for each in (engine, plain):
            runs = [each.begin(Timeline.still(request), 0.0) for request in requests]
            pictures.append([each.finish(done).astype(int) for done in paint_all(each, runs, bucket)])
        # A card may choose another kernel for another stream.
        most = 0 if place is CPU else 1
        assert int(np.abs(np.array(pictures[0]) - np.array(pictures[1])).max()) <= most
    assert lines == []
    assert recording.replays > 10 or place is not CPU


class CountingUNet:
    """Counts how often a UNet is run."""

    def __init__(self, unet: Any) -> None:
        self.unet = unet
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.unet(*args, **kwargs)


def test_no_piece_of_getting_ready_runs_the_unet_twice_but_those_that_record() -> None:
    unet, recording = CountingUNet(tiny().unet), Recording()
    engine = make_engine(recorder=Recorder(unet, "graphs", "cuda", record=recording.record))
    spent: dict[str, tuple[int, int]] = {}

    calls = replays = 0
    for piece in engine.prepare():
        spent[piece] = unet.calls - calls, recording.replays - replays
        calls, replays = unet.calls, recording.replays

    for bucket in engine.buckets:
        # What is recorded is not run, but by its replay.
        assert spent.pop(f"bucket {bucket}") == (2, 1)
        assert spent.pop(f"bucket {bucket}, 1 more") == (1, 0)
        assert spent.pop(f"bucket {bucket}, 2 more") == (1, 0)
    assert set(spent.values()) == {(0, 0)}

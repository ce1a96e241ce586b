"""The inference bench on the tiny pipeline, a few pictures each."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import main
from bench.inference import rig
from bench.inference.options import read_options


torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

pytestmark = pytest.mark.diffusion


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_the_tiny_pipeline_is_measured_beside_diffusers(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--device", "cpu", "--pictures", "2", "--callers", "2", "--rounds", "1"]
    assert main(["inference", "--engine", "tiny", *arguments]) == 0

    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["bucket"] for row in report["buckets"]] == [1, 2]
    assert len(report["comparison"]) == 4
    assert all(row["images_per_s"] > 0 for row in report["comparison"])
    told = {row["stage"] for row in report["stages"] if row["of_floor"] is not None}
    assert told == {"denoise", "decode", "text (rare)", "source (rare)", "decode, full (rare)"}
    assert report["engine"]["torch_threads"] == 1


def test_a_device_that_is_not_there_is_told_with_what_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inference", "--engine", "tiny", "--device", "cuda:77"]) == 1

    assert "cuda:77" in capsys.readouterr().err


def test_the_full_size_is_refused_without_the_memory_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bench.inference import networks

    class Little:
        available = 1_000_000_000

    monkeypatch.setattr(networks.psutil, "virtual_memory", Little)

    with pytest.raises(rig.BenchError, match=r"--engine sdxl-random needs about .* 1\.0 GB are free"):
        networks._components(
            read_options(["--engine", "sdxl-random"]), networks.Device("cpu", "cpu", "", torch.float32, 0)
        )


def test_the_work_of_the_real_size_is_counted_as_published() -> None:
    from diffusers import AutoencoderTiny

    from bench.inference.networks import count_works
    from inference.turbo import architectures
    from inference.turbo.components import Components

    with torch.device("meta"):
        components = Components(
            family="sdxl",
            unet=architectures.full_unet(),
            autoencoder=architectures.full_kl(),
            tokenizers=(),
            text_encoders=architectures.full_text_encoders(),
            scheduler_config={},
            tiny_autoencoder=AutoencoderTiny(),
        )

    works = count_works(components, read_options(["--engine", "sdxl-random"]))

    assert works["denoise"].flops == pytest.approx(1588.8e9, rel=1e-3)
    assert works["decode"].flops == pytest.approx(141.4e9, rel=1e-3)
    assert works["decode, full"].flops == pytest.approx(2514.5e9, rel=1e-3)
    assert works["source"].flops == pytest.approx(122.3e9, rel=1e-3)
    assert works["text"].flops == pytest.approx(111.2e9, rel=1e-3)
    # Weights on the meta device count four bytes each: 2.5675 billion of them.
    assert works["denoise"].weight_bytes == pytest.approx(4 * 2.5675e9, rel=1e-3)


def test_a_clock_of_stages_waits_for_the_device_only_when_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench.inference import networks

    waited: list[str] = []
    monkeypatch.setattr(networks, "synchronise", lambda device: waited.append(device.name))
    clock = networks.StageClock(networks.Device("cuda:1", "cuda", "", torch.float32, 0))

    clock()
    with clock.exact():
        assert clock() <= clock()
    clock()

    assert waited == ["cuda:1"] * 2


def test_the_memory_that_the_peak_took_is_not_the_engine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.inference import networks
    from bench.inference.floors import Peak

    done: list[str] = []

    def measure(device: networks.Device) -> Peak:
        done.append("peak")
        return Peak(1.0, 1.0)

    monkeypatch.setattr(networks, "_try_hard", measure)
    monkeypatch.setattr(networks, "give_memory_back", lambda kind: done.append(f"give back on {kind}"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda name: done.append(f"reset {name}"))

    networks.find_peak(networks.Device("cuda:1", "cuda", "", torch.float32, 0))

    assert done == ["peak", "give back on cuda", "reset cuda:1"]

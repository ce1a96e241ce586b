"""Larger pictures from diffusers' own upscalers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest


torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from inference.engine import OutOfMemoryError, PaintingFailedError, Pixels  # noqa: E402 (torch first)
from inference.turbo.checks import UnfitError  # noqa: E402
from inference.turbo.device import Device  # noqa: E402
from inference.turbo.random_weights import save_tiny_upscaler  # noqa: E402
from inference.turbo.upscaler import Upscaler, read_upscaler  # noqa: E402


pytestmark = [
    pytest.mark.diffusion,
    # What diffusers' schedulers do with numpy.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

CPU = Device("cpu", "cpu", "a CPU", torch.float32, 2**34)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return the folders of both upscalers by their factor."""
    root = tmp_path_factory.mktemp("upscalers")
    save_tiny_upscaler(root / "two", factor=2)
    save_tiny_upscaler(root / "four", factor=4)
    return {2: root / "two", 4: root / "four"}


def picture(width: int = 16, height: int = 24, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def upscaler(folder: Path) -> Upscaler:
    return read_upscaler(folder, CPU, "tiny")


@pytest.mark.parametrize("own", [2, 4])
@pytest.mark.parametrize("wanted", [2, 4])
def test_a_picture_becomes_as_much_larger_as_was_asked(
    folders: dict[int, Path], own: int, wanted: int
) -> None:
    made = upscaler(folders[own])

    larger = made.upscale(picture(), wanted, "a cat")

    assert made.factor == own
    assert made.name == "tiny"
    assert larger.dtype == np.uint8
    assert larger.shape == (24 * wanted, 16 * wanted, 3)
    assert larger.std() > 10.0


@pytest.mark.parametrize("own", [2, 4])
def test_the_same_picture_becomes_the_same_and_another_one_another(
    folders: dict[int, Path], own: int
) -> None:
    made = upscaler(folders[own])

    first, again = (made.upscale(picture(), 2, "a cat") for _ in range(2))
    other = made.upscale(picture(seed=1), 2, "a cat")

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_pipeline_that_is_no_upscaler_is_refused(folders: dict[int, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders[2], tmp_path / "model"))
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "StableDiffusionPipeline"}))

    with pytest.raises(UnfitError, match=r"holds a StableDiffusionPipeline, not a \w+Upscale"):
        upscaler(folder)


def test_a_scheduler_that_is_not_known_is_refused(folders: dict[int, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders[2], tmp_path / "model"))
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"scheduler": ["os", "system"]}))

    with pytest.raises(UnfitError, match="scheduler is system, which is no scheduler"):
        upscaler(folder)


def test_damaged_weights_are_refused_by_the_name_of_the_part(
    folders: dict[int, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders[2], tmp_path / "model"))
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()

    with pytest.raises(UnfitError, match=r"the upscaler.s unet in .* has no weights"):
        upscaler(folder)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("CUDA error: out of memory"), OutOfMemoryError),
        (RuntimeError("shapes do not match"), PaintingFailedError),
    ],
)
def test_what_fails_in_the_pipeline_is_an_engines_error(
    folders: dict[int, Path], monkeypatch: pytest.MonkeyPatch, error: Exception, expected: type[Exception]
) -> None:
    made = upscaler(folders[2])

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(dict(made.parts())["unet"], "forward", fail)

    with pytest.raises(expected):
        made.upscale(picture(), 2, "a cat")

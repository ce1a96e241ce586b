"""Larger pictures from diffusers' own upscalers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest


torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from PIL import Image  # noqa: E402 (torch first)

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

PIPELINES = {
    2: diffusers.StableDiffusionLatentUpscalePipeline,
    4: diffusers.StableDiffusionUpscalePipeline,
}

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


def enlarge(upscaler: Upscaler, pixels: Pixels) -> Pixels:
    *_, larger = upscaler.upscale(pixels, "a cat")
    assert larger is not None
    return larger


@pytest.mark.parametrize("own", [2, 4])
def test_a_picture_becomes_as_much_larger_as_the_pipeline_makes_it(
    folders: dict[int, Path], own: int
) -> None:
    made = upscaler(folders[own])

    larger = enlarge(made, picture())

    assert made.factor == own
    assert made.name == "tiny"
    assert larger.dtype == np.uint8
    assert larger.shape == (24 * own, 16 * own, 3)
    assert larger.std() > 10.0


@pytest.mark.parametrize("own", [2, 4])
@pytest.mark.parametrize("size", [(16, 24), (40, 24)])
def test_step_by_step_comes_out_what_the_pipeline_paints_at_once(
    folders: dict[int, Path], own: int, size: tuple[int, int]
) -> None:
    made, kind = upscaler(folders[own]), PIPELINES[own]
    pipeline = kind.from_pretrained(folders[own])
    pipeline.set_progress_bar_config(disable=True)
    pipeline.vae.enable_tiling()
    # So small that the larger size takes several.
    for vae in (pipeline.vae, dict(made.parts())["vae"]):
        vae.tile_sample_min_size, vae.tile_latent_min_size = 32, 32 // pipeline.vae_scale_factor

    at_once = pipeline(
        prompt="a cat",
        image=Image.fromarray(picture(*size)),
        num_inference_steps=20,
        guidance_scale=0.0 if own == 2 else 7.0,
        generator=torch.Generator().manual_seed(0),
    ).images[0]

    # Sums may be rounded in another order.
    difference = enlarge(made, picture(*size)).astype(int) - np.array(at_once)
    assert np.abs(difference).max() <= 1
    assert np.count_nonzero(difference) <= 0.001 * difference.size


@pytest.mark.parametrize("own", [2, 4])
def test_each_step_is_a_piece_and_pieces_of_several_pictures_may_alternate(
    folders: dict[int, Path], own: int
) -> None:
    made = upscaler(folders[own])
    alone = [enlarge(made, picture(seed=seed)) for seed in (0, 1)]

    pieces = list(zip(*(made.upscale(picture(seed=seed), "a cat") for seed in (0, 1)), strict=True))

    assert len(pieces) >= 20
    assert all(piece is None for pair in pieces[:-1] for piece in pair)
    assert all(np.array_equal(one, other) for one, other in zip(pieces[-1], alone, strict=True))


def test_what_torch_remembers_for_a_thread_is_as_it_was_between_two_pieces(folders: dict[int, Path]) -> None:
    seen = {torch.is_grad_enabled() for _ in upscaler(folders[2]).upscale(picture(), "a cat")}

    assert seen == {True}


@pytest.mark.parametrize("own", [2, 4])
def test_the_same_picture_becomes_the_same_and_another_one_another(
    folders: dict[int, Path], own: int
) -> None:
    made = upscaler(folders[own])

    first, again = (enlarge(made, picture()) for _ in range(2))
    other = enlarge(made, picture(seed=1))

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
        enlarge(made, picture())

"""From a folder on the disk to a picture, through the whole of the house, with tiny weights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from inference.engine import ModelDescription, PictureRequest, Timeline
from inference.errors import ModelLoadError
from inference.models.entry import CatalogueEntry, Family, State
from inference.models.house import ModelHouse, keeping_models
from inference.models.weights import WeightStore
from inference.scheduler import Scheduler, Work, scheduling


pytestmark = pytest.mark.diffusion

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from inference.turbo.device import choose_device  # noqa: E402 - only where torch is.
from inference.turbo.load import TurboLoader  # noqa: E402
from inference.turbo.random_weights import save_tiny, save_tiny_lora, tiny_autoencoder_folder  # noqa: E402


torch.set_num_threads(1)


def description(name: str) -> ModelDescription:
    return ModelDescription(name, "Tiny", "sdxl", is_neural=True, default_width=64, default_height=64)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder of models: a pipeline with a tiny autoencoder and a LoRA, another one, a broken one."""
    folder = tmp_path_factory.mktemp("models")
    components = save_tiny(folder / "xl", "sdxl", with_tiny_autoencoder=True)
    save_tiny_lora(folder / "style", components)
    save_tiny(folder / "sd", "sd", variant="fp16", dtype=torch.float16)
    broken = folder / "broken"
    save_tiny(broken, "sd")
    weights = broken / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    return folder


def entries(folder: Path) -> list[CatalogueEntry]:
    return [
        CatalogueEntry(
            description("xl"),
            "sdxl",
            str(folder / "xl"),
            lora=str(folder / "style"),
            tiny_autoencoder=str(tiny_autoencoder_folder(folder / "xl")),
        ),
        CatalogueEntry(description("sd"), "sd", "owner/sd"),
        CatalogueEntry(description("broken"), "sd", "owner/broken"),
    ]


@asynccontextmanager
async def house_of_tiny_models(folder: Path) -> AsyncIterator[tuple[ModelHouse, Scheduler]]:
    loader = TurboLoader(choose_device("cpu", "float32"), acceleration="none")
    loaders: dict[Family, TurboLoader] = {"sdxl": loader, "sd": loader}
    weights = WeightStore(folder, download=False, environ={"HF_HOME": str(folder / "none")})
    async with (
        scheduling() as scheduler,
        keeping_models(
            entries(folder),
            loaders,
            scheduler.between_ticks,
            default_model="xl",
            fallback_model="xl",
            weights=weights,
            max_models=1,
        ) as house,
    ):
        yield house, scheduler


def test_weights_as_diffusers_writes_them_are_whole(models: Path) -> None:
    store = WeightStore(models, download=False, environ={"HF_HOME": str(models / "none")})
    xl, sd, broken = entries(models)

    found = store.find(xl)

    assert found is not None
    assert found.pipeline == models / "xl"
    assert found.tiny_autoencoder is not None
    assert found.lora == models / "style" / "pytorch_lora_weights.safetensors"
    assert found.size_bytes > 1_000_000
    assert store.explain(sd) == ""
    assert "it is not whole" in store.explain(broken)


async def test_models_are_loaded_paint_and_replace_one_another(models: Path) -> None:
    async with house_of_tiny_models(models) as (house, scheduler):
        for name in ("xl", "sd", "xl"):
            with await house.lease(name) as lease:
                request = PictureRequest("a red fox", model=name, width=64, height=64)
                lease.engine.check(request)
                work = Work(lease.engine, Timeline.still(request))
                painted = await scheduler.paint(work, caller=scheduler.caller(""))

            assert painted.pixels.shape == (64, 64, 3)
            assert house.state(name) is State.READY

        assert house.counts["loads"] == 3
        assert house.counts["evictions"] == 2


async def test_a_broken_folder_is_told_and_another_model_paints(models: Path) -> None:
    async with house_of_tiny_models(models) as (house, _):
        with await house.lease("broken") as lease:
            assert lease.model.name == "xl"
            assert "it is not whole" in lease.warnings[0]
            assert house.state("broken") is State.FAILED


async def test_without_a_fallback_a_broken_folder_is_an_error(models: Path) -> None:
    store = WeightStore(models, download=False, environ={"HF_HOME": str(models / "none")})

    with pytest.raises(ModelLoadError, match="it is not whole"):
        store.provide(entries(models)[2])

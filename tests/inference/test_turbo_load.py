"""From a folder to a model: what is read is what was written, and what cannot be is told in a sentence."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs


torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import load_file, save_file  # noqa: E402 (torch first)

from inference.engine import ModelDescription, OutOfMemoryError  # noqa: E402
from inference.errors import ModelLoadError  # noqa: E402
from inference.models.entry import CatalogueEntry, Family, Weights  # noqa: E402
from inference.turbo import networks  # noqa: E402
from inference.turbo.components import Components  # noqa: E402
from inference.turbo.device import Device, free_bytes  # noqa: E402
from inference.turbo.load import TurboLoader  # noqa: E402
from inference.turbo.random_weights import (  # noqa: E402
    save_tiny,
    save_tiny_lora,
    save_tiny_upscaler,
    tiny_autoencoder_folder,
)


pytestmark = [
    pytest.mark.diffusion,
    # What diffusers' schedulers do with numpy.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

UNET = "unet/diffusion_pytorch_model.safetensors"
ENCODER = "text_encoder/model.safetensors"
LORA_LAYER = "up_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whoever would reach out: everything here is read from folders."""

    def refuse(*address: object) -> None:
        raise AssertionError(f"somebody connects to {address[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: refuse(None, *address))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Components]:
    """Return a tiny SDXL pipeline's folder, to be copied, and what is in it."""
    folder = tmp_path_factory.mktemp("written") / "model"
    return folder, save_tiny(folder, autoencoder="kl", with_tiny_autoencoder=True)


@pytest.fixture
def folder(written: tuple[Path, Components], tmp_path: Path) -> Path:
    """Return a copy that a test may break."""
    return Path(shutil.copytree(written[0], tmp_path / "model"))


def device(dtype: Any = torch.float32) -> Device:
    return Device("cpu", "cpu", "a CPU", dtype, 2**34)


def entry(family: Family = "sdxl", **places: Any) -> CatalogueEntry:
    model = ModelDescription("sdxl-turbo", "one step", "turbo", is_neural=True)
    return CatalogueEntry(model, family, **places)


def read(
    folder: Path | None, family: Family = "sdxl", dtype: Any = torch.float32, **parts: Path
) -> Components:
    return TurboLoader(device(dtype)).read(entry(family), Weights(pipeline=folder, **parts))


def reason(folder: Path | None, family: Family = "sdxl", **parts: Path) -> str:
    """Return why a folder cannot be read."""
    with pytest.raises(ModelLoadError) as failed:
        read(folder, family, **parts)
    assert failed.value.model == "sdxl-turbo"
    assert "\n" not in failed.value.reason
    return failed.value.reason


def rewrite(file: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the tensors of a file."""
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def configure(file: Path, **values: Any) -> None:
    """Change values of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def assert_same_weights(one: Components, other: Components, dtype: Any = torch.float32) -> None:
    for (name, first), (_, second) in zip(one.parts(), other.parts(), strict=True):
        left, right = first.state_dict(), second.state_dict()
        assert left.keys() == right.keys(), name
        assert all(torch.equal(left[key].to(dtype), right[key].to(dtype)) for key in left), name


def test_a_pipeline_is_read_as_it_was_written(written: tuple[Path, Components]) -> None:
    place, saved = written

    made = read(place, tiny_autoencoder=tiny_autoencoder_folder(place))

    assert made.family == "sdxl"
    assert made.scheduler_config["timestep_spacing"] == "trailing"
    assert made.force_zeros_for_empty_prompt
    assert not made.requires_aesthetics_score
    assert [tokenizer.pad_token for tokenizer in made.tokenizers] == ["<|endoftext|>", "!"]
    assert_same_weights(made, saved)
    assert not any(parameter.requires_grad for _, module in made.parts() for parameter in module.parameters())
    assert not any(module.training for _, module in made.parts())


def test_a_pipeline_of_the_sd_shape_is_read_as_it_was_written(tmp_path: Path) -> None:
    saved = save_tiny(tmp_path / "sd", "sd", autoencoder="tiny", prediction_type="v_prediction")

    made = read(tmp_path / "sd", "sd")

    saved.tiny_autoencoder = None
    assert_same_weights(made, saved)
    assert made.prediction_type == "v_prediction"


def test_everything_is_read_in_the_precision_of_the_device(written: tuple[Path, Components]) -> None:
    made = read(written[0], dtype=torch.bfloat16, tiny_autoencoder=tiny_autoencoder_folder(written[0]))

    assert {parameter.dtype for _, module in made.parts() for parameter in module.parameters()} == {
        torch.bfloat16
    }


def test_an_autoencoder_that_overflows_in_float16_is_read_in_float32(folder: Path) -> None:
    made = read(folder, dtype=torch.float16)
    configure(folder / "vae/config.json", force_upcast=False)
    fixed = read(folder, dtype=torch.float16)

    assert (made.unet.dtype, made.autoencoder.dtype) == (torch.float16, torch.float32)
    assert not made.autoencoder.config.force_upcast
    assert fixed.autoencoder.dtype == torch.float16


def test_files_of_16_bits_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    saved = save_tiny(tmp_path / "half", autoencoder="tiny", dtype=torch.float16, variant="fp16")
    saved.tiny_autoencoder = None

    made = read(tmp_path / "half")

    assert (tmp_path / "half/unet/diffusion_pytorch_model.fp16.safetensors").is_file()
    assert_same_weights(made, saved)


def test_files_of_16_bits_are_preferred_by_a_device_that_computes_in_them(folder: Path) -> None:
    half = folder / "unet/diffusion_pytorch_model.fp16.safetensors"
    save_file({name: tensor.half() * 0.5 for name, tensor in load_file(folder / UNET).items()}, half)

    full, halved = read(folder), read(folder, dtype=torch.bfloat16)

    weights = full.unet.conv_in.weight
    assert torch.allclose(halved.unet.conv_in.weight.float(), weights * 0.5, rtol=0.02)


def test_weights_in_several_files_are_read_together(written: tuple[Path, Components], folder: Path) -> None:
    tensors = load_file(folder / UNET)
    (folder / UNET).unlink()
    names = sorted(tensors)
    for index, part in enumerate((names[:50], names[50:]), start=1):
        file = folder / f"unet/diffusion_pytorch_model-0000{index}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, file)

    made = read(folder)

    assert torch.equal(made.unet.conv_in.weight, written[1].unet.conv_in.weight)


def test_weights_under_their_former_names_are_read(written: tuple[Path, Components], folder: Path) -> None:
    former = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}

    def rename(tensors: dict[str, Any]) -> dict[str, Any]:
        for present, past in former.items():
            tensors = {name.replace(present, past): tensor for name, tensor in tensors.items()}
        return tensors

    rewrite(folder / "vae/diffusion_pytorch_model.safetensors", rename)
    # As published: with the prefix, and with a buffer that is no weight.
    rewrite(
        folder / ENCODER,
        lambda tensors: {
            "text_model.embeddings.position_ids": torch.arange(77)[None],
            **{f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in tensors.items()},
        },
    )

    made = read(folder, tiny_autoencoder=tiny_autoencoder_folder(written[0]))

    assert_same_weights(made, written[1])


def test_a_file_that_is_not_the_libraries_own_is_passed_over(folder: Path) -> None:
    (folder / "vae/sdxl_vae.safetensors").write_bytes(b"the same in another form")
    save_file({"conv_in.weight": torch.zeros(1)}, folder / "unet/diffusion_pytorch_model.non_ema.safetensors")

    made = read(folder)

    assert made.unet.conv_in.weight.any()


def test_another_autoencoder_takes_the_place_of_the_pipelines_own(
    written: tuple[Path, Components], tmp_path: Path
) -> None:
    other = save_tiny(tmp_path / "other", seed=9)

    # The folder of an autoencoder, and that of a pipeline that has one.
    alone = read(written[0], autoencoder=tmp_path / "other" / "vae")
    inner = read(written[0], autoencoder=tmp_path / "other")

    for made in (alone, inner):
        weights = made.autoencoder.state_dict()
        assert all(torch.equal(weights[key], value) for key, value in other.autoencoder.state_dict().items())


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_lora_is_fused_by_its_scale(written: tuple[Path, Components], tmp_path: Path, scale: float) -> None:
    place, saved = written
    file = save_tiny_lora(tmp_path / "lora", saved)
    lora = load_file(file)
    down, up = (lora[f"unet.{LORA_LAYER}.lora_{side}.weight"] for side in "AB")

    made = TurboLoader(device()).read(entry(lora_scale=scale), Weights(pipeline=place, lora=file.parent))

    fused, plain = (unet.get_submodule(LORA_LAYER) for unet in (made.unet, saved.unet))
    assert type(fused) is type(plain)
    assert torch.allclose(fused.weight, plain.weight + scale * (up @ down), atol=1e-5)
    assert made.unet.state_dict().keys() == saved.unet.state_dict().keys()


def test_a_lora_in_the_form_of_kohyas_scripts_is_fused_by_its_alpha(
    written: tuple[Path, Components], tmp_path: Path
) -> None:
    file = save_tiny_lora(tmp_path / "lora", written[1])
    lora = load_file(file)
    down, up = (lora[f"unet.{LORA_LAYER}.lora_{side}.weight"] for side in "AB")
    kohya: dict[str, Any] = {}
    for name, tensor in lora.items():
        layer, _, side = name.removeprefix("unet.").removesuffix(".weight").rpartition(".lora_")
        stem = f"lora_unet_{layer.replace('.', '_')}"
        kohya[f"{stem}.lora_{'down' if side == 'A' else 'up'}.weight"] = tensor
        kohya[f"{stem}.alpha"] = torch.tensor(2.0)
    save_file(kohya, file)

    made = read(written[0], lora=file)

    plain = written[1].unet.get_submodule(LORA_LAYER).weight
    # Alpha by rank is a half.
    expected = plain + 0.5 * (up @ down)
    assert torch.allclose(made.unet.get_submodule(LORA_LAYER).weight, expected, atol=1e-5)


def test_a_lora_may_be_named_by_its_file(written: tuple[Path, Components], tmp_path: Path) -> None:
    file = save_tiny_lora(tmp_path / "lora", written[1])
    renamed = file.rename(file.with_name("pixels.safetensors"))

    made = read(written[0], lora=renamed)

    assert not torch.equal(
        made.unet.get_submodule(LORA_LAYER).weight, written[1].unet.get_submodule(LORA_LAYER).weight
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda name, tensor: (name.replace("up_blocks", "upper_blocks"), tensor),
            r"only \d+ of the \d+ layers of the LoRA .* fit",
        ),
        (lambda name, tensor: (name.replace("blocks", "rooms"), tensor), "does not fit this model"),
        (lambda name, tensor: (name.replace("lora", "data"), tensor), "holds no LoRA"),
        (lambda name, tensor: (name, tensor[:, :3].contiguous() if "_A" in name else tensor), "does not fit"),
        (lambda name, tensor: (name, tensor * torch.nan), "does not fit|not numbers"),
    ],
    ids=["another-models-names", "no-name-fits", "no-lora", "another-models-width", "no-numbers"],
)
def test_a_lora_that_does_not_fit_is_refused(
    written: tuple[Path, Components],
    tmp_path: Path,
    change: Callable[[str, Any], tuple[str, Any]],
    message: str,
) -> None:
    file = save_tiny_lora(tmp_path / "lora", written[1])
    rewrite(file, lambda tensors: dict(change(name, tensor) for name, tensor in tensors.items()))

    assert re.search(message, reason(written[0], lora=file.parent))


def test_a_folder_without_one_lora_is_refused(written: tuple[Path, Components], tmp_path: Path) -> None:
    file = save_tiny_lora(tmp_path / "lora", written[1])
    shutil.copy(file, file.with_name("b.safetensors"))
    file.rename(file.with_name("a.safetensors"))

    assert "holds 2 .safetensors files; a LoRA is one" in reason(written[0], lora=file.parent)


def test_weights_that_are_not_here_are_told() -> None:
    assert "not on this machine" in reason(None)


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    single = tmp_path / "model.safetensors"
    single.write_bytes(b"")

    assert "is not there" in reason(tmp_path / "nowhere")
    assert "is a single file; a folder as diffusers writes it is needed" in reason(single)
    assert "there is no" in reason(tmp_path)


def test_a_pipeline_of_another_family_is_told(folder: Path) -> None:
    assert "holds a StableDiffusionXLPipeline, not a StableDiffusionPipeline" in reason(folder, "sd")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder_2", "tokenizer", "scheduler"])
def test_a_missing_part_is_named(folder: Path, part: str) -> None:
    shutil.rmtree(folder / part)

    assert f"the {part} is missing" in reason(folder)


@pytest.mark.parametrize("file", [UNET, ENCODER])
def test_a_file_that_was_cut_short_is_named(folder: Path, file: str) -> None:
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])

    assert f"{folder / file} is damaged or cut short" in reason(folder)


def test_an_empty_file_is_named(folder: Path) -> None:
    (folder / UNET).write_bytes(b"")

    assert f"{folder / UNET} is damaged or cut short" in reason(folder)


def test_missing_weights_are_told(folder: Path) -> None:
    (folder / UNET).unlink()

    assert "the unet in" in (told := reason(folder))
    assert "has no weights (.safetensors)" in told


def test_pickles_are_never_opened(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet/diffusion_pytorch_model.bin")

    assert "pickle (.bin), which is never opened" in reason(folder)


@pytest.mark.parametrize(("part", "file"), [("unet", UNET), ("text_encoder", ENCODER)])
def test_a_weight_that_is_not_in_the_file_is_named(folder: Path, part: str, file: str) -> None:
    names = sorted(load_file(folder / file))
    rewrite(folder / file, lambda tensors: {name: tensors[name] for name in names[1:]})

    told = reason(folder)

    assert f"the {part} in" in told
    assert re.search(rf"lacks 1 of its {len(names)} weights, such as \S+; download", told)


def test_a_weight_of_another_shape_is_named(folder: Path) -> None:
    rewrite(folder / UNET, lambda tensors: tensors | {"conv_in.weight": torch.zeros(32, 9, 3, 3)})

    assert "conv_in.weight is (32, 9, 3, 3) where its config.json says (32, 4, 3, 3)" in reason(folder)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_weights_that_are_not_numbers_are_told(folder: Path, poison: float) -> None:
    rewrite(folder / UNET, lambda tensors: tensors | {"conv_in.bias": torch.full((32,), poison)})

    assert "the unet has values in conv_in.bias that are not numbers" in reason(folder)


def test_a_network_of_another_class_is_told(folder: Path) -> None:
    configure(folder / "unet/config.json", _class_name="UNet3DConditionModel")
    assert "is a UNet3DConditionModel, not a UNet2DConditionModel" in reason(folder)

    configure(folder / "vae/config.json", _class_name="AsymmetricAutoencoderKL")
    assert "is AsymmetricAutoencoderKL, not AutoencoderKL or AutoencoderTiny" in reason(folder)


def test_a_config_that_describes_nothing_is_told(folder: Path) -> None:
    configure(folder / "unet/config.json", down_block_types=["NoSuchBlock", "DownBlock2D"])
    assert "describes no UNet2DConditionModel" in reason(folder)

    (folder / "unet/config.json").write_text("{")
    assert "cannot be read" in reason(folder)

    (folder / "unet/config.json").write_text("[]")
    assert "is not a JSON object" in reason(folder)


def test_a_full_autoencoder_in_the_place_of_a_tiny_one_is_refused(written: tuple[Path, Components]) -> None:
    assert "is AutoencoderKL, not AutoencoderTiny" in reason(written[0], tiny_autoencoder=written[0] / "vae")


def test_a_prediction_of_another_kind_is_refused(folder: Path) -> None:
    configure(folder / "scheduler/scheduler_config.json", prediction_type="sample")

    assert "its unet predicts 'sample', not epsilon or v_prediction" in reason(folder)


def test_memory_that_ran_out_is_told_as_such(
    written: tuple[Path, Components], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(networks, "check_values", exhausted)

    with pytest.raises(OutOfMemoryError, match="not enough memory to read model sdxl-turbo"):
        read(written[0])


def test_a_broken_upscaler_does_not_keep_the_model_from_painting(
    written: tuple[Path, Components], tmp_path: Path
) -> None:
    save_tiny_upscaler(tmp_path / "good", factor=2)
    (tmp_path / "bad").mkdir()
    named = entry(upscaler="somebody/latent-upscaler")
    loader = TurboLoader(device())

    good = loader.read(named, Weights(pipeline=written[0], upscaler=tmp_path / "good"))
    with capture_logs() as logged:
        bad = loader.read(named, Weights(pipeline=written[0], upscaler=tmp_path / "bad"))

    assert good.upscaler is not None
    assert good.upscaler.name == "latent-upscaler"
    assert [name for name, _ in good.parts()][-3:] == [
        "upscaler's text encoder",
        "upscaler's vae",
        "upscaler's unet",
    ]
    assert bad.upscaler is None
    assert [line["event"] for line in logged] == ["upscaler_failed"]
    assert "the upscaler is missing" in logged[0]["reason"]


def test_the_painter_is_not_loaded_here() -> None:
    assert "not a neural network" in reason(None, "procedural")


def test_reading_leaves_the_rest_of_the_process_alone(
    written: tuple[Path, Components], tmp_path: Path
) -> None:
    # Another thread paints meanwhile: what it makes and builds must not come out otherwise.
    seen: set[tuple[Any, ...]] = set()
    reader = threading.get_ident()
    registered = itertools.count()

    def elsewhere() -> None:
        layer = torch.nn.Linear(2, 2)
        seen.add((torch.zeros(1).dtype, layer.weight.device.type, bool(layer.weight.any())))

    def while_it_is_built(*_: object) -> None:
        # Thousands of parameters: some of each network's tell as much.
        if threading.get_ident() == reader and next(registered) % 40 == 0:
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()

    hook = torch.nn.modules.module.register_module_parameter_registration_hook(while_it_is_built)
    lora = save_tiny_lora(tmp_path / "lora", written[1])
    try:
        read(written[0], dtype=torch.bfloat16, lora=lora)
    finally:
        hook.remove()

    assert seen == {(torch.float32, "cpu", True)}


def test_the_loader_makes_an_engine_of_it(written: tuple[Path, Components]) -> None:
    loader = TurboLoader(device(), acceleration="none")

    engine = loader.load(entry(), Weights(pipeline=written[0]))

    assert engine.model.name == "sdxl-turbo"
    assert (engine.device, engine.dtype) == ("cpu", "float32")
    assert engine.size_bytes > 1_000_000
    assert loader.free_bytes() == pytest.approx(free_bytes(device()), rel=0.5)

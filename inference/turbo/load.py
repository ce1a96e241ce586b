"""From a folder of weights to an engine, offline.

Every part is read by itself, so that what is wrong can be told by its name, and nothing but safetensors
is opened. Everything happens in the machine's memory: the engine copies its parts to the device one by
one, between two steps of the other models.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import diffusers
import structlog
import torch
import transformers
from safetensors import SafetensorError, safe_open

from inference.engine import Engine, OutOfMemoryError
from inference.errors import ModelLoadError
from inference.models.entry import CatalogueEntry, Weights

from .checks import UnfitError, check_shape
from .components import Components, NetworkFamily, pipeline_of
from .device import Device, free_bytes
from .memory import give_memory_back, is_out_of_memory
from .networks import quieten, read_json, read_network, read_tokenizer
from .upscaler import Upscaler, read_upscaler


Acceleration = Literal["auto", "none", "graphs", "compile"]

# What `model_index.json` calls a pipeline of each shape; they differ in what they start from only.
_PIPELINE_NAMES: dict[NetworkFamily, tuple[str, ...]] = {
    "sdxl": (
        "StableDiffusionXLPipeline",
        "StableDiffusionXLImg2ImgPipeline",
        "StableDiffusionXLInpaintPipeline",
    ),
    "sd": ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"),
}
_TEXT_PARTS: dict[NetworkFamily, tuple[tuple[str, str, Any], ...]] = {
    "sdxl": (
        ("tokenizer", "text_encoder", transformers.CLIPTextModel),
        ("tokenizer_2", "text_encoder_2", transformers.CLIPTextModelWithProjection),
    ),
    "sd": (("tokenizer", "text_encoder", transformers.CLIPTextModel),),
}
_AUTOENCODERS = {"AutoencoderKL": diffusers.AutoencoderKL, "AutoencoderTiny": diffusers.AutoencoderTiny}


class TurboLoader:
    """Reads models for one device. Used by the loading thread alone."""

    def __init__(self, device: Device, *, acceleration: Acceleration = "auto") -> None:
        """Take the device that the engines are for.

        Args:
            device: From `choose_device`.
            acceleration: Handed on to the engines.
        """
        self._device = device
        self._acceleration: Acceleration = acceleration

    def load(self, entry: CatalogueEntry, weights: Weights) -> Engine:
        """Read a model into the machine's memory; the engine's `prepare` takes it to the device.

        Raises:
            ModelLoadError: If the files are not a model of this shape, or anything else of it fails.
            OutOfMemoryError: If memory ran out.
        """
        # The engine pulls in what this room paints with; reading alone does not need it.
        from .engine import TurboEngine

        components = self.read(entry, weights)
        engine: Engine = TurboEngine(entry.model, components, self._device, acceleration=self._acceleration)
        return engine

    def free_bytes(self) -> int | None:
        """Return the device's free memory, or None where it cannot be told."""
        return free_bytes(self._device)

    def read(self, entry: CatalogueEntry, weights: Weights) -> Components:
        """Read the parts of a model into the machine's memory, checked.

        Raises:
            ModelLoadError: As `load`.
            OutOfMemoryError: As `load`.
        """
        name = entry.model.name
        if entry.family == "procedural":
            raise ModelLoadError(name, "it is not a neural network")
        quieten()
        with _load_errors(name, self._device.kind):
            components = self._read(entry, entry.family, weights)
            check_shape(components)
            if weights.lora is not None:
                _fuse_lora(components, weights.lora, entry.lora_scale)
        components.upscaler = self._read_upscaler(entry, weights)
        return components

    def _read(self, entry: CatalogueEntry, family: NetworkFamily, weights: Weights) -> Components:
        folder, index = _open_pipeline(weights.pipeline, family)
        dtype = self._device.dtype
        pairs = _TEXT_PARTS[family]
        if weights.autoencoder is None:
            autoencoder = self._read_autoencoder("vae", folder / "vae")
        else:
            autoencoder = self._read_autoencoder("replacing autoencoder", _inner(weights.autoencoder, "vae"))
        tiny = weights.tiny_autoencoder
        return Components(
            family=family,
            unet=read_network("unet", folder / "unet", diffusers.UNet2DConditionModel, dtype),
            autoencoder=autoencoder,
            tokenizers=tuple(read_tokenizer(tokenizer, folder / tokenizer) for tokenizer, _, _ in pairs),
            text_encoders=tuple(read_network(part, folder / part, kind, dtype) for _, part, kind in pairs),
            scheduler_config=read_json("scheduler", folder / "scheduler" / "scheduler_config.json"),
            tiny_autoencoder=None if tiny is None else self._read_tiny(_inner(tiny, "vae")),
            force_zeros_for_empty_prompt=bool(index.get("force_zeros_for_empty_prompt", True)),
            requires_aesthetics_score=bool(index.get("requires_aesthetics_score", False)),
        )

    def _read_autoencoder(self, part: str, folder: Path) -> Any:
        config = read_json(part, folder / "config.json")
        kind = _AUTOENCODERS.get(str(config.get("_class_name")))
        if kind is None:
            raise UnfitError(f"the {part} is {config.get('_class_name')}, not {' or '.join(_AUTOENCODERS)}")
        dtype = self._device.dtype
        # SDXL's own overflows in float16; asked to upcast, diffusers would go to float32 and back per call.
        if dtype == torch.float16 and config.get("force_upcast", kind is diffusers.AutoencoderKL):
            dtype = torch.float32
        autoencoder = read_network(part, folder, kind, dtype)
        autoencoder.register_to_config(force_upcast=False)
        return autoencoder

    def _read_tiny(self, folder: Path) -> Any:
        part = "tiny autoencoder"
        named = read_json(part, folder / "config.json").get("_class_name")
        if named != "AutoencoderTiny":
            raise UnfitError(f"the {part} in {folder} is {named}, not AutoencoderTiny")
        return read_network(part, folder, diffusers.AutoencoderTiny, self._device.dtype)

    def _read_upscaler(self, entry: CatalogueEntry, weights: Weights) -> Upscaler | None:
        """Read the upscaler; without it pictures are still made larger, so its failure is only told."""
        if weights.upscaler is None:
            return None
        name = entry.upscaler.rstrip("/").rpartition("/")[2] or weights.upscaler.name
        try:
            with _load_errors(name, self._device.kind):
                return read_upscaler(weights.upscaler, self._device, name)
        except ModelLoadError as exc:
            structlog.get_logger("inference").warning(
                "upscaler_failed", model=entry.model.name, upscaler=name, reason=exc.reason, instead="lanczos"
            )
            return None


@contextmanager
def _load_errors(model: str, kind: str) -> Iterator[None]:
    """Raise what reading raises as what a loader may raise."""
    try:
        yield
    except UnfitError as exc:
        raise ModelLoadError(model, str(exc)) from exc
    except (OSError, ValueError, RuntimeError, MemoryError, KeyError, TypeError, SafetensorError) as exc:
        if not is_out_of_memory(exc):
            raise ModelLoadError(model, _first_line(exc)) from exc
        # What was read so far hangs on the frames of its traceback.
        exc.__traceback__ = None
    else:
        return
    give_memory_back(kind)
    raise OutOfMemoryError(f"there is not enough memory to read model {model}")


def _first_line(exc: BaseException) -> str:
    line = next(iter(str(exc).splitlines()), "")
    return f"{type(exc).__name__}: {line[:300]}"


def _open_pipeline(folder: Path | None, family: NetworkFamily) -> tuple[Path, dict[str, Any]]:
    """Return a pipeline's folder and what its index says.

    Raises:
        UnfitError: If it is not a pipeline of that shape.
    """
    if folder is None:
        raise UnfitError("its weights are not on this machine; download them, or allow the download")
    if folder.is_file():
        raise UnfitError(f"{folder} is a single file; a folder as diffusers writes it is needed")
    if not folder.is_dir():
        raise UnfitError(f"the folder {folder} is not there")
    index = read_json("pipeline", folder / "model_index.json")
    named = index.get("_class_name")
    if named not in _PIPELINE_NAMES[family]:
        raise UnfitError(f"{folder} holds a {named}, not a {_PIPELINE_NAMES[family][0]} (family {family})")
    return folder, index


def _inner(folder: Path, part: str) -> Path:
    """Return where a part lies: in its own folder, or in that of a whole pipeline."""
    return folder / part if (folder / part / "config.json").is_file() else folder


def _fuse_lora(components: Components, place: Path, scale: float) -> None:
    """Add a LoRA to the networks that it was made for.

    Raises:
        UnfitError: If it is none, or not one of this model.
    """
    file = _lora_file(place)
    try:
        wanted = _lora_layers(file)
        pipeline = pipeline_of(components)
        # Without `low_cpu_mem_usage`, which would change how modules are built in the whole process.
        pipeline.load_lora_weights(
            file.parent,
            weight_name=file.name,
            local_files_only=True,
            use_safetensors=True,
            low_cpu_mem_usage=False,
        )
        applied = _applied_layers(components)
        if applied < wanted:
            raise UnfitError(f"only {applied} of the {wanted} layers of the LoRA {file} fit this model")
        pipeline.fuse_lora(lora_scale=scale, safe_fusing=True)
        pipeline.unload_lora_weights()
    except (ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as exc:
        if is_out_of_memory(exc):
            raise
        raise UnfitError(f"the LoRA {file} does not fit this model ({_first_line(exc)})") from exc


def _lora_file(place: Path) -> Path:
    if place.is_file():
        return place
    files = sorted(place.glob("*.safetensors"))
    named = [file for file in files if file.name == "pytorch_lora_weights.safetensors"]
    if len(named or files) != 1:
        raise UnfitError(
            f"{place} holds {len(files)} .safetensors files; a LoRA is one: name the file, or keep only it"
        )
    return (named or files)[0]


def _lora_layers(file: Path) -> int:
    """Count the layers that a LoRA changes: those whose second matrix is not all zeros."""
    with safe_open(file, framework="pt") as opened:
        names = [name for name in opened.keys() if name.endswith(_SECOND_MATRICES)]  # noqa: SIM118 (no mapping)
        if not names:
            raise UnfitError(f"{file} holds no LoRA")
        return sum(bool(opened.get_tensor(name).any()) for name in names)


# How a LoRA's second matrix is called: by peft, by kohya's scripts, by diffusers of old.
_SECOND_MATRICES = ("lora_B.weight", "lora_up.weight", "lora.up.weight")


def _applied_layers(components: Components) -> int:
    """Count the layers that a LoRA took hold of: peft begins with zeros where nothing was read."""
    return sum(
        bool(parameter.any())
        for network in (components.unet, *components.text_encoders)
        for name, parameter in network.named_parameters()
        if ".lora_B." in name
    )

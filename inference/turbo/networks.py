"""One network of a pipeline: from its config and its safetensors to a module in the machine's memory.

The libraries' own `from_pretrained` is not used, because it changes the whole process while it runs:
the default dtype, `torch.nn.init` and how modules register parameters. Another model may be painting
meanwhile, and its pictures would come out otherwise. Here the module is built on the meta device, which
is of this thread alone, and gets its tensors afterwards.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors import safe_open
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from .checks import UnfitError, check_files, check_values, weight_files


# The variant that most models of 16 bits come in.
HALF_VARIANT = "fp16"
# How the attention of autoencoders was called when the first Stable Diffusion was published.
_FORMER_NAMES = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
# What CLIP's weights are called by, and what some versions of transformers leave away.
_CLIP_PREFIX = "text_model."


def read_network(part: str, folder: Path, kind: Any, dtype: Any) -> Any:
    """Read one network, whole, checked and in one precision.

    Args:
        part: Its name in the pipeline, for messages.
        folder: With its config.json and its weights.
        kind: The class that it must be of.
        dtype: Of its floating-point tensors.

    Raises:
        UnfitError: If anything is missing, damaged or of another shape.
    """
    config = read_json(part, folder / "config.json")
    # Transformers tells the class in a list, of which older files have none.
    told = config.get("_class_name") or next(iter(config.get("architectures") or ()), kind.__name__)
    if told != kind.__name__:
        raise UnfitError(f"the {part} in {folder} is a {told}, not a {kind.__name__}")
    variant = choose_variant(folder, dtype)
    check_files(part, folder, variant)
    module = _build(part, folder, kind, config)
    wanted = module.state_dict()
    read: dict[str, Any] = {}
    for name, tensor in _tensors(weight_files(folder, variant), wanted):
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)} where its config.json says {tuple(wanted[name].shape)}"
            raise UnfitError(f"the {part} in {folder} does not fit its config: {name} is {shapes}")
        # Copied, because what is read is only mapped: the engines' thread must not wait for the disk.
        read[name] = tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
    if missing := sorted(wanted.keys() - read.keys()):
        raise UnfitError(
            f"the {part} in {folder} lacks {len(missing)} of its {len(wanted)} weights, such as "
            f"{missing[0]}; download the model again"
        )
    module.load_state_dict(read, assign=True)
    _make_buffers(module)
    check_values(part, module)
    return module.eval().requires_grad_(False)


def quieten() -> None:
    """Keep the libraries from writing bars and notes: what fails is raised, and told by us."""
    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.disable_progress_bar()
        library.set_verbosity(logging.CRITICAL)


def read_tokenizer(part: str, folder: Path) -> Any:
    """Read a CLIP tokenizer.

    Raises:
        UnfitError: If it is missing.
    """
    files = ("tokenizer.json", "vocab.json")
    if not any((folder / file).is_file() for file in files):
        raise UnfitError(f"the {part} is missing: {folder} has neither {' nor '.join(files)}")
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def read_json(part: str, file: Path) -> dict[str, Any]:
    """Read one of a pipeline's JSON files.

    Raises:
        UnfitError: If it is missing or no JSON object.
    """
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise UnfitError(f"the {part} is missing: there is no {file}; download it again") from exc
    except (OSError, ValueError) as exc:
        raise UnfitError(f"{file} cannot be read ({exc}); download it again") from exc
    if not isinstance(read, dict):
        raise UnfitError(f"{file} is not a JSON object; download it again")
    return read


def choose_variant(folder: Path, dtype: Any) -> str | None:
    """Choose between a network's files of 16 and of 32 bits, where there are both."""
    wanted = None if dtype == torch.float32 else HALF_VARIANT
    for variant in (wanted, None, HALF_VARIANT):
        if weight_files(folder, variant):
            return variant
    return None


def _build(part: str, folder: Path, kind: Any, config: dict[str, Any]) -> Any:
    """Build the module that a config describes, without values."""
    try:
        with torch.device("meta"):
            if kind in (CLIPTextModel, CLIPTextModelWithProjection):
                return kind(kind.config_class.from_dict(config))
            return kind.from_config(config)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError) as exc:
        raise UnfitError(f"the config.json in {folder} describes no {kind.__name__} ({exc})") from exc


def _tensors(files: list[Path], wanted: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the tensors of the files that a module has a place for, under the names that it gives them."""
    for file in files:
        with safe_open(file, framework="pt") as opened:
            for stored in opened.keys():  # noqa: SIM118 (it is no mapping)
                if (name := _own_name(stored, wanted)) is not None:
                    yield name, opened.get_tensor(stored)


def _own_name(stored: str, wanted: dict[str, Any]) -> str | None:
    """Return what a module calls a stored tensor; None: it has no place for it."""
    renamed = stored
    for former, present in _FORMER_NAMES.items():
        renamed = renamed.replace(former, present)
    names = (stored, renamed, stored.removeprefix(_CLIP_PREFIX), _CLIP_PREFIX + stored)
    return next((name for name in names if name in wanted), None)


def _make_buffers(module: Any) -> None:
    """Give the buffers values that no file holds."""
    for name, buffer in list(module.named_buffers()):
        if not buffer.is_meta:
            continue
        if not name.endswith("position_ids"):
            raise UnfitError(f"nothing is known of {name}, which no file holds")
        owner, _, last = name.rpartition(".")
        values = torch.arange(buffer.shape[-1]).expand(buffer.shape)
        module.get_submodule(owner).register_buffer(last, values, persistent=False)

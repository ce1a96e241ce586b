"""Whether the files of a model are whole, told without reading their tensors. Reads files, loads nothing.

Only safetensors count: a pickle runs whatever its author wrote. Whatever names a file comes from another
file; such names are taken only where they are plain names within their own folder.
"""

from __future__ import annotations

import functools
import json
import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inference.models.entry import Family


# What a pipeline of a family is loaded from. Whatever else it lists (safety checker, feature extractor) is
# neither needed nor fetched.
COMPONENTS: dict[Family, tuple[str, ...]] = {
    "sdxl": ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae"),
    "sd": ("scheduler", "text_encoder", "tokenizer", "unet", "vae"),
}

MODEL_INDEX = "model_index.json"
LORA_NAME = "pytorch_lora_weights.safetensors"

_WEIGHTS = re.compile(
    r"(diffusion_pytorch_model|model)(\.fp16)?(-\d{5}-of-(\d{5}))?(\.fp16)?\.safetensors", re.ASCII
)
_WEIGHTS_INDEX = re.compile(r"(diffusion_pytorch_model|model)\.safetensors\.index(\.fp16)?\.json", re.ASCII)

# Of a safetensors file's header, bytes: the library's own limit.
_MAX_HEADER_BYTES = 100_000_000

# Of a JSON file that is read whole, bytes: the largest (indices of shards) are some hundred kilobytes.
_MAX_JSON_BYTES = 32_000_000


class NotWholeError(Exception):
    """Files of a model are missing, cut short, or of another kind; the message says which."""


def check_pipeline(folder: Path, family: Family | None) -> int:
    """Check a folder of a diffusers pipeline.

    Args:
        folder: With ``model_index.json``.
        family: What it has to be; None: any pipeline, all of whose parts are checked.

    Returns:
        The size of the weights that are loaded from it, bytes.

    Raises:
        NotWholeError: If anything that is needed is missing or not whole.
    """
    index = _read_json(folder / MODEL_INDEX)
    listed = {
        name: str(parts[1])
        for name, parts in index.items()
        if isinstance(parts, list) and len(parts) == 2 and parts[0] and parts[1]
    }
    for name in (needed := COMPONENTS[family] if family is not None else tuple(listed)):
        if name not in listed:
            raise NotWholeError(f"{MODEL_INDEX} lists no {name}, which family {family} needs")
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise NotWholeError(f"{MODEL_INDEX} lists {name!r}, which is no name of a part")
    return sum(_check_component(folder / name, listed[name]) for name in needed)


def check_model(folder: Path) -> int:
    """Check a folder of one network, such as an autoencoder.

    Returns:
        The size of its weights, bytes.

    Raises:
        NotWholeError: If its configuration or weights are missing or not whole.
    """
    _read_json(folder / "config.json")
    names = _names(folder)
    chosen = choose_weights(names)
    if not chosen:
        if any(name.endswith((".bin", ".pt", ".ckpt", ".pth")) for name in names):
            raise NotWholeError(f"{folder.name} has only pickled weights (.bin): safetensors are needed")
        raise NotWholeError(f"{folder.name} has no weights (.safetensors)")
    _check_shards(folder, names, chosen)
    return sum(check_tensors(folder / name) for name in chosen)


def find_lora(place: Path) -> tuple[Path, int]:
    """Find the one file of a LoRA: the place itself, or in its folder.

    Returns:
        The file, and its size in bytes.

    Raises:
        NotWholeError: If there is none, none to prefer, or it is not whole.
    """
    if place.is_file():
        if place.suffix != ".safetensors":
            raise NotWholeError(f"{place.name} is not a safetensors file")
        return place, check_tensors(place)
    names = choose_lora(_names(place))
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise NotWholeError(f"{place.name} must have one .safetensors file or {LORA_NAME}, found: {found}")
    return place / names[0], check_tensors(place / names[0])


def choose_weights(names: Iterable[str]) -> list[str]:
    """Choose which of a network's files are its weights: those of half precision, else the plain ones.

    Other variants, such as ``non_ema``, are never loaded.
    """
    halves: list[str] = []
    plain: list[str] = []
    for name in sorted(names):
        if match := _WEIGHTS.fullmatch(name):
            (halves if match[2] or match[5] else plain).append(name)
    chosen = halves or plain
    # Where both are there, a single file is preferred to its shards, as the loader does.
    return [name for name in chosen if "-of-" not in name] or chosen


def choose_lora(names: Iterable[str]) -> list[str]:
    """Choose which files may be a LoRA: the one of the usual name, else every one."""
    found = [name for name in sorted(names) if name.endswith(".safetensors")]
    return [LORA_NAME] if LORA_NAME in found else found


def choose_files(names: Iterable[str], components: Iterable[str]) -> list[str]:
    """Choose which files of a repository make a pipeline, or one network where there are no components.

    Returns:
        Paths in the repository: configurations, vocabularies, and one set of weights each. A network that
        has no safetensors is chosen without weights.
    """
    folders: dict[str, list[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        folders.setdefault(folder, []).append(file)
    components = tuple(components)
    chosen = [MODEL_INDEX] if components else []
    for folder in components or ("",):
        files = folders.get(folder, [])
        weights = choose_weights(files)
        is_sharded = any("-of-" in file for file in weights)
        texts = [
            file
            for file in files
            if file.endswith((".json", ".txt", ".model"))
            and file != MODEL_INDEX
            and (is_sharded or not _WEIGHTS_INDEX.fullmatch(file))
        ]
        chosen += [f"{folder}/{file}" if folder else file for file in (*texts, *weights)]
    return chosen


def check_tensors(file: Path) -> int:
    """Check that a safetensors file is as long as its own header says.

    Returns:
        Its size, bytes.

    Raises:
        NotWholeError: If it is not, or has no such header.
    """
    try:
        status = file.stat()
    except OSError as exc:
        raise NotWholeError(f"{file.name} cannot be read: {exc.strerror}") from exc
    if problem := _find_problem(file, status.st_size, status.st_mtime_ns):
        raise NotWholeError(f"{file.parent.name}/{file.name} {problem}")
    return status.st_size


@functools.lru_cache(maxsize=1024)
def _find_problem(file: Path, size_bytes: int, _changed_ns: int) -> str:
    """Tell what is wrong with a safetensors file, or ""; files that did not change are not read again."""
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
            header_bytes = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= header_bytes <= min(_MAX_HEADER_BYTES, size_bytes - 8):
                return "is no safetensors file, or is cut short in its header"
            header = json.loads(stream.read(header_bytes))
        tensors = [value for name, value in header.items() if name != "__metadata__"]
        whole_bytes = 8 + header_bytes + max((tensor["data_offsets"][1] for tensor in tensors), default=0)
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return "has a header that is not one of safetensors"
    if size_bytes != whole_bytes:
        return f"is {size_bytes} bytes long and should be {whole_bytes}: it is not whole"
    return ""


def _check_component(folder: Path, kind: str) -> int:
    if not folder.is_dir():
        raise NotWholeError(f"the folder {folder.name} is missing")
    if "Scheduler" in kind:
        _read_json(folder / "scheduler_config.json")
        return 0
    if "Tokenizer" in kind:
        names = set(_names(folder))
        if not ("tokenizer.json" in names or {"vocab.json", "merges.txt"} <= names):
            raise NotWholeError(f"{folder.name} has neither tokenizer.json nor vocab.json and merges.txt")
        return 0
    if "Processor" in kind or "Extractor" in kind:
        _read_json(folder / "preprocessor_config.json")
        return 0
    return check_model(folder)


def _check_shards(folder: Path, names: list[str], chosen: list[str]) -> None:
    """Check that weights in several files are all there."""
    counts = {int(match[4]) for name in chosen if (match := _WEIGHTS.fullmatch(name)) and match[4]}
    if not counts:
        return
    if {len(chosen)} != counts:
        raise NotWholeError(f"{folder.name} has {len(chosen)} of {max(counts)} files of weights")
    is_half = ".fp16" in chosen[0]
    for name in names:
        if (match := _WEIGHTS_INDEX.fullmatch(name)) and bool(match[2]) is is_half:
            files = _read_json(folder / name).get("weight_map")
            if not isinstance(files, dict) or not set(map(str, files.values())) <= set(chosen):
                raise NotWholeError(f"{folder.name}/{name} lists weights that are not there")
            return
    raise NotWholeError(f"{folder.name} has weights in several files and no index of them")


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as exc:
        raise NotWholeError(f"{folder.name} cannot be read: {exc.strerror}") from exc


def _read_json(file: Path) -> dict[str, Any]:
    where = f"{file.parent.name}/{file.name}"
    try:
        if file.stat().st_size > _MAX_JSON_BYTES:
            raise NotWholeError(f"{where} is larger than {_MAX_JSON_BYTES} bytes")
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise NotWholeError(f"{where} is missing") from None
    except OSError as exc:
        raise NotWholeError(f"{where} cannot be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise NotWholeError(f"{where} is not JSON") from exc
    if not isinstance(content, dict):
        raise NotWholeError(f"{where} holds no JSON object")
    return content

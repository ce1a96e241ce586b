"""The parts that a model is made of: which there are, how each is recognised, checked and chosen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inference.models.checks import (
    COMPONENTS,
    MODEL_INDEX,
    check_model,
    check_pipeline,
    choose_files,
    choose_lora,
    find_lora,
)
from inference.models.entry import CatalogueEntry
from inference.models.places import is_hub_id


Part = Literal["pipeline", "lora", "tiny_autoencoder", "autoencoder", "upscaler"]

# Without these a model is another one, or none; without the others it is slower or plainer.
REQUIRED: tuple[Part, ...] = ("pipeline", "lora")
# Of the others, those that are fetched. An upscaler is a luxury of some gigabytes: whoever wants it
# fetches it.
SMALL: tuple[Part, ...] = ("tiny_autoencoder", "autoencoder")
PARTS: tuple[Part, ...] = (*REQUIRED, *SMALL, "upscaler")


@dataclass(frozen=True, slots=True)
class Found:
    """A part on this machine, checked."""

    path: Path
    size_bytes: int


def place_of(entry: CatalogueEntry, part: Part) -> str:
    """Return where a part of an entry comes from; empty where it has none."""
    place: str = getattr(entry, "place" if part == "pipeline" else part)
    return place


def hub_ids(entries: Collection[CatalogueEntry]) -> set[str]:
    """Return every hub id that entries name."""
    return {place for entry in entries for part in PARTS if is_hub_id(place := place_of(entry, part))}


def looks_like(part: Part, path: Path) -> bool:
    """Tell whether somebody has put something like this part here; two parts may bear one name."""
    match part:
        case "pipeline" | "upscaler":
            return (path / MODEL_INDEX).is_file()
        case "lora":
            return path.is_dir() and not (path / MODEL_INDEX).exists() and any(path.glob("*.safetensors"))
        case _:
            return (path / "config.json").is_file()


def check(entry: CatalogueEntry, part: Part, path: Path) -> Found:
    """Check a part where it lies.

    Raises:
        NotWholeError: If it is not whole.
    """
    match part:
        case "pipeline":
            return Found(path, check_pipeline(path, entry.family))
        case "upscaler":
            return Found(path, check_pipeline(path, None))
        case "lora":
            return Found(*find_lora(path))
        case _:
            return Found(path, check_model(path))


def choose(entry: CatalogueEntry, part: Part, names: Collection[str]) -> list[str]:
    """Choose which files of a repository are fetched for a part."""
    match part:
        case "pipeline":
            return choose_files(names, COMPONENTS[entry.family])
        case "lora":
            return choose_lora(name for name in names if "/" not in name)
        case _:
            return choose_files(names, ())

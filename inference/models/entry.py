"""What the rooms of this folder tell each other. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from inference.engine import Engine, ModelDescription


Family = Literal["procedural", "sdxl", "sd"]
"""Which loader makes an engine of it: the painter, or a diffusers pipeline of the SDXL or the SD shape."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A model that may be asked for. A place is a hub id (``owner/name``) or an absolute folder."""

    model: ModelDescription
    family: Family
    place: str = ""  # a whole pipeline; empty for the painter
    lora: str = ""  # place of a LoRA that is fused into it
    lora_scale: float = 1.0
    tiny_autoencoder: str = ""  # place of an AutoencoderTiny for live frames and previews
    autoencoder: str = ""  # place of an AutoencoderKL that replaces the pipeline's own
    upscaler: str = ""  # place of a diffusers upscaler pipeline; used where its weights are found
    aliases: tuple[str, ...] = ()  # other names that requests may use for it


@dataclass(frozen=True, slots=True)
class Weights:
    """Where an entry's files lie on this machine; None: not needed, or (but for the pipeline) not found."""

    pipeline: Path | None = None
    lora: Path | None = None
    tiny_autoencoder: Path | None = None
    autoencoder: Path | None = None
    upscaler: Path | None = None
    size_bytes: int = 0  # on disk
    lacks_parts: bool = False  # something that can be done without could be fetched, and is worth a try


class State(Enum):
    """Of a model; the names are those of `ModelInfo.State`."""

    NOT_LOADED = 1
    LOADING = 2
    READY = 3
    FAILED = 4


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What `ModelHouse.describe` tells of one model."""

    entry: CatalogueEntry
    state: State
    size_bytes: int = 0  # in memory while it is loaded, else on disk
    error: str = ""  # why it failed; empty unless it did
    weights_found: bool = True
    engine: Engine | None = None  # while it is loaded


class Loader(Protocol):
    """Makes engines of one or more families. Called in the loading thread, one load at a time."""

    def load(self, entry: CatalogueEntry, weights: Weights) -> Engine:
        """Read a model into memory; the engine's `prepare` takes it to the device.

        Raises:
            ModelLoadError: If the files are not a model of this shape, or anything else of it fails.
            OutOfMemoryError: If memory ran out.
        """

    def free_bytes(self) -> int | None:
        """Return the device's free memory, or None where it cannot be told."""


InUse = Callable[[], Collection[CatalogueEntry]]
"""Tells what is in use now, what is being read included. Safe from any thread."""


class WeightSource(Protocol):
    """Where weights come from. Every call may take its time.

    `tidy`, and `provide` where it may fetch, come from one thread, everything else from another, and `stop`
    from any.
    """

    def find(self, entry: CatalogueEntry) -> Weights | None:
        """Return where an entry's weights lie, or None where what it needs is not on this machine."""

    def provide(self, entry: CatalogueEntry, in_use: InUse, *, fetch: bool = True) -> Weights:
        """Find an entry's weights, fetching what is not there if that is allowed, and check them.

        Args:
            entry: Whose.
            in_use: Whose downloads are not deleted to make room for this one's.
            fetch: False: only what is there is taken.

        Raises:
            ModelLoadError: If there are none, or they are not whole.
        """

    def tidy(self, in_use: InUse) -> None:
        """Make the downloads fit into what they may take on disk, sparing what is in use."""

    def stop(self) -> None:
        """Give up a download that runs, soon and for good. Safe from any thread."""


_T = TypeVar("_T")


class BetweenTicks(Protocol):
    """Runs something in the engines' thread between two ticks; `Scheduler.between_ticks` is one."""

    def __call__(self, work: Callable[[], _T], /) -> Awaitable[_T]:
        """Return what the work returned, or raise what it raised."""

"""Where a model's weights lie: found on this machine, or fetched; checked either way.

The order: an absolute folder as the catalogue names it; a folder that somebody put into the model folder;
the hub's own cache; our downloads. A folder of somebody's own that is broken is told, never replaced.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import structlog

from inference.errors import ModelLoadError
from inference.models.catalogue import folder_names
from inference.models.checks import (
    COMPONENTS,
    MODEL_INDEX,
    NotWholeError,
    check_model,
    check_pipeline,
    choose_files,
    choose_lora,
    find_lora,
)
from inference.models.disk import DiskCache
from inference.models.entry import CatalogueEntry, Weights
from inference.models.hub import FetchError, Hub, HuggingFaceHub
from inference.models.places import (
    has_cache_variable,
    is_hub_id,
    is_offline,
    name_of,
    shared_cache,
    snapshots,
)


# What a download leaves free on the disk, bytes: everything else on the machine needs some.
FREE_DISK_BYTES = 10**9

# How often a download is logged, seconds.
PROGRESS_INTERVAL_S = 10.0

HOW_TO_GET = 'inference/README.md, "Diffusion models", tells how to get them'

Part = Literal["pipeline", "lora", "tiny_autoencoder", "autoencoder", "upscaler"]

# Without these a model is another one, or none; without the others it is slower or plainer.
_REQUIRED: tuple[Part, ...] = ("pipeline", "lora")
_SMALL: tuple[Part, ...] = ("tiny_autoencoder", "autoencoder")
_PARTS: tuple[Part, ...] = (*_REQUIRED, *_SMALL, "upscaler")


class _NotFoundError(Exception):
    """A part lies nowhere; the message says where it was looked for."""


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    size_bytes: int


class WeightStore:
    """Finds, checks and fetches weights, for one thread that fetches and tidies beside one that does not.

    Args:
        model_dir: The folder of weights, downloads in its ``hub`` included.
        download: Whether what is not found may be fetched.
        max_disk_bytes: What the downloads may take; None: whatever there is.
        is_model_dir_given: Whether somebody chose it. If not, and the environment says where the hub's cache
            is, downloads go there.
        environ: The environment; None: the process's own.
        hub: Where downloads come from; None: Hugging Face's.
    """

    def __init__(
        self,
        model_dir: Path,
        *,
        download: bool = True,
        max_disk_bytes: int | None = None,
        is_model_dir_given: bool = True,
        environ: Mapping[str, str] | None = None,
        hub: Hub | None = None,
    ) -> None:
        environ = os.environ if environ is None else environ
        self._model_dir = model_dir.absolute()
        self._shared_cache = shared_cache(environ)
        own_cache = self._model_dir / "hub"
        is_shared = has_cache_variable(environ) and not is_model_dir_given
        self._caches = [self._shared_cache, own_cache]
        self._disk = DiskCache(
            self._shared_cache if is_shared else own_cache,
            max_disk_bytes,
            record=self._model_dir / "downloaded.txt" if is_shared else None,
        )
        self._refusal = ""
        if not download:
            self._refusal = "downloads are off"
        elif is_offline(environ):
            self._refusal = "HF_HUB_OFFLINE is set"
        self._hub = HuggingFaceHub() if hub is None else hub
        self._is_stopping = False
        self._log = structlog.get_logger("inference")

    @property
    def download_dir(self) -> Path:
        """Where downloads go."""
        return self._disk.folder

    def find(self, entry: CatalogueEntry) -> Weights | None:
        """Return where an entry's weights lie, or None where they are not, or not whole, on this machine."""
        try:
            weights = self._gather(entry, self._locate)
        except ModelLoadError:
            return None
        could_fetch = not self._refusal and any(
            is_hub_id(_place_of(entry, part)) and getattr(weights, part) is None for part in _SMALL
        )
        return replace(weights, lacks_parts=could_fetch)

    def explain(self, entry: CatalogueEntry) -> str:
        """Tell why an entry's weights cannot be used as they lie; "" where they can."""
        try:
            self._gather(entry, self._locate)
        except ModelLoadError as exc:
            return exc.reason
        return ""

    def provide(self, entry: CatalogueEntry, in_use: Collection[CatalogueEntry] = ()) -> Weights:
        """Find an entry's weights, fetching what is not there if that is allowed, and check them.

        Args:
            entry: Whose.
            in_use: Whose downloads are not deleted to make room for this one's.

        Raises:
            ModelLoadError: If there are none, or they are not whole.
        """
        spare = hub_ids([entry, *in_use])

        def get(entry: CatalogueEntry, part: Part, place: str) -> _Found:
            try:
                found = self._locate(entry, part, place)
            except _NotFoundError as exc:
                # An upscaler is a luxury of some gigabytes: whoever wants it fetches it.
                if not is_hub_id(place) or part == "upscaler":
                    raise
                if self._refusal:
                    raise _NotFoundError(f"{exc}, and {self._refusal}; {HOW_TO_GET}") from None
                self._fetch(entry, part, place, spare)
                found = self._locate(entry, part, place)
            self._touch(found.path)
            return found

        return self._gather(entry, get, tell=True)

    def tidy(self, in_use: Collection[CatalogueEntry]) -> None:
        """Make the downloads fit into what they may take, sparing what is in use."""
        self._disk.hold(hub_ids(in_use))

    def stop(self) -> None:
        """Give up a download that runs, soon and for good. Safe from any thread."""
        self._is_stopping = True
        self._hub.stop()

    def _gather(
        self,
        entry: CatalogueEntry,
        get: Callable[[CatalogueEntry, Part, str], _Found],
        *,
        tell: bool = False,
    ) -> Weights:
        found: dict[Part, _Found] = {}
        for part in _PARTS:
            if not (place := _place_of(entry, part)):
                continue
            try:
                found[part] = get(entry, part, place)
            except (_NotFoundError, ModelLoadError, OSError) as exc:
                reason = exc.reason if isinstance(exc, ModelLoadError) else f"no {part} {place}: {exc}"
                if part in _REQUIRED or self._is_stopping:
                    raise ModelLoadError(entry.model.name, reason) from exc
                if tell:
                    self._log.warning("model_part_missing", model=entry.model.name, part=part, reason=reason)
        paths = {part: it.path for part, it in found.items()}
        return Weights(
            pipeline=paths.get("pipeline"),
            lora=paths.get("lora"),
            tiny_autoencoder=paths.get("tiny_autoencoder"),
            autoencoder=paths.get("autoencoder"),
            upscaler=paths.get("upscaler"),
            size_bytes=sum(it.size_bytes for it in found.values()),
        )

    def _locate(self, entry: CatalogueEntry, part: Part, place: str) -> _Found:
        """Find a part on this machine.

        Raises:
            _NotFoundError: If it is not there, or our own copy or the hub's is not whole.
            ModelLoadError: If a folder of somebody's own is not whole.
        """
        looked: list[str] = []
        own, cached = self._candidates(entry, part, place)
        for path in own:
            if is_hub_id(place) and not _looks_like(part, path):
                looked.append(str(path))
                continue
            try:
                return _check(entry, part, path)
            except NotWholeError as exc:
                raise ModelLoadError(entry.model.name, f"{path}: {exc}") from exc
        for path in cached:
            try:
                return _check(entry, part, path)
            except NotWholeError as exc:
                looked.append(f"{path} ({exc})")
        raise _NotFoundError(f"it was looked for in {', '.join([*looked, *map(str, self._caches)])}")

    def _candidates(self, entry: CatalogueEntry, part: Part, place: str) -> tuple[list[Path], list[Path]]:
        """Return the folders of somebody's own, and those in caches, where a part may lie."""
        if not is_hub_id(place):
            return [Path(place)], []
        names = [entry.model.name, *folder_names(place)] if part == "pipeline" else []
        own = [self._model_dir / name for name in dict.fromkeys([*names, name_of(place)])]
        return own, [path for cache in self._caches for path in snapshots(cache, place)]

    def _fetch(self, entry: CatalogueEntry, part: Part, place: str, spare: Collection[str]) -> None:
        """Fetch a part from the hub.

        Raises:
            ModelLoadError: If it cannot be fetched, or there is no place for it.
        """
        name = entry.model.name
        try:
            sizes = self._hub.sizes(place)
            files = _choose(entry, part, sizes)
            if not any(file.endswith(".safetensors") for file in files):
                raise ModelLoadError(name, f"{place} has no weights in safetensors, which are needed")
            missing_bytes = sum(sizes[file] for file in files if not self._has(place, file, sizes[file]))
            self._make_room(name, place, sum(sizes[file] for file in files), missing_bytes, spare)
            self._log.info("download_begun", model=name, hub_id=place, size_bytes=missing_bytes)
            began_at = time.monotonic()
            self._disk.remember(place)
            self._hub.fetch(place, files, self.download_dir, self._report(place, missing_bytes))
        except FetchError as exc:
            raise ModelLoadError(name, f"{place} could not be fetched ({exc}); {HOW_TO_GET}") from exc
        except OSError as exc:
            raise ModelLoadError(name, f"{place} could not be fetched: {exc}") from exc
        seconds = round(time.monotonic() - began_at, 1)
        self._log.info("download_done", model=name, hub_id=place, size_bytes=missing_bytes, seconds=seconds)

    def _make_room(
        self, name: str, place: str, size_bytes: int, missing_bytes: int, spare: Collection[str]
    ) -> None:
        max_bytes = self._disk.max_bytes
        if max_bytes is not None and size_bytes > max_bytes:
            raise ModelLoadError(
                name,
                f"{place} takes {size_bytes / 10**9:.1f} GB, and downloads may take "
                f"{max_bytes / 10**9:.1f} GB (--max-disk-cache)",
            )
        self._disk.hold(spare, missing_bytes)
        self.download_dir.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(self.download_dir).free
        if free_bytes < missing_bytes + FREE_DISK_BYTES:
            raise ModelLoadError(
                name,
                f"{place} takes {missing_bytes / 10**9:.1f} GB more and {self.download_dir} has "
                f"{free_bytes / 10**9:.1f} GB free, of which {FREE_DISK_BYTES / 10**9:g} GB must stay",
            )

    def _has(self, place: str, file: str, size_bytes: int) -> bool:
        for folder in snapshots(self.download_dir, place):
            path = folder / file
            if path.is_file() and path.stat().st_size == size_bytes:
                return True
        return False

    def _report(self, place: str, size_bytes: int) -> Callable[[int], None]:
        told_at = time.monotonic()

        def report(done_bytes: int) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= PROGRESS_INTERVAL_S:
                told_at = time.monotonic()
                self._log.info("downloading", hub_id=place, done_bytes=done_bytes, size_bytes=size_bytes)

        return report

    def _touch(self, path: Path) -> None:
        """Note a use of a download in its files' access times: many file systems do not."""
        if not path.is_relative_to(self.download_dir):
            return
        for file in [path] if path.is_file() else path.rglob("*.safetensors"):
            try:
                os.utime(file, (time.time(), file.stat().st_mtime))
            except OSError:
                continue  # Read-only, or gone: then it is as old as it was.


def _place_of(entry: CatalogueEntry, part: Part) -> str:
    place: str = getattr(entry, "place" if part == "pipeline" else part)
    return place


def hub_ids(entries: Collection[CatalogueEntry]) -> set[str]:
    """Return every hub id that entries name."""
    return {
        place
        for entry in entries
        for place in (entry.place, entry.lora, entry.tiny_autoencoder, entry.autoencoder, entry.upscaler)
        if is_hub_id(place)
    }


def _looks_like(part: Part, path: Path) -> bool:
    """Tell whether somebody has put something like this part here; two parts may bear one name."""
    match part:
        case "pipeline" | "upscaler":
            return (path / MODEL_INDEX).is_file()
        case "lora":
            return path.is_dir() and not (path / MODEL_INDEX).exists() and any(path.glob("*.safetensors"))
        case _:
            return (path / "config.json").is_file()


def _check(entry: CatalogueEntry, part: Part, path: Path) -> _Found:
    match part:
        case "pipeline":
            return _Found(path, check_pipeline(path, entry.family))
        case "upscaler":
            return _Found(path, check_pipeline(path, None))
        case "lora":
            return _Found(*find_lora(path))
        case _:
            return _Found(path, check_model(path))


def _choose(entry: CatalogueEntry, part: Part, names: Collection[str]) -> list[str]:
    """Choose which files of a repository are fetched for a part."""
    match part:
        case "pipeline":
            return choose_files(names, COMPONENTS[entry.family])
        case "lora":
            return choose_lora(name for name in names if "/" not in name)
        case _:
            return choose_files(names, ())

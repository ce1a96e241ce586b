"""Where a model's weights lie: found on this machine, or fetched; checked either way.

The order: an absolute folder as the catalogue names it; a folder that somebody put into the model folder;
the hub's own cache; our downloads. A folder of somebody's own that is broken is told, never replaced.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from inference.errors import ModelLoadError
from inference.models.catalogue import folder_names
from inference.models.checks import NotWholeError
from inference.models.disk import DiskCache
from inference.models.downloads import HOW_TO_GET, Downloads
from inference.models.entry import CatalogueEntry, InUse, Weights
from inference.models.hub import Hub, HuggingFaceHub
from inference.models.parts import PARTS, REQUIRED, SMALL, Found, Part, check, looks_like, place_of
from inference.models.places import (
    has_cache_variable,
    is_hub_id,
    is_offline,
    name_of,
    shared_cache,
    snapshots,
)
from inference.models.record import Record


class _NotFoundError(Exception):
    """A part lies nowhere; the message says where it was looked for."""


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
        # Of a cache of our own as well: a model folder may be that of other programs (`$HF_HOME`).
        record = Record(self._model_dir / "downloaded.txt")
        disk = DiskCache(self._shared_cache if is_shared else own_cache, max_disk_bytes, record)
        self._downloads = Downloads(HuggingFaceHub() if hub is None else hub, disk)
        self._refusal = ""
        if not download:
            self._refusal = "downloads are off"
        elif is_offline(environ):
            self._refusal = "HF_HUB_OFFLINE is set"
        self._log = structlog.get_logger("inference")

    @property
    def download_dir(self) -> Path:
        """Where downloads go."""
        return self._downloads.folder

    def find(self, entry: CatalogueEntry) -> Weights | None:
        """Return where an entry's weights lie, or None where they are not, or not whole, on this machine."""
        try:
            weights = self._gather(entry, self._locate)
        except ModelLoadError:
            return None
        lacking = [place_of(entry, part) for part in SMALL if getattr(weights, part) is None]
        could_fetch = any(
            is_hub_id(place) and not self._downloads.has_failed_lately(place) for place in lacking
        )
        return replace(weights, lacks_parts=could_fetch and not self._refusal)

    def explain(self, entry: CatalogueEntry) -> str:
        """Tell why an entry's weights cannot be used as they lie; "" where they can."""
        try:
            self._gather(entry, self._locate)
        except ModelLoadError as exc:
            return exc.reason
        return ""

    def provide(self, entry: CatalogueEntry, in_use: InUse = tuple, *, fetch: bool = True) -> Weights:
        """Find an entry's weights, fetching what is not there if that is allowed, and check them.

        A part that can be done without, and could not be fetched lately, is left out.

        Args:
            entry: Whose.
            in_use: Whose downloads are not deleted to make room for this one's.
            fetch: False: only what is there is taken.

        Raises:
            ModelLoadError: If there are none, or they are not whole.
        """

        def get(entry: CatalogueEntry, part: Part, place: str) -> Found:
            try:
                found = self._locate(entry, part, place)
            except _NotFoundError as exc:
                if not fetch or not is_hub_id(place) or part not in (*REQUIRED, *SMALL):
                    raise
                if self._refusal:
                    raise _NotFoundError(f"{exc}, and {self._refusal}; {HOW_TO_GET}") from None
                if part in SMALL and self._downloads.has_failed_lately(place):
                    raise _NotFoundError(f"{exc}, and a download has failed lately") from None
                self._downloads.fetch(entry, part, place, in_use)
                found = self._locate(entry, part, place)
            self._touch(found.path)
            return found

        return self._gather(entry, get, tell=True)

    def tidy(self, in_use: InUse) -> None:
        """Make the downloads fit into what they may take, sparing what is in use."""
        self._downloads.tidy(in_use)

    def stop(self) -> None:
        """Give up a download that runs, soon and for good. Safe from any thread."""
        self._downloads.stop()

    def _gather(
        self,
        entry: CatalogueEntry,
        get: Callable[[CatalogueEntry, Part, str], Found],
        *,
        tell: bool = False,
    ) -> Weights:
        found: dict[Part, Found] = {}
        for part in PARTS:
            if not (place := place_of(entry, part)):
                continue
            try:
                found[part] = get(entry, part, place)
            except (_NotFoundError, ModelLoadError, OSError) as exc:
                reason = exc.reason if isinstance(exc, ModelLoadError) else f"no {part} {place}: {exc}"
                if part in REQUIRED or self._downloads.is_stopping:
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

    def _locate(self, entry: CatalogueEntry, part: Part, place: str) -> Found:
        """Find a part on this machine.

        Raises:
            _NotFoundError: If it is not there, or our own copy or the hub's is not whole.
            ModelLoadError: If a folder of somebody's own is not whole.
        """
        looked: list[str] = []
        own, cached = self._candidates(entry, part, place)
        for path in own:
            if is_hub_id(place) and not looks_like(part, path):
                looked.append(str(path))
                continue
            try:
                return check(entry, part, path)
            except NotWholeError as exc:
                raise ModelLoadError(entry.model.name, f"{path}: {exc}") from exc
        for path in cached:
            try:
                return check(entry, part, path)
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

    def _touch(self, path: Path) -> None:
        """Note a use of a download in its files' access times: many file systems do not."""
        if not path.is_relative_to(self._downloads.folder):
            return
        for file in [path] if path.is_file() else path.rglob("*.safetensors"):
            try:
                os.utime(file, (time.time(), file.stat().st_mtime))
            except OSError:
                continue  # Read-only, or gone: then it is as old as it was.

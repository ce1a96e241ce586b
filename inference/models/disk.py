"""Downloads held under a limit: what was used longest ago goes first.

Deletes only what this service has fetched, by the hub library's own tools. Not safe from two threads at
once; the fetching thread does it between two downloads.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from inference.models.places import repo_folder
from inference.models.record import Record


# A download writes all the time: a part of a file that has not grown for so long is abandoned, seconds.
ABANDONED_AFTER_S = 3600.0

Spare = Callable[[], Collection[str] | None]
"""Asked right before something is deleted: the hub ids in use; None: nothing may be deleted now."""


@dataclass(frozen=True, slots=True)
class _Stock:
    """What lies in a cache and is ours."""

    cache: Any  # of the hub's library
    states: list[tuple[Any, Any]]  # each a repository and a revision of it, used longest ago first
    partial: list[Any]  # what is left of downloads

    @property
    def taken_bytes(self) -> int:
        # Two states of a repository share files.
        blobs = {file.blob_path: file for _, state in self.states for file in state.files}
        return _bytes_of(blobs.values()) + _bytes_of(self.partial)


class DiskCache:
    """A folder in the layout of the hub's cache, and how much of it may be filled.

    Args:
        folder: The cache; other programs may use it, too.
        max_bytes: What our downloads in it may take; None: whatever there is.
        record: Which they are. Everything else counts for nothing and is never deleted.
    """

    def __init__(self, folder: Path, max_bytes: int | None, record: Record) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._record = record
        self._is_over_limit = False
        self._log = structlog.get_logger("inference")

    def claim(self, hub_id: str, files: Collection[str]) -> None:
        """Note that this service is about to fetch files of a repository into the cache.

        Raises:
            OSError: If that cannot be noted.
        """
        self._record.claim(repo_folder(self.folder, hub_id), files)

    def hold(self, spare: Spare) -> int:
        """Delete until the downloads are within the limit, or nothing is left that may be deleted.

        Returns:
            The bytes that were freed.
        """
        freed_bytes = 0
        with self._failing():
            self._record.forget_gone()
            stock, max_bytes = self._take_stock(), self.max_bytes
            if stock is None or max_bytes is None:
                return 0
            excess_bytes = stock.taken_bytes - max_bytes
            if excess_bytes > 0 and (spared := spare()) is not None:
                freed_bytes = self._delete(stock, spared, excess_bytes)
                self._tell_limit(stock.taken_bytes - freed_bytes, spared)
            self._is_over_limit = freed_bytes < excess_bytes
        return freed_bytes

    def make_room(self, hub_id: str, extra_bytes: int, spare: Spare) -> int:
        """Delete until a download fits into the limit; where it cannot, delete nothing.

        Args:
            hub_id: What is about to be fetched; it goes on with what is left of an earlier try.
            extra_bytes: What it takes beside the files that are there already.
            spare: See `Spare`.

        Returns:
            The bytes that downloads take afterwards, as far as it can be told.
        """
        taken_bytes = 0
        with self._failing():
            self._record.forget_gone()
            stock, max_bytes = self._take_stock(unless=hub_id), self.max_bytes
            if stock is None or max_bytes is None:
                return 0
            taken_bytes = stock.taken_bytes
            excess_bytes = taken_bytes + extra_bytes - max_bytes
            if excess_bytes > 0 and (spared := spare()) is not None:
                kept_bytes = taken_bytes - self._deletable_bytes(stock, spared)
                if kept_bytes + extra_bytes > max_bytes:
                    return kept_bytes
                taken_bytes -= self._delete(stock, spared, excess_bytes)
        return taken_bytes

    def forget_gone(self) -> None:
        """Give up the claim to what is not in the cache, such as after a download that never began."""
        with self._failing():
            self._record.forget_gone()

    def _take_stock(self, unless: str = "") -> _Stock | None:
        """Look what of ours is there, but for what is left of one repository's download."""
        if self.max_bytes is None or not self.folder.is_dir():
            return None
        try:
            from huggingface_hub import scan_cache_dir
        except ImportError:  # Then nothing was fetched by it, either.
            return None
        cache: Any = scan_cache_dir(self.folder)
        states = []
        for repo in cache.repos:
            files = set(self._record.files(repo.repo_path)) if repo.repo_type == "model" else set()
            # Where somebody has added files of their own to a state, it is theirs as well.
            states += [(repo, state) for state in repo.revisions if files and _files_of(state) <= files]
        states.sort(key=lambda pair: (_used_at(pair[1]), pair[0].repo_id, pair[1].commit_hash))
        going_on = repo_folder(self.folder, unless).name if unless else ""
        partial = [
            file
            for file in cache.incomplete_files
            if (repo_path := file.file_path.parents[1]).name != going_on and self._record.files(repo_path)
        ]
        return _Stock(cache, states, partial)

    def _deletable_bytes(self, stock: _Stock, spared: Collection[str]) -> int:
        others = [pair for pair in stock.states if pair[0].repo_id not in spared]
        abandoned = filter(_is_abandoned, stock.partial)
        return _bytes_of(abandoned) + _freed_bytes(_deletions(stock.cache, others))

    def _delete(self, stock: _Stock, spared: Collection[str], excess_bytes: int) -> int:
        """Delete what is abandoned, then the states that were used longest ago, as many as it takes."""
        abandoned_bytes = 0
        for file in filter(_is_abandoned, stock.partial):
            file.file_path.unlink(missing_ok=True)
            abandoned_bytes += file.size_on_disk
        chosen: list[tuple[Any, Any]] = []
        freed_bytes = 0
        for repo, state in stock.states:
            if abandoned_bytes + freed_bytes >= excess_bytes:
                break
            if repo.repo_id not in spared:
                chosen.append((repo, state))
                # What two states share is freed with the second one: only the whole choice tells how much.
                freed_bytes = _freed_bytes(_deletions(stock.cache, chosen))
        for deletion in _deletions(stock.cache, chosen):
            deletion.execute()
        if chosen:
            self._record.forget_gone()
            names = sorted({repo.repo_id for repo, _ in chosen})
            self._log.info(
                "disk_cache_cleaned", folder=str(self.folder), deleted=names, freed_bytes=freed_bytes
            )
        return abandoned_bytes + freed_bytes

    def _tell_limit(self, taken_bytes: int, spared: Collection[str]) -> None:
        if self.max_bytes is not None and taken_bytes > self.max_bytes and not self._is_over_limit:
            self._log.warning(
                "disk_cache_over_limit",
                folder=str(self.folder),
                taken_bytes=taken_bytes,
                max_bytes=self.max_bytes,
                in_use=sorted(spared),
            )

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - a cache that cannot be cleaned must not end the service.
            self._log.error("disk_cache_not_cleaned", folder=str(self.folder), exc_info=exc)


def _deletions(cache: Any, states: Iterable[tuple[Any, Any]]) -> list[Any]:
    """Prepare to delete states, one deletion for each repository.

    Not in one for all: the library finds a state by its commit alone, and a copy of a repository has the
    commits of the other one.
    """
    commits: dict[Any, list[str]] = defaultdict(list)
    for repo, state in states:
        commits[repo].append(state.commit_hash)
    return [
        replace(cache, repos=frozenset({repo})).delete_revisions(*chosen) for repo, chosen in commits.items()
    ]


def _freed_bytes(deletions: Iterable[Any]) -> int:
    return sum(int(deletion.expected_freed_size) for deletion in deletions)


def _bytes_of(files: Iterable[Any]) -> int:
    return sum(int(file.size_on_disk) for file in files)


def _files_of(state: Any) -> set[str]:
    return {file.file_path.relative_to(state.snapshot_path).as_posix() for file in state.files}


def _is_abandoned(file: Any) -> bool:
    try:
        return bool(time.time() - file.file_path.stat().st_mtime > ABANDONED_AFTER_S)
    except FileNotFoundError:  # Somebody has finished it, or deleted it.
        return False


def _used_at(state: Any) -> float:
    """Tell when any file of a state was used last, Unix seconds."""
    return max((file.blob_last_accessed for file in state.files), default=0.0)

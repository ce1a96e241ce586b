"""Downloads held under a limit: what was used longest ago goes first.

Deletes only what this service has fetched, by the hub library's own tools. Not safe from two threads at
once; the loading thread does it between two loads.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import structlog

from inference.models.places import repo_folder


# A download that nobody has gone on with for so long will not be, seconds; until then it may be.
ABANDONED_AFTER_S = 24 * 3600.0


class DiskCache:
    """A folder in the layout of the hub's cache, and how much of it may be filled.

    Args:
        folder: The cache.
        max_bytes: What it may take; None: whatever there is.
        record: Where the cache is shared with other programs: a file that lists, line by line, what was
            fetched by this one. Everything else in it counts for nothing and is never deleted.
    """

    def __init__(self, folder: Path, max_bytes: int | None, record: Path | None = None) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._record = record
        self._is_over_limit = False
        self._log = structlog.get_logger("inference")

    def remember(self, hub_id: str) -> None:
        """Note that this service fetches a repository into the cache."""
        if self._record is not None and hub_id not in (known := self._remembered()):
            self._record.parent.mkdir(parents=True, exist_ok=True)
            self._record.write_text("".join(f"{name}\n" for name in sorted({*known, hub_id})))

    def hold(self, spare: Collection[str], extra_bytes: int = 0) -> int:
        """Delete until so many bytes more fit under the limit, or nothing is left that may be deleted.

        Args:
            spare: Hub ids of what is in use.
            extra_bytes: What is about to be fetched.

        Returns:
            The bytes that were freed.
        """
        if self.max_bytes is None or not self.folder.is_dir():
            return 0
        try:
            from huggingface_hub import scan_cache_dir
        except ImportError:  # Then nothing was fetched by it, either.
            return 0
        try:
            return self._hold(scan_cache_dir(self.folder), spare, self.max_bytes - extra_bytes)
        except Exception as exc:  # noqa: BLE001 - a cache that cannot be cleaned must not end the service.
            self._log.error("disk_cache_not_cleaned", folder=str(self.folder), exc_info=exc)
            return 0

    def _hold(self, cache: Any, spare: Collection[str], allowed_bytes: int) -> int:
        repos = [
            repo for repo in cache.repos if repo.repo_type == "model" and self._is_ours(repo.repo_path.name)
        ]
        partial = [file for file in cache.incomplete_files if self._is_ours(file.file_path.parents[1].name)]
        taken_bytes = sum(part.size_on_disk for part in (*repos, *partial))
        excess_bytes = taken_bytes - allowed_bytes
        if excess_bytes <= 0:
            self._is_over_limit = False
            return 0
        freed_bytes = _delete_abandoned(partial)
        if freed_bytes < excess_bytes:
            others = [repo for repo in repos if repo.repo_id not in spare]
            freed_bytes += self._delete_oldest(cache, others, excess_bytes - freed_bytes)
        was_over_limit, self._is_over_limit = self._is_over_limit, freed_bytes < excess_bytes
        if self._is_over_limit and not was_over_limit:
            self._log.warning(
                "disk_cache_over_limit",
                folder=str(self.folder),
                taken_bytes=taken_bytes - freed_bytes,
                max_bytes=self.max_bytes,
                in_use=sorted(spare),
            )
        return freed_bytes

    def _delete_oldest(self, cache: Any, repos: list[Any], excess_bytes: int) -> int:
        """Delete the states of repositories that were used longest ago, as many as it takes."""
        oldest_first = sorted(
            (_used_at(revision), repo.repo_id, revision.commit_hash)
            for repo in repos
            for revision in repo.revisions
        )
        chosen: list[str] = []
        names: dict[str, None] = {}
        freed_bytes = 0
        for _, hub_id, commit in oldest_first:
            if freed_bytes >= excess_bytes:
                break
            chosen.append(commit)
            names[hub_id] = None
            # Two states of a repository share files: only the whole choice tells what it frees.
            freed_bytes = cache.delete_revisions(*chosen).expected_freed_size
        if chosen:
            cache.delete_revisions(*chosen).execute()
            self._log.info(
                "disk_cache_cleaned", folder=str(self.folder), deleted=list(names), freed_bytes=freed_bytes
            )
        return freed_bytes

    def _is_ours(self, folder_name: str) -> bool:
        if self._record is None:
            return True
        return folder_name in {repo_folder(self.folder, hub_id).name for hub_id in self._remembered()}

    def _remembered(self) -> set[str]:
        if self._record is None:
            return set()
        try:
            return set(self._record.read_text().split())
        except OSError:
            return set()


def _delete_abandoned(partial: list[Any]) -> int:
    """Delete what is left of downloads that were given up long ago; return the bytes that were freed."""
    freed_bytes = 0
    for file in partial:
        if time.time() - file.file_path.stat().st_mtime > ABANDONED_AFTER_S:
            file.file_path.unlink(missing_ok=True)
            freed_bytes += file.size_on_disk
    return freed_bytes


def _used_at(revision: Any) -> float:
    """Tell when any file of a state was used last, Unix seconds."""
    return max((file.blob_last_accessed for file in revision.files), default=0.0)

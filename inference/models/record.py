"""Which files this service has fetched, so that no others are ever deleted. Reads and writes one file.

A repository is ours only if its folder was not there before we fetched it first: what lay in one already
is somebody else's, and so is everything that comes to it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path


class Record:
    """A file with one line for each fetched file: its repository's folder, a tab, and its path in it.

    The folder is told relative to the record where it lies below it, so that both can be moved together.
    Folders of two caches differ though they hold the same repository: only one of them may be ours.

    Args:
        path: Of the record; it is written when something is fetched first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def claim(self, repo: Path, files: Collection[str]) -> bool:
        """Note what is about to be fetched into a repository's folder.

        Returns:
            False, and nothing is noted, where the folder is there and not ours.

        Raises:
            OSError: If it cannot be noted.
        """
        known, name = self._read(), self._name(repo)
        if not repo.exists():
            known.pop(name, None)  # Whoever has deleted it: it begins anew.
        elif name not in known:
            return False
        # Another repository decides how its files are called: none of them may forge a line.
        known[name] = known.get(name, set()) | {file for file in files if file.isprintable()}
        self._write(known)
        return True

    def files(self, repo: Path) -> Collection[str]:
        """Return the paths of the files that we fetched into a repository's folder; none: it is not ours."""
        return self._read().get(self._name(repo), set())

    def forget_gone(self) -> None:
        """Give up folders that are not there: if they come again, it is by somebody else.

        Raises:
            OSError: If that cannot be noted.
        """
        known = self._read()
        there = {name: files for name, files in known.items() if (self._path.parent / name).exists()}
        if there != known:
            self._write(there)

    def _name(self, repo: Path) -> str:
        folder, here = repo.parent.resolve() / repo.name, self._path.parent.resolve()
        return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)

    def _read(self) -> dict[str, set[str]]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return {}
        known: dict[str, set[str]] = {}
        for line in lines:
            name, tab, file = line.partition("\t")
            if tab:
                known.setdefault(name, set()).add(file)
        return known

    def _write(self, known: Mapping[str, Collection[str]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{name}\t{file}\n" for name in sorted(known) for file in sorted(known[name])]
        # Whole or not at all: a cut name could be that of another folder.
        beside = self._path.with_name(self._path.name + ".new")
        beside.write_text("".join(lines), encoding="utf-8")
        os.replace(beside, self._path)

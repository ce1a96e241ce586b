"""Where a place of the catalogue may lie on this machine. Looks at folders, reads no model.

A place is a hub id (``owner/name``) or an absolute path. Nothing that a caller sends becomes a path here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path


# As the hub has it: two plain names. None can lead out of a folder.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)

# What the hub's library takes for yes in its variables.
_YES = {"1", "on", "yes", "true"}


def is_hub_id(place: str) -> bool:
    """Tell whether a place is a hub id."""
    return _HUB_ID.fullmatch(place) is not None and ".." not in place


def name_of(hub_id: str) -> str:
    """Return a hub id's last part."""
    return hub_id.rpartition("/")[2]


def is_offline(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment forbids the hub's library to use the network."""
    wanted = environ.get("HF_HUB_OFFLINE") or environ.get("TRANSFORMERS_OFFLINE") or ""
    return wanted.strip().lower() in _YES


def has_cache_variable(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment says where the hub's cache is."""
    return any(environ.get(name) for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"))


def shared_cache(environ: Mapping[str, str]) -> Path:
    """Return the hub's own cache folder of this user, by the variables that its library reads."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := environ.get(name):
            return _expand(folder)
    if home := environ.get("HF_HOME"):
        return _expand(home) / "hub"
    return _expand(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def repo_folder(cache: Path, hub_id: str) -> Path:
    """Return where a cache keeps a repository."""
    return cache / f"models--{hub_id.replace('/', '--')}"


def snapshots(cache: Path, hub_id: str) -> list[Path]:
    """Return the states of a repository that a cache has: that of its main branch, then the newest first."""
    repo = repo_folder(cache, hub_id)
    try:
        found = sorted((repo / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return []
    try:
        main = (repo / "refs" / "main").read_text().strip()
    except (OSError, ValueError):
        main = ""
    return sorted((path for path in found if path.is_dir()), key=lambda path: path.name != main)


def _expand(folder: str) -> Path:
    return Path(os.path.expandvars(folder)).expanduser().absolute()

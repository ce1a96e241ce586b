"""What a figure was measured on: without it no figure can be compared."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("aiohttp", "msgpack", "numpy", "pillow", "turbojpeg")
_GIT_S = 5.0


def describe_machine() -> dict[str, Any]:
    """Describe processor, versions, load and source, for people and for the JSON line."""
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
    }


def describe_in_words(machine: dict[str, Any]) -> list[str]:
    """Write the description as lines for people."""
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items() if number)
    return [
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_1min']} at the start; "
        f"{machine['system']}",
        f"Python {machine['python']}, {packages}; commit {machine['commit'] or 'unknown'}",
    ]


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Count the cores that this process may use: a container may have fewer than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the checkout's commit, with a plus sign where files differ from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    return commit + ("+" if _git("status", "--porcelain") else "") if commit else None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=_GIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()

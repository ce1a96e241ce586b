"""What can be told of this machine without torch: versions, variables, cards, memory, disk."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import psutil


# Variables that change what diffusion models do, beside our own.
VARIABLES = (
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "HSA_OVERRIDE_GFX_VERSION",
    "TORCH_DTYPE",
)

_EXTRA = "diffusion"
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(?P<rule>==|>=)\s*(?P<version>[\w.]+)\s*;.*extra\s*==")

_NVIDIA_MARKS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))
_AMD_MARK = Path("/dev/kfd")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A library that diffusion models need."""

    name: str
    rule: str  # "==" or ">="
    version: str

    def accepts(self, version: str) -> bool:
        """Tell whether a version will do; what follows a ``+`` names a build of it."""
        own, other = _numbers(self.version), _numbers(version)
        return other == own if self.rule == "==" else other >= own

    def __str__(self) -> str:
        return f"{self.name} {'' if self.rule == '==' else self.rule + ' '}{self.version}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One machine, as plain values."""

    python: tuple[int, int, int] = (3, 11, 0)
    platform: str = ""
    requirements: tuple[Requirement, ...] = ()  # of the extra; empty where the package is not installed
    versions: Mapping[str, str] = field(default_factory=dict)  # of those libraries that are installed
    variables: Mapping[str, str] = field(default_factory=dict)  # those of `VARIABLES` that are set
    has_nvidia: bool = False  # a driver, or its tool
    has_amd: bool = False  # the kernel's part of ROCm
    available_bytes: int = 0  # of memory
    total_bytes: int = 0


def look_around() -> Surroundings:
    """Look at this machine. Blocking, and quick."""
    requirements = required()
    memory = psutil.virtual_memory()
    return Surroundings(
        python=sys.version_info[:3],
        platform=f"{platform.system()} {platform.release()}, {platform.machine()}",
        requirements=requirements,
        versions=_installed([requirement.name for requirement in requirements]),
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
        has_nvidia=any(mark.exists() for mark in _NVIDIA_MARKS) or shutil.which("nvidia-smi") is not None,
        has_amd=_AMD_MARK.exists(),
        available_bytes=int(memory.available),
        total_bytes=int(memory.total),
    )


def required() -> tuple[Requirement, ...]:
    """Return what the extra for diffusion models asks for, as our own package tells it."""
    try:
        told = metadata.requires("psyche") or []
    except metadata.PackageNotFoundError:
        return ()
    found = [_REQUIREMENT.match(line) for line in told if f'extra == "{_EXTRA}"' in line]
    return tuple(Requirement(match["name"], match["rule"], match["version"]) for match in found if match)


def free_disk_bytes(folder: Path) -> int:
    """Return what is free where a folder is or will be made."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def _installed(names: list[str]) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]
    # 2.4 and 2.4.0 are one version.
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)

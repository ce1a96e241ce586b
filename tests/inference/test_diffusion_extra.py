"""The extra `diffusion` is what the next engine is built on: it must install and work together."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest


pytestmark = pytest.mark.diffusion

CONSTRAINTS = Path(__file__).resolve().parent.parent.parent / "constraints.txt"
PACKAGES = ("torch", "diffusers", "transformers", "accelerate")


@pytest.mark.parametrize("package", PACKAGES)
def test_the_installed_version_is_the_pinned_one(package: str) -> None:
    pinned = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)

    assert version(package).partition("+")[0] == pinned[package]


@pytest.mark.timeout(180)
def test_the_packages_work_together() -> None:
    # In a process of its own: the imports take seconds and set loggers and threads up.
    code = (
        "import torch; from diffusers import EulerAncestralDiscreteScheduler as Scheduler;"
        "from diffusers import UNet2DConditionModel;"
        "scheduler = Scheduler(timestep_spacing='trailing'); scheduler.set_timesteps(4);"
        "print([int(t) for t in scheduler.timesteps])"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=170, check=False
    )

    assert done.stdout.strip().splitlines()[-1:] == ["[999, 749, 499, 249]"], done.stderr[-2000:]

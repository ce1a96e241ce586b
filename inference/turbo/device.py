"""Where and in which precision a network runs: CUDA, ROCm, MPS or the CPU.

What torch says of the machine is looked up in one place and handed in as plain values, so that every
choice can be tried without the hardware.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import psutil
import torch

from inference.errors import ConfigurationError


DeviceKind = Literal["cuda", "rocm", "mps", "cpu"]

# How many rows one step may carry. A step of fewer is padded to the next of them.
BUCKETS = (1, 2, 4, 8, 16)
# "Generating multiple prompts in a batch can crash or fail to work reliably": diffusers on MPS.
MPS_BUCKETS = (1,)
# Of which CUDA generation on (Ampere) bfloat16 is the hardware's own.
BFLOAT16_CAPABILITY = (8, 0)
DTYPES: dict[str, Any] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
# What people write for them elsewhere.
_DTYPE_ALIASES = {"fp32": "float32", "fp16": "float16", "half": "float16", "bf16": "bfloat16"}
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Card:
    """One accelerator that torch sees."""

    name: str
    total_bytes: int
    has_bfloat16: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """What torch says of this machine."""

    torch_version: str
    cards: tuple[Card, ...] = ()  # in CUDA's order; ROCm's cards answer to the same calls
    cuda_version: str = ""  # which this torch was built for; empty: built without
    hip_version: str = ""  # likewise of ROCm
    driver: str = ""  # NVIDIA's kernel driver, empty where it cannot be told
    mps_bytes: int | None = None  # what MPS recommends to use at most; None: no MPS
    cpu_has_bfloat16: bool = False  # in hardware: emulated, it is slower than float32
    cpu_bytes: int = 0
    problems: tuple[str, ...] = ()  # what torch warned of while it was asked


@dataclass(frozen=True, slots=True)
class Device:
    """Where a network runs."""

    name: str  # as torch names it: "cuda:0", "mps", "cpu"
    kind: DeviceKind
    description: str  # card, driver and torch build, one line
    dtype: Any  # torch.dtype of the networks
    total_bytes: int
    buckets: tuple[int, ...] = BUCKETS

    @property
    def dtype_name(self) -> str:
        """The precision as the settings name it: "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")

    def as_current(self) -> AbstractContextManager[object]:
        """Let what is done inside without naming a card, such as making streams, mean this one."""
        is_card = self.kind in ("cuda", "rocm")
        return (
            cast("AbstractContextManager[object]", torch.cuda.device(self.name)) if is_card else nullcontext()
        )


def choose_device(
    wanted: str = "auto",
    dtype: str = "auto",
    *,
    machine: Machine | None = None,
    environment: Mapping[str, str] | None = None,
) -> Device:
    """Choose where to run.

    Args:
        wanted: ``auto`` (CUDA or ROCm, then MPS, then the CPU), ``cuda``, ``cuda:N``, ``rocm``, ``rocm:N``,
            ``mps`` or ``cpu``.
        dtype: ``auto``, ``float32``, ``float16`` or ``bfloat16``. Where it is ``auto``, the environment's
            TORCH_DTYPE is asked; else it is bfloat16 where the hardware has it, float16 on older CUDA
            cards and float32 elsewhere.
        machine: What torch says; None: asks it.
        environment: None: the process's own.

    Raises:
        ConfigurationError: If it is not there, naming what is.
    """
    machine = look() if machine is None else machine
    environment = os.environ if environment is None else environment
    kind, index = _place(wanted.strip().lower(), machine, environment)
    chosen = _dtype(dtype, kind, index, machine, environment)
    if kind == "cpu":
        return Device("cpu", kind, f"CPU, torch {machine.torch_version}", chosen, machine.cpu_bytes)
    if kind == "mps":
        about = f"Apple MPS, torch {machine.torch_version}"
        return Device("mps", kind, about, chosen, machine.mps_bytes or 0, MPS_BUCKETS)
    card = machine.cards[index]
    size_gib = card.total_bytes / 2**30
    about = f"{card.name}, {size_gib:.0f} GiB, {_platform(kind, machine)}, torch {machine.torch_version}"
    return Device(f"cuda:{index}", kind, about, chosen, card.total_bytes)


def free_bytes(device: Device) -> int | None:
    """Return the device's free memory, what torch holds in reserve included; None: it cannot be told."""
    if device.kind == "cpu":
        return int(psutil.virtual_memory().available)
    if device.kind == "mps":
        return max(0, device.total_bytes - int(torch.mps.current_allocated_memory()))
    free, _ = torch.cuda.mem_get_info(device.name)
    reserve = torch.cuda.memory_reserved(device.name) - torch.cuda.memory_allocated(device.name)
    return int(free + reserve)


def look() -> Machine:
    """Ask torch what there is. Takes a second where a CUDA driver wakes up."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cards = tuple(_card(index) for index in range(torch.cuda.device_count()))
    has_mps = torch.backends.mps.is_available()
    capabilities = torch.cpu.get_capabilities()
    return Machine(
        torch_version=str(torch.__version__),
        cards=cards,
        cuda_version=torch.version.cuda or "",
        hip_version=torch.version.hip or "",
        driver=_driver(),
        mps_bytes=int(torch.mps.recommended_max_memory()) if has_mps else None,
        # The two x86 extensions that multiply bfloat16; everything else emulates it.
        cpu_has_bfloat16=bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")),
        cpu_bytes=int(psutil.virtual_memory().total),
        problems=tuple(str(warning.message).splitlines()[0] for warning in caught),
    )


def _card(index: int) -> Card:
    properties = torch.cuda.get_device_properties(index)
    # Every card that ROCm still supports computes in bfloat16.
    has_bfloat16 = bool(torch.version.hip) or (properties.major, properties.minor) >= BFLOAT16_CAPABILITY
    return Card(str(properties.name), int(properties.total_memory), has_bfloat16)


def _driver() -> str:
    try:
        told = _NVIDIA_DRIVER.read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", told)
    return found.group() if found else ""


def _platform(kind: DeviceKind, machine: Machine) -> str:
    if kind == "rocm":
        return f"ROCm {machine.hip_version}"
    return f"CUDA {machine.cuda_version}" + (f", driver {machine.driver}" if machine.driver else "")


def _place(wanted: str, machine: Machine, environment: Mapping[str, str]) -> tuple[DeviceKind, int]:
    """Return the kind and, for cards, the index."""
    card_kind: DeviceKind = "rocm" if machine.hip_version else "cuda"
    if wanted == "auto":
        if machine.cards:
            return card_kind, 0
        return ("cpu", 0) if machine.mps_bytes is None else ("mps", 0)
    if wanted == "cpu":
        return "cpu", 0
    if wanted == "mps" and machine.mps_bytes is not None:
        return "mps", 0
    named = re.fullmatch(r"(cuda|rocm)(?::(\d{1,3}))?", wanted)
    # ROCm's cards are called cuda in torch, and by the name that people know them by here.
    if named and (named[1] == card_kind or named[1] == "cuda"):
        index = int(named[2] or 0)
        if index < len(machine.cards):
            return card_kind, index
    raise ConfigurationError(_refusal(wanted, card_kind, machine, environment))


def _refusal(wanted: str, card_kind: DeviceKind, machine: Machine, environment: Mapping[str, str]) -> str:
    """Say that a device is not there, and what is."""
    here = ["auto", "cpu"] + (["mps"] if machine.mps_bytes is not None else [])
    here += [f"{card_kind}:{index} ({card.name})" for index, card in enumerate(machine.cards)]
    known = re.fullmatch(r"(cuda|rocm)(:\d{1,3})?|mps", wanted)
    why = "is not there" if known else "is not auto, cpu, cuda, cuda:N, rocm, rocm:N or mps"
    parts = [f"--device {wanted} {why}: torch {machine.torch_version} offers {', '.join(here)}"]
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if wanted.startswith(("cuda", "rocm")) and visible is not None:
        parts.append(f"CUDA_VISIBLE_DEVICES is {visible!r}")
    return "; ".join([*parts, *machine.problems])


def _dtype(
    wanted: str, kind: DeviceKind, index: int, machine: Machine, environment: Mapping[str, str]
) -> Any:
    """Return the torch dtype to run in."""
    source, named = "--dtype", wanted.strip().lower()
    if named == "auto" and environment.get("TORCH_DTYPE", "").strip():
        source, named = "TORCH_DTYPE", environment["TORCH_DTYPE"].strip().lower()
    named = named.removeprefix("torch.")
    named = _DTYPE_ALIASES.get(named, named)
    has_bfloat16 = {
        "cpu": machine.cpu_has_bfloat16,
        "mps": False,
        "rocm": True,
        "cuda": bool(machine.cards) and machine.cards[index].has_bfloat16,
    }[kind]
    if named == "auto":
        if has_bfloat16:
            return torch.bfloat16
        return torch.float16 if kind == "cuda" else torch.float32
    if named not in DTYPES:
        raise ConfigurationError(f"{source} {named} is not auto, {', '.join(DTYPES)}")
    if named == "bfloat16" and kind == "cuda" and not has_bfloat16:
        card = machine.cards[index].name
        raise ConfigurationError(f"{source} bfloat16 is not what {card} computes in: use float16 or float32")
    return DTYPES[named]

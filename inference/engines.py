"""What can paint on this machine: the loaders, and which model an empty name means.

Torch is imported in functions only, in the end by whoever loads a model first: a machine without it
paints all the same, and one with it starts as quickly as long as nothing needs it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.engine import Engine
from inference.errors import ConfigurationError, ModelLoadError
from inference.models.catalogue import DEFAULT_MODEL
from inference.models.entry import CatalogueEntry, Family, Loader, Weights, WeightSource
from inference.models.painter import PainterLoader
from inference.settings import Settings


if TYPE_CHECKING:
    from inference.turbo.device import Device

PAINTER = "procedural"

# What a diffusion model needs beside its weights.
LIBRARIES = ("torch", "diffusers", "transformers", "safetensors")
INSTALL = "make setup TORCH=1, or pip install -e '.[diffusion]' -c constraints.txt"


class DiffusionLoader:
    """Makes engines of diffusion models, all on one device; imports torch when it is first needed.

    Its methods are called in the loading thread, but for `free_bytes_now`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loader: Loader | None = None
        self.device: Device | None = None

    def choose(self) -> Device:
        """Choose the device, as the settings say.

        Raises:
            ConfigurationError: If it is not there, or the libraries are broken.
        """
        if self.device is None:
            try:
                from inference.turbo.device import choose_device
                from inference.turbo.load import TurboLoader
            except (ImportError, OSError) as exc:  # OSError: there, but not for this machine.
                raise ConfigurationError(f"--engine: torch and diffusers do not work here: {exc}") from exc
            device = choose_device(self._settings.device, self._settings.dtype)
            self._loader = TurboLoader(device, acceleration=self._settings.acceleration)
            self.device = device
        return self.device

    def load(self, entry: CatalogueEntry, weights: Weights) -> Engine:
        """Load a model; see `Loader.load`."""
        try:
            self.choose()
        except ConfigurationError as exc:
            raise ModelLoadError(entry.model.name, str(exc)) from exc
        assert self._loader is not None
        return self._loader.load(entry, weights)

    def free_bytes(self) -> int | None:
        """Return the device's free memory, or None where there is no device."""
        try:
            self.choose()
        except ConfigurationError:
            return None
        return self.free_bytes_now()

    def free_bytes_now(self) -> int | None:
        """Return the device's free memory; None until a model was asked for. Safe from any thread."""
        return None if self._loader is None else self._loader.free_bytes()


@dataclass(frozen=True, slots=True)
class Equipment:
    """What can paint here."""

    loaders: Mapping[Family, Loader]
    default_model: str
    reason: str  # why an empty name means that model, for the log
    diffusion: DiffusionLoader | None = None  # None: only the painter is offered

    @property
    def device(self) -> Device | None:
        """Where diffusion models run; None until that was needed."""
        return self.diffusion.device if self.diffusion else None

    def free_bytes(self) -> int | None:
        """Return that device's free memory, or None. Safe from any thread."""
        return self.diffusion.free_bytes_now() if self.diffusion else None


def missing_libraries() -> list[str]:
    """Return which of `LIBRARIES` are not installed, without importing any."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name) is None]


def equip(settings: Settings, entries: Collection[CatalogueEntry], weights: WeightSource) -> Equipment:
    """Decide what is offered, and which model an empty name means.

    Blocking: it may look for weights and import torch.

    Args:
        settings: What is wanted.
        entries: The catalogue.
        weights: Asked whether the best model is on this machine.

    Raises:
        ConfigurationError: If what is wanted cannot be had.
    """
    painter: dict[Family, Loader] = {"procedural": PainterLoader()}
    missing = missing_libraries()
    if settings.engine == "turbo" and missing:
        raise ConfigurationError(f"--engine turbo needs {', '.join(missing)}, not installed here: {INSTALL}")
    if missing and settings.engine == "auto" and settings.device not in ("auto", "cpu"):
        raise ConfigurationError(
            f"--device {settings.device} needs {', '.join(missing)}, not installed here: {INSTALL}"
        )
    if settings.engine == "procedural" or missing:
        reason = "--engine procedural" if settings.engine == "procedural" else f"without {', '.join(missing)}"
        return _checked(Equipment(painter, settings.model or PAINTER, reason), settings, entries)
    diffusion = DiffusionLoader(settings)
    if settings.engine == "turbo" or settings.device != "auto" or settings.dtype != "auto":
        # What was asked for in so many words must be there: better now than at the first picture.
        diffusion.choose()
    model, reason = settings.model, "--model"
    if not model:
        model, reason = _choose_model(settings, entries, weights, diffusion)
    loaders: dict[Family, Loader] = {**painter, "sdxl": diffusion, "sd": diffusion}
    return _checked(Equipment(loaders, model, reason, diffusion), settings, entries)


def _choose_model(
    settings: Settings, entries: Collection[CatalogueEntry], weights: WeightSource, diffusion: DiffusionLoader
) -> tuple[str, str]:
    """Return what an empty name means where nobody has said so, and why."""
    if settings.engine == "turbo":
        return DEFAULT_MODEL, "--engine turbo"
    best = next((entry for entry in entries if entry.model.name == DEFAULT_MODEL), None)
    # In this order: without weights torch is not imported.
    if best is None or weights.find(best) is None:
        return PAINTER, f"no weights of {DEFAULT_MODEL} found"
    try:
        device = diffusion.choose()
    except ConfigurationError as exc:
        return PAINTER, str(exc)
    if device.kind == "cpu":
        return PAINTER, f"no accelerator for {DEFAULT_MODEL} found"
    return DEFAULT_MODEL, f"weights and {device.description} found"


def _checked(equipment: Equipment, settings: Settings, entries: Collection[CatalogueEntry]) -> Equipment:
    """Refuse a default or fallback model that is not offered."""
    offered = [entry for entry in entries if entry.family in equipment.loaders]
    names = {name for entry in offered for name in (entry.model.name, *entry.aliases)}
    fallback = settings.fallback_model
    for flag, name in (("--model", equipment.default_model), ("--fallback-model", fallback)):
        if name and name not in names:
            accepted = ", ".join(entry.model.name for entry in offered)
            why = "" if equipment.diffusion else f" ({equipment.reason})"
            raise ConfigurationError(f"{flag} must be one of {accepted}{why}, got {name!r}")
    return equipment

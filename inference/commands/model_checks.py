"""The doctor's look at models: weights, licences, and whether memory and disk are enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.commands.findings import Finding, note, ok, problem
from inference.commands.probe import Probe
from inference.commands.surroundings import Surroundings
from inference.models.catalogue import DEFAULT_MODEL
from inference.models.entry import CatalogueEntry, Family, Weights
from inference.models.places import is_offline
from inference.settings import Settings


PAINTER = "procedural"

# Parameters of a whole pipeline, in billions: text encoders, UNet, autoencoder.
_PARAMETERS_G: Mapping[Family, float] = {"sdxl": 3.5, "sd": 1.1, "procedural": 0.0}
# What painting takes beside the weights: activations of a batch of 16 at 512 x 512, and torch itself, GB.
_WORKING_GB = 3.0
# What a download of the half-precision files takes, and what must stay free beside it, GB.
_SPARE_DISK_GB = 1.0

_SMALLER = "choose a smaller --model, such as sd-turbo"


@dataclass(frozen=True, slots=True)
class Stock:
    """What is known of one model's weights."""

    entry: CatalogueEntry
    weights: Weights | None  # None: not here, or broken
    reason: str = ""  # why they cannot be used

    @property
    def is_broken(self) -> bool:
        """Whether something is here that is not whole."""
        # What was not found at all is told as "no pipeline ...".
        return self.weights is None and not self.reason.startswith("no ")

    @property
    def name(self) -> str:
        """The model's."""
        return self.entry.model.name


def named(stocks: Mapping[str, Stock], name: str) -> str:
    """Return the name of the model that a name or another name of it means; itself if there is none."""
    return next((stock.name for stock in stocks.values() if name in stock.entry.aliases), name)


def wanted_model(stocks: Mapping[str, Stock], probe: Probe | None, settings: Settings) -> tuple[str, str]:
    """Return which model an empty name will mean when the service is started, and why."""
    if settings.engine == "procedural":
        return named(stocks, settings.model or PAINTER), "--engine procedural"
    if settings.model:
        return named(stocks, settings.model), "--model"
    if settings.engine == "turbo":
        return DEFAULT_MODEL, "--engine turbo"
    if probe is None or probe.error or probe.refusal:
        return PAINTER, "torch cannot be used"
    best = stocks.get(DEFAULT_MODEL)
    if best is None or best.weights is None:
        return PAINTER, f"no weights of {DEFAULT_MODEL} found"
    if probe.kind == "cpu":
        return PAINTER, "no accelerator found"
    return DEFAULT_MODEL, f"its weights and {probe.device} were found"


def check_weights(
    stocks: Mapping[str, Stock], wanted: str, here: Surroundings, settings: Settings
) -> list[Finding]:
    """Judge what is on this machine of each model."""
    return [_check_stock(stock, wanted, here, settings) for stock in stocks.values() if stock.entry.place]


def _check_stock(stock: Stock, wanted: str, here: Surroundings, settings: Settings) -> Finding:
    name = stock.name
    if stock.weights is not None:
        text = f"{name}: {stock.weights.size_bytes / 1e9:.1f} GB in {stock.weights.pipeline}"
        if stock.entry.tiny_autoencoder and stock.weights.tiny_autoencoder is None:
            tiny = stock.entry.tiny_autoencoder
            advice = f"hf download {tiny}: live frames take twice as long without it"
            return note("weights", f"{text}, without its tiny autoencoder", advice)
        return ok("weights", text)
    if stock.is_broken:
        return problem("weights", f"{name}: {stock.reason}", "delete what is broken, or fetch it anew")
    text = f"{name}: not on this machine"
    if settings.download and not is_offline(here.variables):
        return note("weights", f"{text}; fetched when it is first asked for")
    switch = "--download" if not settings.download else "HF_HUB_OFFLINE=0"
    advice = f"put it into {settings.model_dir / name}, or allow downloads: {switch}"
    return (problem if name == wanted else note)("weights", text, advice)


def check_licence(stocks: Mapping[str, Stock], wanted: str) -> list[Finding]:
    """Remind of the licences of the weights that are here or will be fetched."""
    return [
        note(
            "licence",
            f"{stock.name}: {stock.entry.model.license}",
            "read it before you show or sell pictures",
        )
        for stock in stocks.values()
        if stock.entry.model.license and (stock.weights is not None or stock.name == wanted)
    ]


def judged_model(stocks: Mapping[str, Stock], wanted: str) -> Stock | None:
    """Return the model whose needs are judged: the wanted one, or the best where that is the painter."""
    return stocks.get(DEFAULT_MODEL) if stocks[wanted].entry.family == "procedural" else stocks[wanted]


def check_memory(here: Surroundings, probe: Probe | None, stock: Stock | None, wanted: str) -> list[Finding]:
    """Judge whether a model fits into the memory of its device, and this machine's."""
    free = f"{here.available_bytes / 1e9:.1f} of {here.total_bytes / 1e9:.1f} GB free"
    if stock is None or probe is None or not probe.dtype:
        return [ok("memory", free)]
    tell = problem if stock.name == wanted else note
    weights_gb = _PARAMETERS_G[stock.entry.family] * (4 if probe.dtype == "float32" else 2)
    need_gb = weights_gb + _WORKING_GB
    found = []
    if probe.kind != "cpu" and probe.free_bytes is not None and probe.free_bytes < need_gb * 1e9:
        text = (
            f"{stock.name} takes about {need_gb:.0f} GB in {probe.dtype}, and {probe.device} has "
            f"{probe.free_bytes / 1e9:.1f} GB free"
        )
        found.append(tell("memory", text, f"end what else uses the card (nvidia-smi tells), or {_SMALLER}"))
    # The weights are read into memory on their way to a card.
    need_here_gb = need_gb if probe.kind == "cpu" else weights_gb
    if here.available_bytes < need_here_gb * 1e9:
        text = f"{stock.name} takes about {need_here_gb:.0f} GB of memory to load, and there is {free}"
        found.append(tell("memory", text, f"end other programs, or {_SMALLER}"))
    return found or [ok("memory", f"{free}; {stock.name} takes about {need_gb:.0f} GB in {probe.dtype}")]


def check_disk(
    folder: Path, free_bytes: int, stock: Stock | None, wanted: str, settings: Settings
) -> Finding:
    """Judge whether what must be fetched for a model fits onto the disk."""
    free = f"{free_bytes / 1e9:.1f} GB free for downloads in {folder}"
    if stock is None or stock.weights is not None:
        return ok("disk", free)
    tell = problem if stock.name == wanted else note
    need_gb = _PARAMETERS_G[stock.entry.family] * 2
    need = f"{stock.name} takes about {need_gb:.0f} GB"
    if free_bytes < (need_gb + _SPARE_DISK_GB) * 1e9:
        return tell(
            "disk", f"{need}, and there is {free}", "make room, or choose another disk by --model-dir"
        )
    if settings.max_disk_cache < need_gb:
        limit = f"downloads may take {settings.max_disk_cache:g} GB"
        return tell("disk", f"{need}, and {limit}", "raise --max-disk-cache")
    return ok("disk", free)

"""What is offered on which machine, and which model an empty name means."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine
from houses import FakeWeights
from services import GatedLoader

from inference import engines
from inference.engines import DiffusionLoader, equip
from inference.errors import ConfigurationError, ModelLoadError
from inference.models.catalogue import built_in
from inference.models.entry import Weights
from inference.settings import Settings, load


ENTRIES = tuple(built_in().values())


class Machine:
    """What a test says of the machine: libraries, weights and device."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.missing: list[str] = []
        self.has_weights = True
        self.kind = "cuda"
        self.error = ""
        self.chosen = 0
        monkeypatch.setattr(engines, "missing_libraries", lambda: self.missing)
        monkeypatch.setattr(DiffusionLoader, "choose", self._choose)

    def _choose(self, *_: object) -> Any:
        self.chosen += 1
        if self.error:
            raise ConfigurationError(self.error)

        class Device:
            kind = self.kind
            description = "a card"

        return Device()

    def equip(self, *arguments: str) -> engines.Equipment:
        source = FakeWeights()
        if not self.has_weights:
            source.missing = {"sdxl-turbo": ModelLoadError("sdxl-turbo", "there are none")}
        return equip(load(arguments), ENTRIES, source)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PSYCHE_INFERENCE_{name.upper()}", raising=False)
    return Machine(monkeypatch)


@pytest.mark.parametrize(
    ("kind", "model"), [("cuda", "sdxl-turbo"), ("mps", "sdxl-turbo"), ("cpu", "procedural")]
)
def test_the_best_model_is_the_default_where_an_accelerator_can_run_it(
    machine: Machine, kind: str, model: str
) -> None:
    machine.kind = kind

    equipment = machine.equip()

    assert equipment.default_model == model
    assert set(equipment.loaders) == {"procedural", "sdxl", "sd"}


def test_without_weights_torch_is_not_even_asked(machine: Machine) -> None:
    machine.has_weights = False

    equipment = machine.equip()

    assert (equipment.default_model, equipment.reason) == ("procedural", "no weights of sdxl-turbo found")
    assert set(equipment.loaders) == {"procedural", "sdxl", "sd"}  # They may be fetched.
    assert machine.chosen == 0


def test_a_broken_torch_costs_the_networks_and_not_the_start(machine: Machine) -> None:
    machine.error = "--engine: torch and diffusers do not work here: libcuda"

    assert machine.equip().default_model == "procedural"
    with pytest.raises(ConfigurationError, match="do not work here: libcuda"):
        machine.equip("--engine", "turbo")


def test_without_torch_only_the_painter_is_offered_and_it_is_said_why(machine: Machine) -> None:
    machine.missing = ["torch", "diffusers"]

    equipment = machine.equip()

    assert set(equipment.loaders) == {"procedural"}
    assert (equipment.default_model, equipment.reason) == ("procedural", "without torch, diffusers")
    assert (equipment.device, equipment.free_bytes()) == (None, None)


def test_the_procedural_engine_offers_nothing_else(machine: Machine) -> None:
    equipment = machine.equip("--engine", "procedural")

    assert set(equipment.loaders) == {"procedural"}
    assert machine.chosen == 0


def test_turbo_is_sdxl_turbo_on_any_device(machine: Machine) -> None:
    machine.kind, machine.has_weights = "cpu", False

    assert machine.equip("--engine", "turbo").default_model == "sdxl-turbo"


def test_a_model_that_is_named_is_the_default(machine: Machine) -> None:
    equipment = machine.equip("--model", "sd-turbo")

    assert equipment.default_model == "sd-turbo"
    assert machine.chosen == 0


@pytest.mark.parametrize(
    ("missing", "arguments", "message"),
    [
        ([], ["--model", "none"], "--model must be one of "),
        ([], ["--fallback-model", "none"], "--fallback-model must be one of "),
        (
            ["torch"],
            ["--engine", "turbo"],
            "--engine turbo needs torch, not installed here: make setup TORCH=1",
        ),
        (
            ["torch"],
            ["--device", "cuda"],
            "--device cuda needs torch, not installed here: make setup TORCH=1",
        ),
        (
            ["torch"],
            ["--model", "sdxl-turbo"],
            "--model must be one of procedural (without torch), got 'sdxl",
        ),
        (
            [],
            ["--engine", "procedural", "--model", "sdxl-turbo"],
            "--model must be one of procedural (--engine",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_at_the_start(
    machine: Machine, missing: list[str], arguments: list[str], message: str
) -> None:
    machine.missing = missing

    with pytest.raises(ConfigurationError) as refused:
        machine.equip(*arguments)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("arguments", [["--device", "cuda:9"], ["--dtype", "float16"], ["--engine", "turbo"]])
def test_what_is_asked_for_in_so_many_words_must_be_there_at_the_start(
    machine: Machine, arguments: list[str]
) -> None:
    machine.has_weights, machine.error = False, "--device cuda:9 is not there"

    with pytest.raises(ConfigurationError, match="is not there"):
        machine.equip(*arguments)


def test_no_fallback_is_a_choice(machine: Machine) -> None:
    assert machine.equip("--fallback-model", "").default_model == "sdxl-turbo"


def test_a_load_on_a_machine_whose_torch_is_broken_fails_for_its_model_alone(machine: Machine) -> None:
    machine.error = "torch does not work here"
    loader = DiffusionLoader(load([]))
    (entry,) = (entry for entry in ENTRIES if entry.model.name == "sdxl-turbo")

    with pytest.raises(ModelLoadError, match=r"^model sdxl-turbo could not be loaded: torch does not work"):
        loader.load(entry, Weights())
    assert (loader.free_bytes(), loader.free_bytes_now()) == (None, None)


def test_free_memory_is_told_by_whoever_loads(machine: Machine) -> None:
    loader = DiffusionLoader(load([]))
    own = GatedLoader(FakeEngine())
    own.free_bytes = lambda: 42  # type: ignore[method-assign]
    loader._loader = own

    assert (loader.free_bytes(), loader.free_bytes_now()) == (42, 42)


def test_asking_what_is_installed_imports_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # An import of it would fail now.

    assert isinstance(engines.missing_libraries(), list)

"""The doctor: what it makes of a machine, and that nothing on one can end it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inference.__main__ import main
from inference.commands import doctor
from inference.commands.doctor import check_service
from inference.commands.findings import Finding, count_problems, described, note, ok, problem
from inference.commands.model_checks import (
    Stock,
    check_disk,
    check_licence,
    check_memory,
    check_weights,
    judged_model,
    wanted_model,
)
from inference.commands.probe import Probe, run_probe
from inference.commands.surroundings import Requirement, Surroundings, free_disk_bytes, look_around, required
from inference.commands.torch_checks import check_libraries, check_python, check_torch, check_variables
from inference.listening import TcpAddress, UnixAddress
from inference.models.catalogue import built_in
from inference.models.entry import Weights
from inference.settings import Settings


NEEDED = (Requirement("torch", "==", "2.13.0"), Requirement("diffusers", ">=", "0.42.1"))
HERE = Surroundings(
    python=(3, 11, 7),
    platform="Linux",
    requirements=NEEDED,
    versions={"torch": "2.13.0+cu130", "diffusers": "0.43"},
    available_bytes=60 * 10**9,
    total_bytes=64 * 10**9,
)
CARD = Probe(
    torch_version="2.13.0+cu130",
    cuda_version="13.0",
    driver="580.1",
    cards=("H200",),
    device="cuda:0",
    kind="cuda",
    description="H200, 139 GiB",
    dtype="bfloat16",
    has_bfloat16=True,
    free_bytes=100 * 10**9,
)
CPU = Probe(torch_version="2.13.0", device="cpu", kind="cpu", description="CPU", dtype="float32")
WEIGHTS = Weights(pipeline=Path("/m/sdxl-turbo"), tiny_autoencoder=Path("/m/taesdxl"), size_bytes=7 * 10**9)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Look neither at this machine's settings nor at its weights."""
    for name in ("PSYCHE_INFERENCE", "TORCH_DTYPE", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("GRPC_VERBOSITY", "NONE")
    monkeypatch.chdir(tmp_path)


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]  # pydantic's own argument.


def stocks(**weights: Weights) -> dict[str, Stock]:
    """Every model of the catalogue, with these weights by its name's letters."""
    return {
        name: Stock(entry, weights.get(name.replace("-", "_")), "no pipeline: nowhere" if entry.place else "")
        for name, entry in built_in().items()
    }


def levels(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.topic, finding.level) for finding in findings]


def test_an_old_interpreter_is_a_problem() -> None:
    assert check_python(HERE).level == "ok"
    assert check_python(replace(HERE, python=(3, 10, 1))).level == "problem"


def test_variables_that_change_something_are_named() -> None:
    found = check_variables(replace(HERE, variables={"CUDA_VISIBLE_DEVICES": "1", "HF_HOME": "/hf"}))

    assert found.text == "CUDA_VISIBLE_DEVICES='1', HF_HOME='/hf'"


@pytest.mark.parametrize(
    ("versions", "engine", "level", "told"),
    [
        ({"torch": "2.13.0+cpu", "diffusers": "0.42.1"}, "auto", "ok", "torch 2.13.0+cpu"),
        ({}, "auto", "note", "only the procedural painter"),
        ({}, "turbo", "problem", "only the procedural painter"),
        ({"torch": "2.13.0"}, "auto", "problem", "not installed: diffusers >= 0.42.1"),
        ({"torch": "2.12.1", "diffusers": "0.42.1"}, "auto", "problem", "torch 2.12.1 instead of == 2.13.0"),
        ({"torch": "2.13.0", "diffusers": "0.9"}, "auto", "problem", "diffusers 0.9 instead of >= 0.42.1"),
    ],
)
def test_libraries_are_compared_with_what_the_extra_asks_for(
    versions: dict[str, str], engine: str, level: str, told: str
) -> None:
    (found,) = check_libraries(replace(HERE, versions=versions), settings(engine=engine))

    assert found.level == level
    assert told in found.text
    assert bool(found.advice) == (level != "ok")


def test_the_extra_is_read_from_our_own_package() -> None:
    names = {needed.name for needed in required()}

    assert {"torch", "diffusers", "transformers"} <= names
    assert "pytest" not in names


def test_a_card_that_is_used_is_fine() -> None:
    found = check_torch(replace(HERE, has_nvidia=True), CARD, settings())

    assert levels(found) == [("torch", "ok"), ("device", "ok"), ("precision", "ok")]
    assert "100.0 GB free" in found[1].text
    assert found[2].text.startswith("bfloat16: the hardware")


def test_a_build_for_the_cpu_beside_a_card_is_a_problem() -> None:
    found = check_torch(replace(HERE, has_nvidia=True), CPU, settings())[0]

    assert found.level == "problem"
    assert "Torch not compiled with CUDA" in found.text
    assert "pytorch.org" in found.advice


def test_a_build_without_rocm_beside_an_amd_card_is_a_problem() -> None:
    found = check_torch(replace(HERE, has_amd=True), CPU, settings())[0]

    assert found.level == "problem"
    assert "ROCm" in found.text


def test_a_card_that_torch_does_not_see_is_a_problem_unless_it_is_hidden() -> None:
    blind = replace(CARD, cards=(), device="cpu", kind="cpu", problems=("CUDA initialization: old driver",))
    here = replace(HERE, has_nvidia=True)

    seen = check_torch(here, blind, settings())
    hidden = check_torch(replace(here, variables={"CUDA_VISIBLE_DEVICES": ""}), blind, settings())

    assert seen[0].level == "problem"
    assert "driver 580.1" in seen[0].text
    assert seen[1] == note("torch", "CUDA initialization: old driver")
    assert hidden[0].level == "note"
    assert "CUDA_VISIBLE_DEVICES=''" in hidden[0].text


def test_a_device_that_is_not_there_is_a_problem() -> None:
    refused = replace(CPU, device="", refusal="--device cuda:3 is not there: torch offers auto, cpu")

    found = check_torch(HERE, refused, settings(device="cuda:3"))

    assert levels(found) == [("torch", "ok"), ("device", "problem")]


@pytest.mark.parametrize(
    ("probe", "values", "variables", "why"),
    [
        (CPU, {}, {}, "no bfloat16 in hardware"),
        (replace(CARD, dtype="float16"), {}, {}, "too old"),
        (replace(CARD, dtype="float16"), {}, {"TORCH_DTYPE": "float16"}, "as TORCH_DTYPE says"),
        (replace(CARD, dtype="float32"), {"dtype": "float32"}, {}, "as --dtype says"),
    ],
)
def test_the_precision_is_told_with_its_reason(
    probe: Probe, values: dict[str, str], variables: dict[str, str], why: str
) -> None:
    found = check_torch(replace(HERE, variables=variables), probe, settings(**values))[-1]

    assert found.topic == "precision"
    assert why in found.text


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise SystemExit('libcudart.so.13: cannot open shared object file')", "libcudart.so.13"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "signal 4"),
        ("print('{}')", "status 0"),
        ("print('[1]')", "status 0"),
        ("", "status 0"),
    ],
)
def test_a_broken_torch_is_a_finding(code: str, told: str) -> None:
    probe = run_probe("auto", "auto", command=[sys.executable, "-c", code])

    (found,) = check_torch(HERE, probe, settings())

    assert found.level == "problem"
    assert told in found.text


def test_a_torch_that_hangs_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.commands.probe.DEADLINE_S", 0.05)

    probe = run_probe("auto", "auto", command=[sys.executable, "-c", "input()\nimport time; time.sleep(60)"])

    assert probe.error


@pytest.mark.parametrize(
    ("values", "probe", "found", "wanted"),
    [
        ({}, CARD, {"sdxl_turbo": WEIGHTS}, "sdxl-turbo"),
        ({}, CARD, {}, "procedural"),
        ({}, CPU, {"sdxl_turbo": WEIGHTS}, "procedural"),
        ({}, None, {"sdxl_turbo": WEIGHTS}, "procedural"),
        ({}, Probe(error="broken"), {"sdxl_turbo": WEIGHTS}, "procedural"),
        ({"engine": "turbo"}, CPU, {}, "sdxl-turbo"),
        ({"engine": "procedural"}, CARD, {"sdxl_turbo": WEIGHTS}, "procedural"),
        ({"model": "sd-turbo"}, CARD, {}, "sd-turbo"),
        ({"model": "stabilityai/sd-turbo"}, CARD, {}, "sd-turbo"),
    ],
)
def test_which_model_an_empty_name_will_mean(
    values: dict[str, str], probe: Probe | None, found: dict[str, Weights], wanted: str
) -> None:
    assert wanted_model(stocks(**found), probe, settings(**values))[0] == wanted


def test_weights_are_told_with_where_they_are() -> None:
    known = stocks(sdxl_turbo=WEIGHTS)
    known["sd-turbo"] = replace(known["sd-turbo"], reason="/m/sd-turbo: unet is not whole")

    found = check_weights(known, "sdxl-turbo", HERE, settings())

    assert found[0] == ok("weights", "sdxl-turbo: 7.0 GB in /m/sdxl-turbo")
    assert found[1].level == "problem"
    assert "unet is not whole" in found[1].text
    assert {finding.level for finding in found[2:]} == {"note"}
    assert all("fetched when it is first asked for" in finding.text for finding in found[2:])


def test_a_missing_tiny_autoencoder_is_told_with_where_it_comes_from() -> None:
    known = stocks(sdxl_turbo=replace(WEIGHTS, tiny_autoencoder=None))

    found = check_weights(known, "sdxl-turbo", HERE, settings())[0]

    assert found.level == "note"
    assert "hf download madebyollin/taesdxl" in found.advice


@pytest.mark.parametrize("values", [{"download": False}, {}])
def test_weights_that_are_wanted_and_may_not_be_fetched_are_a_problem(values: dict[str, bool]) -> None:
    here = HERE if values else replace(HERE, variables={"HF_HUB_OFFLINE": "1"})

    found = check_weights(stocks(), "sdxl-turbo", here, settings(**values))

    assert [finding.level for finding in found] == ["problem", "note", "note", "note", "note"]
    assert ("--download" if values else "HF_HUB_OFFLINE=0") in found[0].advice


def test_the_licences_of_what_is_used_are_told() -> None:
    found = check_licence(stocks(sd_turbo=WEIGHTS), "sdxl-turbo")

    assert [finding.text.partition(":")[0] for finding in found] == ["sdxl-turbo", "sd-turbo"]
    assert check_licence(stocks(), "procedural") == []


def test_memory_is_compared_with_what_the_model_takes() -> None:
    turbo = stocks()["sdxl-turbo"]
    tight = replace(CARD, free_bytes=6 * 10**9)
    small = replace(HERE, available_bytes=5 * 10**9)

    assert levels(check_memory(HERE, CARD, turbo, "sdxl-turbo")) == [("memory", "ok")]
    assert "cuda:0 has 6.0 GB free" in check_memory(HERE, tight, turbo, "sdxl-turbo")[0].text
    assert levels(check_memory(small, tight, turbo, "sdxl-turbo")) == [("memory", "problem")] * 2
    assert levels(check_memory(small, CPU, turbo, "procedural")) == [("memory", "note")]
    assert levels(check_memory(small, None, None, "procedural")) == [("memory", "ok")]


def test_what_is_judged_is_the_best_model_where_the_painter_is_meant() -> None:
    judged = judged_model(stocks(), "procedural")

    assert judged is not None
    assert judged.name == "sdxl-turbo"


def test_a_disk_too_small_for_what_must_be_fetched_is_a_problem(tmp_path: Path) -> None:
    turbo = stocks()["sdxl-turbo"]

    assert check_disk(tmp_path, 7 * 10**9, turbo, "sdxl-turbo", settings()).level == "problem"
    assert check_disk(tmp_path, 9 * 10**9, turbo, "sdxl-turbo", settings()).level == "ok"
    assert check_disk(tmp_path, 7 * 10**9, turbo, "procedural", settings()).level == "note"
    assert check_disk(tmp_path, 0, replace(turbo, weights=WEIGHTS), "sdxl-turbo", settings()).level == "ok"
    limited = settings(max_disk_cache=5.0)
    assert "--max-disk-cache" in check_disk(tmp_path, 10**12, turbo, "sdxl-turbo", limited).advice


def test_the_disk_of_a_folder_that_is_not_made_yet_is_that_of_its_parent(tmp_path: Path) -> None:
    assert free_disk_bytes(tmp_path / "not" / "yet") > 0


@pytest.fixture
def stranger() -> Iterator[TcpAddress]:
    """A port that something else has."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield TcpAddress("127.0.0.1", server.getsockname()[1])


def test_a_port_that_somebody_else_has_is_a_problem(
    stranger: TcpAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_ANSWER_S", 0.2)

    found = check_service(stranger)

    assert found.level == "problem"
    assert str(stranger) in found.text


def test_no_service_is_no_problem(tmp_path: Path) -> None:
    found = check_service(UnixAddress(tmp_path / "nobody.sock"))

    assert found.level == "note"
    assert "python -m inference" in found.advice


def test_findings_are_aligned_lines_with_what_to_do() -> None:
    text = described([ok("a", "fine"), note("bbb", "so"), problem("c", "broken", "mend it")])

    assert text.splitlines() == [
        "ok       a    fine",
        "note     bbb  so",
        "PROBLEM  c    broken",
        "              -> mend it",
        "",
        "1 problem found",
    ]


NOWHERE = ["--address", "unix:/nowhere/nobody.sock"]


def without_torch(monkeypatch: pytest.MonkeyPatch, here: Surroundings) -> None:
    monkeypatch.setattr(doctor, "look_around", lambda: replace(here, versions={}))


def test_a_machine_without_torch_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_torch(monkeypatch, HERE)

    assert main(["doctor", *NOWHERE]) == 0

    told = capsys.readouterr().out
    assert "requests that name none get procedural" in told
    assert told.endswith("no problem found\n")


def test_problems_are_the_exit_status_and_json_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_torch(monkeypatch, HERE)

    assert main(["doctor", "--json", "--engine", "turbo", "--no-download", *NOWHERE]) == 1

    told = json.loads(capsys.readouterr().out)
    wrong = [finding["topic"] for finding in told["findings"] if finding["level"] == "problem"]
    assert told["problems"] == len(wrong) == 2
    assert wrong == ["libraries", "weights"]


def test_a_setting_that_is_wrong_is_a_finding_and_a_flag_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_torch(monkeypatch, HERE)
    assert main(["doctor", "--max-waiting", "0", *NOWHERE]) == 2
    assert "--max-waiting" in capsys.readouterr().err

    monkeypatch.setenv("PSYCHE_INFERENCE_MAX_WAITING", "0")
    assert main(["doctor", *NOWHERE]) == 1
    assert "PSYCHE_INFERENCE_MAX_WAITING" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--model", "unknown"], "there is no model 'unknown'"),
        (["--catalogue", "nowhere.toml"], "nowhere.toml: cannot be read"),
    ],
)
def test_a_model_or_a_catalogue_that_is_not_there_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flags: list[str], told: str
) -> None:
    without_torch(monkeypatch, HERE)

    assert main(["doctor", *flags, *NOWHERE]) == 1

    assert told in capsys.readouterr().out


def test_this_machine_can_be_looked_at() -> None:
    here = look_around()

    assert here.python == sys.version_info[:3]
    assert 0 < here.available_bytes <= here.total_bytes
    assert count_problems(check_libraries(replace(here, versions={}), settings())) == 0


@pytest.mark.diffusion
def test_torch_is_asked_in_a_process_of_its_own() -> None:
    probe = run_probe("cpu", "float32")

    assert probe.error == ""
    assert (probe.device, probe.kind, probe.dtype) == ("cpu", "cpu", "float32")
    assert probe.free_bytes


@pytest.mark.diffusion
def test_a_device_that_torch_does_not_have_is_refused() -> None:
    probe = run_probe("cuda:99", "auto")

    assert (probe.error, probe.device) == ("", "")
    assert "cuda:99" in probe.refusal

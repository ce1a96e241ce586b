"""`python -m inference doctor`: what keeps this machine from painting, and what to do about it.

Needs no running service, and starts nothing but a short process that asks torch.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import grpc

from inference.commands import EXIT_FAILED, EXIT_OK
from inference.commands.calls import service_at
from inference.commands.findings import Finding, count_problems, described, note, ok, problem
from inference.commands.flags import CommandParser, add_address
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
from inference.commands.surroundings import Surroundings, free_disk_bytes, look_around
from inference.commands.torch_checks import check_libraries, check_python, check_torch, check_variables
from inference.errors import ConfigurationError
from inference.listening import Address, TcpAddress
from inference.models.catalogue import built_in, read_catalogue
from inference.models.weights import WeightStore
from inference.settings import Settings, load
from protos import psyche_inference_v1_pb2 as pb


# For the service's answer: it is a neighbour.
_ANSWER_S = 2.0


def main(arguments: Sequence[str]) -> int:
    """Look at everything and tell it.

    Returns:
        0, or 1 where there is a problem.

    Raises:
        ConfigurationError: If a flag is wrong.
    """
    parser = CommandParser(
        "doctor", epilog="Takes the flags of `serve`, too, and judges what would be served with them."
    )
    parser.add_argument("--json", action="store_true", help="the findings for programs")
    add_address(parser)
    flags, others = parser.read_known(arguments)
    try:
        settings = load(others)
    except ConfigurationError as error:
        if others:
            raise
        # What is wrong is a variable, or a line of `.env`.
        settings, findings = None, [problem("settings", str(error), "correct the variable that it names")]
    else:
        findings = []
    here = look_around()
    findings += [check_python(here)]
    if settings is not None:
        findings += examine(here, settings)
    findings.append(check_service(flags.address))
    if flags.json:
        found = {"problems": count_problems(findings), "findings": [asdict(one) for one in findings]}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(described(findings))
    return EXIT_FAILED if count_problems(findings) else EXIT_OK


def examine(here: Surroundings, settings: Settings) -> list[Finding]:
    """Look at everything that painting needs."""
    findings = check_libraries(here, settings)
    probe: Probe | None = None
    if "torch" in here.versions:
        probe = run_probe(settings.device, settings.dtype)
        findings += check_torch(here, probe, settings)
    findings.append(check_variables(here))
    try:
        catalogue = read_catalogue(settings.catalogue) if settings.catalogue else built_in()
    except ConfigurationError as error:
        return [*findings, problem("catalogue", str(error), "correct the file")]
    store = WeightStore(settings.model_dir, download=False, is_model_dir_given=settings.is_given("model_dir"))
    stocks = {
        name: Stock(entry, store.find(entry), store.explain(entry)) for name, entry in catalogue.items()
    }
    wanted, why = wanted_model(stocks, probe, settings)
    if wanted not in stocks:
        accepted = f"--model must be one of {', '.join(stocks)}"
        return [*findings, problem("model", f"there is no model {wanted!r}", accepted)]
    findings += check_weights(stocks, wanted, here, settings)
    findings += check_licence(stocks, wanted)
    judged = judged_model(stocks, wanted) if probe else None
    findings += check_memory(here, probe, judged, wanted)
    free_bytes = free_disk_bytes(store.download_dir)
    findings.append(check_disk(store.download_dir, free_bytes, judged, wanted, settings))
    return [*findings, _tell_model(wanted, why, stocks)]


def _tell_model(wanted: str, why: str, stocks: Mapping[str, Stock]) -> Finding:
    text = f"requests that name none get {wanted} ({why})"
    return ok("model", text) if stocks[wanted].entry.model.is_neural else note("model", text)


def check_service(address: Address) -> Finding:
    """Judge whether a service answers at an address, or somebody else has it."""
    try:
        with service_at(address) as stub:
            offer = stub.GetImageModels(pb.ModelRequest(), timeout=_ANSWER_S)
    except grpc.RpcError:
        if isinstance(address, TcpAddress) and _is_taken(address):
            advice = f"end it, or serve elsewhere: --listen {address.host}:PORT"
            return problem("service", f"{address} is taken by what is no image service", advice)
        return note("service", f"none at {address}", "start it: python -m inference")
    states = {info.name: pb.ModelInfo.State.Name(info.state) for info in offer.models}
    state = states.get(offer.default_model, "").removeprefix("STATE_").lower().replace("_", " ")
    text = f"one answers at {address}: {len(states)} models, by default {offer.default_model} ({state})"
    failed = [f"{info.name}: {info.error}" for info in offer.models if info.error]
    if failed:
        return problem(
            "service", f"{text}; failed: {'; '.join(failed)}", "see its log, and the weights above"
        )
    return ok("service", text)


def _is_taken(address: TcpAddress) -> bool:
    try:
        with socket.create_connection((address.host, address.port), timeout=_ANSWER_S):
            return True
    except OSError:
        return False

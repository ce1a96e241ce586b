"""The doctor's look at Python, torch and the device. Pure: everything is handed in."""

from __future__ import annotations

from inference.commands.findings import Finding, note, ok, problem
from inference.commands.probe import Probe
from inference.commands.surroundings import Surroundings
from inference.settings import Settings


_INSTALL = "make setup TORCH=1, or pip install -e '.[diffusion]' -c constraints.txt"
_BUILDS = "https://pytorch.org/get-started/locally/"

_LEAST_PYTHON = (3, 11)


def check_python(here: Surroundings) -> Finding:
    """Judge the interpreter."""
    text = f"Python {'.'.join(map(str, here.python))} on {here.platform}"
    if here.python[:2] < _LEAST_PYTHON:
        return problem("python", text, "Psyche needs Python 3.11 or newer")
    return ok("python", text)


def check_variables(here: Surroundings) -> Finding:
    """Tell which variables change what happens."""
    told = ", ".join(f"{name}={value!r:.200}" for name, value in here.variables.items())
    return ok("variables", told or "none that change anything are set")


def check_libraries(here: Surroundings, settings: Settings) -> list[Finding]:
    """Judge whether what diffusion models need is installed, and in which versions."""
    if not here.requirements:
        return [
            note(
                "libraries",
                "Psyche is not installed as a package, so nobody knows which versions it needs",
                "pip install -e . -c constraints.txt",
            )
        ]
    missing = [str(needed) for needed in here.requirements if needed.name not in here.versions]
    wrong = [
        f"{needed.name} {here.versions[needed.name]} instead of {needed.rule} {needed.version}"
        for needed in here.requirements
        if needed.name in here.versions and not needed.accepts(here.versions[needed.name])
    ]
    found = []
    if len(missing) == len(here.requirements):
        text = "torch and diffusers are not installed: only the procedural painter paints"
        tell = problem if settings.engine == "turbo" else note
        found.append(tell("libraries", text, f"for diffusion models: {_INSTALL}"))
    elif missing:
        found.append(problem("libraries", f"not installed: {', '.join(missing)}", _INSTALL))
    if wrong:
        found.append(problem("libraries", ", ".join(wrong), _INSTALL))
    if not found:
        versions = ", ".join(f"{name} {version}" for name, version in here.versions.items())
        found.append(ok("libraries", versions))
    return found


def check_torch(here: Surroundings, probe: Probe, settings: Settings) -> list[Finding]:
    """Judge whether torch works, and fits the cards that are here."""
    if probe.error:
        advice = (
            f"install it anew: pip install --force-reinstall torch, or the build for this machine: {_BUILDS}"
        )
        return [problem("torch", f"torch is installed and does not work: {probe.error}", advice)]
    found = [_check_build(here, probe)]
    found += [note("torch", warned) for warned in probe.problems]
    if probe.refusal:
        accepted = (
            "set --device or --dtype (PSYCHE_INFERENCE_DEVICE, _DTYPE), or TORCH_DTYPE, to what is there"
        )
        found.append(problem("device", probe.refusal, accepted))
    else:
        found.append(_check_device(probe))
        found.append(_check_dtype(here, probe, settings))
    return found


def _check_build(here: Surroundings, probe: Probe) -> Finding:
    built_for = (
        f"CUDA {probe.cuda_version}" if probe.cuda_version
        else f"ROCm {probe.hip_version}" if probe.hip_version
        else "the CPU"
    )  # fmt: skip
    text = f"torch {probe.torch_version}, built for {built_for}"
    if here.has_nvidia and not probe.cuda_version:
        return problem(
            "torch",
            f"Torch not compiled with CUDA: {text}, and an NVIDIA card is here",
            f"install the build for CUDA: {_BUILDS}",
        )
    if here.has_amd and not here.has_nvidia and not probe.hip_version:
        return problem(
            "torch",
            f"torch is not compiled with ROCm: {text}, and an AMD card is here",
            f"install the build for ROCm: {_BUILDS}",
        )
    if (probe.cuda_version or probe.hip_version) and not probe.cards:
        return _check_hidden(here, probe, text)
    return ok("torch", text)


def _check_hidden(here: Surroundings, probe: Probe, text: str) -> Finding:
    """Judge why a torch that was built for cards sees none."""
    hiding = [
        f"{name}={here.variables[name]!r}"
        for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
        if name in here.variables
    ]
    if hiding:
        return note("torch", f"{text}, sees no card: {', '.join(hiding)}", "unset it to use the cards")
    if here.has_nvidia or here.has_amd:
        driver = f" (driver {probe.driver})" if probe.driver else ""
        return problem(
            "torch",
            f"{text}, sees no card, though there is one{driver}",
            "update the driver to what this build needs, or install a build for the driver; in a container, "
            "pass the card in (--gpus all); an AMD card that ROCm does not list may need "
            "HSA_OVERRIDE_GFX_VERSION",
        )
    return ok("torch", f"{text}; no card is here")


def _check_device(probe: Probe) -> Finding:
    free = f", {probe.free_bytes / 1e9:.1f} GB free" if probe.free_bytes is not None else ""
    text = f"{probe.device}: {probe.description}{free}"
    if probe.kind == "cpu":
        return note("device", text, "a diffusion model takes seconds for a picture on a CPU")
    return ok("device", text)


def _check_dtype(here: Surroundings, probe: Probe, settings: Settings) -> Finding:
    if settings.dtype != "auto":
        why = "as --dtype says"
    elif here.variables.get("TORCH_DTYPE", "auto").strip().lower() not in ("", "auto"):
        why = "as TORCH_DTYPE says"
    elif probe.dtype == "bfloat16":
        why = "the hardware computes in it, and it does not overflow as float16 does"
    elif probe.dtype == "float16":
        why = "this card is too old for bfloat16"
    else:
        why = f"the safe one where {probe.kind} has no bfloat16 in hardware"
    return ok("precision", f"{probe.dtype}: {why}")

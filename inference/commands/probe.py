"""What torch says of this machine, asked in a process of its own.

A broken installation may raise anything, hang, or end the process (a build for another processor
does); none of that may end the doctor. Run as ``python -m inference.commands.probe DEVICE DTYPE``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields


# The import alone takes seconds, a driver that wakes up some more.
DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of it."""

    error: str = ""  # torch could not be asked, in one line; the other fields mean nothing then
    refusal: str = ""  # why the device or the precision that was asked for cannot be had
    torch_version: str = ""
    cuda_version: str = ""  # which torch was built for; empty: built without
    hip_version: str = ""
    driver: str = ""
    cards: tuple[str, ...] = ()  # names
    problems: tuple[str, ...] = ()  # what torch warned of
    device: str = ""  # "cuda:0", "mps", "cpu"
    kind: str = ""  # "cuda", "rocm", "mps", "cpu"
    description: str = ""
    dtype: str = ""
    has_bfloat16: bool = False  # in hardware, of the device
    free_bytes: int | None = None


def run_probe(device: str, dtype: str, *, command: Sequence[str] = ()) -> Probe:
    """Ask torch in a process of its own.

    Args:
        device: As `--device`.
        dtype: As `--dtype`.
        command: What is run instead, for tests.
    """
    words = list(command) or [sys.executable, "-m", __name__, device, dtype]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Probe(error=f"it gave no answer within {DEADLINE_S:g} s")
    except OSError as exc:
        return Probe(error=f"it could not be asked: {exc}")
    try:
        # The last line is ours; libraries print what they like.
        told = json.loads(done.stdout.decode(errors="replace").strip().splitlines()[-1])
        values = {field.name: told[field.name] for field in fields(Probe)}
    except (IndexError, KeyError, TypeError, ValueError):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        return Probe(error=f"it ended with {how}{': ' + last[0] if last else ''}")
    return Probe(**values | {"cards": tuple(values["cards"]), "problems": tuple(values["problems"])})


def _ask(device: str, dtype: str) -> Probe:
    from inference.errors import ConfigurationError
    from inference.turbo.device import choose_device, free_bytes, look

    machine = look()
    probe = Probe(
        torch_version=machine.torch_version,
        cuda_version=machine.cuda_version,
        hip_version=machine.hip_version,
        driver=machine.driver,
        cards=tuple(card.name for card in machine.cards),
        problems=machine.problems,
    )
    told = asdict(probe)
    try:
        chosen = choose_device(device, dtype, machine=machine)
    except ConfigurationError as exc:
        return Probe(**told | {"refusal": str(exc)})
    has_bfloat16 = machine.cpu_has_bfloat16 if chosen.kind == "cpu" else chosen.kind == "rocm"
    if chosen.kind == "cuda":
        has_bfloat16 = machine.cards[int(chosen.name.partition(":")[2] or 0)].has_bfloat16
    return Probe(
        **told
        | {
            "device": chosen.name,
            "kind": chosen.kind,
            "description": chosen.description,
            "dtype": chosen.dtype_name,
            "has_bfloat16": has_bfloat16,
            "free_bytes": free_bytes(chosen),
        }
    )


def main(arguments: Sequence[str]) -> int:
    """Print what torch says as one line of JSON."""
    try:
        probe = _ask(*arguments)
    except Exception as exc:  # noqa: BLE001 - a broken installation may raise anything, and all of it is told.
        first = (str(exc).strip() or "no reason was given").splitlines()[0]
        probe = Probe(error=f"{type(exc).__name__}: {first}")
    print(json.dumps(asdict(probe)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

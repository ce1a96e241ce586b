"""The options of the inference bench."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

from bench.arguments import number, whole


EngineName = Literal["procedural", "tiny", "sdxl-random"]
ENGINES: dict[EngineName, str] = {
    "procedural": "the painter without a network",
    "tiny": "an SDXL pipeline of a million random weights: what everything but the arithmetic costs",
    "sdxl-random": "SDXL's own size with random weights and TAESDXL: as fast as the real model",
}
# The tiny one is measured where the arithmetic is next to nothing; the others as they are used.
USUAL_SIZES: dict[EngineName, int] = {"procedural": 512, "tiny": 64, "sdxl-random": 512}
# Networks this narrow gain nothing by 16 bits.
USUAL_DTYPES: dict[EngineName, str] = {"procedural": "auto", "tiny": "float32", "sdxl-random": "auto"}
# Of torch on a CPU; 0: as many as it likes. The tiny pipeline's operations are too small to be shared, and
# with a second thread each of them waits for whoever else has that core.
USUAL_THREADS: dict[EngineName, int] = {"procedural": 0, "tiny": 1, "sdxl-random": 0}
ACCELERATIONS = ("auto", "none", "graphs", "compile")
DTYPES = ("auto", "float32", "float16", "bfloat16")

MAX_CALLERS = 256
# Of one measurement; more rounds measure longer.
MAX_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for, checked."""

    engine: EngineName
    device: str
    dtype: str
    acceleration: str
    threads: int  # of torch on a CPU; 0: as many as it likes
    size: int  # pixels a side
    steps: int
    callers: tuple[int, ...]
    seconds: float  # of one measurement
    pictures: int | None  # of one measurement, instead of its seconds
    rounds: int  # of the comparison
    has_baseline: bool
    table: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return the options for the JSON line."""
        return {**asdict(self), "table": str(self.table) if self.table else None}


def read_options(arguments: Sequence[str]) -> Options:
    """Read the command line.

    Raises:
        SystemExit: After `--help`, or with status 2 if an option is wrong.
    """
    parser = _parser()
    words = parser.parse_args(arguments)
    engine = cast(EngineName, words.engine)
    if engine == "procedural" and words.baseline:
        parser.error("argument --baseline: the procedural engine has no pipeline to be compared with")
    return Options(
        engine=engine,
        device=words.device,
        dtype=words.dtype or USUAL_DTYPES[engine],
        acceleration=words.acceleration,
        threads=words.threads or USUAL_THREADS[engine],
        size=words.size or USUAL_SIZES[engine],
        steps=words.steps,
        callers=words.callers or (1, 4, 16),
        seconds=words.seconds or (0.5 if words.quick else 3.0),
        pictures=words.pictures,
        rounds=words.rounds or (2 if words.quick else 5),
        has_baseline=engine != "procedural" and words.baseline is not False,
        table=words.table,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench inference",
        description="Measure an engine alone and under the scheduler: pictures per second, latency, the "
        "budget of each stage beside its floor, the scheduler's own cost, and diffusers' plain loop in turn.",
    )
    add = parser.add_argument
    add(
        "--engine",
        choices=tuple(ENGINES),
        default="procedural",
        help="; ".join(f"{name}: {meaning}" for name, meaning in ENGINES.items()) + " (default: procedural)",
    )
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    add("--dtype", choices=DTYPES, help="the model's precision (default: float32 for tiny, else auto)")
    add("--acceleration", choices=ACCELERATIONS, default="auto", help="of the network (default: auto)")
    add(
        "--threads",
        type=whole(1, 256),
        metavar="N",
        help="of torch on a CPU (default: 1 for tiny, else as many as torch likes)",
    )
    add("--size", type=_side, metavar="PIXELS", help="of a side (default: 64 for tiny, else 512)")
    add("--steps", type=whole(1, 100), default=1, help="of a picture, 1 to 100 (default: 1)")
    add(
        "--callers",
        type=_wholes,
        metavar="N,...",
        help="callers at once, measured one number after the other (default: 1,4,16)",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--seconds", type=number(0.05, MAX_SECONDS), help="of one measurement, 0.05 to 120 (default: 3)"
    )
    length.add_argument(
        "--pictures",
        type=whole(1, 100_000),
        metavar="N",
        help="of one measurement, instead of its seconds; batches and callers beyond it are left out",
    )
    add("--rounds", type=whole(1, 100), help="of the comparison, each side in turn (default: 5)")
    add("--quick", action="store_true", help="half a second each, two rounds")
    add(
        "--baseline",
        action=argparse.BooleanOptionalAction,
        help="diffusers' plain loop beside it (default: yes, where there is one)",
    )
    add("--table", type=Path, metavar="FILE.md", help="write the tables as Markdown as well")
    return parser


def _side(text: str) -> int:
    if not text.isdecimal() or not 64 <= int(text) <= 2048 or int(text) % 8:
        raise argparse.ArgumentTypeError(f"{text!r} is no multiple of 8 from 64 to 2048")
    return int(text)


def _wholes(text: str) -> tuple[int, ...]:
    read = whole(1, MAX_CALLERS)
    return tuple(dict.fromkeys(read(word.strip()) for word in text.split(",")))

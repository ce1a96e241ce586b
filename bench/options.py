"""The options of the streaming bench."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.arguments import number, whole
from bench.figures import FORMS, Case
from bench.pictures import GRAIN
from bench.sizes import NAMED, Size, read_sizes


# Of each canvas; beyond, the processes of screens would be measured.
MAX_SUBSCRIBERS = 1000
MAX_CANVASES = 64
# Of a round; what the screens note meanwhile stays small. More rounds measure longer.
MAX_SECONDS = 60.0
# From this size on frames are heavy enough that sharing them shows.
_SHARED_FROM_PX = 3840 * 2160


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for, checked."""

    url: str | None
    token: str | None
    sizes: tuple[Size, ...]
    canvases: int
    subscribers: tuple[int, ...] | None  # of each canvas; None: 1, and 8 as well in 4K
    fps: float
    seconds: float
    rounds: int
    forms: tuple[str, ...]
    plot: Path | None
    grain: float = GRAIN  # standard deviation, of 255

    def cases(self) -> list[Case]:
        """Return what is measured, in order."""
        return [
            Case(size, self.canvases, subscribers, self.fps)
            for size in self.sizes
            for subscribers in self.subscribers or _usual_subscribers(size)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the options but for the token."""
        fields = {**asdict(self), "sizes": [size.name for size in self.sizes]}
        del fields["token"]
        return {**fields, "plot": str(self.plot) if self.plot else None}


def read_options(arguments: Sequence[str]) -> Options:
    """Read the command line.

    Raises:
        SystemExit: After `--help`, or with status 2 if an option is wrong.
    """
    parser = _parser()
    words = parser.parse_args(arguments)
    quick = words.quick
    return Options(
        url=words.url,
        token=words.token or os.environ.get("PSYCHE_TOKEN") or None,
        sizes=words.sizes
        or (tuple(NAMED[name] for name in ("512", "4k")) if quick else tuple(NAMED.values())),
        canvases=words.canvases,
        subscribers=words.subscribers or ((1,) if quick else None),
        fps=words.fps,
        seconds=words.seconds or (0.75 if quick else 3.0),
        rounds=words.rounds or (1 if quick else 3),
        forms=words.forms,
        plot=words.plot,
        grain=words.grain,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Compare psyche.v1.msgpack with the base64 JSON of the first clients: frames per second, "
        "age at receipt, bytes, server CPU and losses of frames that are pushed as JPEG and passed through.",
        epilog="Other benches: 'python -m bench engine --help' (how fast the procedural engine paints).",
    )
    add = parser.add_argument
    add("--url", help="measure the server at http://host:port instead of starting one")
    add("--token", help="its token; PSYCHE_TOKEN of the environment by default")
    add(
        "--sizes",
        type=read_sizes,
        metavar="SIZE,...",
        help=f"of: {', '.join(NAMED)}, WIDTHxHEIGHT in pixels (default: all four)",
    )
    add("--canvases", type=whole(1, MAX_CANVASES), default=1, metavar="M", help="canvases (default: 1)")
    add(
        "--subscribers",
        type=_wholes,
        metavar="N,...",
        help="subscribers of each canvas; several numbers are measured one after the other "
        "(default: 1, and 8 as well in 4K)",
    )
    add(
        "--fps",
        type=number(0.5, 60),
        default=8.0,
        help="frames per second pushed to each canvas (default: 8)",
    )
    add("--seconds", type=number(0.1, MAX_SECONDS), help="length of a round, seconds, 0.1 to 60 (default: 3)")
    add("--rounds", type=whole(1, 100), help="rounds of each kind, of which medians are told (default: 3)")
    add(
        "--grain",
        type=number(0, 64),
        default=GRAIN,
        help=f"grain on the pictures, of 255: heavier frames (default: {GRAIN:g})",
    )
    add("--forms", type=_forms, default=FORMS, metavar="FORM,...", help="of: msgpack, json (default: both)")
    add("--plot", type=Path, metavar="FILE.png", help="draw the figures as well (needs matplotlib)")
    add("--quick", action="store_true", help="512 and 4k only, one subscriber, one short round each")
    return parser


def _usual_subscribers(size: Size) -> tuple[int, ...]:
    return (1, 8) if size.width * size.height >= _SHARED_FROM_PX else (1,)


def _wholes(text: str) -> tuple[int, ...]:
    read = whole(1, MAX_SUBSCRIBERS)
    return tuple(read(word.strip()) for word in text.split(","))


def _forms(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    for word in words:
        if word not in FORMS:
            raise argparse.ArgumentTypeError(f"{word!r} is no form; accepted are {', '.join(FORMS)}")
    return words

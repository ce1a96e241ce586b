"""The tiers bench: one 4K canvas on screens of different sizes, and one behind a thin link.

The product's server scales and encodes for each kind of screen; what is measured is what its event
loop feels of that, what each screen gets, and what base64 JSON would have sent.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.children import check_system
from bench.goals import Goal
from bench.load.groups import Group, Mode
from bench.pictures import make_jpegs, write_jpegs
from bench.relay import relay
from bench.round_options import RoundOptions, parser_of, read
from bench.rounds import (
    OURS,
    SEED_PLAIN,
    Case,
    Kind,
    Outcome,
    Show,
    served,
    shown,
    tell_progress,
    watched,
)
from bench.sheet import Sheet
from bench.sizes import NAMED, Size
from bench.streaming import until_told_to_stop
from bench.table import Column
from bench.table import number as written
from bench.target import read_state


FPS = 8.0
LAG_LIMIT_MS = 5.0
WEIGHT_LIMIT = 0.3
THIN_BYTES_S = 2.5e6
THIN_RTT_S = 0.02
# Tiers are learned, and go up slowly: what is measured is what they settle on.
SETTLE_S = 15.0
# Long enough to see tiers change, seconds.
SECONDS = 15.0
# The option has to have a value; pictures take its place.
LEAST_BYTES = 1024
BASE64_SECONDS = 3.0
BASE64_SCREENS = 2
VIEWPORTS = {"4K": (3840, 2160), "1080p": (1920, 1080), "phone": (1170, 2532)}
SCREENS = {"4K": 5, "1080p": 2, "phone": 1}
THIN = "thin link"

_COLUMNS = (
    Column("screens", is_text=True),
    Column("count"),
    Column("viewport", "pixels", is_text=True),
    Column("rate", "frames/s each"),
    Column("weight", "bytes/frame"),
    Column("of base64 4K", "bytes"),
    Column("age p50", "ms"),
    Column("age p99", "ms"),
    Column("tiers", "share of frames", is_text=True),
)


@dataclass(frozen=True, slots=True)
class Part:
    """The screens of one kind while something was measured.

    Attributes:
        name: What they are called.
        fps: Frames per second at each.
        frame_bytes: Mean weight of a frame's message; None where none came.
        bytes_s: Bytes per second to each.
    """

    name: str
    count: int
    viewport: tuple[int, int]
    fps: float
    frame_bytes: float | None
    bytes_s: float
    age_p50_ms: float | None
    age_p99_ms: float | None
    tiers: dict[str, int]  # frames of each

    def share_of(self, whole_bytes: float, fps: float) -> float | None:
        """Return its bytes over those of a heavier form, per frame or per second, whichever is more."""
        if self.frame_bytes is None:
            return None
        return max(self.frame_bytes / whole_bytes, self.bytes_s / (whole_bytes * fps))

    def tiers_in_words(self) -> str:
        """Say which tiers came, the most frequent first."""
        frames = sum(self.tiers.values())
        ordered = sorted(self.tiers.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {count / frames:.0%}" for name, count in ordered)


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured."""

    parts: tuple[Part, ...]
    base64_bytes: float | None  # of a frame
    lag_p99_ms: float | None  # of the event loop, while the screens of all sizes were served
    cpu_share: float  # of a core, with encoding
    load_share: float

    def part(self, name: str) -> Part | None:
        """Return the screens of a name."""
        return next((part for part in self.parts if part.name == name), None)


def run(arguments: Sequence[str]) -> None:
    """Measure, and print the table, the goals and the JSON line.

    Raises:
        BenchError: If nothing can be measured.
    """
    parser = parser_of("tiers", "Measure a 4K canvas on screens of different sizes and links.")
    options = read(parser, arguments)
    check_system()
    sheet = asyncio.run(until_told_to_stop(measure(options)))
    if sheet is None:
        raise KeyboardInterrupt
    sheet.write()


async def measure(options: RoundOptions) -> Sheet:
    """Measure the screens of different sizes, the one behind a thin link, and base64 JSON."""
    size = Size("640x360", 640, 360) if options.is_quick else NAMED["4k"]
    with tempfile.TemporaryDirectory(prefix="psyche-bench-") as folder:
        jpegs = make_jpegs(size)
        write_jpegs(jpegs, Path(folder))
        shown_as = ("--pictures", folder, "--width", str(size.width), "--height", str(size.height))
        found = await measure_all(options, (*shown_as, "--tiers", ""))
    return Sheet(
        bench="tiers",
        title=f"{size.width}x{size.height} at {FPS:g} frames/s on screens of different sizes and links",
        columns=_COLUMNS,
        blocks=[[_cells(part, found) for part in found.parts]],
        rows=[_row(part, found) for part in found.parts],
        goals=goals(found),
        notes=notes(options, found, sum(map(len, jpegs)) / len(jpegs)),
        options={**options.to_json(), "size": size.name},
    )


async def measure_all(options: RoundOptions, arguments: tuple[str, ...]) -> Found:
    """Measure one server after the other."""
    seconds = options.seconds if options.is_quick else max(options.seconds, SECONDS)
    groups = tuple(
        Group(name, "canvas-1", count, viewport=VIEWPORTS[name]) for name, count in SCREENS.items()
    )
    tell_progress("screens of different sizes")
    outcome, lag_p99_ms = await measure_screens(OURS, groups, arguments, options, seconds)
    parts = [_part(group, outcome) for group in groups]
    tell_progress("a thin link")
    parts.append(await measure_thin(options, arguments, seconds))
    tell_progress("base64 JSON")
    plain = (Group("base64", "canvas-1", BASE64_SCREENS, Mode.SILENT),)
    whole, _ = await measure_screens(SEED_PLAIN, plain, arguments, options, min(seconds, BASE64_SECONDS))
    base64_bytes = _part(plain[0], whole).frame_bytes
    return Found(tuple(parts), base64_bytes, lag_p99_ms, outcome.cpu_share, outcome.load_share)


async def measure_screens(
    kind: Kind, groups: tuple[Group, ...], arguments: tuple[str, ...], options: RoundOptions, seconds: float
) -> tuple[Outcome, float | None]:
    """Measure a server with its screens.

    Returns:
        What came, and the event loop's lag of the last minute where the server tells it.
    """
    case = Case("tiers", groups, LEAST_BYTES, FPS, arguments=arguments)
    # Not on one core: encoding has threads of its own, as it has where the server is used.
    async with shown(kind, case, is_pinned=False) as show:
        await show.measure(_settle_s(kind, options))
        outcome = await show.measure(seconds)
        return outcome, await _lag_p99_ms(show.port) if kind is OURS else None


async def measure_thin(options: RoundOptions, arguments: tuple[str, ...], seconds: float) -> Part:
    """Measure a 4K screen behind a link that carries a fraction of what the canvas weighs."""
    near = Group("near", "canvas-1", 1)
    case = Case("tiers", (near,), LEAST_BYTES, FPS, arguments=arguments)
    async with (
        served(OURS, case, core=None) as (server, port),
        relay(to=("127.0.0.1", port), rate_bytes_s=THIN_BYTES_S, rtt_s=THIN_RTT_S) as link,
        watched(OURS, [Group(THIN, "canvas-1", 1, port=link.port)], port, core=None) as load,
    ):
        show = Show(server, load, port)
        await show.measure(_settle_s(OURS, options))
        return _part(Group(THIN, "canvas-1", 1), await show.measure(seconds))


def goals(found: Found) -> list[Goal]:
    """Judge what was found."""
    part, base64_bytes = found.part("1080p"), found.base64_bytes
    share = part.share_of(base64_bytes, FPS) if part and base64_bytes else None
    return [
        Goal("event-loop lag p99, ms", found.lag_p99_ms, LAG_LIMIT_MS),
        Goal("bytes to the 1080p screens over base64 JSON's in full size", share, WEIGHT_LIMIT),
    ]


def notes(options: RoundOptions, found: Found, source_bytes: float) -> list[str]:
    """Say what the reader must know to read the figures."""
    return [
        f"JPEG files of {source_bytes:,.0f} bytes (a painted picture with grain, as heavy as photographs) "
        "are published inside the server's process; tiers as the server has them unless told otherwise.",
        f"Measured after {_settle_s(OURS, options):g} s. The screens of all sizes watch one server; the thin "
        f"link ({THIN_BYTES_S:,.0f} bytes/s, {1000.0 * THIN_RTT_S:g} ms round trip) has one of its own.",
        f"With the screens of all sizes the server took {100.0 * found.cpu_share:.0f} % of a core, encoding "
        f"included, and the load {100.0 * found.load_share:.0f} %. Lag: as the server's /state tells it.",
        "of base64 4K: bytes of a frame, or per second, whichever is more, over the base64 server's.",
    ]


async def _lag_p99_ms(port: int) -> float | None:
    async with aiohttp.ClientSession() as session:
        state = await read_state(session, f"http://127.0.0.1:{port}")
    p99_ms = state.get("loop_lag_ms", {}).get("p99")
    return None if p99_ms is None else float(p99_ms)


def _settle_s(kind: Kind, options: RoundOptions) -> float:
    return options.warm_up_s if options.is_quick or kind is not OURS else SETTLE_S


def _part(group: Group, outcome: Outcome) -> Part:
    report = outcome.groups[group.name]
    frames = report["frames"]
    return Part(
        name=group.name,
        count=group.count,
        viewport=group.viewport,
        fps=frames / outcome.seconds / group.count,
        frame_bytes=report["bytes"] / frames if frames else None,
        bytes_s=report["bytes"] / outcome.seconds / group.count,
        age_p50_ms=report["age_p50_ms"],
        age_p99_ms=report["age_p99_ms"],
        tiers=report["tiers"],
    )


def _row(part: Part, found: Found) -> dict[str, Any]:
    share = part.share_of(found.base64_bytes, FPS) if found.base64_bytes else None
    return {**asdict(part), "of_base64": share}


def _cells(part: Part, found: Found) -> list[str]:
    share = part.share_of(found.base64_bytes, FPS) if found.base64_bytes else None
    width, height = part.viewport
    return [
        part.name,
        str(part.count),
        f"{width}x{height}",
        written(part.fps, 2),
        written(part.frame_bytes, 0),
        written(share, 3),
        written(part.age_p50_ms, 1),
        written(part.age_p99_ms, 1),
        part.tiers_in_words(),
    ]

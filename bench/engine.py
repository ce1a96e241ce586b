"""The engine bench: how fast the procedural engine paints and its pictures are encoded, on one core.

A live picture is painted moment after moment, as a canvas has it: the scene is baked with the first
frame and kept. The JSON line last: `bench` "engine", `schema`, `machine`, `encoder`, `options`, `rows`
(the fields of `Row`; milliseconds, pictures per second) and `notes`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.arguments import whole
from bench.machine import describe_in_words, describe_machine
from bench.sizes import NAMED, Size, read_sizes
from bench.table import Column, number, render
from inference.encode import ENCODER, encode
from inference.engine import Engine, Keyframe, PictureRequest, Timeline
from inference.procedural import ProceduralEngine


SCHEMA = 1
JPEG_QUALITY = 90  # what canvases ask for unless told otherwise
# What the engine is meant to reach, encoding included, pictures per second on one core.
GOALS = {"512": 60.0, "800": 30.0}

# One prompt of each place that the painter knows.
PROMPTS = {
    "sea": "a calm sea at sunset with drifting clouds",
    "mountain": "aurora over snowy mountains at night, stars",
    "forest": "a misty forest at dawn",
    "city": "a neon city at night in the rain",
    "space": "a purple nebula in space with planets",
    "flowers": "a meadow of red flowers at noon",
    "desert": "desert dunes in golden light",
    "sky": "a starry night sky with drifting clouds",
    "abstract": "an abstract composition of blue and gold",
}
CHANGE = "sea to city"
_CHANGE_S = 3600.0  # longer than any bench: every frame is painted of both
_LIVE_FPS = 30.0  # moments that far apart are painted
_LISTEN_S = 0.2

_COLUMNS = (
    Column("place", is_text=True),
    Column("size", "pixels", is_text=True),
    Column("first", "ms"),
    Column("paint min", "ms"),
    Column("median", "ms"),
    Column("encode min", "ms"),
    Column("median", "ms"),
    Column("both min", "ms"),
    Column("median", "ms"),
    Column("wall", "ms"),
    Column("rate", "frames/s"),
    Column("goal", "frames/s"),
    Column("weight", "bytes/frame"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One place at one size, in CPU time. The rate is of the median, painting and encoding in turn."""

    place: str
    size: str
    width: int
    height: int
    frames: int
    first_ms: float  # the first frame, with baking the scene
    paint_min_ms: float
    paint_median_ms: float
    encode_min_ms: float
    encode_median_ms: float
    both_min_ms: float
    both_median_ms: float
    wall_median_ms: float  # of both, by the clock on the wall: with waiting for whoever else has the core
    fps: float
    goal_fps: float | None
    bytes_per_frame: float

    @property
    def reaches_goal(self) -> bool:
        """Whether the goal is reached, where there is one."""
        return self.goal_fps is None or self.fps >= self.goal_fps


def run(arguments: Sequence[str]) -> None:
    """Measure, and print the table and the JSON line."""
    options = _parser().parse_args(arguments)
    frames = options.frames or (5 if options.quick else 60)
    sizes = options.sizes or tuple(NAMED[name] for name in (("512",) if options.quick else ("512", "800")))
    machine = describe_machine()
    with one_core() as core:
        rows = [
            measure(place, size, frames) for size in sizes for place in (options.places or [*PROMPTS, CHANGE])
        ]
    _write(rows, machine, core, frames)


def measure(place: str, size: Size, frames: int) -> Row:
    """Paint and encode a live picture of a place.

    Args:
        place: A key of `PROMPTS`, or `CHANGE`.
        size: Of the pictures.
        frames: How many are measured, after the first one.
    """
    engine: Engine = ProceduralEngine()
    timeline = _timeline(place, size)
    started_at = time.process_time()
    _paint(engine, timeline, 1.0)
    first_ms = (time.process_time() - started_at) * 1000.0
    paints, encodes, walls, weights = [], [], [], []
    for index in range(1, frames + 1):
        wall_at, started_at = time.perf_counter(), time.process_time()
        pixels = _paint(engine, timeline, 1.0 + index / _LIVE_FPS)
        painted_at = time.process_time()
        jpeg = encode(pixels, "jpeg", JPEG_QUALITY)
        encoded_at = time.process_time()
        paints.append((painted_at - started_at) * 1000.0)
        encodes.append((encoded_at - painted_at) * 1000.0)
        walls.append((time.perf_counter() - wall_at) * 1000.0)
        weights.append(len(jpeg))
    both = [paint + encoding for paint, encoding in zip(paints, encodes, strict=True)]
    return Row(
        place=place,
        size=size.name,
        width=size.width,
        height=size.height,
        frames=frames,
        first_ms=first_ms,
        paint_min_ms=min(paints),
        paint_median_ms=statistics.median(paints),
        encode_min_ms=min(encodes),
        encode_median_ms=statistics.median(encodes),
        both_min_ms=min(both),
        both_median_ms=statistics.median(both),
        wall_median_ms=statistics.median(walls),
        fps=1000.0 / statistics.median(both),
        goal_fps=GOALS.get(size.name),
        bytes_per_frame=statistics.mean(weights),
    )


@contextlib.contextmanager
def one_core() -> Iterator[int | None]:
    """Keep this process on one core, the quietest; where the system cannot, yield None."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    allowed = os.sched_getaffinity(0)
    core = _quietest(allowed)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, allowed)


def _quietest(allowed: set[int]) -> int:
    import psutil

    busy = psutil.cpu_percent(interval=_LISTEN_S, percpu=True)
    # A container may show fewer cores than the numbers that it may use reach.
    return min(allowed, key=lambda core: busy[core] if core < len(busy) else 100.0)


def _timeline(place: str, size: Size) -> Timeline:
    def request(name: str) -> PictureRequest:
        return PictureRequest(PROMPTS[name], width=size.width, height=size.height)

    if place != CHANGE:
        return Timeline.still(request(place))
    # Half way through a change that does not end: both pictures are painted, the dearest moment.
    change = Keyframe(request("city"), at_s=-_CHANGE_S / 2.0, transition_s=_CHANGE_S)
    return Timeline.still(request("sea")).then(change)


def _paint(engine: Engine, timeline: Timeline, time_s: float) -> Any:
    run = engine.begin(timeline, time_s)
    while run.step < run.total_steps:
        engine.step([run], 1)
    return engine.finish(run)


def _write(rows: Sequence[Row], machine: dict[str, Any], core: int | None, frames: int) -> None:
    print("Psyche, engine bench: the procedural engine, painting and encoding one after the other")
    for line in describe_in_words(machine):
        print(line)
    print()
    sizes = list(dict.fromkeys(row.size for row in rows))
    for line in render(_COLUMNS, [[_cells(row) for row in rows if row.size == size] for size in sizes]):
        print(line)
    print()
    notes = _notes(rows, core, frames)
    for note in notes:
        print(f"- {note}")
    report = {
        "bench": "engine",
        "schema": SCHEMA,
        "machine": machine,
        "encoder": ENCODER,
        "options": {"frames": frames, "sizes": sizes, "core": core, "jpeg_quality": JPEG_QUALITY},
        "rows": [_json(row) for row in rows],
        "notes": notes,
    }
    print(json.dumps(report))


def _cells(row: Row) -> list[str]:
    times = (
        row.first_ms,
        row.paint_min_ms,
        row.paint_median_ms,
        row.encode_min_ms,
        row.encode_median_ms,
        row.both_min_ms,
        row.both_median_ms,
        row.wall_median_ms,
    )
    rate = f"{number(row.fps)}{'' if row.reaches_goal else ' !'}"
    size = f"{row.width}x{row.height}"
    goal = number(row.goal_fps, 0)
    return [
        row.place,
        size,
        *(number(time_ms, 2) for time_ms in times),
        rate,
        goal,
        number(row.bytes_per_frame, 0),
    ]


def _notes(rows: Sequence[Row], core: int | None, frames: int) -> list[str]:
    where = f"Pinned to core {core}" if core is not None else "Not pinned: this system cannot"
    notes = [
        f"{where}; {frames} frames after the first, {1000.0 / _LIVE_FPS:.0f} ms of the picture's time apart; "
        f"JPEG quality {JPEG_QUALITY} by {ENCODER}.",
        "CPU time of this process, which is wall time where nobody else uses the core; wall: the median of "
        "both by the clock on the wall.",
        "first: with baking the scene, and without encoding. rate: of the median of both.",
        f"{CHANGE}: in the middle of a change, when two pictures are painted for each frame.",
    ]
    missed = [row for row in rows if not row.reaches_goal]
    return notes + [
        f"MISSED {row.place} at {row.size}: {row.fps:.1f} of {row.goal_fps:g} frames/s." for row in missed
    ]


def _json(row: Row) -> dict[str, Any]:
    fields = asdict(row)
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}
    return {**rounded, "reaches_goal": row.reaches_goal}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench engine",
        description="Measure the procedural engine on one core: painting, encoding as JPEG, and both.",
    )
    add = parser.add_argument
    add(
        "--sizes",
        type=read_sizes,
        metavar="SIZE,...",
        help=f"of: {', '.join(NAMED)}, WIDTHxHEIGHT in pixels (default: 512,800)",
    )
    add(
        "--places",
        type=_places,
        metavar="PLACE,...",
        help=f"of: {', '.join(PROMPTS)}, '{CHANGE}' (default: all)",
    )
    add(
        "--frames",
        type=whole(1, 10_000),
        metavar="N",
        help="frames of each place and size, 1 to 10000 (default: 60)",
    )
    add("--quick", action="store_true", help="512 only, 5 frames")
    return parser


def _places(text: str) -> list[str]:
    places = [word.strip() for word in text.split(",")]
    for place in places:
        if place not in (*PROMPTS, CHANGE):
            raise argparse.ArgumentTypeError(
                f"{place!r} is no place; accepted are {', '.join(PROMPTS)}, {CHANGE}"
            )
    return places

"""The fan-out bench: what the server's process spends on a frame that a screen has received.

Beside it the alternatives, in the same run: a bare loop over sockets, plain `send_bytes`, and the
base64 JSON of the first program. Frames are published inside the server's process, already encoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bench.children import check_system
from bench.costs import COLUMNS, Row, median_ratio, rows_of, warnings
from bench.goals import Goal
from bench.load.groups import Group
from bench.round_options import RoundOptions, parser_of, read
from bench.rounds import BARE, OURS, SEED, SEED_PLAIN, SEND_BYTES, Case, Kind, Outcome, measure_in_turn
from bench.sheet import Sheet
from bench.streaming import until_told_to_stop


LIGHT_LIMIT = 1.7
HEAVY_LIMIT = 1.2
SEED_FLOOR = 12.0
# What the bench of the age takes for a source's rate, too.
LIVELY_FPS = 30.0
# What a photograph of 3840 x 2160 weighs as JPEG of quality 90.
FRAME_4K_BYTES = 2_800_000

Found = Mapping[str, Sequence[Outcome]]


def run(arguments: Sequence[str]) -> None:
    """Measure, and print the table, the goals and the JSON line.

    Raises:
        BenchError: If nothing can be measured.
    """
    about = "Measure the server's CPU per delivered frame, beside a bare socket loop and others."
    options = read(parser_of("fanout", about), arguments)
    check_system()
    sheet = asyncio.run(until_told_to_stop(measure(options)))
    if sheet is None:
        raise KeyboardInterrupt
    sheet.write()


def cases(options: RoundOptions) -> list[tuple[Case, list[Kind]]]:
    """Return what is measured, each case with the kinds that it compares."""

    def case(name: str, screens: int, frame_bytes: int, fps: float) -> Case:
        screens = 2 if options.is_quick else screens
        group = Group("all", "canvas-1", screens)
        return Case(name, (group,), frame_bytes, fps, arguments=("--width", "3840", "--height", "2160"))

    near = [OURS, BARE, SEND_BYTES, SEED]
    light = (case("60 kB", 50, 60_000, LIVELY_FPS), near)
    if options.is_quick:
        return [light]
    return [
        light,
        (case("2 MB", 8, 2_000_000, LIVELY_FPS), near),
        # Where little is sent, what a server does beside it weighs more.
        (case("2 MB, calm", 8, 2_000_000, 8.0), [OURS, BARE, SEND_BYTES]),
        (case("4K", 4, FRAME_4K_BYTES, 8.0), [OURS, SEED, SEED_PLAIN]),
    ]


async def measure(options: RoundOptions) -> Sheet:
    """Measure all cases."""
    found: dict[str, Found] = {}
    rows: list[list[Row]] = []
    for case, kinds in cases(options):
        found[case.name] = await measure_in_turn(
            options.chosen(kinds),
            case,
            rounds=options.rounds,
            warm_up_s=options.warm_up_s,
            seconds=options.seconds,
        )
        rows.append(rows_of(case, found[case.name]))
    every = [row for block in rows for row in block]
    return Sheet(
        bench="fanout",
        title="CPU of the server's process per delivered frame, paced and acknowledged",
        columns=COLUMNS,
        blocks=[[row.cells() for row in block] for block in rows],
        rows=[row.to_json() for row in every],
        goals=goals(found),
        notes=[*notes(options), *warnings(every)],
        options=options.to_json(),
    )


def goals(found: Mapping[str, Found]) -> list[Goal]:
    """Judge what was found, by the case's name and the kind's."""

    def ratio(case: str, kind: Kind, other: Kind) -> float | None:
        outcomes = found.get(case, {})
        return median_ratio(outcomes.get(kind.name, ()), outcomes.get(other.name, ()))

    return [
        Goal("CPU per frame of 60 kB over the bare loop's", ratio("60 kB", OURS, BARE), LIGHT_LIMIT),
        Goal("CPU per frame of 2 MB over the bare loop's", ratio("2 MB", OURS, BARE), HEAVY_LIMIT),
        Goal("the same where little is sent", ratio("2 MB, calm", OURS, BARE), HEAVY_LIMIT),
        Goal(
            "frames per CPU second in 4K over base64 JSON's",
            ratio("4K", SEED, OURS),
            SEED_FLOOR,
            is_ceiling=False,
        ),
    ]


def notes(options: RoundOptions) -> list[str]:
    """Say what the reader must know to read the figures."""
    return [
        f"Medians of {options.rounds} rounds of {options.seconds:g} s after {options.warm_up_s:g} s, the "
        "kinds in turn, each round with a server of its own; 'of bare' and the goals: medians of ratios.",
        "Server and screens on a core each where there are two. CPU: the process's clock, user and system, "
        "with receiving in the kernel on the loopback, which happens at the sender's cost.",
        "psyche: PSYCHE_TIERS=original, so that nothing is encoded; every screen gets the frames unchanged.",
        "Screens acknowledge every frame, as a browser does; send_bytes reads that and the base64 server "
        "is not told. 'bare loop' paces, bounds what is in flight and parses the acknowledgements.",
        "'base64 JSON': FastAPI on uvicorn with its defaults, to screens that offer compression as browsers "
        "do, so that ages cannot be read; 'no deflate': to screens that do not.",
        "!: less than the asked rate was reached.",
    ]

"""The scale bench: a thousand screens on one core, and what a frame costs to few and to many.

First a thousand screens beside the alternatives; then the same number of frames per second to ten, a
hundred and a thousand screens.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence

from bench.children import check_system
from bench.costs import COLUMNS, Row, rows_of, warnings
from bench.goals import Goal
from bench.load.groups import Group
from bench.round_options import RoundOptions, parser_of, read
from bench.rounds import BARE, OURS, SEED_PLAIN, SEND_BYTES, Case, Kind, Outcome, measure_in_turn
from bench.sheet import Sheet
from bench.streaming import until_told_to_stop


FRAME_BYTES = 100_000
MANY = 1000
MANY_FPS = 4.0
SHARE_LIMIT = 0.25
P99_LIMIT_MS = 50.0
# How far apart the dearest and the cheapest frame may be.
SPREAD_LIMIT = 1.15
# To all screens together, per second: what ten screens take at the most that a canvas shows.
EQUAL_RATE = 600.0
EQUAL_SCREENS = (10, 100, 1000)
# Screens of one canvas there: what a publication costs is shared by as many, whatever their number.
TOGETHER = 10
# A thousand screens have to get several frames each in a measurement.
EQUAL_SECONDS = 6.0

Found = Mapping[str, Sequence[Outcome]]


def run(arguments: Sequence[str]) -> None:
    """Measure, and print the table, the goals and the JSON line.

    Raises:
        BenchError: If nothing can be measured.
    """
    about = "Measure the server with a thousand screens, and at equal frames per second with fewer."
    options = read(parser_of("scale", about), arguments)
    check_system()
    sheet = asyncio.run(until_told_to_stop(measure(options)))
    if sheet is None:
        raise KeyboardInterrupt
    sheet.write()


def many_case(options: RoundOptions) -> tuple[Case, list[Kind]]:
    """Return the case of a thousand screens of one canvas, all of which get each frame at once."""
    screens = 20 if options.is_quick else MANY
    case = Case(f"{screens} screens", (Group("all", "canvas-1", screens),), FRAME_BYTES, MANY_FPS)
    return case, [OURS, BARE, SEND_BYTES, SEED_PLAIN]


def equal_cases(options: RoundOptions) -> list[Case]:
    """Return the cases with equal frames per second."""
    rate = EQUAL_RATE / 10 if options.is_quick else EQUAL_RATE
    counts = (2, 10) if options.is_quick else EQUAL_SCREENS
    return [_equal_case(count, rate) for count in counts]


def _equal_case(count: int, rate: float) -> Case:
    """Return a case in which as many frames are published, and as many screens get each, as in the others."""
    each = min(TOGETHER, count)
    canvases = count // each
    groups = tuple(Group("all", f"canvas-{number}", each) for number in range(1, canvases + 1))
    return Case(f"{rate:g} frames/s to {count}", groups, FRAME_BYTES, rate / count, canvases)


async def measure(options: RoundOptions) -> Sheet:
    """Measure all cases."""
    case, kinds = many_case(options)
    many = await measure_in_turn(
        options.chosen(kinds),
        case,
        rounds=options.rounds,
        warm_up_s=options.warm_up_s,
        seconds=options.seconds,
    )
    blocks = [rows_of(case, many)]
    seconds = options.seconds if options.is_quick else max(options.seconds, EQUAL_SECONDS)
    equal: dict[int, Found] = {}
    for case in equal_cases(options):
        equal[case.screens] = await measure_in_turn(
            options.chosen([OURS, BARE]),
            case,
            rounds=options.rounds,
            warm_up_s=options.warm_up_s,
            seconds=seconds,
        )
    blocks.append([row for case in equal_cases(options) for row in rows_of(case, equal[case.screens])])
    rows: list[Row] = [row for block in blocks for row in block]
    return Sheet(
        bench="scale",
        title=f"a thousand screens on one core; {FRAME_BYTES:,} bytes a frame",
        columns=COLUMNS,
        blocks=[[row.cells() for row in block] for block in blocks],
        rows=[row.to_json() for row in rows],
        goals=goals(many, equal),
        notes=[*notes(options, seconds), *warnings(rows)],
        options=options.to_json(),
    )


def goals(many: Found, equal: Mapping[int, Found]) -> list[Goal]:
    """Judge what was found: by kind, and by number of screens and kind."""
    ours = many.get(OURS.name, ())
    ages = [group["age_p99_ms"] for outcome in ours for group in outcome.groups.values()]
    # A round that has no figure is one in which nothing came: it must not be left out in silence.
    known = [] if None in ages else ages
    shares = [outcome.cpu_share for outcome in ours]
    goals = [
        Goal("share of one core", statistics.median(shares) if shares else None, SHARE_LIMIT),
        Goal("age p99, ms", statistics.median(known) if known else None, P99_LIMIT_MS),
    ]
    costs = [_cost(found.get(OURS.name, ())) for found in equal.values()]
    told = [cost for cost in costs if cost is not None]
    spread = max(told) / min(told) if told and len(told) == len(costs) else None
    return [
        *goals,
        Goal("CPU per frame, dearest over cheapest number of screens", spread, SPREAD_LIMIT),
    ]


def _cost(outcomes: Sequence[Outcome]) -> float | None:
    costs = [outcome.cpu_us for outcome in outcomes]
    told = [cost for cost in costs if cost is not None]
    return statistics.median(told) if told and len(told) == len(costs) else None


def notes(options: RoundOptions, seconds: float) -> list[str]:
    """Say what the reader must know to read the figures."""
    return [
        f"Medians of {options.rounds} rounds, {options.seconds:g} s for the first case and {seconds:g} s for "
        f"the others, after {options.warm_up_s:g} s, each with a server of its own.",
        "First case: one canvas, every frame goes to all screens in one burst, the hardest way; the last "
        "screen's age holds the sending to all the others.",
        f"Equal frames per second: {TOGETHER} screens on each canvas, phases spread, so that only the number "
        "of connections differs.",
        "psyche: PSYCHE_TIERS=original, so that nothing is encoded; every screen gets the frames unchanged.",
        "Server and screens on a core each. CPU: the process's clock, with receiving in the kernel on the "
        "loopback, which happens at the sender's cost.",
        "'no deflate': the base64 server to screens that offer no compression, which is cheaper for it.",
        "!: less than the asked rate was reached.",
    ]

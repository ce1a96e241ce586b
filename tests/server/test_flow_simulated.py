"""The newest frame through links of every kind, in simulated time: its age, and how full the link is."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from fake_link import Path, Received, Simulation, ages, goodput

from server.streaming.flow.control import HEADROOM


AGE = 1.15
GOODPUT = 0.95
# What is measured begins when the connection has found its pace.
START_S = 4.0
END_S = 16.0
HEAVY = (1_000_000, 2.5e6)
LIGHT = (300_000, 1.25e6)
RTTS = (0.0003, 0.02, 0.08, 0.2)


def ideal_s(simulation: Simulation) -> float:
    """Return one transmission, half a round trip with its mean jitter, and half a source interval."""
    path = simulation.path
    way_s = (path.rtt_s + path.jitter_s) / 2.0
    return simulation.size_bytes / path.rate_bytes_s + way_s + 0.5 / simulation.fps


def settled(simulation: Simulation, until_s: float = END_S) -> list[Received]:
    """Run, and return what came after the beginning."""
    simulation.run(until_s)
    return [frame for frame in simulation.received if frame.received_at > START_S]


def change(simulation: Simulation, at_s: float, **fields: Any) -> None:
    """Change the path, or what is sent, at an instant."""

    def apply() -> None:
        for name, value in fields.items():
            setattr(simulation.path if hasattr(simulation.path, name) else simulation, name, value)

    simulation.at(at_s, apply)


def frames_until_settled(frames: Sequence[Received], simulation: Simulation) -> int:
    """Return how many frames came before three in a row that were new enough."""
    good = [frame.age_s <= AGE * ideal_s(simulation) for frame in frames]
    return next(index for index in range(len(good)) if all(good[index : index + 3]))


@pytest.mark.parametrize("fps", [15.0, 30.0, 60.0])
@pytest.mark.parametrize("rtt_s", RTTS)
@pytest.mark.parametrize("load", [HEAVY, LIGHT])
def test_frames_are_new_and_the_link_is_full(load: tuple[int, float], rtt_s: float, fps: float) -> None:
    size_bytes, rate_bytes_s = load
    simulation = Simulation(Path(rate_bytes_s, rtt_s), fps, size_bytes)

    frames = settled(simulation)

    assert ages(frames) <= AGE * ideal_s(simulation)
    assert goodput(frames) >= GOODPUT * rate_bytes_s
    assert simulation.most_in_flight == 2


@pytest.mark.parametrize("seed", range(40))
def test_links_of_all_kinds_are_full_and_their_frames_new(seed: int) -> None:
    chance = random.Random(seed)
    rate_bytes_s = 10 ** chance.uniform(5.3, 7.3)
    transmission_s = 10 ** chance.uniform(-2.0, 0.3)
    path = Path(
        rate_bytes_s,
        chance.choice([0.0005, chance.uniform(0.0, 0.3)]),
        held_s=chance.choice([0.0, chance.uniform(0.0, 0.3)]),
        has_slow_start=chance.random() < 0.5,
    )
    fps = chance.choice([10.0, 24.0, 30.0, 60.0])
    simulation = Simulation(path, fps, int(rate_bytes_s * transmission_s))

    simulation.run(40.0 + 20.0 * transmission_s)

    frames = [frame for frame in simulation.received if frame.received_at > 5.0 + 10.0 * transmission_s]
    assert ages(frames) <= 1.2 * ideal_s(simulation)
    assert goodput(frames) >= GOODPUT * min(rate_bytes_s, fps * simulation.size_bytes)


@pytest.mark.parametrize("load", [HEAVY, LIGHT])
def test_a_way_of_varying_length_costs_little(load: tuple[int, float]) -> None:
    size_bytes, rate_bytes_s = load
    simulation = Simulation(Path(rate_bytes_s, 0.08, jitter_s=0.02), 30.0, size_bytes)

    frames = settled(simulation, 60.0)

    assert ages(frames) <= 1.2 * ideal_s(simulation)
    assert goodput(frames) >= GOODPUT * rate_bytes_s


def test_jitter_does_not_lengthen_the_round_trip_that_is_believed() -> None:
    simulation = Simulation(Path(2.5e6, 0.08, jitter_s=0.02), 30.0, 1_000_000)

    simulation.run(300.0)

    # Two ways of up to 20 ms each on top of 80 ms.
    assert simulation.flow.min_rtt_s == pytest.approx(0.1, abs=0.025)


@pytest.mark.parametrize("rtt_s", [0.02, 0.2])
def test_slow_start_is_not_taken_for_a_slow_link(rtt_s: float) -> None:
    simulation = Simulation(Path(2.5e6, rtt_s, has_slow_start=True), 30.0, 300_000)

    frames = settled(simulation)

    assert ages(frames) <= AGE * ideal_s(simulation)
    assert goodput(frames) >= GOODPUT * 2.5e6


@pytest.mark.parametrize("held_s", [0.1, 0.3])
@pytest.mark.parametrize("size_bytes", [250_000, 1_000_000])
def test_a_browser_that_acknowledges_late_and_says_so_costs_nothing(held_s: float, size_bytes: int) -> None:
    simulation = Simulation(Path(2.5e6, 0.08, held_s=held_s), 30.0, size_bytes)

    frames = settled(simulation)

    assert ages(frames) <= AGE * ideal_s(simulation)
    assert goodput(frames) >= GOODPUT * 2.5e6


@pytest.mark.parametrize("held_s", [0.1, 0.3])
def test_a_browser_that_acknowledges_late_and_does_not_say_so_gets_new_frames_only_fewer(
    held_s: float,
) -> None:
    simulation = Simulation(Path(2.5e6, 0.08, unsaid_s=held_s), 30.0, 1_000_000)

    frames = settled(simulation)

    assert ages(frames) <= AGE * ideal_s(simulation)
    assert goodput(frames) >= 0.6 * 2.5e6


def test_acknowledgements_that_skip_frames_keep_frames_new() -> None:
    simulation = Simulation(Path(1e6, 0.2), 60.0, 30_000, acknowledges_every=2)

    frames = settled(simulation)

    assert ages(frames) <= AGE * ideal_s(simulation)
    assert goodput(frames) >= 0.9 * 1e6


def test_encoding_runs_beside_the_transmission() -> None:
    simulation = Simulation(Path(2.5e6, 0.08), 30.0, 1_000_000, prepare_s=0.1)

    frames = settled(simulation)

    assert ages(frames) <= AGE * (ideal_s(simulation) + 0.1)
    assert goodput(frames) >= GOODPUT * 2.5e6


def test_a_link_faster_than_the_source_gets_every_frame_at_once() -> None:
    simulation = Simulation(Path(12.5e6, 0.2), 30.0, 60_000)

    frames = settled(simulation)

    assert {later.sequence - frame.sequence for frame, later in itertools.pairwise(frames)} == {1}
    assert ages(frames, 99) <= 60_000 / 12.5e6 + 0.1 + 0.001


@pytest.mark.parametrize(
    ("before", "after", "frames_lost"),
    [
        ({"rate_bytes_s": 2.5e6}, {"rate_bytes_s": 0.5e6}, 4),
        ({"rate_bytes_s": 0.5e6}, {"rate_bytes_s": 2.5e6}, 2),
        ({"rtt_s": 0.02}, {"rtt_s": 0.2}, 3),
        ({"rtt_s": 0.2}, {"rtt_s": 0.02}, 4),
        ({"size_bytes": 1_000_000}, {"size_bytes": 100_000}, 3),
        ({"size_bytes": 100_000}, {"size_bytes": 1_000_000}, 3),
        ({"held_s": 0.0}, {"held_s": 0.3}, 3),
        ({"held_s": 0.3}, {"held_s": 0.0}, 3),
    ],
)
def test_a_change_is_followed_within_a_few_frames(
    before: dict[str, float], after: dict[str, float], frames_lost: int
) -> None:
    path = {"rate_bytes_s": 2.5e6, "rtt_s": 0.08, **before}
    size = int(path.pop("size_bytes", 1_000_000))
    simulation = Simulation(Path(**path), 30.0, size)
    change(simulation, 20.1, **after)

    simulation.run(60.0)

    frames = [frame for frame in simulation.received if frame.sent_at > 20.1]
    # The one that was in the link's way when it changed belongs to neither.
    assert frames_until_settled(frames[1:], simulation) <= frames_lost
    late = [frame for frame in frames if frame.received_at > 45.0]
    assert ages(late) <= AGE * ideal_s(simulation)
    assert goodput(late) >= min(GOODPUT * simulation.path.rate_bytes_s, 0.99 * 30.0 * simulation.size_bytes)


def test_a_lost_packet_s_pause_is_forgotten_at_once() -> None:
    simulation = Simulation(Path(2.5e6, 0.08), 30.0, 1_000_000)
    simulation.pause(10.0, 10.8)

    simulation.run(20.0)

    after = [frame for frame in simulation.received if frame.sent_at > 10.8]
    assert frames_until_settled(after, simulation) <= 1
    assert goodput(after) >= GOODPUT * 2.5e6


@pytest.mark.parametrize("rtt_s", [0.02, 0.2])
def test_after_a_hidden_while_the_first_frame_leaves_at_once(rtt_s: float) -> None:
    simulation = Simulation(Path(2.5e6, 0.08, has_slow_start=True), 30.0, 300_000)
    change(simulation, 10.0, is_visible=False)
    change(simulation, 20.0, is_visible=True, rtt_s=rtt_s)

    simulation.run(40.0)

    after = [frame for frame in simulation.received if frame.sent_at >= 20.0]
    assert after[0].sent_at <= 20.0 + 1.0 / 30.0
    late = [frame for frame in after if frame.received_at > 24.0]
    assert ages(late) <= AGE * ideal_s(simulation)
    assert goodput(late) >= GOODPUT * 2.5e6


def test_what_is_on_its_way_never_exceeds_the_bound() -> None:
    simulation = Simulation(Path(1.25e6, 0.2, jitter_s=0.02), 60.0, 60_000)
    change(simulation, 8.0, rate_bytes_s=0.25e6)
    simulation.pause(12.0, 14.0)

    simulation.run(20.0)

    # Rate times round trip, and a little for what the estimate is off by.
    assert simulation.most_bytes <= HEADROOM * 1.5 * 1.25e6 * 0.24 + 2 * 60_000

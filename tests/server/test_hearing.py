"""What a canvas makes of what it hears."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fakes import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from server.sound.hearing import HEARD_S, MAX_MICROPHONES, Features, Hearing
from server.sound.mapping import DEFAULT_AUDIO, FEATURES, PARAMETERS, Audio, Mapping, Modulation
from server.sound.microphone import BURST, PER_S, Microphone


NEUTRAL = Modulation()
# Longer than anything takes to come to rest: twenty of the longest smoothing.
LONG_S = 200.0

shares = st.floats(0.0, 1.0)
sounds = st.builds(Features, *[shares] * len(FEATURES))
durations = st.floats(0.0, 3.0)


@st.composite
def mappings(draw: st.DrawFn) -> Mapping:
    parameter = draw(st.sampled_from(sorted(PARAMETERS)))
    least, greatest, _ = PARAMETERS[parameter]
    low, high = draw(st.floats(least, greatest)), draw(st.floats(least, greatest))
    return Mapping(draw(st.sampled_from(FEATURES)), parameter, low, high, draw(st.floats(0.0, 10.0)))


audios = st.builds(Audio, st.just(True), st.lists(mappings(), max_size=4).map(tuple))
# Who is heard, with what, and how long it is until the next.
speeches = st.lists(st.tuples(st.integers(0, 2), sounds, durations), max_size=12)


def one(feature: str, parameter: str, low: float, high: float, smoothing_s: float = 0.0) -> Audio:
    return Audio(mappings=(Mapping(feature, parameter, low, high, smoothing_s),))


def values(modulation: Modulation) -> dict[str, float]:
    return {name: getattr(modulation, name) for name in PARAMETERS}


@settings(deadline=None)
@given(audios, speeches)
def test_whatever_is_heard_every_parameter_stays_in_its_range(audio: Audio, speech: list[Any]) -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    for sender, sound, duration_s in speech:
        hearing.hear(sender, sound)
        for _ in range(2):
            for name, value in values(hearing.modulation(audio)).items():
                least, greatest, _neutral = PARAMETERS[name]
                assert least <= value <= greatest
            clock.advance(duration_s)


@settings(deadline=None)
@given(audios, speeches)
def test_after_silence_everything_is_exactly_as_without_sound(audio: Audio, speech: list[Any]) -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    for sender, sound, duration_s in speech:
        hearing.hear(sender, sound)
        hearing.modulation(audio)
        clock.advance(duration_s)

    clock.advance(LONG_S)

    assert hearing.modulation(audio) == NEUTRAL
    assert hearing.modulation(audio).is_neutral


@settings(deadline=None)
@given(audios, st.lists(st.tuples(sounds, durations), max_size=8))
def test_a_sound_of_no_loudness_changes_nothing(audio: Audio, speech: list[Any]) -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    for sound, duration_s in speech:
        hearing.hear("page", Features(0.0, sound.low, sound.mid, sound.high, sound.onset, sound.beat))
        assert hearing.modulation(audio) == NEUTRAL
        clock.advance(duration_s)


@settings(deadline=None)
@given(audios, speeches, st.integers(1, 20))
def test_it_does_not_matter_how_often_anybody_looks(audio: Audio, speech: list[Any], looks: int) -> None:
    clock = FakeClock()
    rarely, often = Hearing(clock), Hearing(clock)
    for hearing in (rarely, often):
        hearing.modulation(audio)
    for sender, sound, duration_s in speech:
        rarely.hear(sender, sound)
        often.hear(sender, sound)
        for _ in range(looks):
            often.modulation(audio)
            clock.advance(duration_s / looks)

    seldom, frequent = values(rarely.modulation(audio)), values(often.modulation(audio))
    assert all(math.isclose(seldom[name], frequent[name], abs_tol=1e-6) for name in PARAMETERS)


@settings(deadline=None)
@given(mappings(), shares, shares, durations)
def test_more_of_a_feature_moves_its_parameter_further(
    mapping: Mapping, one_share: float, other_share: float, for_s: float
) -> None:
    audio, clock = Audio(mappings=(mapping,)), FakeClock()
    moved = []
    for share in sorted((one_share, other_share)):
        hearing = Hearing(clock)
        hearing.modulation(audio)
        features = dict.fromkeys(FEATURES, 1.0) | {mapping.feature: share}
        # Loud in any case: without loudness there is no sound.
        features["level"] = max(features["level"], 0.001)
        hearing.hear("page", Features(**features))
        clock.advance(min(for_s, HEARD_S * 0.99))
        moved.append(getattr(hearing.modulation(audio), mapping.parameter))

    less, more = moved if mapping.low <= mapping.high else reversed(moved)
    assert less <= more + 1e-9


def test_a_mapping_goes_from_low_to_high_with_its_feature() -> None:
    hearing = Hearing(FakeClock())
    audio = one("beat", "palette", 10.0, 50.0)

    told = []
    for beat in (0.0, 0.25, 1.0):
        hearing.hear("page", Features(level=0.1, beat=beat))
        told.append(hearing.modulation(audio).palette)

    assert told == [10.0, 20.0, 50.0]


def test_a_parameter_follows_within_its_time_and_goes_back_in_the_same() -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    audio = one("level", "guidance", 0.0, 10.0, smoothing_s=0.5)
    hearing.modulation(audio)
    hearing.hear("page", Features(level=1.0))
    assert hearing.modulation(audio).guidance == 0.0

    clock.advance(0.5)
    rising = hearing.modulation(audio).guidance
    clock.advance(0.5)  # nothing more was heard: a second is over
    risen = hearing.modulation(audio).guidance
    clock.advance(0.5)
    fallen = hearing.modulation(audio).guidance

    assert rising == pytest.approx(10.0 * (1.0 - math.exp(-1.0)))
    assert risen == pytest.approx(10.0 * (1.0 - math.exp(-2.0)))
    assert fallen == pytest.approx(risen * math.exp(-1.0))


def test_several_mappings_of_one_parameter_add_up_within_its_range() -> None:
    hearing = Hearing(FakeClock())
    audio = Audio(
        mappings=(
            Mapping("level", "speed", 1.0, 5.0, 0.0),
            Mapping("beat", "speed", 1.0, 8.0, 0.0),
            Mapping("high", "speed", 1.0, 0.0, 0.0),
        )
    )

    hearing.hear("page", Features(level=0.5, beat=0.0, high=0.5))
    assert hearing.modulation(audio).speed == 1.0 + 2.0 - 0.5
    hearing.hear("page", Features(level=1.0, beat=1.0, high=0.0))
    assert hearing.modulation(audio).speed == 8.0


def test_of_several_microphones_the_loudest_of_the_last_second_counts() -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    audio = one("beat", "palette", 0.0, 100.0)
    hearing.hear("near", Features(level=0.9, beat=0.9))
    clock.advance(0.6)
    hearing.hear("far", Features(level=0.2, beat=0.2))
    assert hearing.modulation(audio).palette == pytest.approx(90.0)

    clock.advance(0.5)
    assert hearing.modulation(audio).palette == pytest.approx(20.0)
    # A louder one that falls silent leaves the word to the other one at once.
    hearing.hear("near", Features(level=0.9, beat=0.9))
    hearing.hear("near", Features())
    assert hearing.modulation(audio).palette == pytest.approx(20.0)
    clock.advance(HEARD_S)
    assert hearing.modulation(audio) == NEUTRAL


def test_only_so_many_microphones_are_listened_to() -> None:
    clock = FakeClock()
    hearing = Hearing(clock)

    heard = [hearing.hear(number, Features(level=0.1)) for number in range(MAX_MICROPHONES + 3)]

    assert heard == [True] * MAX_MICROPHONES + [False] * 3
    assert hearing.hear(0, Features(level=0.1)), "one that is listened to goes on"
    assert hearing.counters() == {
        "heard": MAX_MICROPHONES + 1,
        "ignored": 3,
        "microphones": MAX_MICROPHONES,
    }
    clock.advance(HEARD_S)
    assert hearing.hear("another", Features(level=0.1))
    assert hearing.counters()["microphones"] == 1


def test_whoever_asks_for_the_counters_changes_nothing_of_what_is_heard() -> None:
    told = []
    for asks in (False, True):
        clock = FakeClock()
        hearing = Hearing(clock)
        audio = one("level", "palette", 0.0, 100.0, 1.0)
        hearing.modulation(audio)
        hearing.hear("microphone", Features(level=1.0))
        clock.advance(HEARD_S + 0.1)
        if asks:
            assert hearing.counters()["microphones"] == 0
        told.append(hearing.modulation(audio).palette)

    assert told[0] == told[1] > 50.0


def test_switched_off_it_is_neutral_at_once_and_begins_anew() -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    audio = one("level", "speed", 1.0, 5.0, smoothing_s=2.0)
    hearing.modulation(audio)
    hearing.hear("page", Features(level=1.0))
    clock.advance(0.9)
    assert hearing.modulation(audio).speed > 2.0

    off = Audio(enabled=False, mappings=audio.mappings)
    hearing.hear("page", Features(level=1.0))
    assert hearing.modulation(off) == NEUTRAL
    assert hearing.modulation(audio) == NEUTRAL


def test_a_mapping_that_is_changed_goes_on_from_where_it_is() -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    audio = one("level", "palette", 0.0, 100.0, smoothing_s=0.5)
    hearing.modulation(audio)
    hearing.hear("page", Features(level=1.0))
    clock.advance(0.5)
    before = hearing.modulation(audio).palette

    changed = one("level", "palette", 0.0, 20.0, smoothing_s=3.0)

    assert hearing.modulation(changed).palette == pytest.approx(before)
    clock.advance(0.4)
    assert hearing.modulation(changed).palette < before


def test_without_any_sound_the_default_setting_changes_nothing() -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    for _ in range(10):
        assert hearing.modulation(DEFAULT_AUDIO) is hearing.modulation(DEFAULT_AUDIO)
        assert hearing.modulation(DEFAULT_AUDIO).is_neutral
        clock.advance(3.0)


def test_the_default_setting_makes_loud_music_faster_and_beats_colourful() -> None:
    clock = FakeClock()
    hearing = Hearing(clock)
    hearing.hear("page", Features(level=1.0, beat=1.0))
    clock.advance(0.9)

    modulation = hearing.modulation(DEFAULT_AUDIO)

    assert modulation.speed > 3.5
    assert modulation.palette > 35.0
    assert (modulation.strength, modulation.seed, modulation.guidance) == (0.0, 0.0, 0.0)


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 0.2), min_size=50, max_size=200))
def test_no_more_messages_count_than_may(pauses: list[float]) -> None:
    microphone, now_s, heard_s = Microphone(is_allowed=True), 0.0, []
    for pause_s in pauses:
        now_s += pause_s
        if microphone.may_speak(now_s):
            heard_s.append(now_s)

    for first, at_s in enumerate(heard_s):
        within = [told_s for told_s in heard_s[first:] if told_s <= at_s + 1.0]
        assert len(within) <= PER_S + BURST + 1


def test_a_page_that_keeps_to_the_rate_is_always_heard() -> None:
    microphone = Microphone(is_allowed=True)
    # In bunches of two, as timers and networks deliver them.
    assert all(microphone.may_speak(bunch / 10.0) for bunch in range(200) for _ in range(2))


def test_who_may_not_speak_is_never_heard() -> None:
    microphone = Microphone()

    assert not microphone.may_speak(5.0)
    microphone.note(is_heard=False)
    assert microphone.state() == {"allowed": False, "heard": 0, "ignored": 1}


def test_a_canvas_that_hears_nothing_costs_nothing() -> None:
    clock = FakeClock()
    looks: list[float] = []

    def look() -> float:
        looks.append(clock())
        return clock()

    hearing = Hearing(look)
    hearing.modulation(DEFAULT_AUDIO)
    looks.clear()
    hearing.modulation(DEFAULT_AUDIO)
    assert looks == []

    hearing.hear("page", Features(level=1.0, beat=1.0))
    clock.advance(0.5)
    assert not hearing.modulation(DEFAULT_AUDIO).is_neutral
    clock.advance(LONG_S)
    assert hearing.modulation(DEFAULT_AUDIO).is_neutral
    looks.clear()
    assert hearing.modulation(DEFAULT_AUDIO).is_neutral
    assert looks == [], "it is at rest again"

"""Reads a prompt: which place, light, weather, things and colours it names.

Pure and deterministic. Words that it does not know are kept as a digest, so that they still steer
the composition and the colours. It does not know how anything is painted.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from . import vocabulary
from .noise import digest


_WORD = re.compile(r"[^\W\d_]+")

_ENGLISH_ENDING = r"(?:'?s|es|y|ed|ing|ish|ous|al|ic|ly)?"
_RUSSIAN_ENDING = (
    r"(?:а|я|о|е|ё|ы|и|у|ю|ь|й|ой|ей|ёй|ом|ем|ём|ам|ям|ах|ях|ами|ями|ов|ев|ый|ий|ая|яя|ое|ее|ые|ие|ого|его"
    r"|ому|ему|ым|им|ых|их|ую|юю|ью|ыми|ими|ия|ии|ию|ка|ки|ку|ике)?"
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What was found in a text."""

    places: tuple[str, ...] = ()  # in the order of their words
    lights: tuple[str, ...] = ()
    weather: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    colours: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()  # words that say nothing to the painter, lower case


@dataclass(frozen=True, slots=True)
class Brief:
    """What to paint, read from a prompt and a negative prompt.

    Attributes:
        place: A key of `vocabulary.PLACES`, or "abstract" where no place is named.
        light: A key of `palettes.LIGHTS`, or "" where chance decides.
        weather: Keys of `vocabulary.WEATHER`.
        subjects: Keys of `vocabulary.SUBJECTS`, with other named places.
        colours: Keys of `palettes.NAMED` that the palette moves towards, in their order.
        avoided: Everything that the negative prompt and "no …" name: kinds as above.
        avoided_colours: Keys of `palettes.NAMED` that the palette moves away from.
        seed: 64 bits from the request's seed, the place, the subjects and the unknown words. Light,
            weather and colours are not in it, so that "sea at dawn" and "sea at night" are the same sea.
    """

    place: str
    light: str
    weather: frozenset[str]
    subjects: frozenset[str]
    colours: tuple[str, ...]
    avoided: frozenset[str]
    avoided_colours: tuple[str, ...]
    seed: int

    def has(self, name: str) -> bool:
        """Tell whether the weather or the subjects hold this."""
        return name in self.weather or name in self.subjects


def read(prompt: str, negative_prompt: str = "", seed: int = 0) -> Brief:
    """Read a request's words."""
    wanted_words, denied_words = _split(prompt)
    wanted = _meaning(wanted_words)
    negative_words, double_denied = _split(negative_prompt)
    unwanted = _meaning((*negative_words, *double_denied, *denied_words))

    avoided = frozenset({*unwanted.places, *unwanted.lights, *unwanted.subjects, *unwanted.weather})
    places = tuple(place for place in wanted.places if place not in avoided)
    lights = tuple(light for light in wanted.lights if light not in avoided)
    place = places[0] if places else "abstract"
    subjects = (wanted.subjects | frozenset(places[1:])) - avoided
    return Brief(
        place=place,
        light=_strongest(lights),
        weather=wanted.weather - avoided,
        subjects=subjects,
        colours=tuple(colour for colour in wanted.colours if colour not in unwanted.colours),
        avoided=avoided,
        avoided_colours=unwanted.colours,
        seed=digest("brief", seed, place, *sorted(subjects), "with", *sorted(wanted.unknown)),
    )


def _strongest(lights: tuple[str, ...]) -> str:
    """Return the light that decides: a glow over a time of day, else the first one named."""
    for light in ("aurora", "neon", "golden"):
        if light in lights:
            return light
    return lights[0] if lights else ""


def _split(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words of a text and those that it denies ("no clouds")."""
    lowered = text.lower()
    for phrase, word in vocabulary.PHRASES.items():
        lowered = lowered.replace(phrase, word)
    wanted: list[str] = []
    denied: list[str] = []
    denying = False
    for word in _WORD.findall(lowered):
        if word in vocabulary.DENIALS:
            denying = True
            continue
        (denied if denying else wanted).append(word)
        denying = False
    return tuple(wanted), tuple(denied)


def _meaning(words: tuple[str, ...]) -> Meaning:
    places, lights, colours, unknown = [], [], [], []
    weather: set[str] = set()
    subjects: set[str] = set()
    for word in words:
        kinds = _kinds(word)
        places += [name for kind, name in kinds if kind == "place" and name not in places]
        lights += [name for kind, name in kinds if kind == "light" and name not in lights]
        colours += [name for kind, name in kinds if kind == "colour" and name not in colours]
        weather.update(name for kind, name in kinds if kind == "weather")
        subjects.update(name for kind, name in kinds if kind == "subject")
        if not kinds and word not in vocabulary.IGNORED:
            unknown.append(word)
    return Meaning(
        tuple(places), tuple(lights), frozenset(weather), frozenset(subjects), tuple(colours), tuple(unknown)
    )


def _pattern(stems: str) -> re.Pattern[str]:
    english, russian = stems.split("|")
    return re.compile(
        f"(?:{'|'.join(english.split())}){_ENGLISH_ENDING}|(?:{'|'.join(russian.split())}){_RUSSIAN_ENDING}"
    )


_TABLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("place", vocabulary.PLACES),
    ("light", vocabulary.LIGHT),
    ("weather", vocabulary.WEATHER),
    ("subject", vocabulary.SUBJECTS),
    ("colour", vocabulary.COLOURS),
)
# Compiled on import: it takes longer than a frame may.
_PATTERNS = tuple((kind, name, _pattern(stems)) for kind, table in _TABLES for name, stems in table.items())


@functools.lru_cache(maxsize=4096)
def _kinds(word: str) -> tuple[tuple[str, str], ...]:
    """Return what a word means: pairs of kind and name."""
    return tuple((kind, name) for kind, name, pattern in _PATTERNS if pattern.fullmatch(word))

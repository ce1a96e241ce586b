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


# A stop parts a colour from what follows: in "red, fox" the whole scene is red.
_WORD = re.compile(r"[^\W\d_]+|[,.;:!?/|()]")

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
    scene_colours: tuple[str, ...] = ()  # those of the colours that belong to no single thing
    own_colours: tuple[tuple[str, str], ...] = ()  # pairs of a thing and its colour
    has_sky: bool = False
    unknown: tuple[str, ...] = ()  # words that say nothing to the painter, lower case


@dataclass(frozen=True, slots=True)
class Brief:
    """What to paint, read from a prompt and a negative prompt.

    Attributes:
        place: A key of `vocabulary.PLACES`, or "sky" or "abstract" where no place is named.
        light: A key of `palettes.LIGHTS`, or "" where chance decides.
        weather: Keys of `vocabulary.WEATHER`.
        subjects: Keys of `vocabulary.SUBJECTS`, with other named places.
        colours: Keys of `palettes.NAMED`: all that are named, in their order.
        scene_colours: Those of them that the whole palette moves towards.
        own_colours: The others, as pairs of a key of `vocabulary.FIGURES` and the colour: what "red" is
            in "a red fox", which must not dye the sky.
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
    scene_colours: tuple[str, ...] = ()
    own_colours: tuple[tuple[str, str], ...] = ()

    def own_colour(self, figure: str) -> str:
        """Return the colour word that stands before a thing, or an empty string."""
        return next((colour for name, colour in self.own_colours if name == figure), "")

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
    subjects = (wanted.subjects | frozenset(places[1:])) - avoided
    place = places[0] if places else _unnamed_place(subjects, wanted.has_sky)
    # An abstract field shows no things: there, every colour is the picture's.
    owned = () if place == "abstract" else wanted.own_colours
    scene_colours = wanted.scene_colours if owned else wanted.colours
    return Brief(
        place=place,
        light=_strongest(lights),
        weather=wanted.weather - avoided,
        subjects=subjects,
        colours=tuple(colour for colour in wanted.colours if colour not in unwanted.colours),
        avoided=avoided,
        avoided_colours=unwanted.colours,
        seed=digest("brief", seed, place, *sorted(subjects), "with", *sorted(wanted.unknown)),
        scene_colours=tuple(colour for colour in scene_colours if colour not in unwanted.colours),
        own_colours=tuple((name, colour) for name, colour in owned if colour not in unwanted.colours),
    )


def _unnamed_place(subjects: frozenset[str], has_sky: bool) -> str:
    """Return where to paint what a prompt without a place names."""
    homes = (place for subject, place in vocabulary.HOMES.items() if subject in subjects)
    return next(homes, "sky" if has_sky else "abstract")


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
    scene_colours: list[str] = []
    own_colours: list[tuple[str, str]] = []
    has_sky = False
    weather: set[str] = set()
    subjects: set[str] = set()
    for index, word in enumerate(words):
        if not word[0].isalpha():
            continue
        kinds = _kinds(word)
        places += [name for kind, name in kinds if kind == "place" and name not in places]
        lights += [name for kind, name in kinds if kind == "light" and name not in lights]
        colours += [name for kind, name in kinds if kind == "colour" and name not in colours]
        owner = _owner(words, index)
        for name in (name for kind, name in kinds if kind == "colour"):
            if owner:
                own_colours.append((owner, name))
            elif name not in scene_colours:
                scene_colours.append(name)
        has_sky = has_sky or any(kind == "sky" for kind, _ in kinds)
        weather.update(name for kind, name in kinds if kind == "weather")
        subjects.update(name for kind, name in kinds if kind == "subject")
        if not kinds and word not in vocabulary.IGNORED:
            unknown.append(word)
    return Meaning(
        places=tuple(places),
        lights=tuple(lights),
        weather=frozenset(weather),
        subjects=frozenset(subjects),
        colours=tuple(colours),
        scene_colours=tuple(scene_colours),
        own_colours=tuple(own_colours),
        has_sky=has_sky,
        unknown=tuple(unknown),
    )


def _owner(words: tuple[str, ...], index: int) -> str:
    """Return the thing that a colour word belongs to, or an empty string where it is the scene's.

    It is the thing right behind the word, with at most one adjective between, which is any word that
    names neither a place nor light nor weather. More colours of the same thing may stand there too.
    """
    following = list(words[index + 1 : index + 7])
    while following and (_is(following[0], "colour") or following[0] in vocabulary.JOINTS):
        if _is(following[0], "figure"):  # "red roses": the rose is a colour and a flower
            break
        following.pop(0)
    if following and not _kinds(following[0]) and following[0] not in vocabulary.IGNORED:
        following.pop(0)
    figure = next((name for kind, name in _kinds(following[0]) if kind == "figure"), "") if following else ""
    # "Golden pine forest" speaks of the forest.
    of_place = len(following) > 1 and _is(following[1], "place") and not _is(following[1], "figure")
    return "" if of_place else figure


def _is(word: str, kind: str) -> bool:
    return any(found == kind for found, _ in _kinds(word))


def _pattern(stems: str) -> re.Pattern[str]:
    english, russian = stems.split("|")
    return re.compile(
        f"(?:{'|'.join(english.split())}){_ENGLISH_ENDING}|(?:{'|'.join(russian.split())}){_RUSSIAN_ENDING}"
    )


_TABLES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("place", vocabulary.PLACES),
    ("sky", vocabulary.SKY),
    ("light", vocabulary.LIGHT),
    ("weather", vocabulary.WEATHER),
    ("subject", vocabulary.SUBJECTS),
    ("figure", vocabulary.FIGURES),
    ("colour", vocabulary.COLOURS),
)
# Compiled on import: it takes longer than a frame may.
_PATTERNS = tuple((kind, name, _pattern(stems)) for kind, table in _TABLES for name, stems in table.items())


@functools.lru_cache(maxsize=4096)
def _kinds(word: str) -> tuple[tuple[str, str], ...]:
    """Return what a word means: pairs of kind and name."""
    return tuple((kind, name) for kind, name, pattern in _PATTERNS if pattern.fullmatch(word))

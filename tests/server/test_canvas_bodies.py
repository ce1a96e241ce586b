"""How a canvas's pictures are shown, as it is posted: every wrong value is told by its place."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import InvalidError
from server.sound.mapping import DEFAULT_AUDIO, PARAMETERS, Audio, Mapping
from server.streaming.config import CanvasConfig
from server.streaming.processing import IDENTITY, MIRRORS, Crop, Processing, Tint
from server.streaming.transition import CUT, KINDS, Transition
from server.web.bodies import parse
from server.web.canvas_requests import MAX_MAPPINGS, CanvasBody, CanvasPatch


NO_NUMBERS: tuple[Any, ...] = ("1", True, False, [1], {}, float("nan"), float("inf"), -float("inf"), 10**400)
NO_OBJECTS: tuple[Any, ...] = (1, 0.5, True, False, "x", [])
MAPPING = {"feature": "level", "parameter": "speed", "low": 0.0, "high": 1.0}

WRONG: dict[str, tuple[Any, ...]] = {
    "processing": NO_OBJECTS,
    "processing.crop": NO_OBJECTS,
    "processing.crop.x": (*NO_NUMBERS, None, -0.01, 1.01),
    "processing.crop.y": (*NO_NUMBERS, None, -0.01, 1.01),
    "processing.crop.width": (*NO_NUMBERS, None, 0, -0.5, 1.01),
    "processing.crop.height": (*NO_NUMBERS, None, 0, -0.5, 1.01),
    "processing.crop.depth": (1,),
    "processing.rotate": (*NO_NUMBERS, 45, -90, 360, 1, 90.0),
    "processing.mirror": (1, True, [], "", "Both", "left"),
    "processing.brightness": (*NO_NUMBERS, -0.01, 4.01),
    "processing.contrast": (*NO_NUMBERS, -0.01, 4.01),
    "processing.saturation": (*NO_NUMBERS, -0.01, 4.01),
    "processing.hue": (*NO_NUMBERS, -180.5, 181),
    "processing.tint": (1, True, "#ffffff", []),
    "processing.tint.color": (
        1, None, True, "", "red", "#fff", "#12345g", "#1234567", "#123456\n", "123456", "#１２３４５６",
    ),
    "processing.tint.amount": (*NO_NUMBERS, None, -0.01, 1.01),
    "processing.pixelate": (*NO_NUMBERS, 0, -1, 257, 1.5, 2.0),
    "processing.blur": (*NO_NUMBERS, -0.01, 100.5),
    "processing.sharpen": (1,),
    "transition": NO_OBJECTS,
    "transition.kind": (1, True, "", "Cut", "fade", []),
    "transition.duration_s": (*NO_NUMBERS, -0.01, 10.01),
    "transition.easing": ("linear",),
    "audio": NO_OBJECTS,
    "audio.enabled": (1, 0, "true", []),
    "audio.mappings": (1, True, "x", {}, [MAPPING] * (MAX_MAPPINGS + 1)),
    "audio.mappings.0": (1, True, "x", [], None),
    "audio.mappings.0.feature": (1, True, None, "", "bass", "Level"),
    "audio.mappings.0.parameter": (1, True, None, "", "size", "Speed"),
    "audio.mappings.0.low": (*NO_NUMBERS, None, -0.01, 8.01),
    "audio.mappings.0.high": (*NO_NUMBERS, None, -0.01, 8.01),
    "audio.mappings.0.smoothing_s": (*NO_NUMBERS, None, -0.01, 10.01),
    "audio.mappings.0.phase": (1,),
}  # fmt: skip
BASES: dict[str, dict[str, Any]] = {"processing.tint": {"color": "#123456"}, "audio.mappings.0": MAPPING}
CASES = [(place, value) for place, values in WRONG.items() for value in values]


def body_with(place: str, value: Any) -> dict[str, Any]:
    """Return a body that is right but for one place."""
    for end in range(len(parts := place.split(".")), 0, -1):
        name, outer = parts[end - 1], ".".join(parts[: end - 1])
        value = [value] if name == "0" else {**BASES.get(outer, {}), name: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(("place", "value"), CASES, ids=[f"{place}={value!r:.20}" for place, value in CASES])
def test_a_wrong_value_is_told_by_its_place(place: str, value: Any) -> None:
    for model, more in ((CanvasPatch, {}), (CanvasBody, {"slug": "left"})):
        with pytest.raises(InvalidError, match=f"^{re.escape(place)}") as told:
            parse(model, {**more, **body_with(place, value)})

        assert told.value.field == place
        assert len(str(told.value)) < 300


@pytest.mark.parametrize(
    ("crop", "field"),
    [
        ({"x": 0.5, "width": 0.51}, "width"),
        ({"y": 0.2, "height": 0.9}, "height"),
        ({"x": 0.1}, "width"),
        ({"y": 1.0}, "height"),
    ],
)
def test_a_crop_lies_within_the_picture(crop: dict[str, float], field: str) -> None:
    with pytest.raises(InvalidError, match="must be at most 1") as told:
        changed(CanvasConfig(), processing={"crop": crop})

    assert told.value.field == f"processing.crop.{field}"


@given(st.floats(0, 1), st.floats(0, 1))
def test_shares_that_add_up_to_one_are_taken_however_they_are_rounded(first: float, second: float) -> None:
    low, high = sorted((first, second))
    if high > low:
        crop = {"x": low, "width": high - low, "y": 0.1, "height": 0.9}
        assert changed(CanvasConfig(), processing={"crop": crop})["processing"].crop == Crop(**crop)


@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("name", ["low", "high"])
def test_each_parameter_has_a_range_of_its_own(parameter: str, name: str) -> None:
    least, greatest, neutral = PARAMETERS[parameter]
    base = {**MAPPING, "parameter": parameter, "low": neutral, "high": neutral}

    for value in (least, greatest):
        assert parse(CanvasPatch, {"audio": {"mappings": [{**base, name: value}]}}).audio is not None
    for value in (least - 0.01, greatest + 0.01):
        with pytest.raises(InvalidError, match=f"of {parameter} must be from") as told:
            parse(CanvasPatch, {"audio": {"mappings": [MAPPING, {**base, name: value}]}})
        assert told.value.field == f"audio.mappings.1.{name}"


def test_what_is_not_known_in_a_part_is_told_with_what_is_known_there() -> None:
    for body, known in (
        ({"processing": {"sharpen": 1}}, "crop, rotate, mirror"),
        ({"processing": {"tint": {"color": "#000000", "shade": 1}}}, "color, amount"),
        ({"transition": {"easing": "linear"}}, "kind, duration_s"),
        ({"audio": {"mappings": [MAPPING, {**MAPPING, "phase": 1}]}}, "feature, parameter, low"),
        ({"effects": {}}, "width, height, fps"),
    ):
        with pytest.raises(InvalidError, match=f"accepted are {known}"):
            parse(CanvasPatch, body)


WHOLE = {
    "crop": {"x": 0.25, "y": 0.0, "width": 0.5, "height": 1.0},
    "rotate": 270,
    "mirror": "both",
    "brightness": 4,
    "contrast": 0,
    "saturation": 0.5,
    "hue": -180,
    "tint": {"color": "#FF8000", "amount": 0.25},
    "pixelate": 256,
    "blur": 100,
}


def changed(config: CanvasConfig, **body: Any) -> dict[str, Any]:
    return parse(CanvasPatch, body).apply(config, CanvasConfig())


def test_every_field_of_a_processing_is_taken_and_told_again() -> None:
    processing = changed(CanvasConfig(), processing=WHOLE)["processing"]

    assert set(WHOLE) == set(Processing.__dataclass_fields__)
    assert processing == Processing(
        Crop(0.25, 0.0, 0.5, 1.0), 270, "both", 4.0, 0.0, 0.5, -180.0, Tint("#FF8000", 0.25), 256, 100.0
    )
    assert asdict(processing) == WHOLE


def test_every_mirror_rotation_and_kind_of_transition_is_taken() -> None:
    for mirror in MIRRORS:
        assert changed(CanvasConfig(), processing={"mirror": mirror})["processing"].mirror == mirror
    for rotate in (0, 90, 180, 270):
        assert changed(CanvasConfig(), processing={"rotate": rotate})["processing"].rotate == rotate
    for kind in KINDS:
        assert changed(CanvasConfig(), transition={"kind": kind})["transition"] == Transition(kind)


def test_parts_are_merged_field_by_field() -> None:
    config = CanvasConfig(
        processing=Processing(rotate=90, blur=3.0, tint=Tint("#000000", 1.0)),
        transition=Transition("wipe", 2.0),
        audio=Audio(enabled=False, mappings=(Mapping("beat", "seed", 0.0, 1.0),)),
    )

    assert changed(config, processing={"blur": 5}) == {
        "processing": Processing(rotate=90, blur=5.0, tint=Tint("#000000", 1.0))
    }
    assert changed(config, transition={"kind": "dissolve"}) == {"transition": Transition("dissolve", 2.0)}
    assert changed(config, transition={"duration_s": 1}) == {"transition": Transition("wipe", 1.0)}
    assert changed(config, audio={"mappings": [MAPPING]}) == {
        "audio": Audio(enabled=False, mappings=(Mapping("level", "speed", 0.0, 1.0),))
    }
    assert changed(config, audio={"enabled": True})["audio"].mappings == config.audio.mappings
    for name in ("processing", "transition", "audio"):
        assert changed(config, **{name: {}}) == {name: getattr(config, name)}


def test_crop_and_tint_are_merged_with_what_is_there() -> None:
    config = CanvasConfig(processing=Processing(crop=Crop(0.5, 0.0, 0.25, 1.0), tint=Tint("#ff0000", 0.5)))

    assert changed(config, processing={"tint": {"amount": 0.25}})["processing"].tint == Tint("#ff0000", 0.25)
    assert changed(config, processing={"tint": {"color": "#00ff00"}})["processing"].tint == Tint(
        "#00ff00", 0.5
    )
    assert changed(config, processing={"crop": {"x": 0.75}})["processing"].crop == Crop(0.75, 0.0, 0.25, 1.0)
    assert changed(config, processing={"crop": {}, "tint": {}})["processing"] == config.processing
    with pytest.raises(InvalidError, match=r"^processing\.crop\.width: x \+ width") as told:
        changed(config, processing={"crop": {"x": 0.8}})
    assert told.value.field == "processing.crop.width"


def test_a_new_crop_is_of_the_whole_picture_and_a_new_tint_needs_a_colour() -> None:
    assert changed(CanvasConfig(), processing={"crop": {"x": 0.5, "width": 0.5}})["processing"].crop == Crop(
        0.5, 0.0, 0.5, 1.0
    )
    tint = changed(CanvasConfig(), processing={"tint": {"color": "#ff0000"}})["processing"].tint
    assert tint == Tint("#ff0000", 0.5)
    for config in (CanvasConfig(), CanvasConfig(processing=Processing(blur=2.0))):
        with pytest.raises(InvalidError, match=r"^processing\.tint\.color is missing") as told:
            changed(config, processing={"tint": {"amount": 0.25}})
        assert told.value.field == "processing.tint.color"


def test_null_is_what_a_new_canvas_has() -> None:
    config = CanvasConfig(
        processing=Processing(rotate=90, blur=3.0, tint=Tint("#000000", 1.0)),
        transition=Transition("wipe", 2.0),
        audio=Audio(enabled=False, mappings=()),
    )

    assert changed(config, processing=None, transition=None, audio=None) == {
        "processing": IDENTITY,
        "transition": CUT,
        "audio": DEFAULT_AUDIO,
    }
    assert changed(config, processing={"tint": None, "rotate": None})["processing"] == Processing(blur=3.0)
    assert changed(config, transition={"kind": None})["transition"] == Transition("cut", 2.0)
    assert changed(config, audio={"mappings": None})["audio"] == Audio(
        enabled=False, mappings=DEFAULT_AUDIO.mappings
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-400, 400) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["crop", "x", "width", "tint", "color", "rotate", "mappings", "low", "parameter"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["processing", "transition", "audio"]), anything)
def test_whatever_is_posted_it_is_a_setting_or_a_named_field(part: str, value: Any) -> None:
    told = None
    try:
        parse(CanvasPatch, {part: value}).apply(CanvasConfig(), CanvasConfig())
    except InvalidError as exc:
        told = exc
    assert told is None or (told.field or "").startswith(part)

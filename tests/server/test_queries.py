"""What comes behind the question mark of an address."""

from __future__ import annotations

import math

import pytest
from aiohttp.test_utils import make_mocked_request

from server.errors import InvalidError
from server.web.queries import fps_of, number, width_of


def test_a_number_that_is_not_given_is_none_and_one_that_is_none_is_nan() -> None:
    assert number(make_mocked_request("GET", "/"), "fps") is None
    assert number(make_mocked_request("GET", "/?fps=2.5"), "fps") == 2.5
    for text in ("x", "", "1_0", "0x10", "1" * 400):
        assert math.isnan(number(make_mocked_request("GET", f"/?fps={text}"), "fps") or 0.0)


def test_widths_are_whole_numbers_of_pixels() -> None:
    assert width_of(make_mocked_request("GET", "/?width=640")) == 640
    assert width_of(make_mocked_request("GET", "/")) is None
    for text in ("7", "4097", "64.5", "nan", "inf"):
        with pytest.raises(InvalidError, match=r"from 8 to 4096") as told:
            width_of(make_mocked_request("GET", f"/?width={text}"))
        assert told.value.field == "width"


def test_rates_are_those_of_canvases() -> None:
    assert fps_of(make_mocked_request("GET", "/?fps=0.1")) == 0.1
    for text in ("0", "60.1", "nan", "-1"):
        with pytest.raises(InvalidError, match=r"from 0\.1 to 60") as told:
            fps_of(make_mocked_request("GET", f"/?fps={text}"))
        assert told.value.field == "fps"

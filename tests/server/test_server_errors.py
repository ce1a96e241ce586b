"""Every error, and how it is told: the table at the head of `server/errors.py`."""

from __future__ import annotations

import re

import pytest

from server import errors
from server.errors import InvalidError, MessageTooBigError, ProtocolError, PsycheError, ServerFullError


# Class: HTTP status, WebSocket close code of its own, code word, base class.
TABLE: dict[str, tuple[int, int | None, str, str]] = {
    "ConfigurationError": (500, None, "configuration", "PsycheError"),
    "InvalidError": (400, None, "invalid", "PsycheError"),
    "TooBigError": (413, None, "too_big", "InvalidError"),
    "UnsupportedMediaError": (415, None, "unsupported_media_type", "InvalidError"),
    "ForbiddenError": (403, None, "forbidden", "PsycheError"),
    "UnauthorizedError": (401, None, "unauthorized", "PsycheError"),
    "NotFoundError": (404, None, "not_found", "PsycheError"),
    "UnknownCanvasError": (404, None, "unknown_canvas", "NotFoundError"),
    "ConflictError": (409, None, "conflict", "PsycheError"),
    "TooManyError": (429, None, "too_many", "PsycheError"),
    "ServerFullError": (503, None, "full", "PsycheError"),
    "ProtocolError": (400, 1002, "protocol", "PsycheError"),
    "MessageTooBigError": (400, 1009, "too_big", "ProtocolError"),
    "InferenceError": (502, None, "inference", "PsycheError"),
    "InferenceUnavailableError": (503, None, "inference_unavailable", "InferenceError"),
    "InferenceBusyError": (503, None, "inference_busy", "InferenceUnavailableError"),
    "InferenceRejectedError": (400, None, "invalid", "InferenceError"),
    "InferenceCancelledError": (409, None, "inference_cancelled", "InferenceError"),
    "InferenceFailedError": (502, None, "inference_failed", "InferenceError"),
}


def every_error() -> dict[str, type[PsycheError]]:
    found = [PsycheError]
    for error in found:
        found.extend(error.__subclasses__())
    return {error.__name__: error for error in found[1:] if error.__module__ == errors.__name__}


def test_every_error_is_in_the_table_and_in_the_docstring() -> None:
    assert set(every_error()) == set(TABLE)
    assert errors.__doc__ is not None
    assert set(TABLE) <= set(re.findall(r"\w+Error", errors.__doc__))


@pytest.mark.parametrize("name", TABLE)
def test_an_error_is_told_as_the_table_says(name: str) -> None:
    error = every_error()[name]
    status, close_code, code, base = TABLE[name]

    assert (error.status, getattr(error, "close_code", None), error.code) == (status, close_code, code)
    assert error.__base__ is not None
    assert error.__base__.__name__ == base


@pytest.mark.parametrize("name", TABLE)
def test_the_docstring_says_the_same(name: str) -> None:
    status, close_code, _, _ = TABLE[name]
    assert errors.__doc__ is not None
    line = next(line for line in errors.__doc__.splitlines() if re.search(rf"\b{name}\b", line))

    if name != "ConfigurationError" and "HTTP" in line:
        assert str(status) in line
    if close_code is not None:
        assert f"WebSocket {close_code}" in line


def test_errors_carry_their_values() -> None:
    assert str(ServerFullError("canvases", 64)) == "there are already 64 canvases, which is the limit"
    assert str(MessageTooBigError(20, 16)) == "message of 20 bytes exceeds the limit of 16 bytes"
    assert str(errors.UnknownCanvasError("left")) == "there is no canvas 'left'"
    assert errors.UnknownCanvasError("left").field == "slug"
    assert InvalidError("x", field="seed").field == "seed"
    assert ProtocolError("x").field is None
    assert errors.InferenceBusyError("full", retry_after_s=2.5).retry_after_s == 2.5

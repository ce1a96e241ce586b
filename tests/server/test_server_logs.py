"""The logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from server import logs


@pytest.fixture(autouse=True)
def undo() -> Iterator[None]:
    """Put the logs back as they were: they are the process's."""
    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**configuration)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_are_json_with_level_and_utc_time(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", style="json")

    structlog.get_logger().info("screen connected", canvas="left", subscribers=3)

    (line,) = lines(capsys)
    assert line["timestamp"].endswith("Z")
    assert {name: line[name] for name in ("event", "level", "canvas", "subscribers")} == {
        "event": "screen connected",
        "level": "info",
        "canvas": "left",
        "subscribers": 3,
    }


def test_where_nobody_reads_along_auto_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="info", style="auto")

    structlog.get_logger().info("hello")

    assert lines(capsys)[0]["event"] == "hello"


def test_less_important_lines_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="warning", style="json")

    structlog.get_logger().info("too little")
    structlog.get_logger().warning("enough")
    logging.getLogger("library").info("too little")
    logging.getLogger("library").warning("enough")

    assert [line["event"] for line in lines(capsys)] == ["enough", "enough"]


def test_libraries_are_heard_from_warnings_on_only(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(level="debug", style="json")

    logging.getLogger("asyncio").debug("chatter")
    logging.getLogger("asyncio").warning("slow callback: %s", "it")

    (line,) = lines(capsys)
    assert (line["event"], line["level"]) == ("slow callback: it", "warning")


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_flood_is_cut_and_bytes_are_counted(capsys: pytest.CaptureFixture[str], style: str) -> None:
    logs.configure(level="info", style=style)

    structlog.get_logger().info("x" * 5000, value="y" * 5000, image=b"secret" * 1000)
    logging.getLogger("library").warning("z" * 5000)

    written = capsys.readouterr().err
    assert len(written) < 3 * logs.MAX_VALUE_CHARS + 500
    assert "6000 bytes" in written
    assert "secret" not in written


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("ours", [True, False])
def test_a_traceback_is_written_without_the_values_of_its_variables(
    capsys: pytest.CaptureFixture[str], style: str, ours: bool
) -> None:
    logs.configure(level="info", style=style)
    token = "".join(("open", " ", "sesame"))

    try:
        raise RuntimeError(f"a bug of {len(token)} letters")
    except RuntimeError:
        if ours:
            structlog.get_logger().exception("request failed")
        else:
            logging.getLogger("aiohttp.server").exception("request failed")

    written = capsys.readouterr().err
    assert "Traceback (most recent call last)" in written
    assert "RuntimeError: a bug of 11 letters" in written
    assert "open sesame" not in written


def test_the_console_is_for_people_and_plain_where_it_goes_to_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(level="info", style="console")

    structlog.get_logger().info("screen connected", canvas="left")

    written = capsys.readouterr().err
    assert "screen connected" in written
    assert "canvas=left" in written
    assert "\x1b" not in written

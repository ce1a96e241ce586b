"""Tests that cannot run here are skipped in the open, or fail the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent


def run_without_browser(**environment: str) -> subprocess.CompletedProcess[str]:
    return run_tests("tests/browser", "both_canvases", PSYCHE_CHROMIUM="/no/such/browser", **environment)


def run_tests(path: str, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "PSYCHE_NO_SKIP"}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            path,
            "-k",
            name,
        ],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_test_without_its_browser_is_skipped_and_says_why() -> None:
    ended = run_without_browser()

    assert ended.returncode == 0, ended.stdout
    assert "1 skipped" in ended.stdout
    assert "no Chromium: install it, or set PSYCHE_CHROMIUM" in ended.stdout


def test_where_nothing_may_be_left_out_a_skipped_test_fails_the_run() -> None:
    ended = run_without_browser(PSYCHE_NO_SKIP="1")

    assert ended.returncode == 1, ended.stdout
    assert "test_browser_wall.py::test_" in ended.stdout
    assert "no Chromium" in ended.stdout


def test_a_test_without_its_ffmpeg_is_skipped_and_says_why() -> None:
    ended = run_tests("tests/server/test_web_mjpeg.py", "ffmpeg", PSYCHE_FFMPEG="/no/such/player")

    assert ended.returncode == 0, ended.stdout
    assert "no ffmpeg: install it, or set PSYCHE_FFMPEG" in ended.stdout

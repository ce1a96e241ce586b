"""A Chromium of the bench's own: found, started without a window, and ended with the bench."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil

from bench.browser.devtools import DevTools, connected
from bench.errors import BenchError


# As `tests/browser/install.sh` has it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
)
START_S = 30.0
_LOOK_S = 0.05


def find_chromium() -> str:
    """Return the path of a Chromium; where PSYCHE_CHROMIUM names one, of that.

    Raises:
        BenchError: If there is none.
    """
    named = os.environ.get("PSYCHE_CHROMIUM")
    names = (named,) if named else (*NAMES, MAC)
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        raise BenchError(f"this bench needs Chromium; looked for {', '.join(names)}")
    return found


@contextlib.asynccontextmanager
async def running_chromium(
    *, width: int, height: int, arguments: Sequence[str] = ()
) -> AsyncIterator[tuple[DevTools, psutil.Process]]:
    """Run a Chromium with one empty page.

    Args:
        width: Of its window, pixels.
        height: The same.
        arguments: Further ones for its command line.

    Yields:
        Its developer tools, and its process.

    Raises:
        BenchError: If there is none, or it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="psyche-chromium-", ignore_cleanup_errors=True) as folder:
        window = (f"--window-size={width},{height}", f"--user-data-dir={folder}")
        process = await asyncio.create_subprocess_exec(
            *(find_chromium(), *ARGUMENTS, *window, *arguments, "about:blank"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with connected(await _address(Path(folder), process)) as tools:
                yield tools, psutil.Process(process.pid)
        finally:
            await _end(process)


async def _address(folder: Path, process: asyncio.subprocess.Process) -> str:
    told = folder / "DevToolsActivePort"
    try:
        async with asyncio.timeout(START_S):
            while True:
                if process.returncode is not None:
                    raise BenchError(f"Chromium ended with status {process.returncode}")
                # Written in one go, but not before its folder is there.
                lines = told.read_text().split() if told.exists() else []
                if len(lines) == 2:
                    return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise BenchError(f"Chromium did not start within {START_S:g} s") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        family = psutil.Process(process.pid).children(recursive=True)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    await process.wait()

"""What every alternative does the same: its command line, its source of frames, its address, its end."""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.arguments import number, whole


# Different bytes in turn: nothing may be taken for unchanged.
DIFFERENT_FRAMES = 4
# A thousand screens connect within a second.
BACKLOG = 1024
# Nothing is accepted beyond; the heaviest 4K photographs are a third of it.
MAX_FRAME_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What an alternative shows.

    Attributes:
        images: Encoded images, shown in turn.
        width: Of them, pixels.
        height: Of them, pixels.
        canvases: How many there are, called `canvas-1` and so on.
        fps: Frames per second of each canvas.
        is_together: Whether all canvases get their frames at the same moment, and not spread over the
            interval.
        tiers: `PSYCHE_TIERS` of the product's server.
        deadline_s: `PSYCHE_SEND_DEADLINE_S` of the product's server.
    """

    images: tuple[bytes, ...]
    width: int
    height: int
    canvases: int
    fps: float
    is_together: bool = False
    tiers: str = "original"
    deadline_s: float = 120.0

    @property
    def slugs(self) -> list[str]:
        """The canvases' slugs."""
        return [f"canvas-{index + 1}" for index in range(self.canvases)]

    def due_s(self, canvas: int, count: int) -> float:
        """Return when a canvas gets a frame, in seconds after the start.

        Args:
            canvas: Index of the canvas.
            count: How many it has got before.
        """
        phase = 0.0 if self.is_together else canvas / self.canvases
        return (count + phase) / self.fps

    def count_at(self, canvas: int, elapsed_s: float) -> int:
        """Return how many frames were due by an instant: what was missed is left out, not made up for."""
        phase = 0.0 if self.is_together else canvas / self.canvases
        return max(0, math.floor(elapsed_s * self.fps - phase) + 1)


def read_plan(program: str, arguments: Sequence[str] | None = None) -> Plan:
    """Read the command line.

    Raises:
        SystemExit: After `--help`, or with status 2 if an option is wrong.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.alternatives.{program}",
        description="Serve frames to screens until the standard input ends; prints `listening host:port`.",
    )
    add = parser.add_argument
    add("--bytes", type=whole(1024, MAX_FRAME_BYTES), default=60_000, help="weight of an image")
    add("--pictures", type=Path, help="folder of real JPEG files, shown instead of filling bytes")
    add("--width", type=whole(1, 8192), default=512, help="pixels")
    add("--height", type=whole(1, 8192), default=512, help="pixels")
    add("--canvases", type=whole(1, 1000), default=1)
    add("--fps", type=number(0.1, 240), default=8.0, help="frames per second of each canvas")
    add("--together", action="store_true", help="all canvases get their frames at the same moment")
    add("--tiers", default="original", help="PSYCHE_TIERS of the product's server; empty: its default")
    add("--deadline", type=number(1, 86_400), default=120.0, help="its send deadline, seconds")
    words = parser.parse_args(arguments)
    return Plan(
        images=read_images(words.pictures) if words.pictures else filling_images(words.bytes),
        width=words.width,
        height=words.height,
        canvases=words.canvases,
        fps=words.fps,
        is_together=words.together,
        tiers=words.tiers,
        deadline_s=words.deadline,
    )


def filling_images(size_bytes: int) -> tuple[bytes, ...]:
    """Make bytes that weigh what an image weighs and compress as badly; nothing decodes them."""
    generator = random.Random(1)
    return tuple(
        b"\xff\xd8\xff\xe0" + generator.randbytes(size_bytes - 6) + b"\xff\xd9"
        for _ in range(DIFFERENT_FRAMES)
    )


def read_images(folder: Path) -> tuple[bytes, ...]:
    """Read the JPEG files of a folder, by name."""
    return tuple(path.read_bytes() for path in sorted(folder.glob("*.jpg")))


def listen() -> socket.socket:
    """Open a listening socket on a free loopback port."""
    return socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)


def tell_address(listener: socket.socket) -> None:
    """Print where the program listens, for whoever started it."""
    print(f"listening 127.0.0.1:{listener.getsockname()[1]}", flush=True)


def end_with_input() -> None:
    """Send this process SIGTERM when its standard input ends, so that it never outlives its bench."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    # A thread that blocks costs no CPU, and no event loop has to know of it.
    threading.Thread(target=wait, name="input", daemon=True).start()


class Pace:
    """Tells which canvases are due, for programs with a loop of their own.

    Args:
        plan: What is shown.
        start_s: The instant of the first frame, on the caller's clock.
    """

    def __init__(self, plan: Plan, start_s: float) -> None:
        self._plan = plan
        self._start_s = start_s
        self._counts = [0] * plan.canvases

    def next_s(self, canvas: int) -> float:
        """Return when a canvas is due next."""
        return self._start_s + self._plan.due_s(canvas, self._counts[canvas])

    def take(self, canvas: int, now_s: float) -> int | None:
        """Return the number of the frame that is due, from 0, or None if none is yet."""
        if self.next_s(canvas) > now_s:
            return None
        due = max(self._plan.count_at(canvas, now_s - self._start_s), self._counts[canvas] + 1)
        self._counts[canvas] = due
        return due - 1


def publish_paced(
    plan: Plan,
    publish: Callable[[int, bytes], None],
    *,
    call_at: Callable[[float, Callable[[], None]], object],
    now_s: Callable[[], float],
) -> None:
    """Publish each canvas's frames when they are due, by timers of an event loop, for ever.

    Args:
        plan: What is shown.
        publish: Takes a canvas's index and its next image.
        call_at: Of the event loop.
        now_s: The event loop's clock.
    """
    pace = Pace(plan, now_s())

    def tick(canvas: int) -> None:
        count = pace.take(canvas, now_s())
        if count is not None:
            publish(canvas, plan.images[count % len(plan.images)])
        call_at(pace.next_s(canvas), lambda: tick(canvas))

    for canvas in range(plan.canvases):
        call_at(pace.next_s(canvas), lambda canvas=canvas: tick(canvas))  # type: ignore[misc]

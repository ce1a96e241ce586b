"""All screens of the process in one loop over the sockets that are ready."""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import resource
import select
import time
from collections.abc import Sequence
from typing import Any

from bench.errors import BenchError
from bench.load.groups import Group, Mode, Tally
from bench.load.screen import Screen


# Beside the sockets: pipes, the poll, libraries.
SPARE_FILES = 64
# A share of its core above which the load measures itself.
BUSY = 0.9
# The longest wait for anything; there is always something before.
IDLE_S = 1.0
# Whoever was cut off comes back after that, seconds; as a browser does.
COME_BACK_S = 1.0


class Crowd:
    """The screens.

    Args:
        port: Of the server, on the loopback address.
        form: "msgpack", or "json" for the first clients' form.
        offers_deflate: Whether they offer compression, as browsers do.
    """

    def __init__(self, port: int, form: str, *, offers_deflate: bool) -> None:
        self._port = port
        self._form = form
        self._offers_deflate = offers_deflate
        self._poll = select.epoll()
        self._screens: dict[int, Screen] = {}
        self._tallies: dict[str, Tally] = {}
        self._later: list[tuple[float, int, Group | Screen]] = []  # when, tie, who is asleep or comes back
        self._ties = 0
        self._commands: int | None = None
        self._marked_at = time.monotonic()
        self._cpu_s = time.process_time()

    def open(self, groups: Sequence[Group]) -> None:
        """Connect all screens, serving meanwhile those that are there.

        Raises:
            BenchError: If the server refuses one, or there may not be as many files.
        """
        allow_files(sum(group.count for group in groups) + SPARE_FILES)
        for group in groups:
            tally = self._tallies.setdefault(group.name, Tally())
            for _ in range(group.count):
                tally.screens += 1
                self._connect(group)
                self.turn(0.0)

    def turn(self, timeout_s: float) -> None:
        """Wait for something to come, and take it."""
        now_s = time.monotonic()
        if self._later:
            timeout_s = min(timeout_s, max(0.0, self._later[0][0] - now_s))
        for fd, _ in self._poll.poll(timeout_s):
            if fd == self._commands:
                self._obey(fd)
                continue
            screen = self._screens.get(fd)
            if screen is None:
                continue
            try:
                if not screen.is_reading:
                    raise ConnectionResetError("the server ended it")
                self._read(screen)
            except BlockingIOError:
                continue
            except ConnectionError:
                self._lose(screen)
        while self._later and self._later[0][0] <= time.monotonic():
            who = heapq.heappop(self._later)[2]
            if isinstance(who, Group):
                with contextlib.suppress(BenchError):
                    self._connect(who)
            elif who.is_open:
                self._poll.modify(who.fd, select.EPOLLIN)

    def frames(self, name: str) -> int:
        """Return how many frames came to a group since the last mark."""
        return self._tallies[name].frames

    def mark(self) -> dict[str, Any]:
        """Report what came since the last mark, and begin to count anew."""
        now_s, cpu_s = time.monotonic(), time.process_time()
        wall_s = now_s - self._marked_at
        report = {
            "seconds": wall_s,
            "cpu_share": (cpu_s - self._cpu_s) / wall_s if wall_s else 0.0,
            "groups": {name: tally.to_json() for name, tally in self._tallies.items()},
        }
        for tally in self._tallies.values():
            tally.reset()
        # Reporting is no part of the load.
        self._marked_at, self._cpu_s = time.monotonic(), time.process_time()
        return report

    def answer_marks(self, commands: int) -> None:
        """Serve the screens, and answer each line of a pipe with a mark, until the pipe ends."""
        self._poll.register(commands, select.EPOLLIN)
        self._commands = commands
        while self._commands is not None:
            self.turn(IDLE_S)

    def _obey(self, commands: int) -> None:
        data = os.read(commands, 4096)
        if not data:
            self._commands = None
        for _ in range(data.count(b"\n")):
            print(json.dumps(self.mark()), flush=True)

    def close(self) -> None:
        """Close all connections."""
        for screen in self._screens.values():
            screen.sock.close()
        self._screens.clear()

    def _connect(self, group: Group) -> None:
        tally = self._tallies[group.name]
        screen = Screen(group, tally, self._port, self._form, offers_deflate=self._offers_deflate)
        self._screens[screen.fd] = screen
        # Who does not read still hears the end of the connection.
        self._poll.register(screen.fd, select.EPOLLIN if screen.is_reading else 0)

    def _read(self, screen: Screen) -> None:
        taken = screen.read()
        rate_bytes_s = screen.group.rate_bytes_s
        if not screen.is_reading:
            self._poll.modify(screen.fd, 0)
        elif rate_bytes_s and screen.group.mode is Mode.SLOW:
            self._poll.modify(screen.fd, 0)
            self._push(time.monotonic() + taken / rate_bytes_s, screen)

    def _lose(self, screen: Screen) -> None:
        """Forget a connection that has ended; its screen comes back."""
        screen.is_open = False
        screen.tally.closed += 1
        del self._screens[screen.fd]
        screen.sock.close()
        self._push(time.monotonic() + COME_BACK_S, screen.group)

    def _push(self, at_s: float, who: Group | Screen) -> None:
        self._ties += 1
        heapq.heappush(self._later, (at_s, self._ties, who))


def allow_files(needed: int) -> None:
    """Raise the limit of open files of this process as far as needed.

    Raises:
        BenchError: If it may not be raised as far.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise BenchError(f"{needed} open files are needed and {hard} are allowed: raise `ulimit -Hn`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def warn_when_busy(cpu_share: float) -> str | None:
    """Say so where the load has measured itself.

    Args:
        cpu_share: Of one core, 0 to 1.
    """
    if cpu_share <= BUSY:
        return None
    return f"the load took {cpu_share:.0%} of its core: what it received late was not the server's doing"


def pin(core: int | None) -> bool:
    """Keep this process on a core; tell whether the system could."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {core})
    return True

"""Addresses to serve at: what they look like, and taking one so that nobody else loses it.

Knows gRPC's server only as something that binds a name. A socket file is replaced only when nobody
answers there, and is readable by its owner alone.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.errors import ConfigurationError


# The kernel's limit on a socket's path, bytes, without the closing zero.
MAX_UNIX_PATH_BYTES = 103 if sys.platform == "darwin" else 107

# How long a socket file's owner has to take a connection before its file counts as stale, seconds.
ANSWER_DEADLINE_S = 1.0


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host, by name or number, and a port; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. A name is one only if it is "localhost"."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket file."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``, ``[IPV6]:PORT`` or ``unix:PATH``.

    Raises:
        ValueError: If it is none of them.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        size_bytes = len(os.fsencode(path))
        if not 1 <= size_bytes <= MAX_UNIX_PATH_BYTES:
            raise ValueError(
                f"--listen must have a path of 1 to {MAX_UNIX_PATH_BYTES} bytes, got {size_bytes}"
            )
        return UnixAddress(Path(path))
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError(f"--listen must be HOST:PORT or unix:PATH, got {text!r}")
    return TcpAddress(host, int(port))


@contextlib.contextmanager
def bound(address: Address, bind: Callable[[str], int]) -> Iterator[Address]:
    """Take an address.

    Args:
        address: Which.
        bind: Binds a name as gRPC writes it and returns the port.

    Yields:
        The address as taken, with the port that it got.

    Raises:
        ConfigurationError: If it is taken or cannot be.

    Resources:
        Removes the socket file again, unless it is another's by then.
    """
    if isinstance(address, TcpAddress):
        yield TcpAddress(address.host, _bind_tcp(address, bind))
        return
    _remove_stale(address.path)
    # The file must never be open to others, not even for the moment until its mode is set.
    umask = os.umask(0o177)
    try:
        _bind(address, bind)
    finally:
        os.umask(umask)
    own = _identify(address.path)
    try:
        yield address
    finally:
        if own is not None and _identify(address.path) == own:
            address.path.unlink(missing_ok=True)


def _bind_tcp(address: TcpAddress, bind: Callable[[str], int]) -> int:
    if address.port != 0:
        # gRPC's own message says neither why nor in one line.
        try:
            family, kind, protocol, _, name = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            )[0]
            with socket.socket(family, kind, protocol) as probe:
                if sys.platform != "win32":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(name)
        except OSError as exc:
            raise _refused(address, exc.strerror or str(exc)) from exc
    return _bind(address, bind)


def _bind(address: Address, bind: Callable[[str], int]) -> int:
    try:
        return bind(str(address))
    except (RuntimeError, OSError) as exc:
        raise _refused(address, str(exc)) from exc


def _refused(address: Address, reason: str) -> ConfigurationError:
    return ConfigurationError(f"--listen must be an address that is free, got {address}: {reason}")


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _remove_stale(path: Path) -> None:
    if not path.parent.is_dir():
        raise _refused(UnixAddress(path), f"there is no folder {path.parent}")
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise _refused(UnixAddress(path), "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ANSWER_DEADLINE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as exc:  # Busy, or another's: not ours to remove.
            raise _refused(UnixAddress(path), str(exc)) from exc
    raise _refused(UnixAddress(path), "another service answers there")

"""Addresses: read, and taken from nobody."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from inference.errors import ConfigurationError
from inference.listening import MAX_UNIX_PATH_BYTES, TcpAddress, UnixAddress, bound, parse_address


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        ("127.0.0.1:50051", TcpAddress("127.0.0.1", 50051), True),
        ("localhost:0", TcpAddress("localhost", 0), True),
        ("[::1]:65535", TcpAddress("::1", 65535), True),
        ("0.0.0.0:1", TcpAddress("0.0.0.0", 1), False),
        ("[::]:1", TcpAddress("::", 1), False),
        ("localhost.example:1", TcpAddress("localhost.example", 1), False),
    ],
)
def test_tcp_addresses_are_read_and_written(text: str, address: TcpAddress, *, is_loopback: bool) -> None:
    assert parse_address(text) == address
    assert str(address) == text
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize("text", ["unix:/run/psyche.sock", "unix:///run/psyche.sock"])
def test_socket_files_are_read(text: str) -> None:
    assert parse_address(text) == UnixAddress(Path("/run/psyche.sock"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "50051",
        ":50051",
        "host:",
        "host:x",
        "host:65536",
        "host:-1",
        "unix:",
        f"unix:/{'x' * MAX_UNIX_PATH_BYTES}",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^--listen must"):
        parse_address(text)


class Binding:
    """Binds as gRPC does: replaces what is there, and remembers the names."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sockets: list[socket.socket] = []

    def __call__(self, name: str) -> int:
        self.names.append(name)
        if not name.startswith("unix:"):
            return int(name.rpartition(":")[2]) or 4242
        path = Path(name.removeprefix("unix:"))
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        self.sockets.append(listener)
        return 1


@pytest.fixture
def bind() -> Iterator[Binding]:
    binding = Binding()
    yield binding
    for listener in binding.sockets:
        listener.close()


def test_a_socket_file_is_its_owners_alone_and_removed_at_the_end(tmp_path: Path, bind: Binding) -> None:
    path = tmp_path / "s"
    with bound(UnixAddress(path), bind) as taken:
        assert str(taken) == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    assert not path.exists()


def test_a_stale_socket_file_is_replaced(tmp_path: Path, bind: Binding) -> None:
    path = tmp_path / "s"
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(path))

    with bound(UnixAddress(path), bind):
        assert bind.names == [f"unix:{path}"]


def test_a_socket_file_that_somebody_answers_is_left_alone(tmp_path: Path, bind: Binding) -> None:
    path = tmp_path / "s"
    with closing(socket.socket(socket.AF_UNIX)) as alive:
        alive.bind(str(path))
        alive.listen()
        with (
            pytest.raises(ConfigurationError, match="another service answers there"),
            bound(UnixAddress(path), bind),
        ):
            pytest.fail("it was taken")

    assert path.exists()
    assert bind.names == []


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path, bind: Binding) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")

    with pytest.raises(ConfigurationError, match="a file that is no socket"), bound(UnixAddress(path), bind):
        pytest.fail("it was taken")

    assert path.read_text() == "mine"


def test_a_successors_socket_file_is_left_alone(tmp_path: Path, bind: Binding) -> None:
    path = tmp_path / "s"
    with bound(UnixAddress(path), bind):
        path.rename(tmp_path / "old")  # So that the successor's file is surely another.
        bind(f"unix:{path}")

    assert path.exists()


def test_a_missing_folder_is_named(tmp_path: Path, bind: Binding) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"there is no folder .*missing"),
        bound(UnixAddress(tmp_path / "missing" / "s"), bind),
    ):
        pytest.fail("it was taken")


def test_a_free_port_is_told(bind: Binding) -> None:
    with bound(TcpAddress("127.0.0.1", 0), bind) as taken:
        assert taken == TcpAddress("127.0.0.1", 4242)


def test_a_taken_port_is_refused_in_one_line(bind: Binding) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as refused, bound(TcpAddress("127.0.0.1", port), bind):
            pytest.fail("it was taken")

    assert str(refused.value) == (
        f"--listen must be an address that is free, got 127.0.0.1:{port}: Address already in use"
    )

"""Addresses for one parent and its child."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from server.generation.private_address import private_address


def test_the_socket_has_a_folder_of_its_own_that_only_this_user_enters(tmp_path: Path) -> None:
    with private_address([str(tmp_path)]) as address:
        folder = Path(address.removeprefix("unix:")).parent

        assert address.startswith(f"unix:{tmp_path}/")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_folder_goes_with_the_context_and_takes_a_socket_left_in_it_along(tmp_path: Path) -> None:
    with private_address([str(tmp_path)]) as address:
        Path(address.removeprefix("unix:")).touch()

    assert list(tmp_path.iterdir()) == []


def test_two_addresses_are_never_the_same() -> None:
    with private_address() as one, private_address() as other:
        assert one != other


def test_a_folder_too_deep_for_a_socket_is_passed_over(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()

    with private_address([str(deep), str(tmp_path)]) as address:
        assert address.startswith("unix:")
        assert len(address.removeprefix("unix:")) <= 103
        assert "ddd" not in address


def test_without_a_usable_folder_it_is_a_port_of_the_loopback(tmp_path: Path) -> None:
    odd = tmp_path / "a b%20"
    odd.mkdir()

    with private_address([str(odd), str(tmp_path / "missing")]) as address:
        assert re.fullmatch(r"127\.0\.0\.1:\d+", address)

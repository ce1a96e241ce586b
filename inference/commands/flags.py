"""Flags that the commands share, and how they are read: errors are one line."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Sequence
from typing import NoReturn

from inference.commands import COMMANDS, PROGRAM
from inference.errors import ConfigurationError
from inference.listening import Address, parse_address


DEFAULT_ADDRESS = "127.0.0.1:50051"

# The server's own variable of the same meaning: where the inference service is.
ADDRESS_VARIABLE = "PSYCHE_INFERENCE"

_FLAG = re.compile(r"--[a-z][a-z0-9_-]*")


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one line, and that takes ``--guidance_scale`` for ``--guidance-scale``."""

    def __init__(self, command: str, **options: object) -> None:
        super().__init__(
            prog=f"{PROGRAM} {command}",
            description=f"{COMMANDS[command][:1].upper()}{COMMANDS[command][1:]}.",
            allow_abbrev=False,
            **options,  # type: ignore[arg-type]  # Passed on as they are.
        )

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Read the flags.

        Raises:
            ConfigurationError: Naming the flag that is wrong.
            SystemExit: After ``--help``.
        """
        return self.parse_args([_with_hyphens(argument) for argument in arguments])

    def read_known(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Read the flags of this command, and return those of others as they are.

        Raises:
            ConfigurationError: As `read`.
            SystemExit: After ``--help``.
        """
        return self.parse_known_args([_with_hyphens(argument) for argument in arguments])

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as one sentence."""
        raise ConfigurationError(f"{message.removeprefix('argument ')} (see --help)")


def _with_hyphens(argument: str) -> str:
    """Spell a flag as we do; what is no flag stays, as does a flag's value."""
    flag = _FLAG.match(argument)
    return flag.group().replace("_", "-") + argument[flag.end() :] if flag else argument


def add_address(parser: argparse._ActionsContainer) -> None:
    """Let a command be told where the service is."""
    parser.add_argument(
        "--address",
        type=_address,
        # A default in words is read like a flag's value.
        default=default_address(),
        help=f"of the service, HOST:PORT or unix:PATH; the variable {ADDRESS_VARIABLE} tells it, too "
        f"(default: {DEFAULT_ADDRESS})",
    )


def add_deadline(parser: argparse._ActionsContainer) -> None:
    """Let a command be told how long a quick answer may take."""
    parser.add_argument(
        "--deadline", type=seconds, default=10.0, help="seconds, for the answer (default: 10)"
    )


def default_address() -> str:
    """Return where the service is unless a flag says otherwise."""
    told = os.environ.get(ADDRESS_VARIABLE, "")
    # The server's word for a service of its own, on a socket that is nobody else's.
    return DEFAULT_ADDRESS if told in ("", "embedded") else told


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be HOST:PORT or unix:PATH, got {text!r:.80}") from None


def seconds(text: str) -> float:
    """Read a number of seconds above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 86_400.0:
        raise argparse.ArgumentTypeError(f"must be seconds, above 0 to 86400, got {text!r:.80}")
    return value

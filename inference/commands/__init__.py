"""What `python -m inference` does beside serving: one module a command.

A command is a client of a service that runs elsewhere, or looks at this machine; none of them
starts an engine in this process.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from inference.errors import ConfigurationError


PROGRAM = "python -m inference"

COMMANDS = {
    "serve": "paint pictures over gRPC; also what happens without a command",
    "image": "have a picture painted by a running service and keep it as a file",
    "models": "list the models, styles and templates of a running service",
    "cancel": "give up a request by its id",
    "doctor": "look for what keeps this machine from painting, and say what to do about it",
}
"""Each command with one line for people."""

EXIT_OK = 0
EXIT_FAILED = 1  # the service, the picture, or something that the doctor found
EXIT_USAGE = 2  # a flag or a field that is wrong
EXIT_INTERRUPTED = 130


def overview() -> str:
    """Return what `--help` says of the commands."""
    lines = [f"usage: {PROGRAM} [COMMAND] [FLAGS]", "", "commands (each has its own --help):"]
    lines += [f"  {name:<8} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(lines)


def run(command: str, arguments: Sequence[str]) -> int:
    """Run a command that is not `serve`.

    Args:
        command: One of `COMMANDS`.
        arguments: The flags after its name.

    Returns:
        The exit status: 0, 1 where the service or the machine failed, 2 for a flag that is wrong, 130
        if interrupted.
    """
    # gRPC writes its own lines to standard error beside ours; every failure that matters comes
    # back as an exception.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    name = f"{PROGRAM} {command}"
    # Only the command's own: `--help` needs neither gRPC nor the bar.
    module = importlib.import_module(f"inference.commands.{command}")
    from inference.commands.failures import CommandError

    try:
        status = module.main(list(arguments))
        assert isinstance(status, int)
        return status
    except ConfigurationError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except CommandError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not stumble over it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED

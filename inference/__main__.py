"""`python -m inference`: paint pictures over gRPC, or one of the commands beside that."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from inference.commands import COMMANDS, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, PROGRAM, overview, run
from inference.errors import ConfigurationError


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the first word names; without one, serve until told to stop.

    Args:
        arguments: The words of the command line; absent: the program's own.

    Returns:
        The exit status: 0, 1 where a command failed, 2 for bad settings, 130 if interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and not words[0].startswith("-"):
        command = words.pop(0)
        if command not in COMMANDS:
            print(f"{PROGRAM}: {command!r:.80} is none of {', '.join(COMMANDS)}", file=sys.stderr)
            return EXIT_USAGE
        return _serve(words) if command == "serve" else run(command, words)
    if words[:1] in (["--help"], ["-h"]):
        print(overview(), end="\n\n", flush=True)
    return _serve(words)


def _serve(flags: Sequence[str]) -> int:
    # Flags first: `--help` and a bad setting need none of the libraries that serving does.
    from inference.settings import load, print_error

    try:
        settings = load(flags)
        # gRPC writes its own lines to standard error beside ours; every failure that matters
        # comes back as an exception.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from inference import logs
        from inference.serve import serve

        logs.configure(settings.log_format)
        asyncio.run(serve(settings))
    except ConfigurationError as error:
        print_error(error)
        return EXIT_USAGE
    except KeyboardInterrupt:  # Before the service listens to signals, or again while it stops.
        return EXIT_INTERRUPTED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

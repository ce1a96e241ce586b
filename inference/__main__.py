"""`python -m inference`: paint pictures over gRPC."""

from __future__ import annotations

import asyncio
import os
import sys

from inference.errors import ConfigurationError


def main() -> int:
    """Serve until told to stop; returns the exit status: 0, 2 for bad settings, 130 if interrupted."""
    # Flags first: `--help` and a bad setting need none of the libraries that serving does.
    from inference.settings import load, print_error

    try:
        settings = load()
        # gRPC writes its own lines to standard error beside ours; every failure that matters
        # comes back as an exception.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from inference import logs
        from inference.serve import serve

        logs.configure(settings.log_format)
        asyncio.run(serve(settings))
    except ConfigurationError as error:
        print_error(error)
        return 2
    except KeyboardInterrupt:  # Before the service listens to signals, or again while it stops.
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

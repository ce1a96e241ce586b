"""`python -m bench [BENCH] [options]`: run one bench; without a name, the streaming comparison.

Exit status: 0 measured, 1 nothing could be measured, 2 wrong options, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from bench.errors import BenchError


# Each module has `run(arguments)`. Imported when asked for: one bench must not load another's libraries.
BENCHES = {
    "streaming": "bench.streaming",
    "fanout": "bench.fanout",
    "age": "bench.age",
    "isolation": "bench.isolation",
    "tiers": "bench.tiers",
    "scale": "bench.scale",
    "engine": "bench.engine",
    "browser": "bench.browser.command",
    "inference": "bench.inference.command",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a bench and return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words.pop(0) if words and not words[0].startswith("-") else "streaming"
    if name not in BENCHES:
        print(f"bench: there is no bench {name!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    try:
        importlib.import_module(BENCHES[name]).run(words)
    except BenchError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

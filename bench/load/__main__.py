"""`python -m bench.load`: screens as one JSON line of standard input asks for.

The line: `port`, `form`, `offers_deflate`, `core`, `groups`. It answers `{"screens": N}` once all are
connected; each further line is answered with what came since the last one. The end of the input ends
it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from bench.errors import BenchError
from bench.load.crowd import Crowd, pin
from bench.load.groups import Group


def main() -> int:
    """Run the process."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    is_pinned = pin(order["core"])
    crowd = Crowd(order["port"], order["form"], offers_deflate=order["offers_deflate"])
    groups = [Group.from_json(fields) for fields in order["groups"]]
    try:
        crowd.open(groups)
    except BenchError as exc:
        print(json.dumps({"error": str(exc)}), flush=True)
        return 1
    print(json.dumps({"screens": sum(group.count for group in groups), "is_pinned": is_pinned}), flush=True)
    crowd.answer_marks(sys.stdin.fileno())
    crowd.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

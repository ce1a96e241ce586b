"""Repeats made harmless: the answer to an `Idempotency-Key` is remembered and given again."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Any

from server.errors import ConflictError, InvalidError
from server.generation.job import Job


MAX_KEYS = 1000
MAX_KEY_CHARS = 200


class RepeatGuard:
    """Remembers which jobs a key has started.

    The look-up and the noting are one synchronous step of the handler, so two copies of one request
    that arrive together start one job.
    """

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self.max_keys = max_keys
        self._known: OrderedDict[str, tuple[str, list[Job]]] = OrderedDict()

    def find(self, key: str | None, request: tuple[str, dict[str, Any]]) -> list[Job] | None:
        """Return the jobs that this request has started before, or None.

        Raises:
            InvalidError: If the key is too long.
            ConflictError: If the key came with another request.
        """
        if key is None:
            return None
        if not 0 < len(key) <= MAX_KEY_CHARS:
            raise InvalidError(
                f"Idempotency-Key must be 1 to {MAX_KEY_CHARS} characters", field="idempotency-key"
            )
        known = self._known.get(key)
        if known is None:
            return None
        if known[0] != _digest(request):
            raise ConflictError("this Idempotency-Key came with another request", field="idempotency-key")
        return known[1]

    def note(self, key: str | None, request: tuple[str, dict[str, Any]], jobs: list[Job]) -> None:
        """Remember what a request has started."""
        if key is None:
            return
        self._known[key] = (_digest(request), jobs)
        while len(self._known) > self.max_keys:
            self._known.popitem(last=False)


def _digest(request: tuple[str, dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()

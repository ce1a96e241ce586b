"""What the inference service offers, remembered so that a bad model or style is told at once."""

from __future__ import annotations

import time

from server.errors import InferenceError, InvalidError
from server.generation.inference_client import InferenceClient
from server.generation.picture import Models
from server.streaming.clock import Clock


# Models come and go slowly; asking more often than this would only load the service.
FRESH_S = 5.0
DEADLINE_S = 2.0


class Offers:
    """The models, styles and templates, as last told by the service."""

    def __init__(self, client: InferenceClient, clock: Clock = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: Models | None = None
        self._asked_at = float("-inf")

    async def get(self) -> Models:
        """Return what is on offer, asking the service if the last answer is old.

        Raises:
            InferenceError: If the service does not answer.
        """
        if self._known is None or self._clock() - self._asked_at > FRESH_S:
            self._known = await self._client.models(deadline_s=DEADLINE_S)
            self._asked_at = self._clock()
        return self._known

    async def check(self, *, model: str | None, style: str | None, template: str | None = None) -> None:
        """Judge the names in a request; while the service is away every name is taken for good.

        Raises:
            InvalidError: If there is no such model, style or template: names those that there are.
        """
        if not model and not style and not template:
            return
        try:
            offers = await self.get()
        except InferenceError:
            return
        if model and offers.find(model) is None:
            _check_name("model", model, [offered.name for offered in offers.models])
        _check_name("style", style, [offered.name for offered in offers.styles])
        _check_name("template", template, [offered.name for offered in offers.templates])


def _check_name(field: str, name: str | None, offered: list[str]) -> None:
    if name and name not in offered:
        raise InvalidError(f"{field} must be one of {', '.join(offered)}, got {name!r:.80}", field=field)

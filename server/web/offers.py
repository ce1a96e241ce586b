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
    """The models and styles, as last told by the service."""

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

    async def check(self, *, model: str | None, style: str | None) -> None:
        """Judge the names in a request; while the service is away every name is taken for good.

        Raises:
            InvalidError: If there is no such model or style: names those that there are.
        """
        if not model and not style:
            return
        try:
            offers = await self.get()
        except InferenceError:
            return
        models = [offered.name for offered in offers.models]
        styles = [offered.name for offered in offers.styles]
        if model and model not in models:
            raise InvalidError(f"model must be one of {', '.join(models)}, got {model!r:.80}", field="model")
        if style and style not in styles:
            raise InvalidError(f"style must be one of {', '.join(styles)}, got {style!r:.80}", field="style")

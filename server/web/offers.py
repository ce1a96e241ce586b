"""What the inference service offers, remembered so that a bad model or style is told at once."""

from __future__ import annotations

import time

from server.errors import InferenceError, InvalidError
from server.generation.inference_client import InferenceClient
from server.generation.picture import ModelInfo, Models
from server.streaming.clock import Clock


# Models come and go slowly; asking more often than this would only load the service.
FRESH_S = 5.0
DEADLINE_S = 2.0

# Of a picture that was made larger, pixels.
MAX_SIDE_PX = 4096


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

    async def check(
        self,
        *,
        model: str | None,
        style: str | None,
        template: str | None = None,
        width: int | None = None,
        height: int | None = None,
        steps: int | None = None,
        upscale: int | None = None,
    ) -> None:
        """Judge what a request wants by what is on offer; while the service is away all is taken for good.

        Raises:
            InvalidError: If there is no such model, style or template: names those that there are. If the
                model cannot paint so large or so small, or in so many steps.
        """
        if not any((model, style, template, width, height, steps, upscale)):
            return
        try:
            offers = await self.get()
        except InferenceError:
            return
        if model and offers.find(model) is None:
            _check_name("model", model, [offered.name for offered in offers.models])
        _check_name("style", style, [offered.name for offered in offers.styles])
        _check_name("template", template, [offered.name for offered in offers.templates])
        if info := offers.find(model or ""):
            _check_numbers(info, width=width, height=height, steps=steps, upscale=upscale or 1)


def _check_name(field: str, name: str | None, offered: list[str]) -> None:
    if name and name not in offered:
        raise InvalidError(f"{field} must be one of {', '.join(offered)}, got {name!r:.80}", field=field)


def _check_numbers(
    model: ModelInfo, *, width: int | None, height: int | None, steps: int | None, upscale: int
) -> None:
    for field, side_px in (("width", width), ("height", height)):
        if side_px is not None and not model.min_size <= side_px <= model.max_size:
            raise InvalidError(
                f"{field} must be {model.min_size} to {model.max_size} for {model.name}, got {side_px}",
                field=field,
            )
    longest_px = max(width or model.default_width, height or model.default_height) * upscale
    if upscale > 1 and longest_px > MAX_SIDE_PX:
        raise InvalidError(
            f"upscale must make no side longer than {MAX_SIDE_PX} pixels, got {longest_px}", field="upscale"
        )
    if steps is not None and steps > model.max_steps:
        raise InvalidError(
            f"steps must be 1 to {model.max_steps} for {model.name}, got {steps}", field="steps"
        )

"""One picture while it is painted, and how it begins: everything of its targets mixed by their shares.

Knows embeddings, sources and noise, but neither the UNet nor anybody else's picture. A run is a pure
function of its timeline and its time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from inference.engine import ModelDescription, PictureRequest, Pixels, Timeline

from .accepting import is_guided
from .autoencoder import Autoencoder, Moments
from .blend import fold, mix_numbers, slerp
from .noise import NoiseCache, PictureNoise, Seed
from .schedule import Schedule, Schedules, Step, first_step
from .sources import Area, Sources
from .text import Embedding, TextEncoder


# Of the words that did not fit, in the warning that says so.
_MAX_QUOTED_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the UNet is told of a prompt; on the device."""

    tokens: torch.Tensor  # (77, C)
    pooled: torch.Tensor | None  # (P,), SDXL only


@dataclass(frozen=True, slots=True)
class Kept:
    """What inpainting keeps of its source."""

    area: Area
    latents: torch.Tensor  # (1, 4, h, w) float32 on the device
    noise: torch.Tensor  # that the picture began with, likewise


@dataclass(eq=False, slots=True)
class TurboRun:
    """One picture while it is painted. Only `commit` changes what its next step starts from."""

    is_live: bool
    schedule: Schedule
    first: int  # index of its first step in the schedule
    conditions: Conditions
    negative: Conditions | None  # None: not guided
    guidance: float  # of no meaning where it is not guided
    noise: PictureNoise
    latents: torch.Tensor  # (1, 4, h, w) float32; on the CPU until the first step where there is no source
    kept: Kept | None  # None: everything is painted
    warnings: tuple[str, ...]
    stage_s: dict[str, float]  # by the engine's clock: on an accelerator what is not waited for counts later
    estimate: torch.Tensor | None = None  # (1, 4, h, w): the finished picture as the last step saw it
    pixels: Pixels | None = None
    failure: str = ""  # why it cannot be finished
    _done: int = field(default=0)

    @property
    def step(self) -> int:
        """Steps done; all of them for a run that has failed, so that nobody goes on with it."""
        return self.total_steps if self.failure else self._done

    @property
    def total_steps(self) -> int:
        """Steps that the picture takes."""
        return len(self.schedule.steps) - self.first

    @property
    def rows(self) -> int:
        """How many rows of a step it takes."""
        return 1 if self.negative is None else 2

    @property
    def is_at_last_step(self) -> bool:
        """Whether the step to do is the last one."""
        return self._done == self.total_steps - 1

    @property
    def next_step(self) -> Step:
        """The numbers of the step to do."""
        return self.schedule.steps[self.first + self._done]

    def fresh_noise(self) -> torch.Tensor:
        """Return the noise that the step to do adds; the same however often it is asked."""
        return self.noise.step(self._done)

    def commit(self, latents: torch.Tensor, estimate: torch.Tensor) -> None:
        """Take over what a step has made."""
        self.latents, self.estimate = latents, estimate
        self._done += 1

    def spend(self, stage: str, seconds: float) -> None:
        """Count time to a stage."""
        self.stage_s[stage] = self.stage_s.get(stage, 0.0) + seconds


@dataclass(frozen=True, slots=True)
class _Target:
    """One request of a timeline with what was made of it."""

    request: PictureRequest
    prompt: Embedding
    negative: Embedding | None
    source: Moments | None

    @property
    def strength(self) -> float:
        """How much of the source is painted anew; all of it where there is none."""
        return 1.0 if self.source is None else self.request.strength

    @property
    def guidance(self) -> float:
        """1 and less mean the same: no guidance."""
        return max(self.request.guidance_scale, 1.0)

    @property
    def seed(self) -> Seed:
        samples = self.source is not None and self.source.std is not None
        return Seed(
            seed=self.request.seed,
            before=int(samples),
            between=int(samples and self.request.mask is not None),
            drifts=self.request.is_live,
        )


class Beginner:
    """Makes runs.

    Args:
        text: Encodes prompts.
        autoencoder: Samples sources.
        sources: Encodes them.
        schedules: Of the model.
        device: Where the latents go.
        scale: Pixels per latent.
        model: What is told of it.
        clock: What stages are timed by, seconds; see `TurboEngine`.
    """

    def __init__(
        self,
        text: TextEncoder,
        autoencoder: Autoencoder,
        sources: Sources,
        schedules: Schedules,
        *,
        device: str,
        scale: int,
        model: ModelDescription,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._text = text
        self._autoencoder = autoencoder
        self._sources = sources
        self._schedules = schedules
        self._device = device
        self._scale = scale
        self._model = model
        self._noises = NoiseCache()

    def begin(self, timeline: Timeline, time_s: float) -> TurboRun:
        """Mix the targets of a timeline at a time into one run.

        Steps, size, mask, and whether there is a source or guidance at all, are the current target's.
        """
        current = timeline.current(time_s).request
        stage_s: dict[str, float] = {}
        targets, shares = self._encode(timeline, time_s, current, stage_s)
        strength = fold([target.strength for target in targets], shares, mix_numbers)
        schedule, first = self._schedules.of(current.steps), 0
        if current.source is not None and strength < 1.0:
            first = first_step(current.steps, strength)
            if first == 0:
                schedule = self._schedules.begun_within(current.steps, strength)
        shape = (1, 4, current.height // self._scale, current.width // self._scale)
        with self._timed(stage_s, "noise"):
            noise = PictureNoise([target.seed for target in targets], shares, time_s, shape, self._noises)
            first_noise = noise.first()
        latents, kept = first_noise * schedule.init_sigma, None
        if current.source is not None:
            with self._timed(stage_s, "source"):
                source = self._mix_sources(targets, shares)
                moved = first_noise.to(self._device)
                # As diffusers: inpainting at full strength begins at noise alone, image to image never does.
                if current.mask is None or strength < 1.0:
                    latents = source + moved * schedule.sigmas[first]
                area = self._sources.area(current)
                kept = None if area is None else Kept(area, source, moved)
        negatives = [target.negative for target in targets if target.negative is not None]
        return TurboRun(
            is_live=current.is_live,
            schedule=schedule,
            first=first,
            conditions=_mix([target.prompt for target in targets], shares),
            negative=_mix(negatives, shares) if negatives else None,
            guidance=fold([target.guidance for target in targets], shares, mix_numbers),
            noise=noise,
            latents=latents,
            kept=kept,
            warnings=_warn(targets[-1]),
            stage_s=stage_s,
        )

    def _encode(
        self, timeline: Timeline, time_s: float, current: PictureRequest, stage_s: dict[str, float]
    ) -> tuple[list[_Target], list[float]]:
        mixed = list(timeline.targets(time_s))
        if mixed[-1][0] is not current:
            # The very instant at which its change begins: it has no share yet, but is the current one.
            mixed.append((current, 0.0))
        targets: list[_Target] = []
        shares: list[float] = []
        for request, share in mixed:
            with self._timed(stage_s, "text"):
                prompt = self._text.encode(request.prompt)
                negative = None
                if is_guided(current, self._model):
                    negative = self._text.encode_negative(request.negative_prompt)
            source = None
            if request.source is not None:
                with self._timed(stage_s, "source"):
                    source = self._sources.latents(
                        request.source, current.width, current.height, is_live=request.is_live
                    )
            targets.append(_Target(request, prompt, negative, source))
            shares.append(share)
        return targets, shares

    def _mix_sources(self, targets: Sequence[_Target], shares: Sequence[float]) -> torch.Tensor:
        sources: list[torch.Tensor] = []
        held: list[float] = []
        for target, share in zip(targets, shares, strict=True):
            if target.source is not None:
                generator = torch.Generator().manual_seed(target.request.seed)
                sources.append(self._autoencoder.sample(target.source, generator))
                held.append(share)
        return fold(sources, held, _cross_fade)

    @contextmanager
    def _timed(self, stage_s: dict[str, float], stage: str) -> Iterator[None]:
        begun_at = self._clock()
        try:
            yield
        finally:
            stage_s[stage] = stage_s.get(stage, 0.0) + self._clock() - begun_at


def _mix(embeddings: Sequence[Embedding], shares: Sequence[float]) -> Conditions:
    tokens = fold([embedding.tokens for embedding in embeddings], shares, slerp)
    if embeddings[0].pooled is None:
        return Conditions(tokens, None)
    return Conditions(tokens, fold([embedding.pooled for embedding in embeddings], shares, slerp))


def _cross_fade(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    return torch.lerp(start, end, share)


def _warn(target: _Target) -> tuple[str, ...]:
    warnings = []
    for field_name, embedding in (("prompt", target.prompt), ("negative_prompt", target.negative)):
        if embedding is not None and embedding.truncated:
            words = embedding.truncated
            if len(words) > _MAX_QUOTED_CHARACTERS:
                words = words[:_MAX_QUOTED_CHARACTERS] + "..."
            warnings.append(f"{field_name} was cut after 77 tokens, not used: {words!r}")
    return tuple(warnings)

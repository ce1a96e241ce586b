"""The job: what somebody asked for, from the asking to its end. Pure state."""

from __future__ import annotations

import asyncio
import enum
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from server.generation.feed import Feed
from server.generation.picture import PictureOrder
from server.streaming.clock import now_ms


class Kind(enum.StrEnum):
    """What a job does."""

    LIVE = "live"  # paints and evolves until it is replaced
    ONCE = "once"  # one picture
    VARIATIONS = "variations"  # several pictures of one prompt
    PLAYLIST = "playlist"  # a folder of pictures
    INGEST = "ingest"  # pictures from elsewhere
    TEST = "test"  # sample pictures
    DRAWING = "drawing"  # stroke by stroke


class State(enum.StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


def new_id() -> str:
    """Make an id that cannot be guessed: whoever has it may look at the job's pictures."""
    return secrets.token_urlsafe(12)


@dataclass(frozen=True, slots=True)
class Result:
    """An image that a job has made."""

    image_id: str
    format: str
    width: int  # pixels
    height: int  # pixels
    metadata: dict[str, Any]  # as the inference service tells it


@dataclass(eq=False, slots=True)
class Job:
    """What somebody asked for. Changed only by its methods; equal only to itself."""

    kind: Kind
    order: PictureOrder
    canvas: str | None = None
    session: str = field(default_factory=new_id)
    id: str = field(default_factory=new_id)
    source: str = "api"  # who asks: api, studio, test, ...
    author: str | None = None
    message: str | None = None
    count: int = 1  # pictures to make
    fps: float | None = None  # of its own; None: the canvas's
    transition_s: float = 0.0  # from what is painted now, seconds
    folder: str | None = None  # of a playlist
    loop: bool = False
    feed: Feed | None = None  # of an ingest: where its pictures come from
    warnings: list[str] = field(default_factory=list)
    passing_warnings: tuple[str, ...] = ()  # of the newest live frame; the next one may have none
    loading: str | None = None  # the model that is waited for
    sustainable_fps: float | None = None  # what the service can paint of it at the present load

    state: State = State.QUEUED
    step: int = 0
    total_steps: int = 0
    created_ms: float = field(default_factory=now_ms)
    started_ms: float | None = None
    ended_ms: float | None = None
    ends_ms: float | None = None  # when it will have ended, where that is known or can be told by its pace
    paced_from: tuple[float, int] | None = None  # since when its pace is measured, Unix ms, and which step
    results: list[Result] = field(default_factory=list)
    error: str | None = None
    reason: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_ended(self) -> bool:
        """Whether it has come to its end, a good one or not."""
        return self.state in ENDED

    @property
    def is_finite(self) -> bool:
        """Whether it ends by itself and runs to its end, whoever watches."""
        return self.kind in (Kind.ONCE, Kind.VARIATIONS, Kind.DRAWING) or (
            self.kind in (Kind.TEST, Kind.PLAYLIST) and not self.loop
        )

    @property
    def is_superseded_by_now(self) -> bool:
        """Whether a new job that asks for `now` ends it, instead of waiting for its end."""
        return self.kind in (Kind.LIVE, Kind.PLAYLIST, Kind.INGEST, Kind.TEST)

    def start(self) -> None:
        """Begin; from `queued` only."""
        assert self.state is State.QUEUED, f"job {self.id} starts while {self.state}"
        self.state = State.RUNNING
        self.started_ms = now_ms()

    def begin_anew(self) -> None:
        """Note an attempt to paint it: how long the one before took, and an outage after it, tell no pace."""
        self.paced_from = self.ends_ms = None

    def advance(self, step: int, total_steps: int, at_ms: float | None = None) -> None:
        """Note how far it is, and by its pace when it will have ended.

        Args:
            step: Done, 0 to `total_steps`.
            total_steps: To be done.
            at_ms: When that was, Unix; None: now.
        """
        at_ms = now_ms() if at_ms is None else at_ms
        if self.paced_from is None or step < self.step:
            # The first one of an attempt.
            self.paced_from, self.ends_ms = (at_ms, step), None
        began_ms, first = self.paced_from
        self.step, self.total_steps = step, total_steps
        if step > first:
            self.ends_ms = at_ms + (at_ms - began_ms) / (step - first) * (total_steps - step)

    def warn(self, warnings: tuple[str, ...] | list[str]) -> None:
        """Add what was asked for and could not be used, each once."""
        self.warnings.extend(warning for warning in warnings if warning not in self.warnings)

    @property
    def all_warnings(self) -> list[str]:
        """What was asked for and could not be used: at all, or at this moment."""
        return list(dict.fromkeys([*self.warnings, *self.passing_warnings]))

    def succeed(self) -> None:
        """End well."""
        self._end(State.SUCCEEDED)

    def fail(self, error: str) -> None:
        """End for a reason that lies in the job or in the inference service."""
        self.error = error
        self._end(State.FAILED)

    def cancel(self, reason: str) -> None:
        """End because somebody wants it so: `superseded`, `cancelled`, `skipped`, `cleared`, ..."""
        self.reason = reason
        self._end(State.CANCELLED)

    def _end(self, state: State) -> None:
        assert not self.is_ended, f"job {self.id} ends as {state} after it ended as {self.state}"
        self.state = state
        self.ended_ms = now_ms()
        self.loading = None
        self.ends_ms = self.ended_ms
        # What it was painted from may be megabytes, and jobs are remembered for long.
        self.order = replace(self.order, source=None, mask=None)
        self.feed = None
        self.ended.set()

    def to_json(self, position: int | None = None) -> dict[str, Any]:
        """Describe it as the HTTP routes do.

        Args:
            position: Its place in the queue, from 1, while it waits.
        """
        order = self.order
        return {
            "id": self.id,
            "session": self.session,
            "canvas": self.canvas,
            "kind": self.kind.value,
            "state": self.state.value,
            "source": self.source,
            "author": self.author,
            "message": self.message,
            "prompt": order.prompt,
            "parameters": {
                "negative_prompt": order.negative_prompt,
                "model": order.model or None,
                "style": order.style or None,
                "width": order.width,
                "height": order.height,
                "steps": order.steps,
                "guidance_scale": order.guidance_scale,
                "seed": order.seed,
                "strength": order.strength,
                "template": order.template or None,
                "upscale": order.upscale,
                "count": self.count,
                "fps": self.fps,
                "transition_s": self.transition_s,
                "folder": self.folder,
                "loop": self.loop,
            },
            "step": self.step,
            "total_steps": self.total_steps,
            "position": position,
            "created_ms": self.created_ms,
            "started_ms": self.started_ms,
            "ends_ms": self.ends_ms,
            "images": [
                {
                    "url": f"/jobs/{self.id}/images/{index}",
                    "format": result.format,
                    "width": result.width,
                    "height": result.height,
                    "metadata": result.metadata,
                }
                for index, result in enumerate(self.results)
            ],
            "preview": f"/jobs/{self.id}/preview",
            "warnings": self.all_warnings,
            "loading": self.loading,
            "sustainable_fps": self.sustainable_fps,
            "error": self.error,
            "reason": self.reason,
        }

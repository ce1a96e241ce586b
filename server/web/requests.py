"""The bodies that the routes take, field by field."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from server.generation.job import Job, Kind
from server.generation.picture import PictureOrder


SEEDS = 2**31

Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Fps = Annotated[float, Field(ge=0.1, le=60.0)]


def _no_bool(value: Any) -> Any:
    """Refuse true and false where a number is meant; pydantic would take them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _whole_eights(value: int) -> int:
    if value % 8:
        raise ValueError("must be a multiple of 8 from 64 to 4096")
    return value


def _factor(value: int) -> int:
    if value not in (1, 2, 4):
        raise ValueError("must be 1, 2 or 4")
    return value


Number = BeforeValidator(_no_bool)
Side = Annotated[int, Number, Field(ge=64, le=4096), AfterValidator(_whole_eights)]


class Body(BaseModel):
    """A body whose fields are all known."""

    model_config = ConfigDict(strict=True, extra="forbid", str_max_length=8000, allow_inf_nan=False)


class PromptBody(Body):
    """What `POST /canvases/{slug}/prompt` takes."""

    prompt: Prompt
    negative_prompt: str = Field("", max_length=2000)
    mode: Literal["live", "once", "variations"] = "live"
    count: Annotated[int, Number] = Field(4, ge=1, le=64)
    fps: Annotated[Fps, Number] | None = None
    seed: Annotated[int, Number, Field(ge=0, lt=SEEDS)] | None = None
    steps: Annotated[int, Number, Field(ge=1, le=100)] | None = None
    guidance_scale: Annotated[float, Number, Field(ge=0, le=20)] | None = None
    width: Side | None = None
    height: Side | None = None
    model: str | None = Field(None, max_length=200)
    style: str | None = Field(None, max_length=200)
    strength: Annotated[float, Number, Field(gt=0, le=1)] | None = None
    source: str = Field("none", max_length=100)
    mask: str | None = Field(None, max_length=100)
    template: str | None = Field(None, max_length=200)
    upscale: Annotated[int, Number, AfterValidator(_factor)] | None = None
    transition_s: Annotated[float, Number] = Field(0.0, ge=0, le=600)
    when: Literal["now", "queue"] = "now"
    author: str | None = Field(None, max_length=200)
    message: str | None = Field(None, max_length=2000)

    def job(
        self,
        *,
        canvas: str | None,
        session: str | None = None,
        source: bytes | None = None,
        mask: bytes | None = None,
    ) -> Job:
        """Make the job that this asks for; the seed is drawn here, so that it can be told and reused."""
        order = PictureOrder(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            model=self.model or "",
            style=self.style or "",
            width=self.width,
            height=self.height,
            steps=self.steps,
            guidance_scale=self.guidance_scale,
            seed=secrets.randbelow(SEEDS) if self.seed is None else self.seed,
            strength=self.strength if source is not None else None,
            source=source,
            mask=mask,
            template=self.template or "",
            upscale=self.upscale,
            format="",
        )
        job = Job(
            kind=Kind(self.mode),
            order=order,
            canvas=canvas,
            author=self.author,
            message=self.message,
            count=self.count if self.mode == "variations" else 1,
            fps=self.fps,
            transition_s=self.transition_s,
        )
        # So that the inference service's log, and its own cancelling, know the job by its id.
        job.order = replace(order, request_id=job.id)
        if session:
            job.session = session
        if self.mode != "variations" and "count" in self.model_fields_set:
            job.warn([f"count was not used: mode {self.mode} paints one picture"])
        if self.strength is not None and source is None:
            job.warn(["strength was not used: there is no source image"])
        return job


class JobsBody(PromptBody):
    """What `POST /jobs` takes: a prompt for one canvas, several, or none."""

    mode: Literal["live", "once", "variations"] = "once"
    canvas: Slug | None = None
    canvases: list[Slug] = Field(default_factory=list, max_length=64)

    @property
    def slugs(self) -> list[str | None]:
        """The canvases it is for, each once; None alone is a job without a canvas."""
        named = dict.fromkeys([*([self.canvas] if self.canvas else []), *self.canvases])
        return list(named) or [None]


class GenerateBody(Body):
    """What `POST /api/generate` takes, in the words of the first programs."""

    prompt: Prompt
    negative_prompt: str = Field("", max_length=2000)
    num_inference_steps: Annotated[int, Number, Field(ge=1, le=100)] | None = None
    guidance_scale: Annotated[float, Number, Field(ge=0, le=20)] | None = None
    num_images: Annotated[int, Number] = Field(1, ge=1, le=64)
    width: Side | None = None
    height: Side | None = None
    seed: Annotated[int, Number, Field(ge=0, lt=SEEDS)] | None = None
    model: str | None = Field(None, max_length=200)
    style: str | None = Field(None, max_length=200)

    def prompt_body(self) -> PromptBody:
        """Say the same in today's words."""
        return PromptBody(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            mode="once" if self.num_images == 1 else "variations",
            count=self.num_images,
            steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            width=self.width,
            height=self.height,
            seed=self.seed,
            model=self.model,
            style=self.style,
        )


class PlaylistBody(Body):
    """What `POST /canvases/{slug}/playlist` takes."""

    folder: str = Field(min_length=1, max_length=255)
    fps: Annotated[Fps, Number] | None = None
    loop: bool = Field(False)
    when: Literal["now", "queue"] = "now"

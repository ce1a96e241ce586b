"""What the server orders from the inference service, and what it gets.

Plain values: this module knows neither gRPC nor the contract's messages, and nothing that does
leaves the two modules that translate them.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOrder:
    """One picture to be painted. None leaves the choice to the model's own default."""

    prompt: str  # 1 to 2,000 characters
    negative_prompt: str = ""
    model: str = ""  # empty: the service's default
    style: str = ""  # empty: none
    width: int | None = None  # pixels, 64 to 4096, a multiple of 8
    height: int | None = None  # pixels, 64 to 4096, a multiple of 8
    steps: int | None = None  # 1 to 100
    guidance_scale: float | None = None  # 0 to 20
    seed: int | None = None  # 0 to 2^31 - 1; None: the service draws one
    strength: float | None = None  # of the source's repainting, above 0 to 1
    template: str = ""  # empty: none
    upscale: int | None = None  # how many times larger: 1, 2 or 4
    source: bytes | None = field(default=None, repr=False)  # a whole JPEG, PNG or WebP file
    mask: bytes | None = field(default=None, repr=False)  # the same; white is painted
    format: str = ""  # "jpeg" (also when empty), "webp" or "png"
    quality: int | None = None  # 1 to 100, for JPEG and WebP
    user_id: str = ""
    request_id: str = ""
    context: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMetadata:
    """How a picture was made."""

    model: str
    engine: str
    is_neural: bool
    width: int  # pixels
    height: int  # pixels
    seed: int
    steps: int
    guidance_scale: float
    style: str
    warnings: tuple[str, ...]  # what was asked for and could not be used
    queued_for_ms: float
    painted_for_ms: float
    encoded_for_ms: float
    prompt: str  # what the model was given: with context, templates and style, as far as they are words
    context: tuple[str, ...]  # the turns of the order's context that went into it
    stage_ms: dict[str, float]  # milliseconds by stage: "load", "text", "denoise", "decode", ...
    upscaler: str  # what made it larger; empty: nothing did
    device: str  # "cpu", "cuda:0", ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One encoded picture."""

    image: bytes = field(repr=False)  # the whole file
    format: str  # "jpeg", "webp" or "png"
    width: int  # pixels
    height: int  # pixels
    finished_ms: float  # Unix milliseconds, before it was encoded
    index: int  # which variation, from 0
    metadata: PictureMetadata


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a picture is."""

    step: int  # done, 0 to total_steps
    total_steps: int
    preview: bytes = field(repr=False)  # a small JPEG; empty unless previews were asked for


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A picture of a live painting; each answers one credit, in the order of the credits."""

    revision: int  # the newest target whose change had begun
    time_s: float  # the credit's own, seconds of the timeline
    picture: Picture
    sustainable_fps: float = 0.0  # how many such frames the service can paint a second; 0: not known yet


@dataclass(frozen=True, slots=True)
class PaintProgress:
    """How far the next picture of a live painting is."""

    revision: int
    step: int  # done, 0 to total_steps
    total_steps: int


@dataclass(frozen=True, slots=True)
class PaintRefusal:
    """A command that the service could not follow; the painting goes on as it was."""

    revision: int
    field: str  # of the order; empty where no single one is wrong
    message: str


PaintEvent = LiveFrame | PaintProgress | PaintRefusal


@dataclass(frozen=True, slots=True)
class StepTime:
    """What one step of a model took."""

    rows: int  # that it carried
    step_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model on offer."""

    name: str
    description: str
    engine: str
    is_neural: bool
    state: str  # "not_loaded", "loading", "ready", "failed" or "unspecified"
    default_width: int  # pixels
    default_height: int  # pixels
    default_steps: int
    default_guidance_scale: float
    min_size: int  # pixels a side
    max_size: int  # pixels a side
    max_steps: int
    uses_negative_prompt: bool
    uses_guidance: bool
    paints_from_source: bool
    paints_from_mask: bool
    measured_megapixels_per_s: float  # 0: not measured yet
    size_bytes: int  # in memory while it is loaded, else of its weights on disk; 0: not known
    error: str  # why it could not be loaded; empty unless the state is "failed"
    weights_found: bool  # on the service's machine
    device: str  # where it runs; empty until it is loaded
    dtype: str  # in which precision; empty until it is loaded
    max_batch: int  # rows of one step; 0 until it is loaded
    step_times: tuple[StepTime, ...]  # as measured so far
    license: str  # of its weights; empty: none is needed
    aliases: tuple[str, ...]  # other names that orders may use for it


@dataclass(frozen=True, slots=True)
class StyleInfo:
    """A style on offer."""

    name: str
    description: str  # one line for people
    template: str  # what a neural network is asked for, with "{prompt}" in it


@dataclass(frozen=True, slots=True)
class TemplateInfo:
    """A prompt template on offer."""

    name: str
    description: str  # one line for people
    template: str  # with "{prompt}" in it, and "{context}" in the one that joins the context


@dataclass(frozen=True, slots=True)
class Models:
    """Everything that the inference service offers."""

    models: tuple[ModelInfo, ...]
    styles: tuple[StyleInfo, ...]
    default_model: str
    device: str  # "cpu", "cuda:0", ...
    templates: tuple[TemplateInfo, ...] = ()

    def find(self, name: str) -> ModelInfo | None:
        """Return a model by its name or an alias, "" being the default; None if it is not on offer."""
        wanted = name or self.default_model
        return next((model for model in self.models if wanted in (model.name, *model.aliases)), None)

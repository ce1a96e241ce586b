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


@dataclass(frozen=True, slots=True)
class StyleInfo:
    """A style on offer."""

    name: str
    description: str  # one line for people


@dataclass(frozen=True, slots=True)
class Models:
    """Everything that the inference service offers."""

    models: tuple[ModelInfo, ...]
    styles: tuple[StyleInfo, ...]
    default_model: str
    device: str  # "cpu", "cuda:0", ...

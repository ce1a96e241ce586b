"""What may be asked for: the models that come with the service, and those of a file.

Pure but for reading that file. Knows no weights, only the places that they come from.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from inference.engine import ModelDescription
from inference.errors import ConfigurationError
from inference.models.entry import CatalogueEntry
from inference.models.places import is_hub_id


DEFAULT_MODEL = "sdxl-turbo"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)

_SDXL_BASE = "stabilityai/stable-diffusion-xl-base-1.0"
_TAESDXL, _TAESD = "madebyollin/taesdxl", "madebyollin/taesd"
# The autoencoder of SDXL overflows in half precision; this one does not.
_SDXL_AUTOENCODER = "madebyollin/sdxl-vae-fp16-fix"
_STABILITY_LICENSE = "Stability AI Community (sai-nc-community); commercial use: register or buy"

_TURBO = ModelDescription(
    name=DEFAULT_MODEL,
    description="SDXL-Turbo: a neural network that paints in one to four steps, for live pictures",
    engine="sdxl",
    is_neural=True,
    min_size=128,
    max_size=2048,
    uses_negative_prompt=False,
    uses_guidance=False,
    paints_from_mask=True,
    license=_STABILITY_LICENSE,
)
_GUIDED = replace(_TURBO, uses_negative_prompt=True, uses_guidance=True, default_guidance_scale=5.0)
_SDXL = replace(_GUIDED, default_width=1024, default_height=1024, default_steps=30)

_NEURAL = (
    CatalogueEntry(
        _TURBO,
        "sdxl",
        "stabilityai/sdxl-turbo",
        tiny_autoencoder=_TAESDXL,
        autoencoder=_SDXL_AUTOENCODER,
        aliases=("stabilityai/sdxl-turbo",),
    ),
    CatalogueEntry(
        replace(
            _TURBO,
            name="sd-turbo",
            description="SD-Turbo: the smaller sister of SDXL-Turbo, one to four steps",
            engine="sd",
            max_size=1536,
        ),
        "sd",
        "stabilityai/sd-turbo",
        tiny_autoencoder=_TAESD,
        aliases=("stabilityai/sd-turbo",),
    ),
    CatalogueEntry(
        replace(
            _SDXL,
            name="sdxl-base",
            description="SDXL 1.0: slow and fine, for stills",
            license="CreativeML Open RAIL++-M",
        ),
        "sdxl",
        _SDXL_BASE,
        tiny_autoencoder=_TAESDXL,
        autoencoder=_SDXL_AUTOENCODER,
        aliases=(_SDXL_BASE,),
    ),
    CatalogueEntry(
        replace(
            _SDXL,
            name="pixel-art-xl",
            description="SDXL 1.0 with a LoRA for pixel art",
            prompt_template="pixel, {prompt}",
            license="CreativeML OpenRAIL-M, on SDXL's Open RAIL++-M",
        ),
        "sdxl",
        _SDXL_BASE,
        lora="nerijs/pixel-art-xl",
        tiny_autoencoder=_TAESDXL,
        autoencoder=_SDXL_AUTOENCODER,
        aliases=("nerijs/pixel-art-xl",),
    ),
    CatalogueEntry(
        replace(
            _GUIDED,
            name="stable-diffusion-1.5",
            description="Stable Diffusion 1.5: the classic, for stills",
            engine="sd",
            max_size=1536,
            default_steps=20,
            default_guidance_scale=7.5,
            license="CreativeML OpenRAIL-M",
        ),
        "sd",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        tiny_autoencoder=_TAESD,
        # The repository that this one has taken over from is what clients still ask for.
        aliases=("stable-diffusion-v1-5/stable-diffusion-v1-5", "runwayml/stable-diffusion-v1-5"),
    ),
)


def built_in() -> dict[str, CatalogueEntry]:
    """Return the models that come with the service, by name: SDXL-Turbo first, the painter last."""
    from inference.procedural import ProceduralEngine

    painter = CatalogueEntry(ProceduralEngine().model, "procedural")
    return {entry.model.name: entry for entry in (*_NEURAL, painter)}


def folder_names(place: str) -> list[str]:
    """Return the names of the built-in models that are nothing but the pipeline of a place.

    A folder of such a name holds that pipeline, whichever model asks for it.
    """
    return [entry.model.name for entry in _NEURAL if entry.place == place and not entry.lora]


def read_catalogue(path: Path) -> dict[str, CatalogueEntry]:
    """Return the built-in models with those of a file: new ones last, others changed in their places.

    The file is TOML: a table ``[models.<name>]`` each, with ``place`` and ``family`` at least. What the table
    of a built-in model leaves out stays as it is.

    Raises:
        ConfigurationError: If the file cannot be read, or says anything that is not accepted; with the file,
            the model, the key, and what is accepted.
    """
    entries = built_in()
    for name, table in _read_tables(path).items():
        where = f"{path}: models.{name}"
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{where}: a name must be 1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first"
            )
        known = entries.get(name)
        if known is not None and known.family == "procedural":
            raise ConfigurationError(f"{where}: the painter cannot be replaced; choose another name")
        entries[name] = _make_entry(where, name, table, known)
    _check_names(path, entries.values())
    return entries


Family = Literal["sdxl", "sd"]


def _check_place(place: str) -> str:
    if is_hub_id(place):
        return place
    path = Path(place).expanduser()
    if not path.is_absolute():
        raise ValueError("must be a hub id (owner/name) or an absolute path")
    if not path.exists():
        raise ValueError("must be a path that exists")
    return str(path)


def _check_optional_place(place: str) -> str:
    return _check_place(place) if place else place


def _check_template(template: str) -> str:
    if template.count("{prompt}") != 1:
        raise ValueError('must have "{prompt}" in it, once')
    return template


def _check_size(size_px: int) -> int:
    if size_px % 8:
        raise ValueError("must be a multiple of 8")
    return size_px


_Place = Annotated[str, AfterValidator(_check_place)]
_OptionalPlace = Annotated[str, AfterValidator(_check_optional_place)]
_Line = Annotated[str, Field(max_length=300, pattern=r"^[^\r\n]*$")]
_Size = Annotated[int, Field(ge=64, le=4096), AfterValidator(_check_size)]
_Alias = Annotated[str, Field(min_length=1, max_length=128)]


class _Table(BaseModel):
    """The keys of one model's table."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    place: _Place
    family: Family
    description: _Line = ""
    license: _Line = ""
    aliases: Annotated[list[_Alias], Field(max_length=16)] = []
    lora: _OptionalPlace = ""
    lora_scale: Annotated[float, Field(ge=-4.0, le=4.0, allow_inf_nan=False)] = 1.0
    tiny_autoencoder: _OptionalPlace = ""
    autoencoder: _OptionalPlace = ""
    upscaler: _OptionalPlace = ""
    prompt_template: Annotated[str, Field(max_length=500), AfterValidator(_check_template)] = "{prompt}"
    default_width: _Size = 512
    default_height: _Size = 512
    default_steps: Annotated[int, Field(ge=1, le=100)] = 1
    default_guidance_scale: Annotated[float, Field(ge=0.0, le=20.0, allow_inf_nan=False)] = 0.0
    min_size: _Size = 128
    max_size: _Size = 2048
    max_steps: Annotated[int, Field(ge=1, le=100)] = 100
    uses_guidance: bool = False
    uses_negative_prompt: bool = False


# Where a key of a table is in an entry; the others are the model's own.
_ENTRY_KEYS = ("family", "place", "lora", "lora_scale", "tiny_autoencoder", "autoencoder", "upscaler")


def _read_tables(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as exc:
        raise ConfigurationError(f"{path}: cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # Not TOML, or not UTF-8.
        raise ConfigurationError(f"{path}: is not TOML: {exc}") from exc
    models = content.get("models", {})
    if unknown := set(content) - {"models"}:
        raise ConfigurationError(f"{path}: {min(unknown)}: unknown key; accepted: models")
    if not isinstance(models, dict) or not models:
        raise ConfigurationError(f"{path}: models: must be tables, [models.<name>] each")
    return models


def _make_entry(where: str, name: str, table: object, known: CatalogueEntry | None) -> CatalogueEntry:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: must be a table, [models.{name}]")
    given = {**(_as_table(known) if known is not None else {}), **table}
    scale = given.get("default_guidance_scale")
    if isinstance(scale, int | float) and scale > 1.0:
        given = {"uses_guidance": True, "uses_negative_prompt": True, **given}
    try:
        read = _Table.model_validate(given)
    except ValidationError as exc:
        raise ConfigurationError(f"{where}.{_tell(exc)}") from None
    _check_together(where, read)
    values = read.model_dump()
    entry = {key: values.pop(key) for key in _ENTRY_KEYS}
    aliases = tuple(values.pop("aliases"))
    model = ModelDescription(name=name, engine=read.family, is_neural=True, paints_from_mask=True, **values)
    return CatalogueEntry(model=model, aliases=aliases, **entry)


def _as_table(entry: CatalogueEntry) -> dict[str, Any]:
    """Return a built-in entry as its table would be."""
    return {
        key: getattr(entry, key) if key in _ENTRY_KEYS else getattr(entry.model, key)
        for key in _Table.model_fields
        if key != "aliases"
    } | {"aliases": list(entry.aliases)}


def _check_together(where: str, table: _Table) -> None:
    if table.min_size > table.max_size:
        raise ConfigurationError(f"{where}.min_size: must be at most max_size, {table.max_size}")
    for key in ("default_width", "default_height"):
        if not table.min_size <= getattr(table, key) <= table.max_size:
            raise ConfigurationError(
                f"{where}.{key}: must be min_size to max_size, {table.min_size} to {table.max_size}, "
                f"got {getattr(table, key)}"
            )
    if table.default_steps > table.max_steps:
        raise ConfigurationError(f"{where}.default_steps: must be at most max_steps, {table.max_steps}")


def _check_names(path: Path, entries: Iterable[CatalogueEntry]) -> None:
    """Check that no name or alias means two models."""
    entries = tuple(entries)
    owners = {entry.model.name: entry.model.name for entry in entries}
    for entry in entries:
        for alias in dict.fromkeys(entry.aliases):
            if alias in owners:
                raise ConfigurationError(
                    f"{path}: models.{entry.model.name}.aliases: {alias!r} already means {owners[alias]}"
                )
            owners[alias] = entry.model.name


def _tell(error: ValidationError) -> str:
    """Say the first thing that is wrong, with its key."""
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; accepted: {', '.join(_Table.model_fields)}"
        case "missing":
            return f"{key}: must be given"
        case _:
            message = first["msg"].removeprefix("Value error, ")
            return f"{key}: {message[:1].lower()}{message[1:]}, got {first['input']!r}"

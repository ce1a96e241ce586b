"""The settings: environment `PSYCHE_*`, a `.env` file and flags, from this one definition.

The variables of the earlier programs are taken under their own names as well; the prefixed one wins.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from server.errors import ConfigurationError
from server.streaming.registry import SLUG
from server.streaming.tiers.tier import DEFAULT_TIERS, Tier, parse_tiers


EMBEDDED = "embedded"

# Dealt to the configured canvases in turn.
DEFAULT_PROMPT = "a calm sea at sunset with drifting clouds | aurora over snowy mountains at night, stars"

# Of each, as of a prompt that is posted.
MAX_PROMPT_CHARS = 2000

Words = Annotated[tuple[str, ...], NoDecode]
"""A list written with commas."""


# Variables of the earlier programs, and what they are called here.
OLDER_NAMES = {
    "api_host": "psyche_host",
    "api_port": "psyche_port",
    "queue_max_size": "psyche_queue_max_size",
    "log_level": "psyche_log_level",
}


class Settings(BaseSettings):
    """Everything that can be set. Times are in seconds, sizes in pixels."""

    model_config = SettingsConfigDict(
        env_prefix="PSYCHE_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        cli_prog_name="python -m server",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; any but a loopback one needs a token.",
    )
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        description="Port to listen on; 0 takes a free one.",
    )
    token: SecretStr | None = Field(None, description="Whoever changes something must show this.")
    insecure: bool = Field(False, description="Listen on any address without a token, knowingly.")
    allowed_hosts: Words = Field(
        (), description="Further names that browsers may call this server by, with commas."
    )
    allowed_origins: Words = Field(
        (), description="Further origins (https://name:port) whose pages may call it, with commas."
    )
    canvases: Words = Field(("left", "right"), description="Slugs of the lasting canvases, with commas.")
    size: str = Field("512x512", description="Size of what is painted, WIDTHxHEIGHT, multiples of 8.")
    fps: float = Field(4.0, ge=0.1, le=60.0, description="Frames per second of a canvas, 0.1 to 60.")
    default_prompt: str = Field(
        DEFAULT_PROMPT,
        max_length=8000,
        description="What the configured canvases paint at first, several put apart by '|'; empty: nothing.",
    )
    stage: str = Field("stage", description="Slug of the canvas that /queue speaks of.")
    max_canvases: int = Field(64, ge=1, le=10_000, description="Canvases, temporary ones included.")
    max_subscribers: int = Field(1000, ge=1, le=100_000, description="Connections of each canvas.")
    queue_max_size: int = Field(
        32,
        ge=1,
        le=10_000,
        description="Jobs that may wait for each canvas.",
    )
    tiers: Annotated[tuple[Tier, ...], NoDecode] = Field(
        parse_tiers(DEFAULT_TIERS),
        description="What frames are encoded as, with commas: 'original', and format-percent-quality such as "
        "jpeg-50-85 (jpeg or webp, 12.5 to 100 percent of each side, quality 1 to 100).",
    )
    encoder_threads: int = Field(
        2, ge=1, le=64, description="Threads that encode frames, beside the one that serves; 1 to 64."
    )
    send_deadline_s: float = Field(
        120.0,
        gt=0,
        le=86_400,
        description="A subscriber that takes nothing for so long is sent away, seconds.",
    )
    inference: str = Field(
        EMBEDDED,
        description="Inference service: host:port, unix:/path, or 'embedded' to start one.",
    )
    media_root: Path = Field(
        Path("media"), description="Folder whose folders of pictures playlists may show."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Least important log lines that are written.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="How log lines are written; auto: for people on a terminal, else JSON."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the older names of variables where the prefixed ones are nowhere."""
        sources = [
            source for source in (env_settings, dotenv_settings) if isinstance(source, EnvSettingsSource)
        ]
        prefixed = {name for source in sources for name in source.env_vars}
        for source in sources:
            older = {
                name: source.env_vars[old]
                for old, name in OLDER_NAMES.items()
                if old in source.env_vars and name not in prefixed
            }
            source.env_vars = {**older, **source.env_vars}
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @field_validator("allowed_hosts", "allowed_origins", "canvases", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            value = ",".join(value)
        return (
            tuple(word.strip() for word in value.split(",") if word.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("tiers", mode="before")
    @classmethod
    def _parse_tiers(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            value = ",".join(tier.name if isinstance(tier, Tier) else str(tier) for tier in value)
        return parse_tiers(value) if isinstance(value, str) else value

    @field_validator("token", mode="before")
    @classmethod
    def _no_empty_token(cls, value: Any) -> Any:
        # Compose files write a variable that is not set as an empty one; an empty token is none.
        return (value.strip() or None) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("canvases")
    @classmethod
    def _check_slugs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for slug in value:
            cls._check_slug(slug)
        if len(set(value)) != len(value):
            raise ValueError("each slug may stand there once")
        return value

    @field_validator("stage")
    @classmethod
    def _check_slug(cls, value: str) -> str:
        if not SLUG.fullmatch(value):
            raise ValueError(f"{value!r:.80} is no slug: 1 to 64 of a-z, 0-9 and '-', not starting with '-'")
        return value

    @field_validator("default_prompt")
    @classmethod
    def _check_prompts(cls, value: str) -> str:
        if any(len(prompt.strip()) > MAX_PROMPT_CHARS for prompt in value.split("|")):
            raise ValueError(f"each prompt may have {MAX_PROMPT_CHARS} characters")
        return value

    @field_validator("inference")
    @classmethod
    def _check_inference(cls, value: str) -> str:
        if not re.fullmatch(r"embedded|unix:/.+|(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}", value):
            raise ValueError("host:port, unix:/path or 'embedded'")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+", host):
                raise ValueError(f"{host!r} is no name of a host: without scheme and port, IPv6 in brackets")
        return value

    @field_validator("size")
    @classmethod
    def _check_size(cls, value: str) -> str:
        found = re.fullmatch(r"([0-9]{2,4})x([0-9]{2,4})", value)
        if not found or any(not 64 <= int(side) <= 4096 or int(side) % 8 for side in found.groups()):
            raise ValueError("WIDTHxHEIGHT, each a multiple of 8 from 64 to 4096, such as 512x512")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[^/\s]+", origin):
                raise ValueError(f"{origin!r} is no origin: scheme://host or scheme://host:port")
        return value

    @model_validator(mode="after")
    def _check_exposure(self) -> Settings:
        if not self.is_loopback and self.token is None and not self.insecure:
            raise ValueError(
                f"PSYCHE_HOST={self.host} can be reached from other machines: set PSYCHE_TOKEN, "
                "or pass --insecure to let everybody in"
            )
        return self

    @model_validator(mode="after")
    def _check_room(self) -> Settings:
        if len(self.canvases) > self.max_canvases:
            raise ValueError(
                f"PSYCHE_CANVASES names {len(self.canvases)} canvases, PSYCHE_MAX_CANVASES allows "
                f"{self.max_canvases}"
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def width(self) -> int:
        """Width of what is painted, pixels."""
        return int(self.size.split("x")[0])

    @property
    def height(self) -> int:
        """Height of what is painted, pixels."""
        return int(self.size.split("x")[1])

    @property
    def default_prompts(self) -> tuple[str, ...]:
        """The prompts that the configured canvases begin with, dealt in turn."""
        return tuple(prompt.strip() for prompt in self.default_prompt.split("|") if prompt.strip())


def load(arguments: list[str] | None = None) -> Settings:
    """Read the settings from flags, environment and `.env`, in this order of importance.

    Raises:
        ConfigurationError: If one is wrong: names it and what it accepts.
        SystemExit: After `--help`, or for a flag that does not exist (status 2).
    """
    source = CliSettingsSource[Any](Settings, cli_parse_args=sys.argv[1:] if arguments is None else arguments)
    try:
        return Settings(_cli_settings_source=source)
    except ValidationError as exc:
        raise ConfigurationError("; ".join(_sentence(error) for error in exc.errors())) from exc
    except SettingsError as exc:
        raise ConfigurationError(str(exc)) from exc


def _sentence(error: Any) -> str:
    """Say what is wrong with a setting in one line, without repeating a secret."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    field = name if name in Settings.model_fields else name.lower().removeprefix("psyche_")
    described = Settings.model_fields[field].description if field in Settings.model_fields else ""
    got = "" if field == "token" else f", got {error['input']!r:.80}"
    return f"PSYCHE_{field.upper()}: {message}{got}. {described}".rstrip()

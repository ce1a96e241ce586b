"""What `python -m inference` may be told: flags, and environment variables of the same names.

One definition makes both: `Settings`. A flag wins over its variable (``PSYCHE_INFERENCE_<NAME>``),
which wins over the file ``.env``. Knows nothing of what the settings do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from inference.errors import ConfigurationError
from inference.listening import Address, TcpAddress, parse_address


ENVIRONMENT_PREFIX = "PSYCHE_INFERENCE_"
PROGRAM = "python -m inference"
DEFAULT_LISTEN = "127.0.0.1:50051"


class Settings(BaseSettings):
    """Every setting with its default; units are in the names or the descriptions."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_file=".env", extra="ignore", frozen=True
    )

    listen: Annotated[str, Field(description="where to serve: HOST:PORT or unix:PATH")] = DEFAULT_LISTEN
    port: Annotated[
        int | None, Field(ge=0, le=65535, description="short for --listen 127.0.0.1:PORT; 0 is any free port")
    ] = None
    insecure: Annotated[
        bool,
        Field(description="serve others than this machine too, though the calls need no token"),
    ] = False
    engine: Annotated[
        Literal["auto", "procedural", "turbo"],
        Field(description="what paints unless a request names a model: auto is sdxl-turbo where its weights, "
              "torch and an accelerator are there, else the procedural painter; procedural offers nothing "
              "but the painter"),
    ] = "auto"  # fmt: skip
    model: Annotated[
        str, Field(description="the model that requests without one get; empty leaves it to --engine")
    ] = ""
    fallback_model: Annotated[
        str,
        Field(description="the model that paints instead of one that cannot be loaded, and live pictures "
              "while theirs is loaded; empty is none"),
    ] = "procedural"  # fmt: skip
    catalogue: Annotated[
        Path | None, Field(description="a TOML file with more models, or other places of the known ones")
    ] = None
    model_dir: Annotated[
        Path, Field(description="the folder of weights: one folder a model, and hub/ for what is downloaded")
    ] = Path("data/models")
    max_models: Annotated[
        int, Field(ge=1, le=64, description="models in memory at once, the painter apart")
    ] = 2
    max_model_memory: Annotated[
        float,
        Field(ge=0, le=100_000, allow_inf_nan=False, description="memory for models together, GB; 0 is what "
              "the device has"),
    ] = 0.0  # fmt: skip
    max_disk_cache: Annotated[
        float,
        Field(ge=0, le=1_000_000, allow_inf_nan=False, description="disk for downloaded weights, GB; beyond "
              "it those used longest ago go"),
    ] = 10.0  # fmt: skip
    cleanup_interval: Annotated[
        float,
        Field(ge=1, le=86_400, allow_inf_nan=False, description="seconds between two looks at the disk"),
    ] = 300.0
    unload_after_s: Annotated[
        float,
        Field(ge=0, le=86_400, allow_inf_nan=False, description="seconds without use after which a model is "
              "unloaded; 0 is never"),
    ] = 0.0  # fmt: skip
    download: Annotated[
        bool, Field(description="fetch weights that are not on this machine when they are first asked for")
    ] = True
    device: Annotated[
        str, Field(description="where diffusion models run: auto, cpu, cuda, cuda:N or mps")
    ] = "auto"
    dtype: Annotated[
        Literal["auto", "bfloat16", "float16", "float32"],
        Field(description="in which precision they run; auto is what the device does best, or TORCH_DTYPE"),
    ] = "auto"
    acceleration: Annotated[
        Literal["auto", "none", "graphs", "compile"],
        Field(description="what is done beforehand to make their steps quick: CUDA graphs or torch.compile"),
    ] = "auto"
    reflection: Annotated[
        bool, Field(description="tell callers the contract, so that tools such as grpcurl need no .proto")
    ] = False
    metrics_port: Annotated[
        int | None,
        Field(ge=0, le=65535, description="serve Prometheus metrics on this port of 127.0.0.1; 0 is any free "
              "port"),
    ] = None  # fmt: skip
    supervised: Annotated[
        bool,
        Field(description="stop when standard input ends, which means that the parent has died"),
    ] = False
    max_waiting: Annotated[
        int,
        Field(ge=1, le=10_000, description="pictures waiting or being painted, live ones apart, before "
              "calls are refused"),
    ] = 64  # fmt: skip
    encode_threads: Annotated[int, Field(ge=1, le=64, description="threads that encode pictures")] = 2
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Field(description="how log lines look: auto is console on a terminal, else json"),
    ] = "auto"
    grace_period_s: Annotated[
        float, Field(ge=0, le=3600, description="seconds that calls get to finish when the service stops")
    ] = 10.0

    @field_validator("model_dir")
    @classmethod
    def _check_folder(cls, folder: Path) -> Path:
        if folder.exists() and not folder.is_dir():
            raise ValueError("must be a folder")
        return folder

    @model_validator(mode="after")
    def _check_address(self) -> Self:
        if self.port is not None and self.listen != DEFAULT_LISTEN:
            raise ValueError("--listen and --port must not both be given")
        address = self.address
        if isinstance(address, TcpAddress) and not (address.is_loopback or self.insecure):
            raise ValueError(
                f"--listen must be a loopback address unless --insecure is given, got {address.host!r}"
            )
        return self

    def is_given(self, name: str) -> bool:
        """Tell whether somebody set a setting, be it to its default."""
        return name in self.model_fields_set

    @property
    def max_model_bytes(self) -> int | None:
        """What models may take in memory together; None: what the device has."""
        return int(self.max_model_memory * 10**9) or None

    @property
    def max_disk_bytes(self) -> int:
        """What downloaded weights may take on disk."""
        return int(self.max_disk_cache * 10**9)

    @property
    def address(self) -> Address:
        """Where to serve, by whichever of `listen` and `port` was given."""
        return parse_address(self.listen if self.port is None else f"127.0.0.1:{self.port}")


def load(arguments: Sequence[str] | None = None) -> Settings:
    """Read the settings from flags and environment.

    Args:
        arguments: The flags; absent: the program's own.

    Raises:
        ConfigurationError: Naming the setting and what it accepts, in one line.
        SystemExit: After ``--help``.
    """
    flags = vars(_make_parser().parse_args(arguments))
    # Either of the two replaces the other where that comes from the environment.
    if "port" in flags:
        flags.setdefault("listen", DEFAULT_LISTEN)
    elif "listen" in flags:
        flags["port"] = None
    try:
        return Settings(**flags)
    except ValidationError as exc:
        raise ConfigurationError(_tell(exc)) from None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message} (see --help)")


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Paint pictures over gRPC.",
        epilog=f"Each may be set as {ENVIRONMENT_PREFIX}<NAME> too, such as {ENVIRONMENT_PREFIX}LISTEN.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    for name, field in Settings.model_fields.items():
        flag = _flag(name)
        text = f"{field.description} ({_tell_range(field)}default: {_tell_default(field.default)})"
        if field.annotation is bool:
            parser.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, help=text)
        else:
            choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            metavar = f"{{{','.join(choices)}}}" if choices else name.rsplit("_", 1)[-1].upper()
            parser.add_argument(flag, dest=name, metavar=metavar, help=text)
    return parser


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _tell_range(field: FieldInfo) -> str:
    least = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    return "" if least is None else f"{least} to {most}; "


def _tell_default(default: object) -> str:
    match default:
        case None | "":
            return "none"
        case bool():
            return "on" if default else "off"
        case _:
            return str(default)


def _tell(error: ValidationError) -> str:
    """Say the first thing that is wrong in one line."""
    first = error.errors(include_url=False, include_context=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return message
    name = str(first["loc"][0]).lower().removeprefix(ENVIRONMENT_PREFIX.lower())
    accepted = message[:1].lower() + message[1:]
    return f"{_flag(name)} ({ENVIRONMENT_PREFIX}{name.upper()}): {accepted}, got {first['input']!r}"


def print_error(error: ConfigurationError) -> None:
    """Tell the person at the terminal why there is no start."""
    print(f"{PROGRAM}: {error}", file=sys.stderr)

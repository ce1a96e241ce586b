"""`python -m inference image`: have a picture painted by a running service and keep it as a file.

What a field may be is for the service to judge; its errors come back in the words of the flags.
"""

from __future__ import annotations

import argparse
import contextlib
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from inference.commands import EXIT_OK
from inference.commands.calls import service_at, told_plainly
from inference.commands.failures import CommandError
from inference.commands.flags import CommandParser, add_address, seconds
from inference.commands.painting import painted
from inference.commands.results import check_place, keep, numbered, tell_picture
from protos import psyche_inference_v1_pb2 as pb


SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}

# By the contract; a larger file is not even read.
MAX_SOURCE_BYTES = 32 * 1024 * 1024

# What a first picture may take: the weights may have to be downloaded, too.
DEFAULT_DEADLINE_S = 600.0


def main(arguments: Sequence[str]) -> int:
    """Paint.

    Raises:
        ConfigurationError: If a flag is wrong.
        CommandError: If there is no picture.
        KeyboardInterrupt: After the request was cancelled.
    """
    flags = _make_parser().read(arguments)
    request = request_of(flags)
    places = numbered(flags.out, flags.count)
    for place in places:
        check_place(place)
    with (
        service_at(flags.address) as stub,
        told_plainly(flags.address, deadline_s=flags.deadline),
    ):
        began_at = time.monotonic()
        pictures = painted(
            stub, request, count=flags.count, deadline_s=flags.deadline, is_bar_shown=flags.progress
        )
        with contextlib.closing(pictures):
            # Fewer pictures than places have raised already.
            for place, response in zip(places, pictures, strict=False):
                keep(place, response.image_data)
                with tqdm.external_write_mode():  # Not into the bar.
                    tell_picture(place, response, time.monotonic() - began_at)
    return EXIT_OK


def request_of(flags: argparse.Namespace) -> pb.ImageRequest:
    """Write the flags as the contract's message; what was not given stays unset.

    Raises:
        CommandError: Naming the flag that does not fit.
    """
    request = pb.ImageRequest(previews=False)
    # An id of our own, so that the picture can be given up by it from elsewhere.
    _assign(request, "request_id", flags.request_id or uuid.uuid4().hex)
    for name in ("prompt", "negative_prompt", "model", "user_id"):
        _assign(request, name, getattr(flags, name))
    for name in ("width", "height", "steps", "guidance_scale", "seed", "style", "strength", "template",
                 "upscale"):  # fmt: skip
        _assign(request.settings, name, getattr(flags, name))
    for turn in flags.context:
        _check_text("--context", turn)
        request.context.append(turn)
    _assign(request.output, "quality", flags.quality)
    request.output.format = flags.format or _format_of(flags.out)
    for name in ("source", "mask"):
        if (path := getattr(flags, name)) is not None:
            getattr(request, name).data = _read(path, f"--{name}")
    return request


def _make_parser() -> CommandParser:
    parser = CommandParser("image", argument_default=None)
    _add_words(parser)
    _add_numbers(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, default=Path("image.png"), help="the file to write; an older one "
                        "is replaced, once the picture is there (default: image.png)")  # fmt: skip
    output.add_argument(
        "--format", choices=("png", "jpeg", "webp"), help="jpeg, png or webp (default: as --out ends)"
    )
    output.add_argument("--quality", type=int, help="1 to 100, for JPEG and WebP (default: 90)")
    call = parser.add_argument_group("call")
    add_address(call)
    call.add_argument(
        "--deadline",
        type=seconds,
        default=DEFAULT_DEADLINE_S,
        help=f"seconds, for all of it (default: {DEFAULT_DEADLINE_S:g})",
    )
    call.add_argument("--request-id", default="", help="of your own, for `cancel`")
    call.add_argument("--user-id", default="", help="whose share of a busy service this takes")
    call.add_argument("--progress", action=argparse.BooleanOptionalAction, default=None,
                      help="a bar on standard error; default: where that is a terminal")  # fmt: skip
    return parser


def _add_words(parser: CommandParser) -> None:
    parser.add_argument("--prompt", required=True, help="what to paint")
    parser.add_argument("--negative-prompt", default="", help="what to avoid")
    parser.add_argument("--context", action="append", default=[], help="an earlier turn; may be repeated")
    parser.add_argument("--style", help="one of those that `models` lists")
    parser.add_argument("--template", help="one of those that `models` lists")
    parser.add_argument("--model", default="", help="one of those that `models` lists")
    parser.add_argument("--source", type=Path, help="a picture to start from: JPEG, PNG or WebP")
    parser.add_argument("--mask", type=Path, help="where to paint: white is painted, black is kept")


def _add_numbers(parser: CommandParser) -> None:
    parser.add_argument(
        "--width", type=int, help="pixels, 64 to 4096, a multiple of 8 (default: the model's)"
    )
    parser.add_argument(
        "--height", type=int, help="pixels, 64 to 4096, a multiple of 8 (default: the model's)"
    )
    parser.add_argument("--steps", type=int, help="1 to 100 (default: the model's)")
    parser.add_argument("--guidance-scale", type=float, help="0 to 20 (default: the model's)")
    parser.add_argument("--seed", type=int, help="0 to 2147483647 (default: one is drawn)")
    parser.add_argument(
        "--strength", type=float, help="how much of the source is repainted, above 0 to 1 (default: 0.6)"
    )
    parser.add_argument("--upscale", type=int, help="how many times larger: 1, 2 or 4 (default: 1)")
    parser.add_argument(
        "--count", type=_count, default=1, help="variations, 1 to 64, each a file of its own (default: 1)"
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= 64):
        raise argparse.ArgumentTypeError(f"must be 1 to 64, got {text!r:.80}")
    return int(text)


def _assign(message: object, name: str, value: object) -> None:
    """Set a field of a message; None leaves it unset."""
    if value is None:
        return
    try:
        setattr(message, name, value)
    except (TypeError, ValueError) as exc:
        flag = f"--{name.replace('_', '-')}"
        raise CommandError(f"{flag}: {value!r:.80} does not fit its field", exit_status=2) from exc


def _check_text(flag: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:  # Bytes of the command line that are no text.
        raise CommandError(f"{flag}: {text!r:.80} is not text", exit_status=2) from exc


def _format_of(path: Path) -> str:
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise CommandError(
            f"--out: must end in {', '.join(SUFFIXES)}, or --format must tell the format, got {path.name!r}",
            exit_status=2,
        ) from None


def _read(path: Path, flag: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SOURCE_BYTES + 1)
    except OSError as exc:
        raise CommandError(f"{flag}: {path}: {exc.strerror or exc}", exit_status=2) from exc
    if len(data) > MAX_SOURCE_BYTES:
        raise CommandError(f"{flag}: {path} is larger than {MAX_SOURCE_BYTES >> 20} MiB", exit_status=2)
    return data

"""`python -m inference models`: what a running service offers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from google.protobuf.json_format import MessageToDict

from inference.commands import EXIT_OK
from inference.commands.calls import service_at, told_plainly
from inference.commands.flags import CommandParser, add_address, add_deadline
from protos import psyche_inference_v1_pb2 as pb


# Columns that hold numbers, right-aligned.
_NUMERIC = ("SIZE", "SPEED")


def main(arguments: Sequence[str]) -> int:
    """Print tables, or the answer as JSON.

    Raises:
        ConfigurationError: If a flag is wrong.
        CommandError: If the service does not answer.
    """
    parser = CommandParser("models")
    parser.add_argument("--json", action="store_true", help="the whole answer for programs")
    add_address(parser)
    add_deadline(parser)
    flags = parser.read(arguments)
    with (
        service_at(flags.address) as stub,
        told_plainly(flags.address, deadline_s=flags.deadline),
    ):
        offer = stub.GetImageModels(pb.ModelRequest(), timeout=flags.deadline)
    if flags.json:
        answer = MessageToDict(
            offer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print(described(offer))
    return EXIT_OK


def described(offer: pb.ModelResponse) -> str:
    """Return an offer as tables for people."""
    rows = [
        (
            f"{info.name} *" if info.name == offer.default_model else info.name,
            _state(info),
            f"{info.size_bytes / 1e9:.1f} GB" if info.size_bytes else "-",
            _defaults(info),
            " ".join(filter(None, (info.device, info.dtype))) or "-",
            f"{info.measured_megapixels_per_s:.2f} MP/s" if info.measured_megapixels_per_s else "-",
            info.license or "-",
        )
        for info in offer.models
    ]
    lines = _table(("MODEL", "STATE", "SIZE", "DEFAULT", "DEVICE", "SPEED", "LICENCE"), rows)
    lines += [f"* is the default model; it paints on {offer.device or 'no device yet'}"]
    lines += [f"{info.name} failed: {info.error}" for info in offer.models if info.error]
    styles = [(style.name, style.description) for style in offer.styles]
    lines += ["", *_table(("STYLE", ""), styles)]
    if offer.templates:
        lines += ["", *_table(("TEMPLATE", ""), [(told.name, told.description) for told in offer.templates])]
    return "\n".join(lines)


def _state(info: pb.ModelInfo) -> str:
    # A newer service may send a number that has no name here.
    known = info.state if info.state in pb.ModelInfo.State.values() else pb.ModelInfo.STATE_UNSPECIFIED
    word = pb.ModelInfo.State.Name(known).removeprefix("STATE_").lower().replace("_", " ")
    # Why it failed is told below the table, and says more than that its weights are not whole.
    return word if info.weights_found or info.error else f"{word}, no weights"


def _defaults(info: pb.ModelInfo) -> str:
    steps = f"{info.default_steps} step{'s' if info.default_steps != 1 else ''}"
    guidance = f", guidance {info.default_guidance_scale:g}" if info.uses_guidance else ""
    return f"{info.default_width}x{info.default_height}, {steps}{guidance}"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines with aligned columns; the last column is as wide as it likes."""
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles) - 1)]
    return [
        "  ".join(
            [
                cell.rjust(width) if title in _NUMERIC else cell.ljust(width)
                for cell, width, title in zip(row[:-1], widths, titles[:-1], strict=True)
            ]
            + [row[-1]]
        ).rstrip()
        for row in (titles, *rows)
    ]

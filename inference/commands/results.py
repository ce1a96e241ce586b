"""Pictures that were painted: where they go, and what is told of them."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from inference.commands.failures import CommandError
from protos import psyche_inference_v1_pb2 as pb


def numbered(place: Path, count: int) -> list[Path]:
    """Return the files of a number of pictures: ``image-1.png`` and so on where there are several."""
    if count == 1:
        return [place]
    return [place.with_name(f"{place.stem}-{number}{place.suffix}") for number in range(1, count + 1)]


def check_place(place: Path) -> None:
    """See to it that a picture can be kept before it is painted.

    Raises:
        CommandError: If it cannot.
    """
    if not place.parent.is_dir():
        raise CommandError(f"--out: there is no folder {place.parent}", exit_status=2)
    if place.is_dir():
        raise CommandError(f"--out: {place} is a folder", exit_status=2)
    if not os.access(place.parent, os.W_OK):
        raise CommandError(f"--out: the folder {place.parent} is not writable", exit_status=2)


def keep(place: Path, data: bytes) -> None:
    """Write a file whole: whoever looks finds the older one or this one, never half of it.

    Raises:
        CommandError: If it cannot be written; an older file stays as it was.
    """
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    except OSError as exc:
        raise CommandError(f"--out: {place}: {exc.strerror or exc}") from exc


def tell_picture(place: Path, response: pb.ImageResponse, took_s: float) -> None:
    """Print one line of a picture, and its warnings to standard error."""
    made = response.metadata
    facts = [
        f"seed {made.seed}",
        f"model {made.model}",
        _size(made),
        f"{made.steps} step{'s' if made.steps != 1 else ''}",
        f"painted in {made.painted_for_ms / 1000.0:.2f} s",
    ]
    if made.queued_for_ms >= 10.0:
        facts.append(f"queued {made.queued_for_ms / 1000.0:.2f} s")
    facts += [
        f"{stage} {spent_ms / 1000.0:.2f} s"
        for stage, spent_ms in sorted(made.stage_ms.items())
        if stage in ("load", "upscale")
    ]
    facts.append(f"{took_s:.2f} s in all")
    print(f"{place}: {', '.join(facts)}", flush=True)
    for warning in made.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _size(made: pb.GenerationMetadata) -> str:
    size = f"{made.width}x{made.height}"
    return f"{size} enlarged by {made.upscaler}" if made.upscaler else size

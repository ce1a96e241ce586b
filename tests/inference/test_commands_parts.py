"""The parts that the commands are made of, without a service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from inference.commands import image
from inference.commands.calls import flag_of
from inference.commands.failures import CommandError
from inference.commands.models import described
from inference.commands.painting import Stub, painted
from inference.commands.results import check_place, keep, numbered
from protos import psyche_inference_v1_pb2 as pb


@pytest.mark.parametrize(
    ("field", "flag"),
    [
        ("prompt", "--prompt"),
        ("settings.guidance_scale", "--guidance-scale"),
        ("request.settings.seed", "--seed"),
        ("mask.data", "--mask"),
        ("output.quality", "--quality"),
        ("count", "--count"),
    ],
)
def test_every_field_has_the_flag_that_sets_it(field: str, flag: str) -> None:
    assert flag_of(field) == flag


def test_a_source_that_is_too_large_is_not_read_into_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "MAX_SOURCE_BYTES", 8)
    (tmp_path / "large.png").write_bytes(bytes(9))

    with pytest.raises(CommandError, match=r"--source: .*large\.png is larger than") as told:
        image.main(["--prompt", "x", "--source", str(tmp_path / "large.png")])

    assert told.value.exit_status == 2


def test_one_picture_is_the_file_itself_and_several_are_numbered() -> None:
    assert numbered(Path("out/image.png"), 1) == [Path("out/image.png")]
    assert numbered(Path("out/image.png"), 2) == [Path("out/image-1.png"), Path("out/image-2.png")]


def test_a_folder_is_no_place_for_a_picture(tmp_path: Path) -> None:
    check_place(tmp_path / "image.png")

    with pytest.raises(CommandError, match="is a folder"):
        check_place(tmp_path)


def test_a_kept_file_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        keep(tmp_path / "image.png", b"picture")
    finally:
        os.umask(before)

    assert (tmp_path / "image.png").stat().st_mode & 0o777 == 0o644


def test_a_state_of_a_newer_service_is_told_as_unspecified() -> None:
    offer = pb.ModelResponse(models=[pb.ModelInfo(name="m", state=cast(Any, 99), weights_found=True)])

    assert described(offer).splitlines()[1].split()[:2] == ["m", "unspecified"]


class FakeCall:
    """A call that gives events, and notes that it was cancelled."""

    def __init__(self, *events: pb.GenerationEvent) -> None:
        self._events = iter(events)
        self.is_cancelled = False

    def __iter__(self) -> Iterator[pb.GenerationEvent]:
        return self._events

    def cancel(self) -> None:
        self.is_cancelled = True


def test_leaving_a_picture_early_cancels_its_call() -> None:
    class FakeStub:
        call = FakeCall(pb.GenerationEvent(image=pb.ImageResponse()), pb.GenerationEvent())

        def GenerateImageStream(self, request: pb.ImageRequest, timeout: float) -> FakeCall:
            return self.call

    stub = FakeStub()
    pictures = painted(cast(Stub, stub), pb.ImageRequest(), count=1, deadline_s=1.0, is_bar_shown=False)

    next(pictures)
    assert not stub.call.is_cancelled
    pictures.close()

    assert stub.call.is_cancelled

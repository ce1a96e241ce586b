"""The call of `python -m inference image`, and the bar that tells how far it is."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Never

import grpc
from tqdm import tqdm

from inference.commands.failures import CommandError
from protos import psyche_inference_v1_pb2 as pb
from protos import psyche_inference_v1_pb2_grpc as pb_grpc


# For the question whether the model is loaded, which only helps to tell what is waited for.
_LOOK_S = 2.0

Stub = pb_grpc.ImageGenerationServiceStub


def painted(
    stub: Stub, request: pb.ImageRequest, *, count: int, deadline_s: float, is_bar_shown: bool | None
) -> Generator[pb.ImageResponse]:
    """Yield the pictures of a request as they are finished.

    Args:
        stub: The service.
        request: What to paint.
        count: How many variations; a single picture tells its steps, several tell how many there are.
        deadline_s: For all of them together, in seconds.
        is_bar_shown: Whether a bar is drawn on standard error; None: if that is a terminal.

    Raises:
        grpc.RpcError: If the call fails.
        CommandError: If the service ended it too early.

    Cancellation:
        Closing it, as Ctrl-C does, cancels the request at the service.
    """
    bar: tqdm[Never] = tqdm(
        total=None if count == 1 else count,
        unit="step" if count == 1 else "image",
        disable=None if is_bar_shown is None else not is_bar_shown,
        leave=False,
    )
    made = 0
    with bar:
        if not bar.disable:
            bar.set_description_str(_waited_for(stub, request.model))
        pictures = (
            _single(stub, request, deadline_s, bar)
            if count == 1
            else _several(stub, request, count, deadline_s, bar)
        )
        with closing(pictures):
            for picture in pictures:
                made += 1
                yield picture
    if made < count:
        raise CommandError(f"the service ended the call after {made} of {count} pictures")


def _single(
    stub: Stub, request: pb.ImageRequest, deadline_s: float, bar: tqdm[Never]
) -> Generator[pb.ImageResponse]:
    call = stub.GenerateImageStream(request, timeout=deadline_s)
    try:
        for event in call:
            if event.HasField("image"):
                yield event.image
            elif event.HasField("progress"):
                bar.total = event.progress.total_steps
                bar.set_description_str("painting", refresh=False)
                bar.update(event.progress.step - bar.n)
    finally:
        call.cancel()


def _several(
    stub: Stub, request: pb.ImageRequest, count: int, deadline_s: float, bar: tqdm[Never]
) -> Generator[pb.ImageResponse]:
    call = stub.GenerateImageVariations(
        pb.ImageVariationsRequest(request=request, count=count), timeout=deadline_s
    )
    try:
        for picture in call:
            bar.set_description_str("painting", refresh=False)
            bar.update(1)
            yield picture
    finally:
        call.cancel()


def _waited_for(stub: Stub, model: str) -> str:
    """Say what the time until the first step goes to: a load may take minutes."""
    try:
        offer = stub.GetImageModels(pb.ModelRequest(), timeout=_LOOK_S)
    except grpc.RpcError:
        return "waiting"
    name = model or offer.default_model
    # A name that is not listed may be another name of a model that is.
    is_missing = any(info.name == name and info.state != pb.ModelInfo.STATE_READY for info in offer.models)
    return f"loading {name}" if is_missing else "waiting"

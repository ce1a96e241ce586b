"""The commands' way to a running service: a channel, and its errors in the words of the flags."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import cast

import grpc
from google.protobuf.message import EncodeError

from inference.commands import EXIT_FAILED, EXIT_USAGE
from inference.commands.failures import CommandError
from inference.listening import Address
from protos import psyche_inference_v1_pb2_grpc as pb_grpc


# As the service's own: a picture of 4096 x 4096 as PNG, or a source with its mask, fits.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # The service is a neighbour: never through the proxy that the environment names.
    ("grpc.enable_http_proxy", 0),
)

# Trailing metadata of errors, by the contract: the offending field, and when to try again.
_FIELD_KEY = "psyche-field"
_RETRY_KEY = "retry-after-ms"


@contextlib.contextmanager
def service_at(address: Address) -> Iterator[pb_grpc.ImageGenerationServiceStub]:
    """Yield the service at an address; whether there is one shows with the first call."""
    with grpc.insecure_channel(str(address), options=_OPTIONS) as channel:
        yield pb_grpc.ImageGenerationServiceStub(channel)


@contextlib.contextmanager
def told_plainly(address: Address, *, deadline_s: float) -> Iterator[None]:
    """Say in one line what a call inside failed of.

    Raises:
        CommandError: Instead of what gRPC raises.
    """
    try:
        yield
    except grpc.RpcError as exc:
        # What gRPC raises of a call is that call, too.
        raise _plain_error(cast(grpc.Call, exc), address, deadline_s) from exc
    except EncodeError as exc:
        raise CommandError(f"the request does not fit into a message: {exc}") from exc


def flag_of(field: str) -> str:
    """Return the flag that sets a field of the contract; ``settings.width`` is ``--width``."""
    named = [part for part in field.split(".") if part != "data"]
    return "--" + (named[-1] if named else "").replace("_", "-")


def _plain_error(error: grpc.Call, address: Address, deadline_s: float) -> CommandError:
    code, details = error.code(), error.details() or "no reason was given"
    trailer = {str(key): str(value) for key, value in error.trailing_metadata() or ()}
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT if field := trailer.get(_FIELD_KEY):
            told = details.removeprefix(field).strip()
            return CommandError(f"{flag_of(field)}: {told}", exit_status=EXIT_USAGE)
        case grpc.StatusCode.UNAVAILABLE if "failed to connect" not in details:
            return CommandError(f"lost the service at {address}: {details}")
        case grpc.StatusCode.UNAVAILABLE:
            return CommandError(
                f"no service at {address}: start it by `python -m inference --listen {address}`, or say "
                "where it is by --address"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return CommandError(f"--deadline: not finished within {deadline_s:g} s")
        case grpc.StatusCode.CANCELLED:
            return CommandError(f"cancelled: {details}")
        case grpc.StatusCode.UNIMPLEMENTED:
            return CommandError(f"what answers at {address} is no image service, or an older one: {details}")
        case grpc.StatusCode.RESOURCE_EXHAUSTED if trailer.get(_RETRY_KEY, "").isdecimal():
            retry_s = int(trailer[_RETRY_KEY]) / 1000.0
            return CommandError(f"the service is busy, try again in {retry_s:.1f} s: {details}")
        case _:
            return CommandError(f"the service failed ({code.name}): {details}", exit_status=EXIT_FAILED)

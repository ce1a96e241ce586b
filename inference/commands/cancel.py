"""`python -m inference cancel`: give up a request of a running service by its id."""

from __future__ import annotations

from collections.abc import Sequence

from inference.commands import EXIT_OK
from inference.commands.calls import service_at, told_plainly
from inference.commands.flags import CommandParser, add_address, add_deadline
from protos import psyche_inference_v1_pb2 as pb


def main(arguments: Sequence[str]) -> int:
    """Cancel; an id that is not known is no error, since the picture may just be finished.

    Raises:
        ConfigurationError: If a flag is wrong.
        CommandError: If the service does not answer.
    """
    parser = CommandParser("cancel")
    parser.add_argument("request_id", metavar="REQUEST_ID", help="as the request carried it")
    add_address(parser)
    add_deadline(parser)
    flags = parser.read(arguments)
    with (
        service_at(flags.address) as stub,
        told_plainly(flags.address, deadline_s=flags.deadline),
    ):
        response = stub.CancelImage(pb.CancelRequest(request_id=flags.request_id), timeout=flags.deadline)
    if response.cancelled:
        print(f"{response.cancelled} picture{'s' if response.cancelled != 1 else ''} given up")
    else:
        print(f"nothing to give up: no unfinished picture of request {flags.request_id}")
    return EXIT_OK

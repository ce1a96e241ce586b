"""Log lines: their form, their counts, and what they never say."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import structlog
from fakes import FakeEngine, until
from grpc import aio
from services import running_service
from structlog.testing import capture_logs

from inference import logs
from inference.errors import LateError
from inference.logs import FrameCounts
from inference.service import _served
from protos import psyche_inference_v1_pb2 as pb


REQUEST = pb.ImageRequest(
    prompt="a secret garden", settings=pb.ImageSettings(width=64, height=72, steps=2), request_id="r1"
)


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("restored_logging")
def test_lines_of_ours_and_of_libraries_are_json_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("auto")

    structlog.get_logger("inference").info("serving", address="here")
    logging.getLogger("asyncio").warning("slow")

    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["address"], ours["level"]) == ("serving", "here", "info")
    assert (theirs["event"], theirs["level"]) == ("slow", "warning")
    assert ours["timestamp"].endswith("Z")


@pytest.mark.usefixtures("restored_logging")
def test_lines_are_for_people_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console")

    structlog.get_logger("inference").info("serving", address="here")

    assert "address=here" in capsys.readouterr().err


@pytest.mark.usefixtures("restored_logging")
def test_a_bug_is_told_without_what_was_in_its_variables(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("console")

    def fail(prompt: str) -> None:
        raise ZeroDivisionError

    try:
        fail("a secret" + " garden")
    except ZeroDivisionError:
        structlog.get_logger("inference").exception("bug")

    told = capsys.readouterr().err
    assert "ZeroDivisionError" in told
    assert "secret garden" not in told


def frame(painted_ms: float) -> pb.PaintEvent:
    metadata = pb.GenerationMetadata(queued_for_ms=1.0, painted_for_ms=painted_ms, encoded_for_ms=2.0)
    return pb.PaintEvent(frame=pb.PaintFrame(metadata=metadata))


def test_frames_are_counted_and_each_is_reported_once() -> None:
    counts = FrameCounts()
    for event in (frame(10.0), frame(20.0), pb.PaintEvent(error=pb.PaintError())):
        counts.add(event)

    with capture_logs() as lines:
        counts.report(live_sessions=1)
        counts.report(live_sessions=1)

    (line,) = lines
    assert (line["event"], line["frames"], line["errors"]) == ("frames", 2, 1)
    assert (line["mean_queued_ms"], line["mean_painted_ms"], line["mean_encoded_ms"]) == (1.0, 15.0, 2.0)


async def test_a_finished_call_is_told_without_its_prompt(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with running_service(FakeEngine(), tmp_path) as service:
            await service.stub.GenerateImage(REQUEST)

    (line,) = (line for line in lines if line["event"] == "call")
    assert {"queued_ms", "painted_ms", "encoded_ms", "took_ms"} < line.keys()
    assert (line["rpc"], line["code"], line["log_level"], line["images"]) == (
        "GenerateImage",
        "OK",
        "info",
        1,
    )
    assert (line["model"], line["size"], line["steps"]) == ("fake", "64x72", 2)
    assert (line["prompt_characters"], line["request_id"]) == (15, "r1")
    assert "secret" not in str(lines)


async def test_a_call_without_an_id_is_told_by_the_one_that_it_got(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with running_service(FakeEngine(), tmp_path) as service:
            response = await service.stub.GenerateImage(pb.ImageRequest(prompt="a barn"))

    (line,) = (line for line in lines if line["event"] == "call")
    assert line["request_id"] == response.request_id != ""


async def test_a_cancellation_by_id_is_told_of_both_calls(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    with capture_logs() as lines:
        async with running_service(engine, tmp_path) as service:
            call = service.stub.GenerateImage(REQUEST)
            await engine.wait_until_stepping()
            await service.stub.CancelImage(pb.CancelRequest(request_id="r1"))
            with pytest.raises(aio.AioRpcError):
                await call
            engine.gate.set()

    told = {line["event"]: line for line in lines}
    assert (told["cancel"]["request_id"], told["cancel"]["cancelled"]) == ("r1", 1)
    assert (told["call"]["code"], told["call"]["log_level"]) == ("CANCELLED", "info")


async def test_calls_that_fail_or_are_given_up_are_told(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    with capture_logs() as lines:
        async with running_service(engine, tmp_path) as service:
            await service.channel.channel_ready()
            late = service.stub.GenerateImage(REQUEST, timeout=1.0)
            await engine.wait_until_stepping()
            with pytest.raises(aio.AioRpcError):
                await late
            # The client knows of its deadline before the service does.
            await until(lambda: any(line["event"] == "call" for line in lines))
            engine.fail = lambda prompts: MemoryError("full")
            failing = service.stub.GenerateImage(REQUEST)
            await until(lambda: service.core.scheduler.unfinished == 1)
            engine.gate.set()
            with pytest.raises(aio.AioRpcError):
                await failing
            with pytest.raises(aio.AioRpcError):
                await service.stub.GenerateImage(pb.ImageRequest())

    told = {line["code"]: line["log_level"] for line in lines if line["event"] == "call"}
    assert told == {"DEADLINE_EXCEEDED": "info", "INTERNAL": "warning", "INVALID_ARGUMENT": "info"}


async def test_live_frames_make_one_line_not_one_each(tmp_path: Path) -> None:
    with capture_logs() as lines:
        async with running_service(FakeEngine(), tmp_path) as service:
            call = service.stub.Paint()
            await call.write(pb.PaintCommand(open=pb.PaintOpen(request=REQUEST)))
            for _ in range(20):
                await call.write(pb.PaintCommand(credit=pb.PaintCredit()))
                while not (await call.read()).HasField("frame"):
                    pass
            await call.done_writing()
            assert await call.code() is grpc.StatusCode.OK

    (line,) = lines
    assert (line["rpc"], line["images"]) == ("Paint", 20)


async def test_a_caller_that_goes_while_it_is_answered_is_no_bug() -> None:
    with capture_logs() as lines:
        async with _served("Paint", context=None):
            # What a write raises whose peer has just cancelled.
            raise aio.UsageError("RPC already finished.")

    assert [(line["event"], line["code"]) for line in lines] == [("call", "CANCELLED")]


class EndedCall:
    """What gRPC gives a servicer whose call has just ended by itself."""

    async def abort(self, *_: object) -> None:
        raise aio.UsageError("RPC already finished.")


async def test_an_error_that_comes_as_the_call_ends_is_told_to_nobody_and_logged() -> None:
    with capture_logs() as lines, pytest.raises(asyncio.CancelledError):
        async with _served("GenerateImage", EndedCall()):
            raise LateError

    assert [(line["event"], line["code"]) for line in lines] == [("call", "DEADLINE_EXCEEDED")]


async def test_a_call_that_is_given_up_without_an_id_of_its_own_has_one_in_the_log(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.gate.clear()
    with capture_logs() as lines:
        async with running_service(engine, tmp_path) as service:
            call = service.stub.GenerateImage(pb.ImageRequest(prompt="a secret garden"))
            await engine.wait_until_stepping()
            call.cancel()
            await until(lambda: any(line["event"] == "call" for line in lines))
            engine.gate.set()

    (line,) = (line for line in lines if line["event"] == "call")
    assert (line["code"], len(line["request_id"])) == ("CANCELLED", 32)

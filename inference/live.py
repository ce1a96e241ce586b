"""One live picture: commands in, frames out, one for each credit and in their order.

Knows messages and `Pictures`, no transport. The one rule: what a credit paints is decided when the
engine takes it up, by the targets that there are then; so the newest win, and a model that is being
loaded holds nothing up.

    commands ──► reader ──► steering: the targets ──┐ (taken at the last moment)
                    │         ▲ a model that was loaded ▼
                    ├─────► credits, each painted and encoded by its own task ─┐
                    └─────► answers, in the order of the commands ──► writer ──┴──► send
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Protocol

from inference.calls import Call
from inference.engine import EngineError, Pixels, RejectedError
from inference.errors import ModelLoadError, NotOpenError, StoppingError, TooManyCreditsError, first_error
from inference.models.house import Lease
from inference.pictures import Pictures
from inference.requests import check_time, check_transition, check_weight
from inference.scheduler import Caller, Slot, Work
from inference.steering import Steering
from inference.targets import Course, Target, Wish
from protos import psyche_inference_v1_pb2 as pb


# Of the contract: more than a painter and an encoder can use at once would only be stale frames.
MAX_CREDITS = 8

# Answers that wait to be sent: the credits, and a few refused targets. Beyond these the reader
# waits, and with it the caller.
MAX_ANSWERS = 16

# After so long without a credit a picture holds its model no longer, seconds: longer than a screen is away
# that reloads its page, and shorter than a load waits for room, so that it still gets it.
REST_AFTER_S = 10.0

Send = Callable[[pb.PaintEvent], Awaitable[None]]


class Alarm(Protocol):
    """What is to happen later, unless it is cancelled."""

    def cancel(self) -> None:
        """Let it not happen; does nothing once it has."""


CallLater = Callable[[float, Callable[[], None]], Alarm]
"""Calls something on the event loop in so many seconds; `asyncio.AbstractEventLoop.call_later` is one."""


class _Answer:
    """The events of one command: any number of progress events, then a frame or an error."""

    def __init__(self, *, is_credit: bool) -> None:
        self.is_credit = is_credit
        # Bounded by the steps of one picture.
        self.events: asyncio.Queue[pb.PaintEvent] = asyncio.Queue()


class _Frame(Slot):
    """A credit's frame on its way: a slot that is its picture's own until the engine takes it up.

    Resources:
        From then on it holds the model: `release`.
    """

    def __init__(self, course: Course, time_s: float, answer: _Answer) -> None:
        super().__init__(course.at(time_s).work)
        self.time_s = time_s
        self._course = course
        self._answer = answer
        self._taken: Target | None = None
        self._lease: Lease | None = None

    @property
    def target(self) -> Target:
        """What it is painted of, or would be now."""
        return self._taken or self._course.at(self.time_s)

    @property
    def newest(self) -> Work:
        """What would be taken up now."""
        return self.target.work

    def __call__(self) -> Work:
        """Take the newest target up, and hold its model."""
        self._taken = self._course.take(self.time_s)
        self._lease = self._taken.lease.share()
        return self._taken.work

    def tell_progress(self, step: int, total_steps: int, _: Pixels | None) -> None:
        """Tell of a step that is not the last."""
        if step < total_steps:
            revision, _order = self.target.at(self.time_s)
            progress = pb.PaintProgress(revision=revision, step=step, total_steps=total_steps)
            self._answer.events.put_nowait(pb.PaintEvent(progress=progress))

    def release(self) -> None:
        """Let the model go."""
        if self._lease is not None:
            self._lease.release()


class LiveSession:
    """Follows the commands of one caller; `run` is called once."""

    def __init__(
        self, pictures: Pictures, send: Send, call: Call, *, call_later: CallLater | None = None
    ) -> None:
        """Make a session; with an event loop that runs.

        Args:
            pictures: What paints and encodes.
            send: Takes the events one after the other; awaited, so that a slow receiver is waited for.
            call: Is told the id that the picture is opened with.
            call_later: The clock; absent: the event loop's.
        """
        self._pictures = pictures
        self._send = send
        self._call = call
        self._answers: asyncio.Queue[_Answer | None] = asyncio.Queue(MAX_ANSWERS)
        self._credits = 0  # unanswered
        self._open_picture = ExitStack()  # counts as one of its caller's
        self._caller: Caller | None = None  # whose share of the engines it takes; none before it is open
        self._tasks = asyncio.TaskGroup()
        self._steering = Steering(pictures, self._tasks, self._refuse)
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False
        self._call_later: CallLater = call_later or asyncio.get_running_loop().call_later
        self._rest: Alarm | None = None  # while no credit is unanswered

    async def run(self, commands: AsyncIterator[pb.PaintCommand]) -> None:
        """Follow commands until they close or end, and answer every credit.

        Raises:
            RejectedError: If the first target is bad.
            ModelLoadError: If its model cannot be loaded, nor what stands in for it.
            NotOpenError: If a command comes before ``open``, or a second ``open`` comes.
            TooManyCreditsError: If more than `MAX_CREDITS` are unanswered.
            StoppingError: After `stop`, once what was under way is answered.

        Cancellation:
            Drops everything at once.
        """
        try:
            with first_error():
                async with self._tasks:
                    self._tasks.create_task(self._write(), name="live:writer")
                    self._reader = self._tasks.create_task(self._read(commands), name="live:reader")
                    # Its error is the group's business; `stop` cancels it alone.
                    await asyncio.wait({self._reader})
                    self._steering.end()
                    await self._answers.put(None)
        except ModelLoadError:
            if not self._stopped:
                raise
        finally:
            self._keep_awake()
            self._steering.close()
            self._open_picture.close()
        if self._stopped:
            raise StoppingError

    def stop(self) -> None:
        """Follow no further command; `run` ends once what is under way is answered."""
        self._stopped = True
        if self._reader is not None:
            self._reader.cancel()

    async def _read(self, commands: AsyncIterator[pb.PaintCommand]) -> None:
        async for command in commands:
            match command.WhichOneof("command"):
                case "open":
                    await self._open(command.open)
                case "retarget":
                    self._opened("retarget")
                    await self._retarget(command.retarget)
                case "credit":
                    await self._take_credit(self._opened("credit"), command.credit.time_s)
                case "close":
                    return
                case _:
                    # A command of a newer contract: nothing that could be followed.
                    continue

    def _opened(self, command: str) -> Caller:
        if self._caller is None:
            raise NotOpenError(f"open must come first, got {command}")
        return self._caller

    async def _open(self, command: pb.PaintOpen) -> None:
        if self._caller is not None:
            raise NotOpenError("open must come once, got another")
        order = self._pictures.read(command.request)
        # A weight is one picture's own; without one it has its part of its user's share.
        caller = self._pictures.scheduler.caller("" if command.HasField("weight") else order.user_id)
        if command.HasField("weight"):
            caller.weight = check_weight(command.weight)
        self._call.request_id = order.request_id
        sources = await self._pictures.decode(command.request)
        await self._steering.begin(Wish(command.request, order, sources, command.revision))
        self._open_picture.enter_context(caller.opened())
        self._caller = caller
        self._rest_later()

    async def _retarget(self, command: pb.PaintRetarget) -> None:
        try:
            await self._steering.follow(await self._check_retarget(command))
        except RejectedError as error:
            await self._refuse(command.revision, error)

    async def _check_retarget(self, command: pb.PaintRetarget) -> Wish:
        at_s = check_time("at_s", command.at_s)
        transition_s = check_transition(command.transition_s)
        order = self._pictures.read(command.request)
        sources = await self._pictures.decode(command.request)
        return Wish(command.request, order, sources, command.revision, at_s, transition_s)

    async def _refuse(self, revision: int, error: EngineError | ModelLoadError) -> None:
        answer = _Answer(is_credit=False)
        answer.events.put_nowait(_tell_error(revision, error))
        await self._answers.put(answer)

    async def _take_credit(self, caller: Caller, time_s: float) -> None:
        if self._credits >= MAX_CREDITS:
            raise TooManyCreditsError(MAX_CREDITS)
        self._credits += 1
        self._keep_awake()
        self._steering.wake(time_s)
        answer = _Answer(is_credit=True)
        await self._answers.put(answer)
        self._tasks.create_task(self._paint(caller, time_s, answer), name="live:frame")

    async def _paint(self, caller: Caller, time_s: float, answer: _Answer) -> None:
        async with self._steering.frame():
            frame = _Frame(self._steering.course, time_s, answer)
            try:
                painted = await self._paint_frame(caller, frame)
            except EngineError as error:
                revision, _ = frame.target.at(time_s)
                answer.events.put_nowait(_tell_error(revision, error))
            else:
                answer.events.put_nowait(pb.PaintEvent(frame=painted))
            finally:
                frame.release()

    async def _paint_frame(self, caller: Caller, frame: _Frame) -> pb.PaintFrame:
        scheduler = self._pictures.scheduler
        check_time("time_s", frame.time_s)
        painted = await scheduler.paint(frame, frame.time_s, caller=caller, on_step=frame.tell_progress)
        revision, order = frame.target.at(frame.time_s)
        picture = await self._pictures.finish(order, frame.target.work.engine, painted)
        return pb.PaintFrame(
            revision=revision,
            time_s=frame.time_s,
            image_data=picture.data,
            format=picture.format,
            metadata=picture.metadata,
            sustainable_fps=scheduler.sustainable_fps(caller),
        )

    def _rest_later(self) -> None:
        self._keep_awake()
        self._rest = self._call_later(REST_AFTER_S, self._steering.rest)

    def _keep_awake(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    async def _write(self) -> None:
        while (answer := await self._answers.get()) is not None:
            is_last = False
            while not is_last:
                event = await answer.events.get()
                is_last = event.WhichOneof("event") != "progress"
                if is_last and answer.is_credit:
                    # Before it is sent: the caller may answer it with the next credit at once.
                    self._credits -= 1
                    if not self._credits:
                        self._rest_later()
                await self._send(event)


def _tell_error(revision: int, error: EngineError | ModelLoadError) -> pb.PaintEvent:
    match error:
        case RejectedError():
            field = error.field
        case ModelLoadError():
            field = "model"
        case _:
            field = ""
    return pb.PaintEvent(error=pb.PaintError(revision=revision, field=field, message=str(error)))

"""One live picture: commands in, frames out, one for each credit and in their order.

Knows messages and `Pictures`, no transport. The one rule: commands are followed one after the
other, so a frame shows exactly the targets that came before its credit.

    commands ──► reader ──► credits, each painted and encoded by its own task ─┐
                    └─────► answers, in the order of the commands ──► writer ──┴──► send
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from inference.engine import EngineError, Keyframe, Pixels, RejectedError, Timeline
from inference.errors import NotOpenError, StoppingError, TooManyCreditsError, first_error
from inference.pictures import Pictures
from inference.requests import Order, check_time, check_transition
from protos import psyche_inference_v1_pb2 as pb


# Of the contract: more than a painter and an encoder can use at once would only be stale frames.
MAX_CREDITS = 8

# Answers that wait to be sent: the credits, and a few refused targets. Beyond these the reader
# waits, and with it the caller.
MAX_ANSWERS = 16

Send = Callable[[pb.PaintEvent], Awaitable[None]]


class _Answer:
    """The events of one command: any number of progress events, then a frame or an error."""

    def __init__(self, *, is_credit: bool) -> None:
        self.is_credit = is_credit
        # Bounded by the steps of one picture.
        self.events: asyncio.Queue[pb.PaintEvent] = asyncio.Queue()


class LiveSession:
    """Follows the commands of one caller; `run` is called once."""

    def __init__(self, pictures: Pictures, send: Send) -> None:
        """Make a session.

        Args:
            pictures: What paints and encodes.
            send: Takes the events one after the other; awaited, so that a slow receiver is waited for.
        """
        self._pictures = pictures
        self._send = send
        self._answers: asyncio.Queue[_Answer | None] = asyncio.Queue(MAX_ANSWERS)
        self._credits = 0  # unanswered
        self._timeline: Timeline | None = None
        self._orders: list[tuple[Keyframe, Order]] = []  # of the timeline's keyframes
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self, commands: AsyncIterator[pb.PaintCommand]) -> None:
        """Follow commands until they close or end, and answer every credit.

        Raises:
            RejectedError: If the first target is bad.
            NotOpenError: If a command comes before ``open``, or a second ``open`` comes.
            TooManyCreditsError: If more than `MAX_CREDITS` are unanswered.
            StoppingError: After `stop`, once what was under way is answered.

        Cancellation:
            Drops everything at once.
        """
        with first_error():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write(), name="live:writer")
                self._reader = tasks.create_task(self._read(commands, tasks), name="live:reader")
                # Its error is the group's business; `stop` cancels it alone.
                await asyncio.wait({self._reader})
                await self._answers.put(None)
        if self._stopped:
            raise StoppingError

    def stop(self) -> None:
        """Follow no further command; `run` ends once what is under way is answered."""
        self._stopped = True
        if self._reader is not None:
            self._reader.cancel()

    async def _read(self, commands: AsyncIterator[pb.PaintCommand], tasks: asyncio.TaskGroup) -> None:
        async for command in commands:
            match command.WhichOneof("command"):
                case "open":
                    await self._open(command.open)
                case "retarget":
                    await self._retarget(self._opened("retarget"), command.retarget)
                case "credit":
                    await self._take_credit(self._opened("credit"), command.credit.time_s, tasks)
                case "close":
                    return
                case _:
                    # A command of a newer contract: nothing that could be followed.
                    continue

    def _opened(self, command: str) -> Timeline:
        if self._timeline is None:
            raise NotOpenError(f"open must come first, got {command}")
        return self._timeline

    async def _open(self, command: pb.PaintOpen) -> None:
        if self._timeline is not None:
            raise NotOpenError("open must come once, got another")
        order = await self._pictures.take(command.request)
        first = Keyframe(order.picture, 0.0, 0.0, command.revision)
        self._timeline = Timeline((first,))
        self._orders = [(first, order)]

    async def _retarget(self, timeline: Timeline, command: pb.PaintRetarget) -> None:
        try:
            at_s = check_time("at_s", command.at_s)
            transition_s = check_transition(command.transition_s)
            order = await self._pictures.take(command.request)
        except RejectedError as error:
            answer = _Answer(is_credit=False)
            answer.events.put_nowait(_tell_error(command.revision, error))
            await self._answers.put(answer)
            return
        keyframe = Keyframe(order.picture, at_s, transition_s, command.revision)
        self._timeline = timeline.then(keyframe)
        known = [*self._orders, (keyframe, order)]
        self._orders = [
            entry for entry in known if any(entry[0] is kept for kept in self._timeline.keyframes)
        ]

    async def _take_credit(self, timeline: Timeline, time_s: float, tasks: asyncio.TaskGroup) -> None:
        if self._credits >= MAX_CREDITS:
            raise TooManyCreditsError(MAX_CREDITS)
        self._credits += 1
        answer = _Answer(is_credit=True)
        current = timeline.current(time_s)
        order = next(order for keyframe, order in self._orders if keyframe is current)
        await self._answers.put(answer)
        tasks.create_task(self._paint(timeline, time_s, current.revision, order, answer), name="live:frame")

    async def _paint(
        self, timeline: Timeline, time_s: float, revision: int, order: Order, answer: _Answer
    ) -> None:
        def tell_progress(step: int, total_steps: int, _: Pixels | None) -> None:
            if step < total_steps:
                progress = pb.PaintProgress(revision=revision, step=step, total_steps=total_steps)
                answer.events.put_nowait(pb.PaintEvent(progress=progress))

        try:
            check_time("time_s", time_s)
            picture = await self._pictures.make(
                order, caller=self, timeline=timeline, time_s=time_s, on_step=tell_progress
            )
        except EngineError as error:
            answer.events.put_nowait(_tell_error(revision, error))
            return
        frame = pb.PaintFrame(
            revision=revision,
            time_s=time_s,
            image_data=picture.data,
            format=picture.format,
            metadata=picture.metadata,
        )
        answer.events.put_nowait(pb.PaintEvent(frame=frame))

    async def _write(self) -> None:
        while (answer := await self._answers.get()) is not None:
            is_last = False
            while not is_last:
                event = await answer.events.get()
                is_last = event.WhichOneof("event") != "progress"
                if is_last and answer.is_credit:
                    # Before it is sent: the caller may answer it with the next credit at once.
                    self._credits -= 1
                await self._send(event)


def _tell_error(revision: int, error: EngineError) -> pb.PaintEvent:
    field = error.field if isinstance(error, RejectedError) else ""
    return pb.PaintEvent(error=pb.PaintError(revision=revision, field=field, message=str(error)))

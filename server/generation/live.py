"""Live pictures: painted frame by frame for as long as somebody watches.

One stream of the inference service carries all live jobs of a canvas that follow each other, so
that one picture can change into the next. A frame is asked for only when a screen can show it: no
screen, no painting. Nothing is cancelled in mid-frame: a stream that has lost a read is dead.

Sound at the canvas makes time run faster or slower, never backwards, and moves the target a little, which
`swaying` tells of; without sound nothing of that happens.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import structlog

from server.errors import InferenceFailedError, InferenceRejectedError, InferenceUnavailableError
from server.generation.backoff import RETRY_CAP_S, Backoff
from server.generation.easel import Easel
from server.generation.job import Job, Kind
from server.generation.live_painting import LivePainting
from server.generation.loading import LOOK_AFTER_S, find_loading, tell_loading
from server.generation.picture import LiveFrame, PaintProgress, PaintRefusal, PictureOrder
from server.generation.swaying import Sway
from server.sound.mapping import Modulation


log = structlog.get_logger(__name__)

# Frames of an older target may still come; more revisions than this are never under way.
_KEPT_REVISIONS = 16
# How often it is looked up from a frame that takes long, seconds: a job that must end meanwhile ends.
LOOK_UP_S = 0.25
# How long the service may take to say that it serves, seconds.
PROBE_S = 1.0
# More than the service says it can paint is asked for by this much, so that it can prove better.
_HEADROOM = 1.25
# An estimate of less than this slows nobody down, frames per second: a frame is asked for only
# once the last one has come, and a wrong estimate must not last.
_LEAST_PACE_FPS = 1.0
# After this many failures in a row a job is given up: its picture cannot be painted.
_MAX_FAILURES = 3


class LivePainter:
    """Paints the live jobs of one lane."""

    def __init__(self, easel: Easel) -> None:
        self.easel = easel
        self.lane = easel.lane
        self._revision = 0
        self._jobs: OrderedDict[int, str] = OrderedDict()  # revision to job id
        self._time_s = 0.0  # of the timeline
        self._asked_until_s = 0.0  # of the timeline: when the change that somebody asked for is over
        # When `_time_s` was last advanced; None while time stands still.
        self._ticked_at: float | None = None
        # When the newest frame was due; None: the next one is due now.
        self._paced_at: float | None = None
        # What the sound has made of the running job's target.
        self._sway = Sway("")
        # The last revision that somebody asked for, and the newest that a frame was painted of.
        self._asked_revision = self._shown_revision = 0
        # When it was last asked why the picture does not become what it should be.
        self._looked_at = float("-inf")

    async def paint(self) -> None:
        """Paint the running job and the live jobs that follow it at once, until none does.

        The lane's running job at the end is the last of them, not finished.

        Raises:
            InferenceRejectedError: If the service will never paint it.
            InferenceFailedError: If it failed again and again.

        Cancellation:
            Ends the stream.
        """
        backoff = Backoff(cap_s=RETRY_CAP_S)
        failures = 0
        self._time_s, self._ticked_at, self._paced_at = 0.0, None, None
        self._asked_until_s = 0.0
        while self.lane.stop_reason is None or self._take_over():
            taken = self.easel.canvas.taken if self.easel.canvas else 0
            try:
                await self._stream()
            except InferenceUnavailableError as exc:
                # Told once, and not with every try.
                tell = log.debug if self.easel.is_inference_lost else log.info
                tell("waiting for the inference service", canvas=self._slug, error=str(exc))
                self.easel.set_inference_lost(True)
            except InferenceFailedError as exc:
                failures += 1
                log.warning("live picture failed", canvas=self._slug, error=str(exc), failures=failures)
                if failures >= _MAX_FAILURES:
                    raise
            else:
                continue
            if self.easel.canvas and self.easel.canvas.taken > taken:
                failures = 0
                backoff.reset()
            if self.lane.stop_reason is None:
                await self.lane.changed(backoff.next_s())

    @property
    def _slug(self) -> str | None:
        return self.easel.canvas.slug if self.easel.canvas else None

    async def _stream(self) -> None:
        """Paint on one stream until the running job must end and no live one follows."""
        if not await self.easel.client.is_serving(deadline_s=PROBE_S):
            raise InferenceUnavailableError("the inference service does not serve yet")
        # Told now: without a screen the first frame may be long in coming.
        self.easel.set_inference_lost(False)
        if self.lane.stop_reason is not None and not self._take_over():
            return
        job, order = self._target()
        painted = self._swayed(job, order)
        async with self.easel.client.paint(painted, self._next_revision(job)) as painting:
            self._asked_revision = self._revision
            while True:
                if painting.is_ended:
                    await painting.next_event()
                if self.lane.stop_reason is not None and not self._take_over():
                    return
                order, painted = self._retarget(painting, order, painted)
                if await self._is_due_on(painting):
                    if not await self._paint_frame(painting):
                        return
                    self.lane.yield_to_waiting()

    def _retarget(
        self, painting: LivePainting, asked: PictureOrder, painted: PictureOrder
    ) -> tuple[PictureOrder, PictureOrder]:
        """Have the running job's order painted as the sound moves it, if that is not what is painted.

        Args:
            painting: What is told.
            asked: The order that is painted.
            painted: The same, as the sound has moved it.

        Returns:
            Both as they are now.
        """
        job, order = self._target()
        is_new_job = job.id != self._jobs[self._revision]
        swayed = self._swayed(job, order)
        if is_new_job or order != asked:
            # A new size or format takes effect at once, only a new job changes slowly.
            transition_s = job.transition_s if is_new_job else 0.0
            painting.retarget(swayed, self._next_revision(job), self._time_s, transition_s)
            self._asked_revision = self._revision
            if is_new_job:
                self._asked_until_s = self._time_s + transition_s
            self._sway.settle(self._time_s + transition_s)
            self._paced_at = None
            return order, swayed
        if swayed == painted or not self._may_sway():
            return order, painted
        transition_s = self._sway.begin(self.easel.clock(), self._time_s, self._modulation.speed)
        painting.retarget(swayed, self._next_revision(job), self._time_s, transition_s)
        return order, swayed

    @property
    def _modulation(self) -> Modulation:
        """What the sound does to the canvas now."""
        assert self.easel.canvas is not None
        return self.easel.canvas.modulation

    def _swayed(self, job: Job, order: PictureOrder) -> PictureOrder:
        """Return a job's order as the sound moves it."""
        if self._sway.job != job.id:
            self._sway = Sway(job.id)
        return self._sway.moved(order, self._modulation)

    def _may_sway(self) -> bool:
        """Tell whether the target may be moved by sound now.

        What somebody asked for must be what is painted already: until then it may still be refused, or wait
        for its model while the frames of the job before come, which only so many revisions are kept for.
        Where time stands still no change would ever be over.
        """
        is_painted = self._shown_revision >= self._asked_revision
        return (
            is_painted
            and self._modulation.speed > 0.0
            and self._sway.is_due(self.easel.clock(), self._time_s)
        )

    def _take_over(self) -> bool:
        """End the running job and begin the next if that is live, too; tell whether it is."""
        if not self._is_live_next():
            return False
        self.lane.finish(lambda job: job.cancel("superseded"))
        return self.lane.take(kind=Kind.LIVE) is not None

    def _is_live_next(self) -> bool:
        return bool(self.lane.waiting) and self.lane.waiting[0].kind is Kind.LIVE

    def _target(self) -> tuple[Job, PictureOrder]:
        job = self.lane.running
        assert job is not None
        return job, self.easel.complete(job.order)

    def _next_revision(self, job: Job) -> int:
        self._revision += 1
        self._jobs[self._revision] = job.id
        while len(self._jobs) > _KEPT_REVISIONS:
            self._jobs.popitem(last=False)
        return self._revision

    async def _is_due_on(self, painting: LivePainting) -> bool:
        """Do as `_is_due`, the end of the stream being a change, too.

        A slow canvas asks for its next frame in ten seconds, and its screens want to know now.
        """
        painting.on_end = self.lane.wake
        try:
            return await self._is_due()
        finally:
            # An end that comes while a frame is waited for is told by that, and must wake nobody later.
            painting.on_end = lambda: None

    async def _is_due(self) -> bool:
        """Wait until a frame is due or something has changed; tell whether a frame is due."""
        canvas, job = self.easel.canvas, self.lane.running
        assert canvas is not None
        assert job is not None
        rate_fps = min(self.easel.fps(job), canvas.demand_fps, _useful_fps(job))
        if canvas.config.paused or canvas.config.blank or rate_fps <= 0.0:
            self._ticked_at = self._paced_at = None
            self.lane.yield_to_waiting()
            if self.lane.stop_reason is None:
                await self.lane.changed()
            return False
        interval_s = 1.0 / rate_fps
        wait_s = self._paced_at + interval_s - self.easel.clock() if self._paced_at is not None else 0.0
        if wait_s > 0.0:
            await self.lane.changed(wait_s)
            return False
        now_s = self.easel.clock()
        if self._ticked_at is not None:
            self._run_on(now_s - self._ticked_at)
        # Time stands still while nobody watches: the picture goes on where it stopped.
        self._ticked_at = now_s
        # A frame that is a little late does not shift the next one; a lost second is not made up for.
        if self._paced_at is None:
            self._paced_at = now_s
        else:
            self._paced_at = max(self._paced_at + interval_s, now_s - interval_s)
        return True

    def _run_on(self, elapsed_s: float) -> None:
        """Let time run on, as fast as the sound has it.

        A change that somebody asked for takes the seconds that he asked for: sound neither starves nor
        hurries it.
        """
        modulation = self._modulation
        asked_s = min(elapsed_s, max(0.0, self._asked_until_s - self._time_s))
        self._time_s += asked_s + (elapsed_s - asked_s) * modulation.speed
        self._sway.drift_on(modulation, elapsed_s)

    async def _paint_frame(self, painting: LivePainting) -> bool:
        """Ask for the frame of this moment and publish it; False if it is not waited for."""
        canvas, job = self.easel.canvas, self.lane.running
        assert canvas is not None
        assert job is not None
        taken = canvas.taken
        painting.credit(self._time_s)
        frame = await self._next_frame(painting)
        if frame is None:
            return False
        self.easel.set_inference_lost(False)
        self._shown_revision = frame.revision
        # What came meanwhile, such as an image that was pushed, is newer than this; one that was only shown
        # anew is not.
        if canvas.taken == taken and (self.lane.stop_reason is None or self._is_live_next()):
            self.easel.show(self._jobs.get(frame.revision), frame.picture, final=False)
        if self._jobs.get(frame.revision) == job.id:
            self._note(job, frame)
        elif self.easel.clock() - self._looked_at > LOOK_AFTER_S:
            # The old picture goes on while the model of the new one is loaded.
            tell_loading(self.easel, job, await find_loading(self.easel, job.order))
            self._looked_at = self.easel.clock()
        return True

    def _note(self, job: Job, frame: LiveFrame) -> None:
        """Keep what a frame tells of its job, and tell what is new."""
        told = job.passing_warnings
        job.passing_warnings = frame.picture.metadata.warnings
        job.sustainable_fps = round(frame.sustainable_fps, 2) or None
        if job.passing_warnings != told:
            self.easel.notify(job)
        tell_loading(self.easel, job, None)

    async def _next_frame(self, painting: LivePainting) -> LiveFrame | None:
        """Wait for a frame; None if the job must end meanwhile and no live one follows.

        Raises:
            InferenceError: If the service refuses, fails, or is silent for too long.
        """
        began_at = asked_at = probed_at = self.easel.clock()
        while True:
            try:
                async with asyncio.timeout(LOOK_UP_S):
                    event = await painting.next_event()
            except TimeoutError:
                if self.lane.stop_reason is not None and not self._is_live_next():
                    return None
                now_s = self.easel.clock()
                if now_s - asked_at > self.easel.limits.frame_s:
                    raise InferenceUnavailableError(f"no frame within {now_s - asked_at:.0f} s") from None
                if now_s - probed_at > LOOK_AFTER_S:
                    is_loading = await self._look_after_silence()
                    probed_at = self.easel.clock()
                    if is_loading and probed_at - began_at < self.easel.limits.load_s:
                        asked_at = probed_at
                continue
            if isinstance(event, LiveFrame):
                return event
            self._judge(event)

    async def _look_after_silence(self) -> bool:
        """Ask the service why no frame comes; tell whether it is loading the model."""
        # It may be slow, or hung: only then nobody answers.
        is_serving = await self.easel.client.is_serving(deadline_s=PROBE_S)
        self.easel.set_inference_lost(not is_serving)
        job = self.lane.running
        if not is_serving or job is None:
            return False
        model = await find_loading(self.easel, job.order)
        tell_loading(self.easel, job, model)
        return model is not None

    def _judge(self, event: PaintProgress | PaintRefusal) -> None:
        """Raise what a refusal of the current target means; older ones concern nobody."""
        if isinstance(event, PaintProgress) or event.revision != self._revision:
            return
        if event.field:
            raise InferenceRejectedError(event.message, field=event.field)
        raise InferenceFailedError(event.message)


def _useful_fps(job: Job) -> float:
    """Return at how many frames per second asking for more would only make them wait."""
    if job.sustainable_fps is None:
        return float("inf")
    return max(_LEAST_PACE_FPS, _HEADROOM * job.sustainable_fps)

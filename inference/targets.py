"""What a live picture is painted towards: targets, of one model or of several, and how they follow.

Synchronous, and knows no command, task or stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple

from inference.engine import MAX_KEYFRAMES, Keyframe, Timeline
from inference.models.house import Lease
from inference.pictures import Commission, Pictures, Sources
from inference.requests import Order
from inference.scheduler import Work
from protos import psyche_inference_v1_pb2 as pb


_number = count().__next__


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """A target that was asked for: checked, its images decoded, but no model leased for it yet."""

    request: pb.ImageRequest
    order: Order  # for the model that it asks for
    sources: Sources
    revision: int
    at_s: float = 0.0  # when the change to it begins, seconds of the timeline
    transition_s: float = 0.0
    number: int = field(default_factory=_number)  # the newer one's is higher

    @property
    def model(self) -> str:
        """The model that it asks for."""
        return self.order.model.name

    def commission(self, pictures: Pictures, lease: Lease, *warnings: str) -> Commission:
        """Give it to a loaded model, which may be another; see `Pictures.commission`."""
        return pictures.commission(
            self.request, self.order, self.sources, lease, is_live=True, warnings=warnings
        )


class Aim(NamedTuple):
    """One keyframe of a target: what becomes of its pictures, and what it was made of."""

    keyframe: Keyframe
    order: Order
    wish: Wish


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A timeline of one model's pictures, and the lease of that model.

    Attributes:
        work: The engine and the timeline.
        lease: Held as long as this is what is painted, but while the picture rests; whoever paints it
            later takes a share.
        aims: Of each keyframe.
        asked: The model that the newest target asks for; another than the lease's where that one
            stands in for it.
    """

    work: Work
    lease: Lease
    aims: tuple[Aim, ...]
    asked: str

    @classmethod
    def begin(cls, wish: Wish, commission: Commission) -> Target:
        """Begin anew with a target, as a cut; takes over the commission's lease."""
        keyframe = Keyframe(commission.order.picture, wish.at_s, 0.0, wish.revision)
        work = Work(commission.engine, Timeline((keyframe,)))
        return cls(work, commission.lease, (Aim(keyframe, commission.order, wish),), wish.model)

    @property
    def begins_at_s(self) -> float:
        """From when on it is painted, seconds of the timeline."""
        return self.aims[0].keyframe.at_s

    @property
    def stands_in(self) -> bool:
        """Whether another model than the one asked for paints."""
        return self.asked != self.lease.model.name

    def then(self, wish: Wish, order: Order) -> Target:
        """Return this with a further target of the same model, by the order made of it."""
        keyframe = Keyframe(order.picture, wish.at_s, wish.transition_s, wish.revision)
        timeline = self.work.timeline.then(keyframe)
        kept = [aim for aim in self.aims if any(aim.keyframe is one for one in timeline.keyframes)]
        return replace(
            self,
            work=Work(self.work.engine, timeline),
            aims=(*kept, Aim(keyframe, order, wish)),
            asked=wish.model,
        )

    def warned(self, revision: int, warnings: tuple[str, ...]) -> Target:
        """Return this with other warnings for the target of a revision, and nothing else changed."""
        aims = tuple(
            aim._replace(order=replace(aim.order, warnings=warnings))
            if aim.keyframe.revision == revision
            else aim
            for aim in self.aims
        )
        return replace(self, aims=aims)

    def at(self, time_s: float) -> tuple[int, Order]:
        """Return the revision of a moment, and what becomes of its picture."""
        current = self.work.timeline.current(time_s)
        return current.revision, next(aim.order for aim in self.aims if aim.keyframe is current)

    def leased(self, lease: Lease) -> Target:
        """Return this with another lease of its model, which may have been loaded anew."""
        return replace(self, work=Work(lease.engine, self.work.timeline), lease=lease)


class Course:
    """The targets of a live picture in the order in which they came: each is painted from its time on.

    Of two models the later one begins as a cut. As in a timeline, the newest whose time has come counts,
    and before the first one's time that one.

    Resources:
        Holds every target's model until a later one has begun: `close`. While it rests it holds none.
    """

    def __init__(self) -> None:
        self._targets: list[Target] = []
        self._time_s = 0.0  # of the frame that was taken up last
        self._is_resting = False

    def __bool__(self) -> bool:
        return bool(self._targets)

    def at(self, time_s: float) -> Target:
        """Return what is painted at a time."""
        return self._until(time_s)[-1]

    def before(self, time_s: float) -> Target | None:
        """Return what a target that begins at a time follows; None: nothing."""
        kept = self._kept(time_s)
        return kept[-1] if kept else None

    def take(self, time_s: float) -> Target:
        """Return what is painted at a time, and forget what came before it."""
        self._time_s = time_s
        target = self.at(time_s)
        self._keep(self._targets[self._targets.index(target) :])
        return target

    def follow(self, wish: Wish, commission: Commission) -> None:
        """Add a target; takes over the commission's lease. Those that it covers are forgotten.

        What was wished for after it and begins later stays: this one only had to wait for its model.
        """
        newer = [
            target
            for target in self._targets
            if target.aims[0].wish.number > wish.number and target.begins_at_s > wish.at_s
        ]
        kept = [target for target in self._kept(wish.at_s) if target not in newer]
        if kept and kept[-1].lease.model.name == commission.lease.model.name:
            kept[-1] = kept[-1].then(wish, commission.order)
            commission.release()  # The target's own goes on.
        else:
            kept.append(Target.begin(wish, commission))
        self._keep([*kept, *newer][-MAX_KEYFRAMES:])
        self.take(self._time_s)

    def warn(self, wish: Wish, warnings: tuple[str, ...]) -> None:
        """Tell something else with the frames of a wish that another model paints."""
        self._targets = [
            target.warned(wish.revision, warnings) if target.asked == wish.model else target
            for target in self._targets
        ]

    def let_go(self) -> list[Target]:
        """Forget everything; returns what there was, without its leases."""
        targets = self._targets
        self._keep([])
        return targets

    def resume(self, target: Target) -> None:
        """Go on with a target after `let_go`; takes over its lease."""
        assert not self._targets
        self._keep([target])

    @property
    def takes_room(self) -> bool:
        """Whether it holds a model in the place of which another one could be loaded."""
        return any(target.lease.takes_room for target in self._targets)

    def rest(self) -> None:
        """Hold no model, and keep the targets: what is added from now on is let go as well."""
        self._is_resting = True
        self._keep(self._targets)

    def wake(self, time_s: float, lease_now: Callable[[str], Lease | None]) -> list[Wish]:
        """Hold the models again, those of the targets from a time on.

        Args:
            time_s: Of the next frame, seconds of the timeline.
            lease_now: Leases a model by its name if it is loaded.

        Returns:
            Nothing; but where one of the models is not loaded any more, everything is forgotten, and these
            wishes, which would make the same targets again, are what it was.
        """
        self._is_resting = False
        if not self._targets:
            return []
        targets = self._targets[self._targets.index(self.at(time_s)) :]
        leases = [lease_now(target.lease.model.name) for target in targets]
        woken = [target.leased(lease) for target, lease in zip(targets, leases, strict=True) if lease]
        self._keep(woken)
        if len(woken) == len(targets):
            return []
        self._keep([])
        return [aim.wish for target in targets for aim in target.aims]

    def close(self) -> None:
        """Let every model go; a second call does nothing."""
        self._keep([])

    def _until(self, time_s: float) -> list[Target]:
        return self._targets[:1] + [target for target in self._targets[1:] if target.begins_at_s <= time_s]

    def _kept(self, time_s: float) -> list[Target]:
        """Return what a target that begins at a time does not cover; what is painted now stays until then."""
        return self._targets[:1] + [target for target in self._targets[1:] if target.begins_at_s < time_s]

    def _keep(self, targets: list[Target]) -> None:
        old, self._targets = self._targets, targets
        held = {id(target.lease) for target in targets}
        for target in (*old, *targets) if self._is_resting else old:
            if self._is_resting or id(target.lease) not in held:
                target.lease.release()

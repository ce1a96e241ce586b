"""What a live picture is painted towards: targets of one model, and how one follows another.

Synchronous, and knows no command, task or stream.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from inference.engine import Keyframe, Timeline
from inference.models.house import Lease
from inference.pictures import Commission, Pictures, Sources
from inference.requests import Order
from inference.scheduler import Work
from protos import psyche_inference_v1_pb2 as pb


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """A target that was asked for: checked, its images decoded, but no model leased for it yet."""

    request: pb.ImageRequest
    order: Order  # for the model that it asks for
    sources: Sources
    revision: int
    at_s: float = 0.0  # when the change to it begins, seconds of the timeline
    transition_s: float = 0.0

    @property
    def model(self) -> str:
        """The model that it asks for."""
        return self.order.model.name

    def commission(self, pictures: Pictures, lease: Lease, *warnings: str) -> Commission:
        """Give it to a loaded model, which may be another; see `Pictures.commission`."""
        return pictures.commission(
            self.request, self.order, self.sources, lease, is_live=True, warnings=warnings
        )


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A timeline of one model's pictures, and the lease of that model.

    Attributes:
        work: The engine and the timeline.
        lease: Held as long as this is what is painted; whoever paints it later takes a share.
        orders: Of each keyframe: what becomes of its pictures.
        asked: The model that the newest target asks for; another than the lease's where that one
            stands in for it.
    """

    work: Work
    lease: Lease
    orders: tuple[tuple[Keyframe, Order], ...]
    asked: str

    @classmethod
    def begin(cls, wish: Wish, commission: Commission) -> Target:
        """Begin anew with a target, as a cut; takes over the commission's lease."""
        keyframe = Keyframe(commission.order.picture, wish.at_s, 0.0, wish.revision)
        work = Work(commission.engine, Timeline((keyframe,)))
        return cls(work, commission.lease, ((keyframe, commission.order),), wish.model)

    @property
    def stands_in(self) -> bool:
        """Whether another model than the one asked for paints."""
        return self.asked != self.lease.model.name

    def then(self, wish: Wish, order: Order) -> Target:
        """Return this with a further target of the same model, by the order made of it."""
        keyframe = Keyframe(order.picture, wish.at_s, wish.transition_s, wish.revision)
        timeline = self.work.timeline.then(keyframe)
        kept = [(known, of) for known, of in self.orders if any(known is one for one in timeline.keyframes)]
        return replace(
            self,
            work=Work(self.work.engine, timeline),
            orders=(*kept, (keyframe, order)),
            asked=wish.model,
        )

    def warned(self, revision: int, warnings: tuple[str, ...]) -> Target:
        """Return this with other warnings for the target of a revision, and nothing else changed."""
        orders = tuple(
            (keyframe, replace(order, warnings=warnings) if keyframe.revision == revision else order)
            for keyframe, order in self.orders
        )
        return replace(self, orders=orders)

    def at(self, time_s: float) -> tuple[int, Order]:
        """Return the revision of a moment, and what becomes of its picture."""
        current = self.work.timeline.current(time_s)
        return current.revision, next(order for keyframe, order in self.orders if keyframe is current)

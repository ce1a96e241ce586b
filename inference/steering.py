"""How a live picture comes to its targets: at once where their models are loaded, else when they are.

Knows no command and no answer. The one rule: what is painted goes on until something newer can be; a
wish that comes to nothing changes nothing. But no model is held in the way of another one: while the
picture rests, or where the model that it changes to waits for room.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from inference.engine import MAX_KEYFRAMES, RejectedError
from inference.errors import ModelLoadError
from inference.models.house import CrowdedError, Lease
from inference.pictures import Pictures
from inference.targets import Course, Target, Wish


# While another model paints: how long after a load that failed it is tried again, seconds, at first and at
# most. Most often there was no room, and there is as soon as the frames of the model before are done; what
# is broken the house itself does not try again for a minute.
RETRY_S, MAX_RETRY_S = 0.5, 30.0

Refuse = Callable[[int, RejectedError | ModelLoadError], Awaitable[None]]
"""Tells the caller that a target comes to nothing: its revision, and why."""


class _Pending:
    """Wishes for a model that is not loaded yet, oldest first."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.wishes: list[Wish] = []
        self.shown: list[Wish] = []  # of these, what another model paints meanwhile
        self.task: asyncio.Task[None] | None = None

    def add(self, wish: Wish, *, is_shown: bool) -> None:
        """Add the newest wish."""
        self.wishes = [*self.wishes, wish][-MAX_KEYFRAMES:]
        if is_shown:
            self.shown = [*self.shown, wish][-MAX_KEYFRAMES:]


class Steering:
    """Takes the wishes for one live picture, and tells what its frames are painted of."""

    def __init__(self, pictures: Pictures, tasks: asyncio.TaskGroup, refuse: Refuse) -> None:
        """Steer a picture that has no target yet.

        Args:
            pictures: What paints.
            tasks: Where it waits for models.
            refuse: See `Refuse`.
        """
        self.course = Course()
        self._pictures = pictures
        self._house = pictures.house
        self._tasks = tasks
        self._refuse = refuse
        self._pending: list[_Pending] = []  # at most one a model, the one with the newest wish last
        self._frames = 0  # under way
        self._is_idle = asyncio.Event()
        self._has_target = asyncio.Event()
        self._lost = ("", "")  # the model whose target could not go on, and why
        self._steady = asyncio.Lock()  # held while there is no target
        self._awake = asyncio.Event()
        self._awake.set()

    async def begin(self, wish: Wish) -> None:
        """Take the first wish; waits for its model where no other one can stand in.

        Raises:
            RejectedError: If its model cannot paint it.
            ModelLoadError: If that cannot be loaded, nor what stands in for it.
        """
        lease = self._house.lease_now(wish.model)
        if lease is not None or not self._stand_in(wish):
            lease = lease or await self._house.lease(wish.model)
            self.course.follow(wish, wish.commission(self._pictures, lease, *lease.warnings))
        self._has_target.set()
        if self.course.at(0.0).stands_in:
            self._expect(wish, is_shown=True)

    async def follow(self, wish: Wish) -> None:
        """Take a further wish; the one before goes on until its model is loaded.

        Raises:
            RejectedError: If its model cannot paint it.
        """
        async with self._steady:
            self._follow(wish)

    def _follow(self, wish: Wish) -> None:
        before = self.course.before(wish.at_s)
        # What the picture holds is loaded; what it held before it rested may be.
        lease = self._house.lease_now(wish.model)
        if lease is not None:
            self.course.follow(wish, wish.commission(self._pictures, lease))
            self._has_target.set()
            self.drop_pending()
            return
        is_shown = before is not None and before.stands_in and self._stand_in(wish)
        self._expect(wish, is_shown=is_shown)

    def _stand_in(self, wish: Wish) -> bool:
        """Let another model paint a wish until its own is loaded; False where none can."""
        name = self._house.fallback_model
        lease = self._house.lease_now(name) if name and name != wish.model else None
        if lease is None:
            return False
        warning = f"{wish.model} is being loaded; painted by {name} until then"
        try:
            commission = wish.commission(self._pictures, lease, warning)
        except ModelLoadError:  # Which is to say: it cannot paint this.
            return False
        self.course.follow(wish, commission)
        return True

    @asynccontextmanager
    async def frame(self) -> AsyncIterator[None]:
        """Paint a frame in the body, which begins when there is a target.

        Raises:
            ModelLoadError: If there will be none any more.
        """
        while not self._has_target.is_set():
            await self._has_target.wait()
        if not self.course:
            raise ModelLoadError(*self._lost)
        self._frames += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self._frames -= 1
            if not self._frames:
                self._is_idle.set()

    def rest(self) -> None:
        """Hold no model while no frame is asked for: it stays loaded until its room is needed."""
        if self._awake.is_set() and not self._frames:
            self._awake.clear()
            self.course.rest()

    def wake(self, time_s: float) -> None:
        """Go on where the picture rests, with a frame of a time; synchronous.

        A model that is not loaded any more is loaded again; as at the beginning, another one stands in for
        it, or else the frames wait.
        """
        if self._awake.is_set():
            return
        self._awake.set()
        wishes = self.course.wake(time_s, self._house.lease_now)
        if not wishes:
            return
        wishes += [wish for pending in self._pending for wish in pending.wishes if wish not in wishes]
        self.drop_pending()
        for wish in sorted(wishes, key=lambda wish: wish.number):
            self._wish_again(wish)
        if not self.course:
            self._has_target.clear()

    def _wish_again(self, wish: Wish) -> None:
        lease = self._house.lease_now(wish.model)
        if lease is not None:
            try:
                self.course.follow(wish, wish.commission(self._pictures, lease))
            except RejectedError:  # It has waited for its model until now: refused by whoever waits.
                pass
            else:
                return
        self._expect(wish, is_shown=self._stand_in(wish))

    def drop_pending(self) -> None:
        """Wait for no model any more."""
        self._drop(self._pending)
        self._pending = []

    def end(self) -> None:
        """Wait for no model any more, and take no further wish; frames that wait for one fail."""
        names = [pending.model for pending in self._pending]
        self.drop_pending()
        if not self.course and names:
            self._lost = (names[0], "the picture was closed before it was")
            if not self._steady.locked():  # Else what was painted before may go on: whoever holds it knows.
                self._has_target.set()

    def close(self) -> None:
        """Let every model go."""
        self.course.close()

    def _expect(self, wish: Wish, *, is_shown: bool) -> None:
        pending = next((known for known in self._pending if known.model == wish.model), None)
        if pending is None:
            pending = _Pending(wish.model)
            pending.task = self._tasks.create_task(self._wait_for(pending), name="live:switch")
        else:
            self._pending.remove(pending)
        self._pending.append(pending)
        pending.add(wish, is_shown=is_shown)

    def _drop(self, pending: list[_Pending]) -> None:
        for dropped in pending:
            if dropped.task is not None and dropped.task is not asyncio.current_task():
                dropped.task.cancel()

    async def _wait_for(self, pending: _Pending) -> None:
        """Wait for a model, however often it takes while another one paints, and paint its wishes."""
        retry_s = RETRY_S
        while True:
            try:
                lease = await self._lease(pending)
            except (CrowdedError, ModelLoadError):
                await self._make_way(pending)
                return
            with lease:
                if not await self._adopt(pending, lease):
                    return
            await asyncio.sleep(retry_s)
            await self._awake.wait()  # For nobody it is not tried again: others may need the room.
            retry_s = min(2.0 * retry_s, MAX_RETRY_S)

    async def _lease(self, pending: _Pending) -> Lease:
        """Wait for a model; if there is no room for it, let the ones go that are painted with.

        Raises:
            ModelLoadError: If it cannot be loaded, nor what stands in for it.
            CrowdedError: If there is no room, and nothing can stand in for it.
        """
        try:
            return await self._house.lease(pending.model, waits_for_room=False)
        except CrowdedError:
            if self.course.takes_room and not self._hand_over(pending):
                raise
        # Nothing is awaited in between: its load goes on.
        return await self._house.lease(pending.model)

    def _hand_over(self, pending: _Pending) -> bool:
        """Let another model paint what waits for its own; False where none can."""
        for wish in pending.wishes:
            if wish not in pending.shown:
                if not self._stand_in(wish):
                    return False
                pending.shown.append(wish)
        return True

    async def _adopt(self, pending: _Pending, lease: Lease) -> bool:
        """Paint what was waited for; True where another model does, so that its own is still wanted."""
        stands_in = lease.model.name != pending.model
        refused: list[tuple[Wish, RejectedError | ModelLoadError]] = []
        for wish in list(pending.wishes):
            if stands_in and wish in pending.shown:
                self.course.warn(wish, lease.warnings)
                continue
            try:
                commission = wish.commission(self._pictures, lease.share(), *lease.warnings)
            except (RejectedError, ModelLoadError) as error:
                pending.wishes.remove(wish)
                refused.append((wish, error))
            else:
                self.course.follow(wish, commission)
                self._has_target.set()
                pending.shown.append(wish)
        if pending.wishes:
            # What came before it has been overtaken.
            index = self._pending.index(pending)
            self._drop(self._pending[:index])
            del self._pending[:index]
        is_wanted = stands_in and bool(pending.wishes)
        if not is_wanted:
            self._pending.remove(pending)
        for wish, reason in refused:
            await self._refuse(wish.revision, reason)
        return is_wanted

    async def _make_way(self, pending: _Pending) -> None:
        """Load a model once more without holding another one: nothing can stand in, so frames wait for it.

        Where that fails as well, what was painted before goes on.
        """
        failure: ModelLoadError | None = None
        async with self._steady:
            self._has_target.clear()
            old: list[Target] = []
            try:
                if self._frames:
                    await self._is_idle.wait()
                old = self.course.let_go()
                with await self._house.lease(pending.model) as lease:
                    await self._adopt(pending, lease)
            except ModelLoadError as error:
                failure = error
                self._pending.remove(pending)
            finally:
                if not self.course and old:
                    self._resume(old[-1])
                elif not self.course and failure is not None:
                    self._lost = (failure.model, failure.reason)
                self._has_target.set()
        if failure is not None:
            for wish in pending.wishes:
                await self._refuse(wish.revision, failure)

    def _resume(self, target: Target) -> None:
        if not self._awake.is_set():
            self.course.resume(target)  # Its model is looked for when it is painted again.
            return
        model = target.lease.model.name
        lease = self._house.lease_now(model)
        if lease is None:
            self._lost = (model, "it was unloaded for another one, which could not be loaded either")
        else:
            self.course.resume(target.leased(lease))

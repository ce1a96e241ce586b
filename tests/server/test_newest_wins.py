"""The promise: whatever happens in whatever order, every visible screen ends on the newest picture.

Canvas, mailbox, flow control, writer, rounds, tiers and their encoding are the real ones; time, links,
browsers and the encoder's pool are simulated, so that each order is one that can be had again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from simulated_screens import ManualExecutor, SimulatedScreen, SimulatedTime

from server.streaming.canvas import Canvas, CanvasConfig
from server.streaming.delivery.held import HeldPayloads
from server.streaming.delivery.mailbox import MAX_WAITING_MESSAGES
from server.streaming.delivery.rounds import Rounds
from server.streaming.frame import EncodedImage
from server.streaming.images import encoders
from server.streaming.payload import FRAGMENT_BYTES
from server.streaming.processing import IDENTITY, Crop, Processing, Treatment
from server.streaming.tiers.tier import ORIGINAL, Tier


TIERS = (ORIGINAL, Tier(1.0, "jpeg", 85), Tier(0.5, "jpeg", 85), Tier(0.25, "jpeg", 60))
# Longer than anything takes: 64 KiB that hang in a socket, at the slowest rate.
LONG_S = 30.0
HELD_LIMIT_BYTES = 2_000_000
MOST_SCREENS = 6


class MovedChooser:
    """The real choice, unless it is moved: tiers then change at any moment, whatever the link."""

    def __init__(self, chooser: Any) -> None:
        self.chooser = chooser
        self.tier: Tier | None = None

    def choose(self, *image: Any, **about: Any) -> Tier:
        chosen: Tier = self.chooser.choose(*image, **about)
        return self.tier or chosen

    def best_tier(self, *image: Any, **about: Any) -> Tier:
        best: Tier = self.chooser.best_tier(*image, **about)
        return best


def noise(number: int, width: int, height: int) -> EncodedImage:
    """Make a picture that no encoder makes small."""
    pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), np.uint8)
    return encoders.encode(pixels, "jpeg", 90)


# Of 3 to 350 kB: one goes in several parts. No two that follow each other are the same, and that is enough.
PICTURES = [noise(number, *size) for number, size in enumerate([(64, 48), (160, 120), (640, 480)] * 2)]


PROCESSINGS = [IDENTITY, Processing(rotate=90), Processing(crop=Crop(0.25, 0.25, 0.5, 0.5), hue=30.0)]

screens = st.integers(0, MOST_SCREENS - 1)


class NewestWins(RuleBasedStateMachine):
    """Anything that a source, a network, an encoder and browsers can do."""

    def __init__(self) -> None:
        super().__init__()
        self.time = SimulatedTime()
        self.time.begin()
        self.executor = ManualExecutor()
        self.held = HeldPayloads(HELD_LIMIT_BYTES)
        self.canvas = Canvas(
            "left",
            CanvasConfig(fps=10.0),
            executor=self.executor,
            tiers=TIERS,
            rounds=Rounds(self.time.call_soon, self.time),
            held=self.held,
            clock=self.time,
        )
        self.screens: list[SimulatedScreen] = []
        self.images: dict[int, tuple[EncodedImage, Treatment | None]] = {}  # by sequence; twins have one
        self.number = 0

    @initialize()
    def begin(self) -> None:
        """Some screens are there, and a picture is: most of what goes wrong needs both."""
        for tier in (None, TIERS[2]):
            self.join(1e6, 0.01, is_silent=False, tier=tier)
        self.publish(0)

    def _screen(self, index: int) -> SimulatedScreen | None:
        return self.screens[index % len(self.screens)] if self.screens else None

    def _note(self) -> None:
        if (newest := self.canvas.newest) is not None:
            self.images[newest.sequence] = newest.image, newest.treatment

    @rule(step=st.integers(1, len(PICTURES) - 1))
    def publish(self, step: int) -> None:
        self.number += step
        self.canvas.publish(PICTURES[self.number % len(PICTURES)], timestamp_ms=0.0)
        self._note()

    @rule()
    @precondition(lambda self: not self.canvas.config.blank)
    def publish_the_same(self) -> None:
        newest = self.canvas.newest
        assert newest is not None
        image = replace(newest.image, data=bytes(bytearray(newest.image.data)))
        self.canvas.publish(image, timestamp_ms=0.0, job=newest.job, final=newest.final)
        self._note()

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.05, 0.2, 1.0, 5.0]))
    def wait(self, seconds: float) -> None:
        self.time.advance(seconds)

    @rule(is_blank=st.booleans())
    def blank(self, is_blank: bool) -> None:
        self.canvas.configure(blank=is_blank)
        self._note()

    @rule(processing=st.sampled_from(PROCESSINGS))
    def process(self, processing: Processing) -> None:
        self.canvas.configure(processing=processing)
        self._note()

    @rule(
        rate_bytes_s=st.sampled_from([50e3, 300e3, 1e6, 20e6]),
        way_s=st.sampled_from([0.0, 0.01, 0.1]),
        is_silent=st.booleans(),
        tier=st.sampled_from([None, *TIERS]),
    )
    @precondition(lambda self: len(self.screens) < MOST_SCREENS)
    def join(self, rate_bytes_s: float, way_s: float, is_silent: bool, tier: Tier | None) -> None:
        screen = SimulatedScreen(self.canvas, self.time)
        moved = MovedChooser(screen.subscriber.chooser)
        moved.tier = tier
        screen.subscriber.chooser = moved  # type: ignore[assignment] # it chooses as the real one does
        screen.link.rate_bytes_s, screen.link.way_s, screen.is_silent = rate_bytes_s, way_s, is_silent
        self.screens.append(screen)

    @rule(index=screens)
    def leave(self, index: int) -> None:
        if screen := self._screen(index):
            screen.leave()
            self.screens.remove(screen)

    @rule(
        index=screens,
        visible=st.booleans(),
        side=st.sampled_from([0, 200, 800, 4000]),
        max_fps=st.sampled_from([None, 0, 2, 60]),
        formats=st.sampled_from([["jpeg"], ["jpeg", "webp", "png"]]),
    )
    def say_ready(
        self, index: int, visible: bool, side: int, max_fps: int | None, formats: list[str]
    ) -> None:
        if screen := self._screen(index):
            viewport = {"width": side, "height": side}
            screen.tell("ready", visible=visible, viewport=viewport, max_fps=max_fps, formats=formats)

    @rule(index=screens)
    def hide(self, index: int) -> None:
        if screen := self._screen(index):
            screen.tell("ready", visible=False)

    @rule(index=screens, is_stalled=st.booleans())
    def stall(self, index: int, is_stalled: bool) -> None:
        if screen := self._screen(index):
            screen.link.stall(is_stalled=is_stalled)

    @rule(index=screens, is_mute=st.booleans())
    def answer(self, index: int, is_mute: bool) -> None:
        if screen := self._screen(index):
            screen.answer(is_mute=is_mute)

    @rule(index=screens, rate_bytes_s=st.sampled_from([50e3, 300e3, 1e6, 20e6]))
    def change_route(self, index: int, rate_bytes_s: float) -> None:
        if screen := self._screen(index):
            screen.link.rate_bytes_s = rate_bytes_s

    @rule(index=screens, tier=st.sampled_from([None, *TIERS]))
    def move_tier(self, index: int, tier: Tier | None) -> None:
        if screen := self._screen(index):
            screen.subscriber.chooser.tier = tier  # type: ignore[attr-defined]

    @rule(index=screens, tag=st.integers(0, 2**32 - 1))
    def send_a_stray_pong(self, index: int, tag: int) -> None:
        if screen := self._screen(index):
            screen.pong(tag)

    @rule(index=screens)
    def acknowledge_again(self, index: int) -> None:
        screen = self._screen(index)
        if screen and screen.subscriber.flow.acknowledged:
            screen.tell("ack", sequence=screen.subscriber.flow.acknowledged)

    @rule(index=st.integers(0, 8))
    def encode(self, index: int) -> None:
        if self.executor.waiting:
            self.executor.do(index % len(self.executor.waiting))

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.held.held_bytes <= HELD_LIMIT_BYTES
        assert len(self.executor.waiting) <= len(TIERS) + 2, "more than one picture per tier is being encoded"
        assert len(self.canvas.renditions._sources) <= 3
        for screen in self.screens:
            assert screen.link.most_unsent_bytes <= 2 * FRAGMENT_BYTES + 64 * 1024
            assert len(screen.subscriber.mailbox._messages) <= MAX_WAITING_MESSAGES

    def teardown(self) -> None:
        """Let everything come to its end, and look at every screen; show the hidden ones; look again."""
        try:
            self._end()
        finally:
            self.time.end()

    def _end(self) -> None:
        for screen in self.screens:
            screen.link.stall(is_stalled=False)
            screen.answer(is_mute=False)
        self._come_to_an_end()
        self._look()
        for screen in self.screens:
            screen.tell("ready", visible=True, viewport={"width": 640, "height": 480})
        self._come_to_an_end()
        assert all(screen.subscriber.mailbox.is_visible for screen in self.screens if screen.is_open)
        self._look()
        self._look_closely()
        for screen in self.screens:
            screen.leave()
        self.time.settle()
        assert self.held.held_bytes == 0
        assert len(self.canvas.rounds) == 0
        assert self.canvas.demand_fps == 0.0

    def _look_closely(self) -> None:
        """What stands still is as good as the screen that told of itself last can be given."""
        newest = self.canvas.newest
        if newest is None:
            return
        estimate = self.canvas.renditions.estimate
        for screen in self.screens:
            if not screen.is_open or screen.shown is None or screen.shown["sequence"] != newest.sequence:
                continue
            best = screen.writer._choice._ask(screen.subscriber.chooser.best_tier, newest, self.time())
            shown = next(tier for tier in TIERS if tier.name == screen.shown["tier"])
            assert estimate(newest, shown)[0] >= estimate(newest, best)[0], (
                f"{shown.name} of {newest.sequence} is shown, {best.name} is the best"
            )

    def _come_to_an_end(self) -> None:
        for _ in range(40):
            self.time.advance(LONG_S / 40)
            while self.executor.waiting:
                self.executor.do()
                self.time.settle()

    def _look(self) -> None:
        newest = self.canvas.newest
        if newest is None:
            return
        for screen in self.screens:
            if screen.is_open and screen.subscriber.mailbox.is_visible:
                assert screen.shown is not None, f"nothing is shown, {newest} is the newest"
                image, treatment = self.images[screen.shown["sequence"]]
                assert image is newest.image, (
                    f"{screen.shown['sequence']} in {screen.shown['tier']} is shown, {newest} is the newest"
                )
                assert treatment == newest.treatment, f"{treatment} is shown, not {newest.treatment}"


NewestWins.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_every_visible_screen_ends_on_the_newest_picture = NewestWins.TestCase


def test_what_a_processed_picture_would_weigh_in_full_is_no_reason_to_keep_it_back() -> None:
    machine = NewestWins()
    machine.begin()
    machine.hide(0)
    machine.process(PROCESSINGS[1])

    machine.teardown()


def test_an_acknowledgement_that_seemed_too_soon_holds_up_no_better_tier() -> None:
    machine = NewestWins()
    machine.begin()
    machine.say_ready(index=0, visible=True, side=200, max_fps=None, formats=["jpeg"])
    machine.publish(2)
    machine.move_tier(0, Tier(scale=0.25, format="jpeg", quality=60))
    machine.process(PROCESSINGS[2])

    machine.teardown()

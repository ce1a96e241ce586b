"""Canvases for tests, and what their subscribers take."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from images import TINY

from server.streaming.canvas import Canvas, CanvasConfig, Subscriber
from server.streaming.frame import EncodedImage, Frame


def make_canvas(config: CanvasConfig | None = None, **options: Any) -> Canvas:
    # Nothing is encoded again here.
    return Canvas("left", config or CanvasConfig(), executor=Executor(), **options)


def image(number: int) -> EncodedImage:
    return replace(TINY, data=TINY.data + bytes([number]))


def taken(subscriber: Subscriber) -> Frame | None:
    """Take the frame as the writer of a silent peer does."""
    return subscriber.mailbox.take_frame()

"""Who asks for renditions in a test, and what is in the messages."""

from __future__ import annotations

import json
import threading
from typing import Any

import msgpack
from fakes import until

from server.streaming.frame import Frame
from server.streaming.payload import Payload
from server.streaming.tiers.line import Request
from server.streaming.tiers.renditions import Renditions
from server.streaming.tiers.tier import Tier
from server.streaming.wire import Form


def message_of(payload: Payload) -> dict[str, Any]:
    """Return the message in a payload that is a single WebSocket frame."""
    frame = b"".join(payload.parts)[payload.ping_bytes :]
    length = frame[1]
    body = frame[2:] if length < 126 else frame[4:] if length == 126 else frame[10:]
    message: dict[str, Any] = json.loads(body) if frame[0] & 0x0F == 1 else msgpack.unpackb(body)
    return message


class Asked:
    """One who asks, and what he was given."""

    def __init__(self, made: Renditions, frame: Frame, tier: Tier, form: Form = Form.MSGPACK) -> None:
        self.answers: list[Payload | None] = []
        self.threads: list[threading.Thread] = []
        self.request: Request = made.request(frame, tier, form, self._on_done)
        assert self.answers == []

    def _on_done(self, payload: Payload | None) -> None:
        self.answers.append(payload)
        self.threads.append(threading.current_thread())

    async def answer(self) -> Payload | None:
        await until(lambda: bool(self.answers))
        assert self.threads == [threading.main_thread()]
        return self.answers[0]

    async def message(self) -> dict[str, Any]:
        payload = await self.answer()
        assert payload is not None
        return message_of(payload)

"""`GET /ws`: what happens, as JSON messages, in the words of the first programs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiohttp import WSMsgType, web

from server.errors import ProtocolError
from server.generation.events import Event, Listener, ListenerTooSlow
from server.generation.job import Job, State
from server.streaming.clock import iso_utc
from server.streaming.wire import MAX_CLIENT_MESSAGE_BYTES, CloseCode, Form, parse_client_message, shown
from server.web.endings import close, cut_off_after
from server.web.keys import PARTS, Parts


MAX_SESSIONS = 100
MAX_ID_CHARS = 100
MAX_EVENTS = 10
# What a listener may choose among: the list of canvases; jobs in the words of the first programs; jobs as
# the HTTP routes tell them.
EVENTS = ("canvases", "generation", "jobs")
_DEFAULT = frozenset({"canvases", "generation"})


class _Interest:
    """What a listener wants to hear of: canvases and all sessions, until it says otherwise."""

    def __init__(self) -> None:
        self.events = _DEFAULT
        self._sessions: set[str] | None = None

    def add(self, session: str | None) -> None:
        """Narrow to a session, one more with each call; None widens to all again."""
        if session is None:
            self._sessions = None
        else:
            self._sessions = (self._sessions or set()) | {session}
            if len(self._sessions) > MAX_SESSIONS:
                raise ProtocolError(f"at most {MAX_SESSIONS} sessions can be subscribed to")

    def covers(self, event: Event) -> bool:
        """Tell whether an event is wanted."""
        if event.job is None:
            return "canvases" in self.events
        # The first programs know nothing of places in a queue.
        is_wanted = "jobs" in self.events or ("generation" in self.events and not event.is_move)
        return is_wanted and (self._sessions is None or event.job.session in self._sessions)


async def events_socket(request: web.Request) -> web.WebSocketResponse:
    """Tell jobs' progress and changes of the canvases, until either side has enough."""
    parts = request.app[PARTS]
    ws = web.WebSocketResponse(compress=False, max_msg_size=MAX_CLIENT_MESSAGE_BYTES, heartbeat=30.0)
    await ws.prepare(request)
    interest = _Interest()
    with parts.bus.listen(interest.covers) as listener:
        # A newcomer learns what is there.
        listener.tell(Event())
        async with asyncio.TaskGroup() as tasks:
            writers = [
                tasks.create_task(_write(request, ws, listener, interest), name="writer:events"),
                tasks.create_task(_close_at_stop(request, ws), name="stopper:events"),
            ]
            try:
                await _read(request, ws, listener, interest)
            finally:
                for writer in writers:
                    writer.cancel()
    return ws


async def _close_at_stop(request: web.Request, ws: web.WebSocketResponse) -> None:
    await request.app[PARTS].is_stopping.wait()
    await close(request, ws, CloseCode.GOING_AWAY, "the server stops")


async def _write(
    request: web.Request, ws: web.WebSocketResponse, listener: Listener, interest: _Interest
) -> None:
    parts = request.app[PARTS]
    try:
        while True:
            event = await listener.next()
            # Asked again: it may have narrowed since it was told.
            for message in _messages(parts, interest, event) if interest.covers(event) else ():
                with cut_off_after(request, parts.settings.send_deadline_s):
                    await ws.send_json(message)
    except ListenerTooSlow:
        await close(request, ws, CloseCode.TOO_SLOW, "too many events were not read")
    except ConnectionError:
        # The reader sees the same and ends the handler.
        return


async def _read(
    request: web.Request, ws: web.WebSocketResponse, listener: Listener, interest: _Interest
) -> None:
    parts = request.app[PARTS]
    async for message in ws:
        if message.type is not WSMsgType.TEXT:
            break
        had = interest.events
        try:
            answer = _answer(parts, interest, message.data)
        except ProtocolError as exc:
            parts.counters.protocol_errors += 1
            await close(request, ws, exc.close_code, str(exc))
            return
        if "canvases" in interest.events - had:
            listener.tell(Event())
        with contextlib.suppress(ConnectionError):
            # The next `receive` tells that the peer is gone.
            for told in answer:
                await ws.send_json(told)


def _answer(parts: Parts, interest: _Interest, data: str) -> list[dict[str, Any]]:
    """Do what a listener's message says and return what to send back.

    Raises:
        ProtocolError: If it is malformed.
    """
    if data == "ping":
        return [{"type": "pong"}]
    message = parse_client_message(data, Form.JSON)
    if message["type"] == "ping":
        return [{"type": "pong"}]
    if message["type"] != "subscribe":
        parts.counters.ignored_messages += 1
        return []
    events = _events(message.get("events"))
    session = message.get("session_id")
    if session is not None and not (isinstance(session, str) and len(session) <= MAX_ID_CHARS):
        raise ProtocolError("subscribe.session_id must be a string", field="session_id")
    interest.add(session)
    if events is not None:
        interest.events = events
    # The job may have gone on between its start and this: tell how it stands now.
    jobs = [job for job in parts.desk.store.newest_first() if job.session == session] if session else []
    return [told for job in reversed(jobs) for told in _messages(parts, interest, Event(job))]


def _events(value: Any) -> frozenset[str] | None:
    """Read what a listener chooses to be told; None where it chooses nothing anew."""
    if value is None:
        return None
    is_list = isinstance(value, list) and len(value) <= MAX_EVENTS
    if not is_list or not all(isinstance(name, str) and name in EVENTS for name in value):
        raise ProtocolError(
            f"subscribe.events must be a list of at most {MAX_EVENTS} of {', '.join(EVENTS)}, "
            f"got {shown(value)}",
            field="events",
        )
    return frozenset(value)


def _messages(parts: Parts, interest: _Interest, event: Event) -> list[dict[str, Any]]:
    """Tell an event in the words that a listener has chosen; a job as it stands now."""
    if event.job is None:
        return [_canvases_message(parts)]
    messages = []
    if "generation" in interest.events and not event.is_move:
        messages.append(_job_message(event.job))
    if "jobs" in interest.events:
        messages.append({"type": "job", "job": parts.desk.describe(event.job)})
    return messages


def _canvases_message(parts: Parts) -> dict[str, Any]:
    return {"type": "canvases", "canvases": parts.registry.to_json()}


def _job_message(job: Job) -> dict[str, Any]:
    """Say how a job stands in the words of the first programs."""
    about = {"session_id": job.session, "job_id": job.id, "canvas": job.canvas, "state": job.state.value}
    if job.state is State.SUCCEEDED:
        return {
            "type": "generation_complete",
            **about,
            "image_paths": [f"/jobs/{job.id}/images/{index}" for index in range(len(job.results))],
            "metadata": {
                "prompt": job.order.prompt,
                "created_at": iso_utc(job.created_ms),
                "seed": job.order.seed,
                "warnings": job.all_warnings,
                "images": [result.metadata for result in job.results],
            },
        }
    if job.state in (State.FAILED, State.CANCELLED):
        return {"type": "generation_error", **about, "error": job.error or f"cancelled: {job.reason}"}
    percent = round(100 * job.step / job.total_steps) if job.total_steps else 0
    return {
        "type": "generation_progress",
        **about,
        "step": job.step,
        "total_steps": job.total_steps,
        "message": f"Generating... {percent}%" if job.state is State.RUNNING else "Waiting...",
    }

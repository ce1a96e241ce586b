"""What a listener chooses to be told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from screens import SOON_S, RawScreen, Screen, Site, wait_for

from server.generation.events import MAX_WAITING, Event


async def subscribe(listener: Screen, **fields: Any) -> None:
    """Subscribe, and wait until that is taken."""
    await listener.ws.send_json({"type": "subscribe", **fields})
    await listener.ws.send_json({"type": "ping"})
    await listener.next("pong")


async def until_ended(events: Screen, job_id: str) -> list[dict[str, Any]]:
    """Return the `job` messages of a job up to its end, and fail on any other kind."""
    records: list[dict[str, Any]] = []
    while not records or records[-1]["state"] in ("queued", "running"):
        message = await events.receive()
        assert message["type"] == "job", message
        if message["job"]["id"] == job_id:
            records.append(message["job"])
    return records


async def test_a_newcomer_learns_of_the_canvases_at_once(still_site: Site) -> None:
    async with still_site.events() as events:
        canvases = (await events.receive())["canvases"]

    assert [canvas["slug"] for canvas in canvases] == ["left", "right"]


async def test_jobs_are_told_whole_at_every_change(still_site: Site) -> None:
    async with still_site.events() as events:
        await subscribe(events, events=["jobs"])
        asked = await still_site.paint("left", "a fox", mode="once", steps=3, author="Ada")
        records = await until_ended(events, asked["id"])

    assert records[-1] == (await still_site.call("GET", f"/jobs/{asked['id']}"))["job"]
    assert records[-1]["author"] == "Ada"
    assert [record["step"] for record in records] == sorted(record["step"] for record in records)
    assert {record["total_steps"] for record in records if record["step"]} == {3}


async def test_who_wants_canvases_only_hears_of_no_job(still_site: Site) -> None:
    async with still_site.events() as events:
        await subscribe(events, events=["canvases"])
        await still_site.ended((await still_site.paint("left", "a fox", mode="once"))["id"])
        await events.ws.send_json({"type": "ping"})
        kinds = set()
        while (message := await events.receive())["type"] != "pong":
            kinds.add(message["type"])

    assert kinds <= {"canvases"}


async def test_nothing_is_told_to_who_wants_nothing_until_it_does(still_site: Site) -> None:
    async with still_site.events() as events:
        await subscribe(events, events=[])
        await still_site.ended((await still_site.paint("left", "a fox", mode="once"))["id"])
        await events.ws.send_json({"type": "ping"})
        assert (await events.receive())["type"] == "pong"

        # What has changed meanwhile is told at once.
        await events.ws.send_json({"type": "subscribe", "events": ["canvases", "canvases"]})
        assert (await events.receive())["type"] == "canvases"


async def test_both_forms_are_told_to_who_wants_both_and_of_one_session_only(still_site: Site) -> None:
    job = await still_site.paint("left", "a fox", mode="once")
    await still_site.ended(job["id"])
    async with still_site.events() as events:
        await events.receive()
        await events.ws.send_json(
            {"type": "subscribe", "events": ["generation", "jobs"], "session_id": job["session"]}
        )
        told = [await events.receive() for _ in range(2)]
        await still_site.ended((await still_site.paint("left", "another", mode="once"))["id"])
        await events.ws.send_json({"type": "ping"})
        assert (await events.receive())["type"] == "pong"

    assert [message["type"] for message in told] == ["generation_complete", "job"]
    assert told[1]["job"]["id"] == job["id"]


async def test_a_subscription_that_names_no_events_changes_none(still_site: Site) -> None:
    async with still_site.events() as events:
        await subscribe(events, events=["jobs"])
        await subscribe(events)
        asked = await still_site.paint("left", "a fox", mode="once")
        assert (await until_ended(events, asked["id"]))[-1]["state"] == "succeeded"


async def test_a_job_that_moves_up_is_told_in_its_new_place(still_site: Site) -> None:
    engine = still_site.engine
    assert engine is not None
    engine.gate.clear()
    first, second, third = [
        await still_site.paint("left", f"{number}", mode="once", when="queue") for number in range(3)
    ]
    async with still_site.events() as events, still_site.events() as seeds:
        await subscribe(events, events=["jobs"])
        await subscribe(seeds, events=["generation"])
        await still_site.call("DELETE", f"/jobs/{second['id']}")
        moved = await events.next("job")
        while moved["job"]["id"] != third["id"]:
            moved = await events.next("job")
        await seeds.ws.send_json({"type": "ping"})
        told = []
        while (message := await seeds.receive())["type"] != "pong":
            told.append(message["job_id"])
        engine.gate.set()

    assert (third["position"], moved["job"]["position"]) == (2, 1)
    # The first programs know of no places.
    assert third["id"] not in told
    await still_site.ended(first["id"])
    await still_site.ended(third["id"])


@pytest.mark.parametrize(
    "events", ["jobs", {}, 5, ["job"], ["jobs", 1], ["jobs", None], [["jobs"]], ["jobs"] * 11]
)
async def test_events_that_nobody_tells_close_the_connection_by_name(still_site: Site, events: Any) -> None:
    async with still_site.events() as listener:
        await listener.receive()
        await listener.ws.send_json({"type": "subscribe", "events": events})
        message = await listener.ws.receive()
        while message.data is not None and message.type.name == "TEXT":
            message = await listener.ws.receive()

    assert message.data == 1002
    assert "subscribe.events must be a list of at most 10 of canvases, generation, jobs" in message.extra


async def test_a_phone_that_stopped_reading_is_kept_and_learns_the_end(still_site: Site) -> None:
    engine = still_site.engine
    assert engine is not None
    engine.gate.clear()
    job = await still_site.paint("left", "a fox" * 300, mode="once")
    kept = still_site.parts.desk.get(job["id"])
    phone = await RawScreen.connect(still_site.url)
    await phone.send_part(0x1, json.dumps({"type": "subscribe", "events": ["jobs"]}).encode())
    (listener,) = await wait_for(lambda: list(still_site.parts.bus._listeners))
    await wait_for(lambda: not listener.wants(Event()))
    # Many times what its socket and ours hold.
    for step in range(2 * MAX_WAITING):
        kept.step, kept.total_steps = step, 2 * MAX_WAITING
        still_site.parts.desk.notify(kept)
        if step % 100 == 0:
            await asyncio.sleep(0)
    assert len(listener._events) <= 2
    engine.gate.set()
    await still_site.ended(job["id"])

    async with asyncio.timeout(SOON_S):
        state = ""
        while state != "succeeded":
            _, text = await phone.receive()
            message = json.loads(text)
            state = message["job"]["state"] if message["type"] == "job" else ""
    phone.sock.close()


async def test_screens_are_told_of_each_step_all_that_a_stage_shows(still_site: Site) -> None:
    engine = still_site.engine
    assert engine is not None
    async with still_site.screen("left") as screen:
        engine.gate.clear()
        first = await still_site.paint("left", "a fox", mode="once", steps=9, author="Ada", message="hi")
        waiting = await still_site.paint("left", "next", mode="once", when="queue", author="Bob")
        told = await screen.next("status", queue={"length": 1, "next": [waiting]})
        engine.gate.set()
        steps = []
        while (status := await screen.next("status"))["job"] and status["job"]["id"] == first["id"]:
            steps.append(status["job"])

    job = told["job"]
    assert (job["author"], job["message"], job["source"], job["prompt"]) == ("Ada", "hi", "api", "a fox")
    assert told["queue"]["next"][0]["author"] == "Bob"
    assert steps
    assert [job["step"] for job in steps] == sorted(job["step"] for job in steps)
    assert {job["total_steps"] for job in steps} <= {0, 9}
    assert all(job["started_ms"] for job in steps)
    assert steps[-1]["ends_ms"] >= steps[-1]["started_ms"]

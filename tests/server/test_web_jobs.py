"""Jobs over HTTP: what starts them, what refuses to, their history, results and progress."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from grpc import aio
from screens import SOON_S, Site, image, running_site, wait_for

from protos import psyche_inference_v1_pb2 as pb
from protos.psyche_inference_v1_pb2_grpc import ImageGenerationServiceStub
from server.generation import read_ahead


BAD_PROMPTS = [
    ({}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": "   "}, "prompt"),
    ({"prompt": "x" * 2001}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": "x", "negative_prompt": "y" * 2001}, "negative_prompt"),
    ({"prompt": "x", "mode": "forever"}, "mode"),
    ({"prompt": "x", "count": 0}, "count"),
    ({"prompt": "x", "count": 65}, "count"),
    ({"prompt": "x", "fps": 0}, "fps"),
    ({"prompt": "x", "seed": -1}, "seed"),
    ({"prompt": "x", "seed": 2**31}, "seed"),
    ({"prompt": "x", "seed": 1.5}, "seed"),
    ({"prompt": "x", "steps": 0}, "steps"),
    ({"prompt": "x", "steps": 101}, "steps"),
    ({"prompt": "x", "guidance_scale": 20.5}, "guidance_scale"),
    ({"prompt": "x", "width": 100}, "width"),
    ({"prompt": "x", "height": 8}, "height"),
    ({"prompt": "x", "strength": 0}, "strength"),
    ({"prompt": "x", "strength": 1.1}, "strength"),
    ({"prompt": "x", "source": "nothing-like-it"}, "source"),
    ({"prompt": "x", "transition_s": -1}, "transition_s"),
    ({"prompt": "x", "transition_s": 601}, "transition_s"),
    ({"prompt": "x", "when": "later"}, "when"),
    ({"prompt": "x", "model": "none-such"}, "model"),
    ({"prompt": "x", "style": "none-such"}, "style"),
    ({"prompt": "x", "unknown": 1}, "unknown"),
]


@pytest.mark.parametrize(("body", "field"), BAD_PROMPTS, ids=lambda value: str(value)[:40])
async def test_a_bad_prompt_names_its_field_and_starts_nothing(
    still_site: Site, body: dict[str, Any], field: str
) -> None:
    for path, more in (("/canvases/new/prompt", {}), ("/jobs", {"canvas": "new"})):
        error = await still_site.refused("POST", path, status=400, json={**body, **more})
        assert (error["code"], error["field"]) == ("invalid", field), path
    assert (await still_site.call("GET", "/jobs"))["jobs"] == []
    await still_site.refused("GET", "/canvases/new", status=404)


BAD_JOBS = [
    ({"prompt": "x", "canvas": "No Slug"}, "canvas"),
    ({"prompt": "x", "canvases": ["left", "No Slug"]}, "canvases.1"),
    ({"prompt": "x", "canvases": "left"}, "canvases"),
    ({"prompt": "x", "mode": "live"}, "mode"),
    ({"prompt": "x", "source": "current"}, "source"),
]


@pytest.mark.parametrize(("body", "field"), BAD_JOBS)
async def test_a_bad_job_names_its_field(still_site: Site, body: dict[str, Any], field: str) -> None:
    assert (await still_site.refused("POST", "/jobs", status=400, json=body))["field"] == field


async def test_letters_that_are_no_text_are_refused(still_site: Site) -> None:
    body = b'{"prompt": "half a letter: \\ud800"}'
    error = await still_site.refused(
        "POST", "/canvases/left/prompt", status=400, data=body, headers={"Content-Type": "application/json"}
    )
    assert error["field"] == "prompt"


async def test_several_canvases_are_started_at_once_in_one_session(site: Site) -> None:
    async with site.screen("left") as left, site.screen("third") as third:
        body = {"prompt": "together", "canvases": ["left", "third", "left"], "canvas": "left", "mode": "live"}
        answer = await site.call("POST", "/jobs", status=202, json=body)
        jobs = answer["jobs"]

        assert [job["canvas"] for job in jobs] == ["left", "third"]
        assert answer["job"] == jobs[0]
        assert len({job["session"] for job in jobs}) == 1
        assert len({job["id"] for job in jobs}) == 2
        await left.frame(job=jobs[0]["id"])
        await third.frame(job=jobs[1]["id"])
    listed = (await site.call("GET", f"/jobs?session={jobs[0]['session']}"))["jobs"]
    assert {job["id"] for job in listed} == {job["id"] for job in jobs}


async def test_a_job_without_a_canvas_only_makes_images(still_site: Site) -> None:
    body = {"prompt": "for nobody", "mode": "variations", "count": 2, "width": 128, "height": 64}
    async with still_site.session.post(still_site.url / "jobs", json=body) as response:
        assert response.status == 202
        job = (await response.json())["job"]
        assert response.headers["Location"] == f"/jobs/{job['id']}"

    ended = await still_site.ended(job["id"])

    assert job["canvas"] is None
    assert ended["state"] == "succeeded"
    assert [(image["width"], image["height"]) for image in ended["images"]] == [(128, 64)] * 2
    assert still_site.canvas("left").newest is None


async def test_history_is_newest_first_and_can_be_asked_for_in_parts(site: Site) -> None:
    first = await site.ended((await site.paint("left", "one", mode="once"))["id"])
    second = await site.ended((await site.paint("right", "two", mode="once"))["id"])

    async def ids(query: str) -> list[str]:
        return [job["id"] for job in (await site.call("GET", f"/jobs{query}"))["jobs"]]

    everything = await ids("")
    assert everything[:2] == [second["id"], first["id"]]
    assert len(everything) == 4  # The two that the canvases began with.
    assert await ids("?limit=1") == everything[:1]
    assert first["id"] in await ids("?canvas=left")
    assert second["id"] not in await ids("?canvas=left")
    assert await ids(f"?session={first['session']}") == [first["id"]]
    assert await ids("?state=succeeded") == [second["id"], first["id"]]
    assert await ids("?state=failed") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("state=happy", "state")],
)
async def test_a_bad_question_about_history_names_its_field(still_site: Site, query: str, field: str) -> None:
    assert (await still_site.refused("GET", f"/jobs?{query}", status=400))["field"] == field


async def test_a_job_that_is_not_there_is_told_so(still_site: Site) -> None:
    for method, path in [
        ("GET", "/jobs/none"),
        ("DELETE", "/jobs/none"),
        ("GET", "/jobs/none/images/0"),
        ("GET", "/jobs/none/preview"),
        ("GET", "/jobs/none/events"),
    ]:
        assert (await still_site.refused(method, path, status=404))["code"] == "not_found"


async def test_a_repeat_with_its_key_starts_nothing_new(site: Site) -> None:
    key = {"Idempotency-Key": "one and the same"}
    body = {"prompt": "only once", "mode": "once"}

    first, *repeats = [
        (await site.call("POST", "/canvases/left/prompt", status=202, json=body, headers=key))["job"]["id"]
        for _ in range(3)
    ]
    at_once = await asyncio.gather(
        *(
            site.call("POST", "/jobs", status=202, json=body, headers={"Idempotency-Key": "another"})
            for _ in range(5)
        )
    )

    assert repeats == [first, first]
    assert len({answer["job"]["id"] for answer in at_once}) == 1
    error = await site.refused(
        "POST", "/canvases/left/prompt", status=409, json={**body, "seed": 1}, headers=key
    )
    assert error["field"] == "idempotency-key"
    await site.refused("POST", "/canvases/right/prompt", status=409, json=body, headers=key)
    generate = {"prompt": "only once"}
    answers = [
        await site.call("POST", "/api/generate", json=generate, headers={"Idempotency-Key": "third"})
        for _ in range(2)
    ]
    assert answers[0]["session_id"] == answers[1]["session_id"]
    bad = {"Idempotency-Key": "x" * 201}
    error = await site.refused("POST", "/canvases/left/prompt", status=400, json=body, headers=bad)
    assert error["field"] == "idempotency-key"


async def test_results_can_be_kept_by_browsers_and_previews_cannot(site: Site) -> None:
    job = await site.paint("left", "kept", mode="once")
    await site.ended(job["id"])

    async with site.session.get(site.url / f"jobs/{job['id']}/images/0") as response:
        assert response.content_type == "image/jpeg"
        assert "immutable" in response.headers["Cache-Control"]
        result = await response.read()
    async with site.session.get(site.url / f"jobs/{job['id']}/preview") as response:
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.read() == result
    for number in ("1", "-1", "x", "0000000000000000000000000"):
        await site.refused("GET", f"/jobs/{job['id']}/images/{number}", status=404)


async def test_a_picture_under_way_has_a_preview(still_site: Site) -> None:
    engine = still_site.engine
    assert engine is not None
    engine.gate.clear()
    job = await still_site.paint("left", "slow", mode="once", steps=4)
    await engine.wait_until_stepping()
    await still_site.refused("GET", f"/jobs/{job['id']}/preview", status=404)

    engine.gate.set()
    await still_site.ended(job["id"])

    assert (await still_site.call("GET", f"/jobs/{job['id']}/preview")).startswith(b"\xff\xd8")


async def test_a_live_job_previews_what_its_canvas_shows(site: Site) -> None:
    async with site.screen("left") as screen:
        frame = await screen.frame()
        await site.call("PATCH", "/canvases/left", json={"paused": True})
        assert (await site.call("GET", f"/jobs/{frame['job']}/preview")).startswith(b"\xff\xd8")


async def job_events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """Read server-sent events."""
    async with asyncio.timeout(SOON_S):
        async for line in response.content:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


async def test_progress_is_told_as_server_sent_events_until_the_end(still_site: Site) -> None:
    engine = still_site.engine
    assert engine is not None
    engine.gate.clear()
    job = await still_site.paint("left", "slow", mode="once", steps=3)
    async with still_site.session.get(still_site.url / f"jobs/{job['id']}/events") as response:
        assert response.content_type == "text/event-stream"
        events = []
        async for event in job_events(response):
            events.append(event)
            engine.gate.set()

    assert {event["id"] for event in events} == {job["id"]}
    assert events[-1]["state"] == "succeeded"
    assert len(events[-1]["images"]) == 1
    assert [event["step"] for event in events] == sorted(event["step"] for event in events)
    async with still_site.session.get(still_site.url / f"jobs/{job['id']}/events") as response:
        assert [event["state"] async for event in job_events(response)] == ["succeeded"]


async def test_whoever_follows_a_job_and_goes_is_no_error(site: Site) -> None:
    async with site.screen("left") as screen:
        frame = await screen.frame()
        reader, writer = await asyncio.open_connection("127.0.0.1", site.url.port)
        writer.write(f"GET /jobs/{frame['job']}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await reader.readuntil(b"data: ")
        listeners = len(site.parts.bus._listeners)
        writer.transport.abort()
        # The next thing to tell finds nobody.
        job = await site.paint("left", "next")
        await screen.frame(job=job["id"])
        await wait_for(lambda: len(site.parts.bus._listeners) < listeners)


@pytest.mark.parametrize("handler_cancellation", [True, False])
async def test_whoever_follows_a_job_holds_up_no_stop(tmp_path: Path, handler_cancellation: bool) -> None:
    async with running_site(tmp_path, handler_cancellation=handler_cancellation) as site:
        async with site.screen("left") as screen:
            frame = await screen.frame()
        url = site.url / f"jobs/{frame['job']}/events"
        async with site.session.get(url) as response:
            await response.content.readline()
            # The runner waits 5 s for handlers that do not end.
            async with asyncio.timeout(4):
                await site.runner.cleanup()


MEDIA_TYPES = {"jpeg": "a.jpg", "png": "b.png", "webp": "c.webp"}


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no picture of a folder left out on a machine that is busy."""
    monkeypatch.setattr(read_ahead, "LATE_S", 60.0)


@pytest.fixture
def media(tmp_path: Path) -> list[bytes]:
    """Fill a folder of the media root, and return the pictures in the order of their names."""
    folder = tmp_path / "media" / "show"
    folder.mkdir(parents=True)
    (tmp_path / "media" / "empty").mkdir()
    (tmp_path / "secret").mkdir()
    pictures = []
    for number, (format_, name) in enumerate(MEDIA_TYPES.items()):
        picture = image(format_, colour=(number * 80, 100, 50)).data
        (folder / name).write_bytes(picture)
        (tmp_path / "secret" / name).write_bytes(picture)
        pictures.append(picture)
    (folder / "notes.txt").write_text("no picture")
    return pictures


@pytest.mark.usefixtures("unhurried")
async def test_a_playlist_shows_the_pictures_of_a_folder_once(still_site: Site, media: list[bytes]) -> None:
    async with still_site.screen("left") as screen:
        await screen.sync()
        body = {"folder": "show", "fps": 60}
        answer = await still_site.call("POST", "/canvases/left/playlist", status=202, json=body)
        job = answer["job"]
        frames = [await screen.frame(job=job["id"]) for _ in range(3)]
        ended = await still_site.ended(job["id"])

    assert [frame["image"] for frame in frames] == media
    assert [frame["format"] for frame in frames] == ["jpeg", "png", "webp"]
    assert [frame["final"] for frame in frames] == [False, False, True]
    assert (ended["kind"], ended["state"], ended["step"], ended["total_steps"]) == (
        "playlist",
        "succeeded",
        3,
        3,
    )


@pytest.mark.usefixtures("unhurried")
async def test_a_playlist_may_go_round_until_something_else_is_shown(
    still_site: Site, media: list[bytes]
) -> None:
    async with still_site.screen("left") as screen:
        body = {"folder": "show", "fps": 60, "loop": True}
        answer = await still_site.call("POST", "/canvases/left/playlist", status=202, json=body)
        frames = [await screen.frame() for _ in range(7)]
        assert [frame["image"] for frame in frames] == [*media, *media, media[0]]

        job = await still_site.paint("left", "instead")
        await screen.frame(job=job["id"])
        ended = await still_site.ended(answer["job"]["id"])
    assert (ended["state"], ended["reason"]) == ("cancelled", "superseded")


BAD_FOLDERS = ["none-such", "../secret", "..", ".", "/etc", "show/../../secret", "show/", "a\x00b", "\x00"]


@pytest.mark.parametrize("folder", BAD_FOLDERS)
async def test_no_folder_outside_the_media_root_is_shown(
    still_site: Site, media: list[bytes], folder: str
) -> None:
    error = await still_site.refused("POST", "/canvases/new/playlist", status=404, json={"folder": folder})
    assert error["field"] == "folder"
    await still_site.refused("GET", "/canvases/new", status=404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "folder"),
        ({"folder": "empty"}, "folder"),
        ({"folder": "show", "fps": 0}, "fps"),
        ({"folder": "show", "loop": 1}, "loop"),
    ],
)
async def test_a_bad_playlist_names_its_field(
    still_site: Site, media: list[bytes], body: dict[str, Any], field: str
) -> None:
    error = await still_site.refused("POST", "/canvases/left/playlist", status=400, json=body)
    assert error["field"] == field


async def test_a_job_can_be_given_up_at_the_inference_service_by_its_id(still_site: Site) -> None:
    engine = still_site.engine
    assert engine is not None
    engine.gate.clear()
    job = await still_site.paint("left", "given up", mode="once", steps=3)
    await engine.wait_until_stepping()

    async with aio.insecure_channel(still_site.parts.client.address) as channel:
        cancel = ImageGenerationServiceStub(channel).CancelImage
        answer = await cancel(pb.CancelRequest(request_id=job["id"]))
    engine.gate.set()
    ended = await still_site.ended(job["id"])

    assert answer.cancelled == 1
    assert (ended["state"], ended["reason"], ended["error"]) == ("cancelled", "cancelled", None)

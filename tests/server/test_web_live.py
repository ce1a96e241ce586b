"""What is painted and when: prompts, queues, demand, and an inference service that dies."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from fakes import FakeEngine, still
from screens import Screen, Site, running_app, running_site, settings_for, wait_for
from services import running_service


async def test_a_prompt_switches_one_canvas_within_a_second_and_leaves_the_other(site: Site) -> None:
    async with site.screen("left") as left, site.screen("right") as right:
        before, other = await left.frame(), await right.frame()
        took_s: list[float] = []
        # A busy machine may take longer, but not every time.
        while not took_s or (took_s[-1] >= 1.0 and len(took_s) < 5):
            prompt = "a fox in the snow" + len(took_s) * " again"
            began_s = time.perf_counter()
            job = await site.paint("left", prompt)
            while (status := await left.next("status"))["job"]["id"] != job["id"]:
                pass
            after = await left.frame(job=job["id"])
            took_s.append(time.perf_counter() - began_s)

            assert after["job"] != before["job"]
            assert after["image"] != before["image"]
            assert status["job"]["prompt"] == prompt
        assert took_s[-1] < 1.0
        for message in await right.sync():
            assert message["type"] != "frame" or message["job"] == other["job"]
        superseded = await site.ended(before["job"])
        assert (superseded["state"], superseded["reason"]) == ("cancelled", "superseded")


async def test_a_job_is_told_with_all_that_was_asked_for(site: Site) -> None:
    fields = {"negative_prompt": "blur", "seed": 7, "steps": 3, "width": 128, "fps": 30, "transition_s": 0.1}
    fields |= {"author": "Ada", "message": "hello", "style": "oil", "model": "fake"}
    job = await site.paint("left", "  spaces around  ", **fields)

    assert job["prompt"] == "spaces around"
    assert job["kind"] == "live"
    assert job["state"] in ("queued", "running")
    assert (job["author"], job["message"], job["canvas"]) == ("Ada", "hello", "left")
    assert {name: job["parameters"][name] for name in ("seed", "steps", "width", "fps", "style")} == {
        name: fields[name] for name in ("seed", "steps", "width", "fps", "style")
    }
    async with site.screen("left") as screen:
        assert (await screen.frame(job=job["id"]))["width"] == 128


async def test_a_drawn_seed_is_told_so_that_the_picture_can_be_had_again(site: Site) -> None:
    async with site.screen("left") as screen:
        first = await site.paint("left", "again", mode="once")
        picture = (await screen.frame(job=first["id"]))["image"]
        again = await site.paint("left", "again", mode="once", seed=first["parameters"]["seed"])
        assert (await screen.frame(job=again["id"]))["image"] == picture


async def test_nobody_watching_means_nothing_is_painted(site: Site) -> None:
    engine = site.engine
    assert engine is not None
    await wait_for(lambda: site.parts.desk.lane("left").running)
    assert engine.batches == []

    async with site.screen("left") as screen:
        await screen.frame()
        await screen.frame()
    await wait_for(lambda: not site.canvas("left").subscribers)
    # What was under way may still come; then there is nothing more, however long.
    painted = await still(engine)
    await site.call("GET", "/ready")
    assert await still(engine) == painted
    assert set(engine.finished) == {"left one"}


async def test_one_picture_is_painted_for_nobody_too_and_kept(site: Site) -> None:
    job = await site.paint("right", "one picture", mode="once", steps=3)

    ended = await site.ended(job["id"])

    assert (ended["state"], ended["step"], ended["total_steps"]) == ("succeeded", 3, 3)
    (result,) = ended["images"]
    assert (result["width"], result["height"], result["format"]) == (64, 64, "jpeg")
    assert result["metadata"]["seed"] == job["parameters"]["seed"]
    newest = site.canvas("right").newest
    assert newest is not None
    assert (newest.job, newest.final) == (job["id"], True)
    assert await site.call("GET", result["url"]) == newest.image.data


async def test_variations_are_shown_one_after_the_other(site: Site) -> None:
    async with site.screen("left") as screen:
        job = await site.paint("left", "some", mode="variations", count=3, seed=10)
        frames = [await screen.frame(job=job["id"]) for _ in range(3)]
        ended = await site.ended(job["id"])

    assert [frame["final"] for frame in frames] == [False, False, True]
    assert ended["state"] == "succeeded"
    assert (ended["step"], ended["total_steps"]) == (3, 3)
    assert {image["metadata"]["seed"] for image in ended["images"]} == {10, 11, 12}
    for number, frame in enumerate(frames):
        assert await site.call("GET", f"/jobs/{job['id']}/images/{number}") == frame["image"]
    await site.refused("GET", f"/jobs/{job['id']}/images/3", status=404)


async def test_waiting_jobs_are_done_in_their_order_and_a_live_one_yields(site: Site) -> None:
    async with site.screen("left") as screen:
        await screen.frame()
        live = site.parts.desk.lane("left").running
        assert live is not None
        assert site.engine is not None
        site.engine.gate.clear()
        jobs = [(await site.paint("left", f"{n}", mode="once", when="queue"))["id"] for n in range(4)]
        # The live picture ends with its frame, if one was under way.
        waiting = [job for job in jobs if job != site.parts.desk.lane("left").running.id]
        queue = await site.call("GET", "/canvases/left/queue")
        while (status := await screen.next("status"))["queue"]["length"] < len(waiting):
            pass
        site.engine.gate.set()

        shown = [(await screen.frame(job=job))["sequence"] for job in jobs]
        ended = [await site.ended(job) for job in jobs]

    assert len(waiting) >= 3
    assert [job["id"] for job in queue["waiting"]] == waiting
    assert [job["position"] for job in queue["waiting"]] == list(range(1, len(waiting) + 1))
    assert [job["id"] for job in status["queue"]["next"]] == waiting
    assert shown == sorted(shown)
    assert [job["state"] for job in ended] == ["succeeded"] * 4
    assert [job["started_ms"] for job in ended] == sorted(job["started_ms"] for job in ended)
    assert live.reason == "superseded"


async def held(site: Site, slug: str = "left") -> dict[str, Any]:
    """Start a job that stays under way until the engine's gate is opened."""
    assert site.engine is not None
    site.engine.gate.clear()
    job = await site.paint(slug, "held", mode="once")
    await site.engine.wait_until_stepping()
    return job


async def test_a_finite_job_is_not_superseded(still_site: Site) -> None:
    finite = await held(still_site)
    live = await still_site.paint("left", "live")
    assert (await still_site.call("GET", f"/jobs/{finite['id']}"))["job"]["state"] == "running"
    assert live["state"] == "queued"
    assert live["position"] == 1
    assert still_site.engine is not None
    still_site.engine.gate.set()

    assert (await still_site.ended(finite["id"]))["state"] == "succeeded"
    async with still_site.screen("left") as screen:
        await screen.frame(job=live["id"])


async def test_skipping_ends_the_running_job_and_begins_the_next(still_site: Site) -> None:
    await still_site.refused("POST", "/canvases/left/queue/skip", status=409)
    first = await held(still_site)
    second = await still_site.paint("left", "next", mode="once", when="queue")

    body = await still_site.call("POST", "/canvases/left/queue/skip")
    assert still_site.engine is not None
    still_site.engine.gate.set()

    assert body["skipped"]["id"] == first["id"]
    ended = await still_site.ended(first["id"])
    assert (ended["state"], ended["reason"]) == ("cancelled", "skipped")
    assert (await still_site.ended(second["id"]))["state"] == "succeeded"


async def test_clearing_ends_those_that_wait_only(still_site: Site) -> None:
    first = await held(still_site)
    waiting = [await still_site.paint("left", "w", mode="once", when="queue") for _ in range(3)]

    body = await still_site.call("POST", "/canvases/left/queue/clear")
    assert still_site.engine is not None
    still_site.engine.gate.set()

    assert [job["id"] for job in body["cleared"]] == [job["id"] for job in waiting]
    for job in waiting:
        ended = await still_site.ended(job["id"])
        assert (ended["state"], ended["reason"]) == ("cancelled", "cleared")
    assert (await still_site.ended(first["id"]))["state"] == "succeeded"


async def test_the_stage_canvas_has_its_own_short_addresses(tmp_path: Path) -> None:
    async with running_site(tmp_path, stage="left", default_prompt="") as site:
        first = await held(site)
        second = await site.paint("left", "next", mode="once", when="queue")

        queue = await site.call("GET", "/queue")
        assert (queue["canvas"], queue["active"]["id"], queue["length"]) == ("left", first["id"], 1)
        cleared = await site.call("POST", "/queue/clear")
        assert [job["id"] for job in cleared["cleared"]] == [second["id"]]
        assert (await site.call("POST", "/queue/skip"))["skipped"]["id"] == first["id"]
        assert site.engine is not None
        site.engine.gate.set()
        await site.ended(first["id"])


async def test_a_full_queue_refuses_without_changing_anything(tmp_path: Path) -> None:
    async with running_site(tmp_path, queue_max_size=1, default_prompt="") as site:
        await held(site, "left")
        await site.paint("left", "waits", mode="once", when="queue")

        body = {"prompt": "x", "mode": "once", "when": "queue"}
        assert (await site.refused("POST", "/canvases/left/prompt", status=503, json=body))["code"] == "full"
        both = {**body, "canvases": ["right", "left"]}
        await site.refused("POST", "/jobs", status=503, json=both)
        new = {**body, "canvases": ["third", "left"]}
        await site.refused("POST", "/jobs", status=503, json=new)

        assert len((await site.call("GET", "/jobs"))["jobs"]) == 2, "all or none of them start"
        await site.refused("GET", "/canvases/third", status=404)
        assert site.engine is not None
        site.engine.gate.set()


async def test_cancelling_ends_a_running_and_a_waiting_job(still_site: Site) -> None:
    first = await held(still_site)
    second = await still_site.paint("left", "waits", mode="once", when="queue")

    cancelled = [(await still_site.call("DELETE", f"/jobs/{job['id']}"))["job"] for job in (second, first)]
    assert still_site.engine is not None
    still_site.engine.gate.set()

    assert [job["state"] for job in cancelled] == ["cancelled", "cancelled"]
    again = (await still_site.call("DELETE", f"/jobs/{first['id']}"))["job"]
    assert again == cancelled[1]


async def test_a_cancelled_live_job_leaves_its_last_picture(site: Site) -> None:
    async with site.screen("left") as screen:
        frame = await screen.frame()
        ended = (await site.call("DELETE", f"/jobs/{frame['job']}"))["job"]
        assert (ended["state"], ended["reason"]) == ("cancelled", "cancelled")
        status = await screen.next("status", state="idle")
        assert status["job"] is None
    async with site.screen("left") as screen:
        assert (await screen.frame())["job"] == frame["job"]


async def test_what_the_model_cannot_use_is_told_in_warnings(site: Site) -> None:
    job = await site.paint("left", "x", mode="once", guidance_scale=5.0, strength=0.5)
    ended = await site.ended(job["id"])

    assert ended["warnings"] == [
        "strength was not used: there is no source image",
        "guidance_scale was not used: flat colours need no guidance",
    ]


async def test_a_picture_that_the_service_refuses_fails_with_its_reason(site: Site) -> None:
    for mode in ("once", "variations", "live"):
        async with site.screen("left") as screen:
            job = await site.paint("left", "unpaintable", mode=mode)
            ended = await site.ended(job["id"])
            await screen.next("status", state="idle")
        assert ended["state"] == "failed", mode
        assert "paintable" in ended["error"]
        after = await site.paint("left", "fine", mode="once")
        ended = await site.ended(after["id"])
        assert ended["state"] == "succeeded", (mode, ended["reason"])


async def test_a_picture_that_cannot_be_painted_fails_and_the_next_is(site: Site) -> None:
    job = await site.paint("left", "fails to finish", mode="once")
    ended = await site.ended(job["id"])
    assert ended["state"] == "failed"
    assert "failed to finish" in ended["error"]
    async with site.screen("left") as screen:
        live = await site.paint("left", "fine")
        await screen.frame(job=live["id"])


async def frames_again(screen: Screen, after: dict[str, Any]) -> dict[str, Any]:
    """Wait for a frame that is newer."""
    while (frame := await screen.frame())["sequence"] <= after["sequence"]:
        pass
    return frame


async def tries_are_paused(site: Site) -> None:
    """See to it that the service is not called again and again without a pause."""

    def tries() -> int:
        return sum(event["event"] == "waiting for the inference service" for event in site.logs)

    before, began_s = tries(), asyncio.get_running_loop().time()
    await wait_for(lambda: tries() >= before + 3)
    # The pauses are at least half of 0.2 s, 0.4 s and 0.8 s; two of them have passed for certain.
    assert asyncio.get_running_loop().time() - began_s > 0.1


async def test_painting_goes_on_when_the_inference_service_comes_back(tmp_path: Path) -> None:
    engine = FakeEngine()
    media = tmp_path / "media"
    service = running_service(engine, tmp_path, grace_period_s=0)
    address = (await service.__aenter__()).address
    async with running_app(settings_for(address, media_root=media)) as site, site.screen("left") as screen:
        await screen.frame()
        await service.__aexit__(None, None, None)

        await screen.next("status", state="unavailable")
        await site.call("GET", "/ready", status=503)
        await tries_are_paused(site)
        assert (await site.call("GET", "/canvases/left"))["canvas"]["state"] == "unavailable"
        waiting = await site.paint("right", "waits for it", mode="once")
        async with site.screen("left") as late:
            kept = await late.frame()

        async with running_service(engine, tmp_path, grace_period_s=0), asyncio.timeout(20):
            await screen.next("status", state="painting")
            again = await frames_again(screen, kept)
            assert again["job"] == kept["job"]
            assert (await site.ended(waiting["id"]))["state"] == "succeeded"
            assert not screen.ws.closed
            await site.runner.cleanup()
            await screen.end()


async def test_a_service_that_comes_late_is_told_without_a_screen(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'inference.sock'}"
    async with running_app(settings_for(address, media_root=tmp_path / "media")) as site:
        await wait_for(lambda: site.canvas("left").to_json()["state"] == "unavailable")

        async with running_service(FakeEngine(), tmp_path) as service:
            assert service.address == address
            await wait_for(lambda: site.canvas("left").to_json()["state"] == "painting")

            await site.runner.cleanup()


async def test_a_live_picture_is_warned_of_those_who_wait(site: Site) -> None:
    async with site.screen("left"):
        await site.paint("left", "first", mode="variations", count=64, fps=60.0)
        await site.paint("left", "waits", mode="once", when="queue")

        urgent = await site.paint("left", "urgent")

    assert any("yields" in warning for warning in urgent["warnings"])


async def test_a_live_picture_that_replaces_one_that_waits_is_warned_of_nothing(site: Site) -> None:
    async with site.screen("left"):
        first = await site.paint("left", "first", mode="variations", count=64, fps=60.0)
        await wait_for(lambda: site.canvas("left").to_json()["job"] == first["id"])
        replaced = await site.paint("left", "replaced")

        newer = await site.paint("left", "newer")

    assert newer["warnings"] == []
    assert (await site.ended(replaced["id"]))["reason"] == "superseded"


async def test_a_lost_service_is_told_at_once_however_slow_the_canvas(tmp_path: Path) -> None:
    service = running_service(FakeEngine(), tmp_path, grace_period_s=0)
    address = (await service.__aenter__()).address
    # One frame in ten seconds: between two of them nothing is asked for.
    settings = settings_for(address, media_root=tmp_path / "media", fps=0.1)
    async with running_app(settings) as site, site.screen("left") as screen:
        await screen.frame()
        await service.__aexit__(None, None, None)
        # Less than the ten.
        async with asyncio.timeout(8):
            await screen.next("status", state="unavailable")
        await tries_are_paused(site)

"""The wire protocol as a screen meets it: what comes first, what each message means, how it ends."""

from __future__ import annotations

import base64
import itertools
import json
import re
from pathlib import Path
from typing import Any

import msgpack
import pytest
from screens import Screen, Site, heavy_image, image, running_site, wait_for

from server.streaming.clock import now_ms
from server.streaming.wire import JSON_PROTOCOL, MAX_CLIENT_MESSAGE_BYTES, MSGPACK_PROTOCOL


FRAME_FIELDS = {
    "type": str,
    "canvas": str,
    "sequence": int,
    "image_id": str,
    "timestamp_ms": float,
    "published_ms": float,
    "format": str,
    "width": int,
    "height": int,
    "tier": str,
    "job": (str, type(None)),
    "final": bool,
    "stages": dict,
    "image": bytes,
}


_colours = itertools.count(0, 8)


async def publish(site: Site, slug: str = "left", *, number: int = 1) -> None:
    """Publish frames on a canvas, past every encoder."""
    for _ in range(number):
        # Each another picture: one that has not changed would not be sent.
        colour = next(_colours)
        site.canvas(slug).publish(
            image(colour=(colour % 256, colour // 256 % 256, 90)), timestamp_ms=now_ms()
        )


async def frames_now(screen: Screen) -> list[int]:
    """Return the sequences of the frames that were on their way."""
    return [message["sequence"] for message in await screen.sync() if message["type"] == "frame"]


@pytest.mark.parametrize("protocols", [(), (MSGPACK_PROTOCOL,), (JSON_PROTOCOL,)])
async def test_hello_comes_first_then_the_status_then_the_current_frame(
    site: Site, protocols: tuple[str, ...]
) -> None:
    async with site.screen("left") as first:
        await first.frame()
        # Nothing more is painted until all is seen.
        site.engine.gate.clear()
        await site.engine.wait_until_stepping()
        await site.call("PATCH", "/canvases/left", json={"paused": True})

    async with site.screen("left", protocols=protocols) as screen:
        hello, status, frame = [await screen.receive() for _ in range(3)]

    assert screen.ws.protocol == (protocols[0] if protocols else None)
    assert [message["type"] for message in (hello, status, frame)] == ["hello", "status", "frame"]
    assert hello["protocol"] == 1
    assert hello["epoch"] == site.canvas("left").epoch
    assert hello["canvas"]["slug"] == "left"
    assert abs(hello["server_time_ms"] - now_ms()) < 10_000
    assert isinstance(hello["limits"], dict)
    assert isinstance(hello["features"], list)
    assert status["canvas"] == "left"
    assert status["state"] == "paused"
    assert status["job"]["id"] == frame["job"]
    assert status["job"]["preview"] == f"/jobs/{frame['job']}/preview"
    assert status["queue"] == {"length": 0, "next": []}
    assert frame["sequence"] == site.canvas("left").newest.sequence
    site.engine.gate.set()


async def test_a_frame_carries_what_the_protocol_says_the_image_last(site: Site) -> None:
    async with site.screen("left") as screen:
        frame = await screen.frame()

    assert list(frame) == list(FRAME_FIELDS)
    assert all(isinstance(frame[name], kind) for name, kind in FRAME_FIELDS.items())
    assert frame["image"].startswith(b"\xff\xd8")
    assert (frame["canvas"], frame["format"], frame["width"], frame["height"]) == ("left", "jpeg", 64, 64)
    assert set(frame["stages"]) == {"painted", "published", "encoded"}
    assert frame["stages"]["painted"] == frame["timestamp_ms"]
    assert frame["stages"]["published"] == frame["published_ms"]
    assert frame["timestamp_ms"] <= frame["published_ms"] <= now_ms()


async def test_sequences_count_up_by_one(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await screen.sync()
        sequences = []
        for _ in range(8):
            await publish(still_site)
            sequences.append((await screen.frame())["sequence"])

    assert sequences == list(range(1, 9))


async def test_the_json_form_says_the_same_with_the_image_in_base64(still_site: Site) -> None:
    async with (
        still_site.screen("left", protocols=(JSON_PROTOCOL,)) as text,
        still_site.screen("left") as binary,
    ):
        await text.sync()
        await publish(still_site)
        frame, same = await text.frame(), await binary.frame()

    assert {**frame, "image": base64.b64decode(frame["image"])} == same


async def test_the_first_protocol_is_wished_for_when_several_are_offered(site: Site) -> None:
    async with site.screen("left", protocols=("other", JSON_PROTOCOL, MSGPACK_PROTOCOL)) as screen:
        await screen.frame()

    assert screen.ws.protocol == JSON_PROTOCOL


@pytest.mark.parametrize("format_", ["jpeg", "webp", "png"])
async def test_old_clients_get_frames_only_in_their_own_form(still_site: Site, format_: str) -> None:
    async with still_site.screen("left", query="format=json") as screen:
        await screen.ws.send_str("ping")
        published_ms = now_ms()
        still_site.canvas("left").publish(image(format_), timestamp_ms=published_ms)
        frame = await screen.receive()

        assert list(frame) == ["timestamp", "image", "image_id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", frame["timestamp"])
        assert base64.b64decode(frame["image"]).startswith(b"\xff\xd8\xff")
        assert frame["image_id"] == still_site.canvas("left").newest.image_id

        await screen.ws.send_str("ping")
        await screen.ws.send_str("anything else")
        await publish(still_site)
        assert (await screen.receive())["image_id"].endswith("-2"), "nothing was answered in between"


async def test_a_screen_gets_only_formats_that_it_takes(still_site: Site) -> None:
    async with still_site.screen("left") as modern, still_site.screen("left") as modest:
        await modest.send("ready", formats=["jpeg", "avif"])
        await modest.sync()
        still_site.canvas("left").publish(image("webp"), timestamp_ms=now_ms())

        original, encoded = await modern.frame(), await modest.frame()

    assert (original["format"], original["tier"]) == ("webp", "original")
    assert encoded["format"] == "jpeg"
    assert encoded["tier"].startswith("jpeg-")
    assert encoded["stages"]["encoded"] >= encoded["stages"]["published"]
    assert encoded["image"].startswith(b"\xff\xd8")
    assert encoded["sequence"] == original["sequence"]


async def test_the_time_is_answered_with_what_was_sent(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await screen.send("time", client_sent_ms=123.5)
        answer = await screen.next("time")

    assert answer["client_sent_ms"] == 123.5
    assert abs(answer["server_time_ms"] - now_ms()) < 10_000


@pytest.mark.parametrize("protocols", [(), (JSON_PROTOCOL,)])
async def test_a_text_ping_is_answered(still_site: Site, protocols: tuple[str, ...]) -> None:
    async with still_site.screen("left", protocols=protocols) as screen:
        await screen.receive()
        await screen.receive()
        await screen.ws.send_str("ping")
        assert await screen.receive() == "pong"


async def test_unknown_messages_and_fields_are_passed_over_and_counted(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await screen.send("of-a-later-version", value=[1, {"a": None}])
        await screen.send("ready", visible=True, of_a_later_version=True)
        await screen.sync()
        (subscriber,) = still_site.canvas("left").subscribers
        assert subscriber.ignored >= 1
        await publish(still_site)
        assert (await screen.frame())["sequence"] == 1


async def test_who_stops_acknowledging_gets_no_more_and_the_newest_when_it_goes_on(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await publish(still_site)
        await screen.ack(await screen.frame())
        (subscriber,) = still_site.canvas("left").subscribers

        got = [1]
        while subscriber.mailbox.replaced < 5:
            await publish(still_site)
            got += await frames_now(screen)
        await screen.send("ack", sequence=got[-1])

        newest = still_site.canvas("left").newest
        assert newest is not None
        assert (await screen.frame())["sequence"] == newest.sequence
        assert got == sorted(set(got))
        assert newest.sequence not in got


async def test_who_is_silent_gets_every_frame_while_its_socket_drains(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await screen.sync()
        for expected in range(1, 30):
            await publish(still_site)
            assert (await screen.frame())["sequence"] == expected


async def test_an_acknowledgement_releases_all_lower_ones(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await publish(still_site)
        await screen.ack(await screen.frame())
        await screen.sync()
        await publish(still_site)
        await screen.frame()
        await publish(still_site)
        await screen.ack(await screen.frame())
        await screen.sync()

        (subscriber,) = still_site.canvas("left").subscribers
        assert subscriber.flow.in_flight == 0
        await screen.send("ack", sequence=1)  # Late, and no offence.
        await screen.sync()


def packed(**message: Any) -> bytes:
    data: bytes = msgpack.packb(message)
    return data


OFFENCES = {
    "a made-up acknowledgement": (packed(type="ack", sequence=99), 1002),
    "a negative acknowledgement": (packed(type="ack", sequence=-1), 1002),
    "an acknowledgement of true": (packed(type="ack", sequence=True), 1002),
    "an acknowledgement of nothing": (packed(type="ack"), 1002),
    "an acknowledgement of a huge number": (packed(type="ack", sequence=2**63), 1002),
    "a time of infinity": (packed(type="time", client_sent_ms=float("inf")), 1002),
    "a time of nothing": (packed(type="time"), 1002),
    "a wish for hardly any frames": (packed(type="ready", max_fps=0.001), 1002),
    "a wish for NaN": (packed(type="ready", max_fps=float("nan")), 1002),
    "visible as a number": (packed(type="ready", visible=1), 1002),
    "a viewport of words": (packed(type="ready", viewport={"width": "a", "height": 1}), 1002),
    "formats of numbers": (packed(type="ready", formats=[1]), 1002),
    "no map": (msgpack.packb([1, 2]), 1002),
    "no type": (packed(sequence=1), 1002),
    "a type that is no word": (packed(type=5), 1002),
    "nothing at all": (b"", 1002),
    "half a message": (packed(type="ack", sequence=1)[:-2], 1002),
    "two messages in one": (packed(type="ack") * 2, 1002),
    "a byte that means nothing": (b"\xc1", 1002),
    "a map that promises four billion entries": (b"\xdf\xff\xff\xff\xff", 1002),
    "a thousand lists in each other": (b"\x91" * 10_000, 1002),
    "a message over the limit": (b"\x00" * (MAX_CLIENT_MESSAGE_BYTES + 1), 1009),
    "text where bytes are spoken": ('{"type": "time"}', 1002),
}


@pytest.mark.parametrize(("offence", "code"), OFFENCES.values(), ids=OFFENCES)
async def test_who_breaks_the_contract_is_sent_away_alone(
    still_site: Site, offence: bytes | str, code: int
) -> None:
    async with still_site.screen("left") as offender, still_site.screen("left") as other:
        await publish(still_site)
        await offender.frame()
        if isinstance(offence, str):
            await offender.ws.send_str(offence)
        else:
            await offender.ws.send_bytes(offence)

        assert (await offender.end())[0] == code

        await wait_for(lambda: len(still_site.canvas("left").subscribers) == 1)
        await publish(still_site)
        assert [(await other.frame())["sequence"] for _ in range(2)] == [1, 2]


JSON_OFFENCES = {
    "no JSON": ("{", 1002),
    "a list": ("[]", 1002),
    "deep lists": ("[" * 8000, 1002),
    "infinity": ('{"type": "time", "client_sent_ms": Infinity}', 1002),
    "a huge number": ('{"type": "time", "client_sent_ms": ' + "9" * 5000 + "}", 1002),
    "bytes": (b"\x80", 1002),
    "too much": (json.dumps({"type": "x" * MAX_CLIENT_MESSAGE_BYTES}), 1009),
}


@pytest.mark.parametrize(("offence", "code"), JSON_OFFENCES.values(), ids=JSON_OFFENCES)
async def test_who_breaks_the_contract_in_json_is_sent_away(
    still_site: Site, offence: bytes | str, code: int
) -> None:
    async with still_site.screen("left", protocols=(JSON_PROTOCOL,)) as offender:
        await offender.receive()
        if isinstance(offence, str):
            await offender.ws.send_str(offence)
        else:
            await offender.ws.send_bytes(offence)

        assert (await offender.end())[0] == code


async def test_the_reason_of_a_close_is_whole_text_however_long(still_site: Site) -> None:
    # Of the 123 bytes that fit, these letters take two each: a cut between them would be no UTF-8,
    # and a browser would tell its page of a broken connection instead.
    for padding in ("", "x"):
        async with still_site.screen("left") as screen:
            await screen.receive()
            await screen.send("ack", sequence=padding + "é" * 60)
            code, _ = await screen.end()
            assert code == 1002


async def test_a_hidden_screen_gets_no_frames_and_the_newest_when_it_is_shown(still_site: Site) -> None:
    async with still_site.screen("left") as hidden, still_site.screen("left") as shown:
        await hidden.send("ready", visible=False)
        await hidden.sync()
        for _ in range(3):
            await publish(still_site)
            await shown.frame()
        assert await frames_now(hidden) == []

        await hidden.send("ready", visible=True)

        assert (await hidden.frame())["sequence"] == 3


async def test_who_wishes_for_fewer_frames_gets_the_newest_at_that_rate(tmp_path: Path) -> None:
    async with (
        running_site(tmp_path, fps=60.0) as site,
        site.screen("left") as slow,
        site.screen("left") as fast,
    ):
        await slow.send("ready", max_fps=5)
        await slow.sync()
        first = await slow.frame()
        seconds = [await slow.frame() for _ in range(3)]
        await fast.frame()
        published = site.canvas("left").newest.sequence - first["sequence"]

        elapsed_s = (seconds[-1]["published_ms"] - first["published_ms"]) / 1000
        # Three intervals of 0.2 s; each frame was the newest at the end of its own.
        assert elapsed_s >= 0.4
        assert published > 10


async def test_the_server_says_goodbye_when_it_stops(site: Site) -> None:
    async with (
        site.screen("left") as screen,
        site.screen("left", query="format=json") as old,
        site.screen("right") as acknowledging,
        site.events() as events,
    ):
        await screen.frame()
        await old.receive()
        await acknowledging.ack(await acknowledging.frame())
        await events.receive()

        await site.runner.cleanup()

        for one in (screen, acknowledging):
            code, bye = await one.end()
            assert code == 1001
            assert bye is not None
            assert (bye["type"], bye["reconnect"]) == ("bye", True)
        assert await old.end() == (1001, None)
        assert (await events.end())[0] == 1001


async def test_control_is_never_behind_more_than_one_frame(still_site: Site) -> None:
    async with still_site.screen("left") as screen:
        await screen.receive()
        for number in range(50):
            still_site.canvas("left").publish(heavy_image(number), timestamp_ms=now_ms())
        assert len(await frames_now(screen)) <= 1

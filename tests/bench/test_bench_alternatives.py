"""The servers that the product is measured beside: each for real, and the source that they share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgpack
import psutil
import pytest

from bench.alternatives.bare import handshake
from bench.alternatives.message import pack, websocket_header
from bench.alternatives.program import Pace, Plan, filling_images, read_plan
from bench.load.groups import Group, Mode
from bench.rounds import BARE, OURS, SEED, SEED_PLAIN, SEND_BYTES, Case, Kind, Outcome, measure_once, served


def plan(**fields: object) -> Plan:
    return Plan(**{"images": (b"image",), "width": 8, "height": 8, "canvases": 1, "fps": 10.0, **fields})  # type: ignore[arg-type]


def skip_without_fastapi(kind: Kind) -> None:
    if kind.program == "seed" and importlib.util.find_spec("fastapi") is None:
        pytest.skip("no fastapi: install the extra 'bench'")


FPS = 20.0
# A machine that does other things too holds frames up, or some of a moment before come with them.
TRIES = 4


def is_about_the_rate(outcome: Outcome) -> bool:
    """Tell whether each group of two screens got about as many frames as there were."""
    all_of_them = 2 * FPS * outcome.seconds
    return all(0.375 <= group["frames"] / all_of_them <= 1.5 for group in outcome.groups.values())


@pytest.mark.parametrize("kind", [OURS, BARE, SEND_BYTES, SEED, SEED_PLAIN], ids=lambda kind: kind.name)
async def test_an_alternative_shows_its_canvases_to_screens(kind: Kind) -> None:
    skip_without_fastapi(kind)
    mode = Mode.ACKNOWLEDGING if kind.form == "msgpack" else Mode.SILENT
    groups = tuple(Group(f"on {number}", f"canvas-{number}", 2, mode) for number in (1, 2))
    case = Case("two canvases", groups, frame_bytes=200_000, fps=FPS, canvases=2)

    outcomes = [await measure_once(kind, case, warm_up_s=0.2, seconds=0.5)]
    while len(outcomes) < TRIES and not is_about_the_rate(outcomes[-1]):
        outcomes.append(await measure_once(kind, case, warm_up_s=0.2, seconds=1.0))

    outcome = outcomes[-1]
    assert is_about_the_rate(outcome), [tried.groups for tried in outcomes]
    assert outcome.cpu_s > 0.0
    assert outcome.rss_bytes > 1_000_000
    for group in outcome.groups.values():
        weight = group["bytes"] / group["frames"]
        # In base64 a third more; compressed about as much as the image.
        assert 200_000 <= weight <= 272_000
        assert group["closed"] == 0
        if kind is not SEED:
            assert 0.0 <= group["age_p50_ms"] < 1000.0


async def test_an_alternative_ends_with_its_bench() -> None:
    case = Case("nobody", (Group("all", "canvas-1", 1),), frame_bytes=2000, fps=1.0)

    async with served(BARE, case, core=None) as (server, _):
        assert psutil.pid_exists(server.pid)

    assert not psutil.pid_exists(server.pid)


def test_canvases_get_their_frames_spread_over_the_interval_or_all_at_once() -> None:
    spread = plan(canvases=4)

    assert [spread.due_s(canvas, 0) for canvas in range(4)] == pytest.approx([0.0, 0.025, 0.05, 0.075])
    assert {plan(canvases=4, is_together=True).due_s(canvas, 3) for canvas in range(4)} == {0.3}


def test_a_source_that_was_held_up_leaves_out_what_it_missed() -> None:
    pace = Pace(plan(), start_s=100.0)

    assert pace.take(0, 99.99) is None
    assert pace.take(0, 100.0) == 0
    assert pace.take(0, 100.05) is None
    # Five frames were due by now: the last of them is shown, and the next one in time.
    assert pace.take(0, 100.45) == 4
    assert pace.next_s(0) == pytest.approx(100.5)


def test_no_frame_is_like_the_one_before() -> None:
    images = filling_images(5000)

    assert len(set(images)) == len(images) >= 4
    assert {len(image) for image in images} == {5000}


def test_real_pictures_take_the_place_of_filling_bytes(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"second")
    (tmp_path / "a.jpg").write_bytes(b"first")

    assert read_plan("bare", ["--pictures", str(tmp_path)]).images == (b"first", b"second")


def test_a_wrong_option_is_told_with_what_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_plan("bare", ["--bytes", "12"])

    assert "'12' is no whole number from 1024 to 16777216" in capsys.readouterr().err


def test_a_frame_is_a_map_with_its_image_last() -> None:
    head, image = pack("canvas-1", 70_000, b"\xff\xd8", width=8, height=4, published_ms=12.5)

    message = msgpack.unpackb(head + image)

    assert next(iter(message)) == "type"
    assert list(message)[-1] == "image"
    assert (message["sequence"], message["published_ms"], message["image"]) == (70_000, 12.5, b"\xff\xd8")


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_header_of_a_message_holds_its_length(size: int, header: bytes) -> None:
    assert websocket_header(size) == header


def test_the_bare_loop_shakes_hands_as_the_standard_says() -> None:
    # The example of RFC 6455, section 1.3.
    request = b"GET /ws/canvas-7?a=b HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

    slug, answer = handshake(request)

    assert slug == "canvas-7"
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert b"Sec-WebSocket-Protocol" not in answer

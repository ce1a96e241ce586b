"""What Prometheus reads of this server."""

from __future__ import annotations

import pytest
from fakes import FakeClock, until
from prometheus_client.parser import text_string_to_metric_families
from screens import Site

from server.metrics import CATALOGUE, FRESH_S, Recent, Snapshot
from server.streaming.summary import summarise


async def read(site: Site, accept: str = "") -> tuple[str, str]:
    async with site.session.get(site.at("/metrics"), headers={"Accept": accept}) as response:
        assert response.status == 200
        return response.headers["Content-Type"], await response.text()


async def test_every_metric_is_in_the_catalogue_and_parses(site: Site) -> None:
    async with site.screen("left") as screen:
        frame = await screen.frame()
        await screen.ack(frame, rtt_ms=3.5, offset_ms=0.0, skipped=2)
        await screen.sync()
        content_type, text = await read(site)

    assert content_type.startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families.keys() <= CATALOGUE.keys()
    assert len(families) > 30
    for name, family in families.items():
        about = CATALOGUE[name]
        assert family.documentation == about.text
        assert family.type == ("counter" if about.is_counter else "gauge")
        assert all(set(sample.labels) == set(about.labels) for sample in family.samples)
    drops = {sample.labels["reason"]: sample.value for sample in families["psyche_canvas_drops"].samples
             if sample.labels["canvas"] == "left"}  # fmt: skip
    assert drops["skipped"] == 2.0
    (rtt,) = families["psyche_subscriber_rtt_seconds"].samples
    assert rtt.value == pytest.approx(0.0035)


async def test_what_departed_screens_counted_stays(site: Site) -> None:
    async with site.screen("left") as screen:
        frame = await screen.frame()
        await screen.ack(frame, skipped=2)
        await screen.sync()
    await until(lambda: not site.canvas("left").subscribers)

    _, text = await read(site)

    assert 'psyche_canvas_drops_total{canvas="left",reason="skipped"} 2.0' in text
    assert "psyche_subscriber_sent_frames_total{" not in text


async def test_open_metrics_are_given_where_they_are_asked_for(still_site: Site) -> None:
    content_type, text = await read(still_site, "application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


async def test_no_prompt_and_no_address_is_told(site: Site) -> None:
    _, text = await read(site)

    assert "prompt" not in text
    assert "unix:" not in text


async def test_many_who_ask_at_once_make_the_server_look_once(still_site: Site) -> None:
    clock = FakeClock()
    recent = Recent(clock)
    state = await still_site.call("GET", "/state")
    reads: list[int] = []

    async def read_state() -> dict[str, object]:
        reads.append(1)
        return dict(state)

    first = await recent.text("", read_state)
    assert await recent.text("*/*", read_state) == first
    assert len(reads) == 1
    clock.advance(FRESH_S)
    await recent.text("", read_state)
    assert len(reads) == 2


def test_names_are_of_this_project_and_say_their_unit() -> None:
    for name, about in CATALOGUE.items():
        assert name.startswith("psyche_")
        assert about.text.endswith(".")
        assert not name.endswith("_ms")
        assert not name.endswith("_total")


def test_what_a_source_has_pushed_is_told_by_what_became_of_it() -> None:
    snapshot = Snapshot()
    snapshot.put_canvas(
        "left",
        {
            "subscribers_connected": 0,
            "fps_in": 0.0,
            "demand_fps": None,
            "sequence": 3,
            "dropped": 1,
            "queue": {"length": 2},
            "screens": summarise([]),
            "ingest": {"accepted": 3, "dropped": 1, "refused": 5},
        },
    )

    families = {family.name: list(family.samples) for family in snapshot.collect()}
    found = {sample.labels["result"]: sample.value for sample in families["psyche_canvas_ingest_frames"]}
    assert found == {"accepted": 3.0, "dropped": 1.0, "refused": 5.0}
    # An endless wish is no number.
    assert "psyche_canvas_demand_fps" not in families

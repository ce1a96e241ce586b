"""The determinism contract: the same request, the same bytes within a bucket; nearly so beyond it."""

from __future__ import annotations

import pytest


torch = pytest.importorskip("torch")

# ruff: noqa: E402 - what follows needs torch.
import numpy as np
from tiny_turbo import ask, half_mask, make_engine, paint, paint_all, picture, tiny

from inference.engine import PictureRequest, Pixels, Timeline
from inference.turbo.engine import TurboEngine


pytestmark = pytest.mark.diffusion

NEIGHBOURS = [
    ask("a dog", seed=11, steps=4),
    ask("the sea", seed=12, steps=2, source=picture(5), strength=0.5),
    ask("snow", seed=13, is_live=True),
    ask("a tree", seed=14, steps=3, source=picture(6), mask=half_mask()),
    ask("city lights", seed=15, steps=6, is_live=True),
    ask("ugly", seed=16, steps=5),
    ask("a horse", seed=17, steps=3, guidance_scale=4.0),
]
WATCHED = [
    ask("a fox", seed=1, steps=3),
    ask("a fox", seed=1, steps=3, is_live=True),
    ask("a fox", seed=1, steps=4, source=picture(1), strength=0.5),
    ask("a fox", seed=1, steps=2, source=picture(1), mask=half_mask()),
    ask("a fox", seed=1, steps=2, guidance_scale=6.0, negative_prompt="dark"),
]


def engine_of(autoencoder: str = "kl") -> TurboEngine:
    return make_engine(tiny("sdxl", autoencoder), uses_guidance=True)


def painted_among(
    engine: TurboEngine, request: PictureRequest, neighbours: list[PictureRequest], place: int, bucket: int
) -> Pixels:
    requests = [*neighbours[:place], request, *neighbours[place:]]
    runs = [engine.begin(Timeline.still(each), 0.0) for each in requests]
    paint_all(engine, runs, bucket)
    return engine.finish(runs[place])


@pytest.mark.parametrize("bucket", [8, 16])
@pytest.mark.parametrize("request_", WATCHED, ids=["text", "live", "image", "inpaint", "guided"])
def test_within_a_bucket_neither_place_nor_neighbours_change_a_byte(
    request_: PictureRequest, bucket: int
) -> None:
    engine = engine_of()
    alone = paint(engine, request_, bucket=bucket)

    for place, neighbours in ((0, NEIGHBOURS[:5]), (2, NEIGHBOURS[2:]), (4, NEIGHBOURS[1:5])):
        assert painted_among(engine, request_, neighbours, place, bucket).tobytes() == alone.tobytes()


def test_a_neighbour_dropped_halfway_changes_no_byte_while_the_bucket_stays() -> None:
    engine = engine_of()
    expected = [paint(engine, request, bucket=8) for request in WATCHED[:4]]
    runs = [engine.begin(Timeline.still(request), 0.0) for request in [*WATCHED[:4], NEIGHBOURS[0]]]

    engine.step(runs, 8)
    paint_all(engine, runs[:4], 8)

    assert [engine.finish(run).tobytes() for run in runs[:4]] == [each.tobytes() for each in expected]


def test_a_new_neighbour_halfway_changes_no_byte_while_the_bucket_stays() -> None:
    engine = engine_of()
    expected = paint(engine, WATCHED[0], bucket=8)
    run = engine.begin(Timeline.still(WATCHED[0]), 0.0)
    engine.step([run], 8)

    paint_all(engine, [engine.begin(Timeline.still(NEIGHBOURS[0]), 0.0), run], 8)

    assert engine.finish(run).tobytes() == expected.tobytes()


@pytest.mark.parametrize("request_", WATCHED, ids=["text", "live", "image", "inpaint", "guided"])
def test_another_bucket_changes_a_value_by_one_at_most(request_: PictureRequest) -> None:
    engine = engine_of()
    paintings = [paint(engine, request_, bucket=bucket).astype(int) for bucket in (2, 4, 16)]

    assert max(int(np.abs(other - paintings[0]).max()) for other in paintings[1:]) <= 1


def test_a_bucket_that_changes_halfway_changes_a_value_by_one_at_most() -> None:
    engine = engine_of()
    expected = paint(engine, WATCHED[0], bucket=4).astype(int)
    run = engine.begin(Timeline.still(WATCHED[0]), 0.0)

    for bucket in (4, 1, 16):
        engine.step([run], bucket)

    assert int(np.abs(engine.finish(run).astype(int) - expected).max()) <= 1


def test_another_engine_of_the_same_weights_paints_the_same_bytes() -> None:
    first, second = engine_of("tiny"), engine_of("tiny")
    paint(second, NEIGHBOURS[0])

    assert paint(first, WATCHED[0]).tobytes() == paint(second, WATCHED[0]).tobytes()


def test_seed_prompt_steps_and_source_each_change_the_picture() -> None:
    engine = engine_of("tiny")
    requests = [
        ask("a fox", seed=1, steps=2),
        ask("a fox", seed=2, steps=2),
        ask("a dog", seed=1, steps=2),
        ask("a fox", seed=1, steps=3),
        ask("a fox", seed=1, steps=2, source=picture(1), strength=0.5),
        ask("a fox", seed=1, steps=2, source=picture(2), strength=0.5),
    ]

    paintings = {paint(engine, request, bucket=2).tobytes() for request in requests}

    assert len(paintings) == len(requests)

"""Between pixels and latents: as diffusers does it, in bytes, and the same in any company."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image


torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from inference.engine import PaintingFailedError, Pixels  # noqa: E402 (torch first)
from inference.turbo.autoencoder import PREVIEW_PX, Autoencoder, NotFiniteError  # noqa: E402
from inference.turbo.components import Components, pipeline_of  # noqa: E402
from inference.turbo.random_weights import build_tiny  # noqa: E402


pytestmark = pytest.mark.diffusion


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def kl() -> Components:
    return build_tiny("sdxl", autoencoder="kl")


@pytest.fixture(scope="module")
def only_tiny() -> Components:
    return build_tiny("sdxl", autoencoder="tiny", with_tiny_autoencoder=False)


def autoencoder(components: Components, **settings: int) -> Autoencoder:
    return Autoencoder(components, "cpu", **settings)


def latents(rows: int, side: int = 8, seed: int = 0) -> Any:
    return torch.randn((rows, 4, side, side), generator=torch.Generator().manual_seed(seed)) * 2.0


def picture(width: int = 64, height: int = 64, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_diffusers_encodes(components: Components, pixels: Pixels, seed: int) -> Any:
    """Return what the image-to-image pipeline starts from, before it adds noise."""
    pipeline = pipeline_of(components, "image")
    image = pipeline.image_processor.preprocess(Image.fromarray(pixels))
    generator = torch.Generator().manual_seed(seed)
    # The config asks to be upcast, which is nothing in float32.
    return pipeline.prepare_latents(image, None, 1, 1, torch.float32, "cpu", generator, add_noise=False)


@pytest.mark.parametrize("which", ["kl", "only_tiny"])
def test_a_source_becomes_the_latents_that_diffusers_makes_of_it(
    which: str, request: pytest.FixtureRequest
) -> None:
    components: Components = request.getfixturevalue(which)
    own = autoencoder(components)
    with torch.no_grad():
        expected = as_diffusers_encodes(components, picture(), seed=7)

    made = own.sample(own.encode(picture(), 64, 64), torch.Generator().manual_seed(7))

    assert made.dtype == torch.float32
    assert (made - expected).abs().max() <= 1e-6 * expected.abs().max()


def test_a_tiny_autoencoder_takes_no_random_numbers(only_tiny: Components) -> None:
    own = autoencoder(only_tiny)
    generator = torch.Generator().manual_seed(7)
    before = generator.get_state()

    moments = own.encode(picture(), 64, 64)
    own.sample(moments, generator)

    assert moments.std is None
    assert torch.equal(generator.get_state(), before)


def test_a_full_autoencoder_takes_as_many_random_numbers_as_there_are_latents(kl: Components) -> None:
    own = autoencoder(kl)
    generator, counted = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)

    own.sample(own.encode(picture(), 64, 64), generator)
    torch.randn((1, 4, 8, 8), generator=counted)

    assert torch.equal(generator.get_state(), counted.get_state())


def test_latents_with_a_mean_and_deviation_of_their_own_are_scaled_by_them(kl: Components) -> None:
    components = build_tiny("sdxl", autoencoder="kl")
    config = {"latents_mean": [0.1, 0.2, 0.3, 0.4], "latents_std": [1.0, 2.0, 3.0, 4.0]}
    components.autoencoder.register_to_config(**config)
    own = autoencoder(components)
    with torch.no_grad():
        expected = as_diffusers_encodes(components, picture(), seed=7)

    made = own.sample(own.encode(picture(), 64, 64), torch.Generator().manual_seed(7))

    assert (made - expected).abs().max() <= 1e-6 * expected.abs().max()
    there = own.decode(made / 3.0, False, 1)[0]
    plain = autoencoder(kl).decode(made / 3.0, False, 1)[0]
    assert np.abs(there.astype(int) - plain).max() > 1


def test_a_source_of_another_shape_covers_the_picture_and_keeps_its_middle(kl: Components) -> None:
    middle = picture()
    wide = np.zeros((64, 128, 3), np.uint8)
    wide[:, 32:96] = middle
    own = autoencoder(kl)

    made = own.encode(wide, 64, 64)

    assert torch.equal(made.mean, own.encode(middle, 64, 64).mean)


def test_a_source_is_encoded_once_for_each_size(kl: Components) -> None:
    own = autoencoder(kl)

    first = own.encode(picture(), 64, 64)
    again = own.encode(picture(), 64, 64)
    other = own.encode(picture(), 64, 72)
    own.encode(picture(seed=1), 64, 64)

    assert again is first
    assert other.mean.shape == (1, 4, 9, 8)
    assert (own.hits, own.misses) == (1, 3)


def test_the_least_recently_used_source_is_forgotten_when_the_bytes_run_out(kl: Components) -> None:
    size = autoencoder(kl).encode(picture(), 64, 64).size_bytes
    own = autoencoder(kl, cache_bytes=2 * size)
    for seed in (0, 1, 0, 2):
        own.encode(picture(seed=seed), 64, 64)

    misses = own.misses
    own.encode(picture(seed=0), 64, 64)
    assert own.misses == misses
    own.encode(picture(seed=1), 64, 64)
    assert own.misses == misses + 1


def test_pictures_are_those_of_diffusers_within_rounding(kl: Components) -> None:
    pipeline = pipeline_of(kl)
    rows = latents(2)
    with torch.no_grad():
        images = pipeline.vae.decode(rows / pipeline.vae.config.scaling_factor).sample
    expected = [np.asarray(image) for image in pipeline.image_processor.postprocess(images)]

    made = autoencoder(kl).decode(rows, False, 16)

    for own, theirs in zip(made, expected, strict=True):
        assert own.dtype == np.uint8
        assert own.flags.c_contiguous
        assert own.shape == (64, 64, 3)
        assert own.std() > 10.0
        assert np.abs(own.astype(int) - theirs).max() <= 1


def test_a_live_picture_is_the_same_wherever_it_stands_in_its_bucket(kl: Components) -> None:
    own = autoencoder(kl)
    rows = latents(8)
    whole = own.decode(rows, True, 8)
    order = [5, 2, 7, 0, 1, 6, 3, 4]

    shuffled = own.decode(rows[order], True, 8)
    alone = own.decode(rows[3:4], True, 8)

    assert all(np.array_equal(shuffled[place], whole[row]) for place, row in enumerate(order))
    assert len(alone) == 1
    assert np.array_equal(alone[0], whole[3])


def test_a_live_picture_is_the_same_whoever_shares_its_bucket(kl: Components) -> None:
    own = autoencoder(kl)
    mine = latents(1)
    # One of the others is far out of range.
    others = torch.cat([latents(1, seed=2) * 1e4, latents(2, seed=1)])

    together = own.decode(torch.cat([others, mine]), True, 4)

    assert np.array_equal(together[-1], own.decode(mine, True, 4)[0])


def test_the_tiny_autoencoder_is_used_for_live_pictures_where_there_is_one(
    kl: Components, only_tiny: Components
) -> None:
    both, one = autoencoder(kl), autoencoder(only_tiny)
    rows = latents(1)

    assert both.has_tiny
    assert not one.has_tiny
    assert not np.array_equal(both.decode(rows, True, 1)[0], both.decode(rows, False, 1)[0])
    assert np.array_equal(one.decode(rows, True, 1)[0], one.decode(rows, False, 1)[0])


@pytest.mark.parametrize("tiny", [True, False])
def test_a_picture_that_is_not_a_number_is_an_error_that_names_its_row(kl: Components, tiny: bool) -> None:
    rows = latents(3)
    rows[1, 0, 0, 0] = torch.nan

    with pytest.raises(PaintingFailedError, match="in 1 of 3 rows") as failed:
        autoencoder(kl).decode(rows, tiny, 4)

    assert isinstance(failed.value, NotFiniteError)
    assert failed.value.rows == (1,)


@pytest.mark.parametrize("which", ["kl", "only_tiny"])
@pytest.mark.parametrize(
    ("height", "width", "expected"), [(8, 8, (64, 64, 3)), (32, 64, (128, 256, 3)), (100, 40, (256, 96, 3))]
)
def test_a_preview_is_small_whatever_the_picture(
    which: str, height: int, width: int, expected: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    components: Components = request.getfixturevalue(which)

    made = autoencoder(components).preview(torch.randn((1, 4, height, width)))

    assert made.dtype == np.uint8
    assert made.shape == expected
    assert max(made.shape) <= PREVIEW_PX


def test_a_preview_of_a_small_picture_is_that_picture(kl: Components) -> None:
    own = autoencoder(kl)
    rows = latents(1)

    assert np.array_equal(own.preview(rows), own.decode(rows, True, 1)[0])


def test_each_autoencoder_runs_in_the_precision_of_its_own_weights() -> None:
    components = build_tiny("sdxl", autoencoder="kl")
    components.tiny_autoencoder.to(torch.bfloat16)
    own = autoencoder(components)
    rows = latents(1)

    full, live = own.decode(rows, False, 1)[0], own.decode(rows, True, 1)[0]

    assert np.array_equal(full, autoencoder(build_tiny("sdxl", autoencoder="kl")).decode(rows, False, 1)[0])
    assert live.std() > 10.0

"""Pixels to files, whatever encoders are installed."""

from __future__ import annotations

import io
import sys
import types

import numpy as np
import pytest
from PIL import Image

from inference import encode as module
from inference.encode import FORMATS, EncoderPool, Format, encode, find_jpeg_encoder
from inference.engine import Pixels


def gradient(height: int = 48, width: int = 64) -> Pixels:
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 255 // height, columns * 255 // width, rows * 0 + 90], axis=-1).astype(np.uint8)


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("wanted", FORMATS)
def test_each_format_decodes_back_to_the_picture(wanted: Format) -> None:
    image = decoded(encode(gradient(), wanted, 90))

    assert image.format == wanted.upper()
    assert image.size == (64, 48)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - gradient()).mean() < 4


def test_png_is_lossless() -> None:
    assert (np.asarray(decoded(encode(gradient(), "png", 1))) == gradient()).all()


def has_halved_colour(data: bytes) -> bool:
    """Read the sampling factors of the first component in the frame header."""
    start = data.index(b"\xff\xc0")
    return data[start + 11] == 0x22


@pytest.fixture(params=["installed", "absent", "foreign"])
def jpeg_encoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> module.JpegEncoder:
    """Each way in which the module `turbojpeg` may be there."""
    if request.param == "absent":
        monkeypatch.setitem(sys.modules, "turbojpeg", None)
    elif request.param == "foreign":
        foreign = types.ModuleType("turbojpeg")
        foreign.TurboJPEG = object  # type: ignore[attr-defined]  # As PyTurboJPEG offers it.
        monkeypatch.setitem(sys.modules, "turbojpeg", foreign)
    else:
        pytest.importorskip("turbojpeg")
    name, encoder = find_jpeg_encoder()
    assert name == ("turbojpeg" if request.param == "installed" else "pillow")
    return encoder


def test_jpeg_is_encoded_with_any_module_of_that_name(jpeg_encoder: module.JpegEncoder) -> None:
    assert decoded(jpeg_encoder(gradient(), 90)).size == (64, 48)


@pytest.mark.parametrize(("quality", "is_halved"), [(1, True), (90, True), (91, False), (100, False)])
def test_colour_is_whole_only_above_the_default_quality(
    jpeg_encoder: module.JpegEncoder, quality: int, *, is_halved: bool
) -> None:
    assert has_halved_colour(jpeg_encoder(gradient(), quality)) is is_halved


def test_a_library_that_cannot_be_loaded_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> types.ModuleType:
        raise OSError("libturbojpeg.so.0: cannot open shared object file")

    monkeypatch.setattr(module.importlib, "import_module", refuse)

    assert find_jpeg_encoder()[0] == "pillow"


def test_large_pictures_do_not_hold_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("turbojpeg")
    used: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        module, "_encode_jpeg_with_pillow", lambda pixels, quality: used.append(pixels.shape) or b""
    )
    _, encode_jpeg = find_jpeg_encoder()

    encode_jpeg(gradient(1024, 1024), 90)
    encode_jpeg(gradient(1024, 1032), 90)

    assert used == [(1024, 1032, 3)]


async def test_the_pool_encodes_away_from_the_event_loop() -> None:
    with EncoderPool(2) as pool:
        data = await pool.encode(gradient(), "jpeg", 80)

    assert decoded(data).size == (64, 48)

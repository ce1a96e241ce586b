"""Image files: judged, decoded, encoded, and never more than a clear error for a bad one."""

from __future__ import annotations

import importlib.util
import io
import struct
import sys
import warnings
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import gradient, image_file, png_header, saved
from PIL import Image

from server.errors import InvalidError, PsycheError, TooBigError, UnsupportedMediaError
from server.streaming.frame import FORMATS
from server.streaming.images import encoders


PICTURE = Image.fromarray(gradient())
ORIENTATION = 0x0112


def with_orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return exif


WHOLE: dict[str, tuple[bytes, str]] = {
    "jpeg": (image_file("jpeg"), "jpeg"),
    "progressive jpeg": (image_file("jpeg", progressive=True), "jpeg"),
    "gray jpeg": (saved(PICTURE.convert("L"), "jpeg"), "jpeg"),
    "cmyk jpeg": (saved(PICTURE.convert("CMYK"), "jpeg"), "jpeg"),
    "jpeg with padding": (image_file("jpeg") + b"\x00" * 2000, "jpeg"),
    "jpeg with a second picture": (saved(PICTURE, "MPO", save_all=True, append_images=[PICTURE]), "jpeg"),
    "png": (image_file("png"), "png"),
    "png with alpha": (saved(PICTURE.convert("RGBA"), "png"), "png"),
    "png with a palette": (saved(PICTURE.convert("P"), "png"), "png"),
    "webp": (image_file("webp"), "webp"),
    "lossless webp": (image_file("webp", lossless=True), "webp"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_is_taken_as_it_is_up_to_the_end_of_its_picture(name: str) -> None:
    data, format_ = WHOLE[name]

    image = encoders.inspect(data)

    assert data.startswith(image.data) or "second picture" in name
    assert (image.data is data) == ("padding" not in name and "second picture" not in name)
    assert (image.format, image.width, image.height) == (format_, 32, 24)
    assert encoders.decode(data).shape == (24, 32, 3)


def animated(format_: str) -> bytes:
    return saved(PICTURE, format_, save_all=True, append_images=[PICTURE.rotate(180)], duration=100)


BAD: dict[str, tuple[bytes, type[InvalidError], str]] = {
    "nothing": (b"", InvalidError, "empty"),
    "text": (b"hello", UnsupportedMediaError, "JPEG, PNG or WebP"),
    "markup": (b"<html></html>" * 100, UnsupportedMediaError, "JPEG, PNG or WebP"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedMediaError, "JPEG, PNG or WebP"),
    "gif": (saved(PICTURE.convert("P"), "gif"), UnsupportedMediaError, "JPEG, PNG or WebP"),
    "bmp": (saved(PICTURE, "bmp"), UnsupportedMediaError, "JPEG, PNG or WebP"),
    "tiff": (saved(PICTURE, "tiff"), UnsupportedMediaError, "JPEG, PNG or WebP"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", UnsupportedMediaError, "JPEG, PNG or WebP"),
    "random bytes": (bytes(range(256)) * 8, UnsupportedMediaError, "JPEG, PNG or WebP"),
    "animated png": (animated("png"), UnsupportedMediaError, "animated"),
    "animated webp": (animated("webp"), UnsupportedMediaError, "animated"),
    "a small png of 20000 pixels a side": (png_header(20_000, 20_000), TooBigError, "4096"),
    "a small png of 10000 pixels a side": (png_header(10_000, 10_000), TooBigError, "10000x10000"),
    "a png that is too wide": (png_header(4097, 1), TooBigError, "4097x1"),
    "a png without a size": (png_header(0, 0), UnsupportedMediaError, "JPEG, PNG or WebP"),
    "jpeg cut short": (image_file("jpeg")[:-2], InvalidError, "jpeg file is cut short"),
    "jpeg cut in half": (image_file("jpeg")[:-100], InvalidError, "jpeg file is cut short"),
    "png cut short": (image_file("png")[:-1], InvalidError, "png file is cut short"),
    "webp cut short": (image_file("webp", lossless=True)[:-1], InvalidError, "webp file is cut short"),
}


@pytest.mark.parametrize(("data", "error", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_told_by_the_field_it_came_in(
    data: bytes, error: type[InvalidError], words: str
) -> None:
    with pytest.raises(InvalidError, match=words) as told:
        encoders.inspect(data, field="source")

    assert type(told.value) is error
    assert told.value.field == "source"


def test_the_largest_size_is_taken() -> None:
    image = encoders.inspect(png_header(4096, 4096))

    assert (image.width, image.height) == (4096, 4096)


def test_too_many_bytes_are_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "MAX_IMAGE_BYTES", 100)

    with pytest.raises(TooBigError, match="limit of 100"):
        encoders.inspect(b"x" * 101)


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp"])
def test_a_file_cut_short_anywhere_is_refused(format_: str) -> None:
    data = image_file(format_, width=16, height=16)

    for length in range(len(data)):
        with pytest.raises(InvalidError):
            encoders.inspect(data[:length])


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "jpeg with a second picture", "png with a palette"])
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_file_with_wrong_bytes_is_read_or_refused_and_nothing_else(name: str, data: st.DataObject) -> None:
    broken = bytearray(WHOLE[name][0])
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del broken[data.draw(st.integers(0, len(broken))) :]

    try:
        pixels = encoders.decode(encoders.inspect(bytes(broken)).data)
    except PsycheError:
        return
    assert pixels.ndim == 3


def test_huge_and_odd_files_cause_no_warning() -> None:
    exif = struct.pack(">2sHIHHHII", b"MM", 42, 8, 1, 0x010F, 2, 9999, 9999)
    odd = image_file("jpeg", exif=b"Exif\x00\x00" + exif)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoders.inspect(png_header(4096, 4096))
        with pytest.raises(TooBigError):
            encoders.inspect(png_header(12_000, 12_000))
        encoders.decode(encoders.inspect(odd).data)


# What the tag means, as the operation that makes the picture upright.
UPRIGHT = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_picture_is_turned_upright(orientation: int) -> None:
    stored = gradient()

    decoded = encoders.decode(image_file("png", exif=with_orientation(orientation)))

    assert np.array_equal(decoded, UPRIGHT[orientation](stored))


@pytest.mark.parametrize(
    "exif",
    [
        # An orientation of a type that no orientation has, which Pillow fails to write back.
        struct.pack(">2sHIHHHI4s", b"MM", 42, 8, 1, ORIENTATION, 2, 4, b"abc\x00"),
        b"no TIFF header",
        b"MM\x00\x2a\xff\xff\xff\xff",
    ],
)
def test_a_picture_whose_orientation_cannot_be_read_is_shown_as_it_is(exif: bytes) -> None:
    data = image_file("png", exif=b"Exif\x00\x00" + exif)

    assert np.array_equal(encoders.decode(data), gradient())


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_shown_on_black(mode: str) -> None:
    white = Image.new("RGBA", (2, 1), (255, 255, 255, 255))
    white.putpixel((1, 0), (255, 255, 255, 0))
    image = white if mode == "RGBA" else white.convert("LA")
    if mode == "PA":
        image = white.convert("P")
        image.info["transparency"] = image.getpixel((1, 0))

    decoded = encoders.decode(saved(image.convert("RGBA") if mode == "LA" else image, "png"))

    assert decoded[0, 1].tolist() == [0, 0, 0]


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    deep = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)

    decoded = encoders.decode(saved(Image.fromarray(deep), "png"))

    assert np.array_equal(decoded[:, :, 0], deep >> 8)
    assert np.array_equal(decoded[:, :, 0], decoded[:, :, 2])


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("quality", [1, 90, 91, 100])
def test_pixels_are_encoded_in_every_format_and_quality(format_: str, quality: int) -> None:
    image = encoders.encode(gradient(40, 24), format_, quality)

    assert encoders.inspect(image.data) == image
    assert (image.format, image.width, image.height) == (format_, 40, 24)
    decoded = encoders.decode(image.data)
    if quality >= 90:
        assert np.abs(decoded.astype(int) - gradient(40, 24)).mean() < 4.0


def test_png_loses_nothing() -> None:
    assert np.array_equal(encoders.decode(encoders.encode(gradient(), "png", 1).data), gradient())


def test_pixels_that_are_a_view_are_encoded_rightly() -> None:
    pixels = gradient(64, 64)[::2, ::-2]

    decoded = encoders.decode(encoders.encode(pixels, "jpeg", 95).data)

    assert np.abs(decoded.astype(int) - pixels).mean() < 4.0


def test_an_unknown_format_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="'gif'"):
        encoders.encode(gradient(), "gif", 90)


def test_converting_turns_upright_and_changes_the_format() -> None:
    original = encoders.inspect(image_file("png", exif=with_orientation(6)))

    image = encoders.convert(original, "jpeg", 95)

    assert (image.format, image.width, image.height) == ("jpeg", 24, 32)


def test_a_broken_picture_cannot_be_converted() -> None:
    data = bytearray(image_file("png"))
    data[60] ^= 0xFF

    with pytest.raises(InvalidError, match="cannot be decoded"):
        encoders.decode(bytes(data))


def test_fitting_keeps_the_aspect_ratio_and_never_enlarges() -> None:
    image = encoders.inspect(image_file("webp", width=200, height=100))

    small = encoders.fit(image, 50, 50, 80)

    assert (small.format, small.width, small.height) == ("webp", 50, 25)
    assert encoders.fit(image, 200, 100, 80) is image


def test_black_is_black() -> None:
    image = encoders.black(64, 32)

    assert (image.width, image.height) == (64, 32)
    assert not encoders.decode(image.data).any()


def fresh_encoders(monkeypatch: pytest.MonkeyPatch, turbojpeg: object) -> ModuleType:
    """Return the module as it is where another `turbojpeg` is installed; None: none at all."""
    monkeypatch.setitem(sys.modules, "turbojpeg", turbojpeg)
    spec = importlib.util.spec_from_file_location("other_encoders", encoders.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FOREIGN = {
    "none": None,
    "PyTurboJPEG": SimpleNamespace(TurboJPEG=object, TJSAMP_420=2, TJPF_RGB=0),
    "one with a compress of its own": SimpleNamespace(compress=lambda *args: b"?"),
    "one with other samplings": SimpleNamespace(compress=lambda *args: b"?", SAMP=SimpleNamespace(YUV=1)),
}


@pytest.mark.parametrize("turbojpeg", FOREIGN.values(), ids=FOREIGN.keys())
def test_without_our_turbojpeg_pillow_encodes(monkeypatch: pytest.MonkeyPatch, turbojpeg: object) -> None:
    module = fresh_encoders(monkeypatch, turbojpeg)

    image = module.encode(gradient(), "jpeg", 90)

    assert module.JPEG_ENCODER == "pillow"
    decoded = encoders.decode(image.data)
    assert np.abs(decoded.astype(int) - gradient()).mean() < 4.0


def test_a_turbojpeg_that_fails_to_load_its_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise AttributeError(name)

    module = fresh_encoders(monkeypatch, Failing("turbojpeg"))

    assert module.JPEG_ENCODER == "pillow"


@pytest.mark.skipif(encoders.JPEG_ENCODER != "turbojpeg", reason="no wheel for this platform")
@pytest.mark.parametrize(("quality", "sampling"), [(90, 2), (91, 0)])
def test_both_encoders_sample_chroma_alike(
    monkeypatch: pytest.MonkeyPatch, quality: int, sampling: int
) -> None:
    pillow = fresh_encoders(monkeypatch, None)

    for module in (encoders, pillow):
        with Image.open(io.BytesIO(module.encode(gradient(), "jpeg", quality).data)) as image:
            first = image.layer[0]  # type: ignore[attr-defined] # of JPEG files
        assert first[1:3] == ((2, 2) if sampling == 2 else (1, 1))


@pytest.mark.parametrize(
    ("orientation", "size"), [(1, (40, 20)), (6, (20, 40)), (8, (20, 40)), (99, (40, 20))]
)
def test_a_photograph_has_the_size_that_screens_show(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.new("RGB", (40, 20)).save(out, "jpeg", exif=exif)

    image = encoders.inspect(out.getvalue())

    assert (image.width, image.height) == size

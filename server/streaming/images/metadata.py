"""What travels of an image file: its image data byte for byte, its colours, and which way is up.

A photograph of a telephone says where it was taken; a screen on a wall, and whoever records its frames,
need not know. Kept is what is listed here: the image data, what is needed for its colours (ICC profile,
JFIF, Adobe and PNG's colour chunks) and the orientation, as the smallest EXIF there is. Everything else
goes: EXIF, XMP, IPTC, comments, thumbnails, second pictures, bytes between the parts of a file and
whatever stands behind its end.

The orientation of JPEG and PNG counts, as it does in browsers; that of WebP does not, there or here.

Pure bytes, nothing is decoded, and bounded: no file has more parts than are counted here. The rule that
must not be broken: image data leaves as it came.
"""

from __future__ import annotations

import re
import struct
import zlib

from server.errors import InvalidError


# A whole profile has 255 segments at most, and each of a hundred scans its tables; a file with more is
# made to keep us busy.
MAX_SEGMENTS = 1024
# Each scan of a progressive file takes a look at every coefficient. Cameras and web tools write ten; a
# hundred is what the authors of libjpeg-turbo advise to stop at.
MAX_SCANS = 100
# Some writers leave bytes between segments: of all of them together.
MAX_GAP_BYTES = 4096
MAX_CHUNKS = 32_768

_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4

_EOI, _SOS = 0xD9, 0xDA
_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
# Segments that the picture is decoded by: frames (SOF) but the reserved one, Huffman and arithmetic
# tables, quantisation, number of lines, restarts.
_DECODED_BY = frozenset({*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD} - {0xC8})
# Markers without a body: TEM and RST, of which the second belongs into scans.
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_EXIF = b"Exif\x00\x00"
# Within image data, 0xFF is followed by 0x00 or by the number of a restart; anything else ends it.
# Searching this is quicker than `bytes.find` of two bytes is: 0.4 ms for a megabyte.
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SEARCHED_BYTES = 256 * 1024
# What begins a segment: any number of 0xFF may stand before a marker.
_MARKER = re.compile(rb"\xff[^\x00\xff]")

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that say which colours are shown; those of animations, so that they are told apart from pictures.
_PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD acTL fcTL fdAT".split()
)
_WEBP_KEPT = frozenset((b"VP8 ", b"VP8L", b"ALPH", b"ICCP", b"ANIM", b"ANMF"))
_WEBP_HAS_EXIF, _WEBP_HAS_XMP = 0x08, 0x04


def strip(data: bytes) -> bytes:
    """Return a file without what does not travel: the same object where there is nothing of it.

    A file that is no JPEG, PNG or WebP is returned as it is.

    Raises:
        InvalidError: If the file is cut short, its parts do not follow one another, or there are more
            of them than any picture needs.
    """
    if data[:2] == b"\xff\xd8":
        return _strip_jpeg(data)
    if data[:8] == _PNG_SIGNATURE:
        return _strip_png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _strip_webp(data)
    return data


def _broken(format_: str) -> InvalidError:
    return InvalidError(f"the {format_} file is cut short or broken", field="body")


def _too_many(format_: str, limit: int, parts: str) -> InvalidError:
    return InvalidError(f"the {format_} file has more than {limit} {parts}", field="body")


class _Kept:
    """What travels of a file, in its order; what lies side by side in the file is one piece."""

    def __init__(self, data: bytes, start: int = 0) -> None:
        self._data = data
        self._view = memoryview(data)
        self._pieces: list[bytes | memoryview] = []
        self._start = self._end = start  # the piece that may still grow

    def keep(self, start: int, end: int) -> None:
        """Keep some bytes of the file."""
        if start != self._end:
            self._pieces.append(self._view[self._start : self._end])
            self._start = start
        self._end = end

    def put(self, piece: bytes, start: int, end: int) -> None:
        """Put these bytes in the place of some of the file's."""
        if self._data[start:end] == piece:
            self.keep(start, end)
            return
        self._pieces += [self._view[self._start : self._end], piece]
        self._start = self._end = end

    def file(self, head: bytes = b"") -> bytes:
        """Return it behind a head: the file itself where that is the same."""
        is_whole = not self._pieces and self._start == len(head) and self._end == len(self._data)
        if is_whole and self._data[: len(head)] == head:
            return self._data
        return b"".join([head, *self._pieces, self._view[self._start : self._end]])

    def size_bytes(self) -> int:
        """Return how many bytes it has."""
        return sum(map(len, self._pieces)) + self._end - self._start


def _strip_jpeg(data: bytes) -> bytes:
    kept = _Kept(data)
    kept.keep(0, 2)
    at, scans, gap_bytes, has_exif = 2, 0, 0, False
    for _ in range(MAX_SEGMENTS):
        marker, start, end = _segment(data, at, MAX_GAP_BYTES - gap_bytes)
        gap_bytes += start - at
        if marker == _EOI:
            if not scans:
                raise _broken("jpeg")
            kept.keep(start, end)
            return kept.file()
        if marker == _SOS:
            scans += 1
            if scans > MAX_SCANS:
                raise _too_many("jpeg", MAX_SCANS, "scans")
            end = _scan_end(data, end)
            kept.keep(start, end)
        elif marker == _APP1:
            # Readers take the first EXIF, and look for none behind the head.
            if not has_exif and not scans and data[start + 4 : start + 10] == _EXIF:
                has_exif = True
                if orientation := _orientation_of(data[start + 10 : end]):
                    kept.put(_jpeg_exif(orientation), start, end)
        else:
            _keep_segment(kept, data, marker, start, end)
        at = end
    raise _too_many("jpeg", MAX_SEGMENTS, "segments")


def _scan_end(data: bytes, at: int) -> int:
    """Return where the image data that begins at a place ends.

    Raises:
        InvalidError: If it does not end.
    """
    while at < len(data):
        # A search holds the interpreter's lock to its end. One byte more: a marker may lie across.
        found = _SCAN_END.search(data, at, at + _SEARCHED_BYTES + 1)
        if found is not None:
            return found.start()
        at += _SEARCHED_BYTES
    raise _broken("jpeg")


def _segment(data: bytes, at: int, gap_bytes: int) -> tuple[int, int, int]:
    """Return the marker, start and end of the segment at or after a place.

    Raises:
        InvalidError: If there is none within so many bytes, or it is cut short.
    """
    # Two bytes more, for the marker itself.
    found = _MARKER.search(data, at, at + gap_bytes + 2)
    if found is None:
        raise _broken("jpeg")
    start, marker = found.start(), data[found.start() + 1]
    if marker in _BARE or marker == _EOI:
        return marker, start, start + 2
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    end = start + 2 + length
    if length < 2 or end > len(data):
        raise _broken("jpeg")
    return marker, start, end


def _keep_segment(kept: _Kept, data: bytes, marker: int, start: int, end: int) -> None:
    """Keep what travels of a segment, EXIF and scans apart."""
    body = data[start + 4 : min(end, start + 18)]
    if marker in _DECODED_BY or (marker == _APP2 and body[:12] == b"ICC_PROFILE\x00"):
        kept.keep(start, end)
    elif marker == _APP0 and body[:5] == b"JFIF\x00" and end - start >= 18:
        # Without its thumbnail.
        kept.put(b"\xff\xe0\x00\x10" + body[:12] + b"\x00\x00", start, end)
    elif marker == _APP14 and body[:5] == b"Adobe" and end - start >= 16:
        # Longer ones are read as well: it says how the colours are to be understood.
        kept.put(b"\xff\xee\x00\x0e" + body[:12], start, end)


def _strip_png(data: bytes) -> bytes:
    kept = _Kept(data)
    kept.keep(0, 8)
    at, may_turn = 8, True
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            raise _broken("png")
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise _broken("png")
        kind = data[at + 4 : at + 8]
        if kind in _PNG_KEPT:
            kept.keep(at, end)
            # Browsers know which way is up before they begin to draw.
            may_turn = may_turn and kind != b"IDAT"
        elif kind == b"eXIf" and may_turn and (orientation := _orientation_of(data[at + 8 : end - 4])):
            kept.put(_png_exif(orientation), at, end)
            may_turn = False
        if kind == b"IEND":
            return kept.file()
        at = end
    raise _too_many("png", MAX_CHUNKS, "chunks")


def _strip_webp(data: bytes) -> bytes:
    limit = 8 + int.from_bytes(data[4:8], "little")
    if limit > len(data):
        raise _broken("webp")
    at = 12
    kept = _Kept(data, at)
    for _ in range(MAX_CHUNKS):
        if at + 8 > limit:
            break
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        # Chunks begin at even places; the last one's padding is missing in some files.
        end = min(at + 8 + size + size % 2, limit)
        if at + 8 + size > limit:
            raise _broken("webp")
        kind = data[at : at + 4]
        if kind == b"VP8X" and size >= 10:
            flags = data[at + 8] & ~(_WEBP_HAS_EXIF | _WEBP_HAS_XMP)
            kept.keep(at, at + 8)
            kept.put(bytes((flags,)), at + 8, at + 9)
            kept.keep(at + 9, end)
        elif kind in _WEBP_KEPT:
            kept.keep(at, end)
        at = end
    else:
        raise _too_many("webp", MAX_CHUNKS, "chunks")
    return kept.file(b"RIFF" + struct.pack("<I", 4 + kept.size_bytes()) + b"WEBP")


def _orientation_of(tiff: bytes) -> int | None:
    """Return the orientation that an EXIF says, if it is any but upright; None for one that is broken."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, first)
        for index in range(count):
            at = first + 2 + 12 * index
            tag, kind, values = struct.unpack_from(order + "HHI", tiff, at)
            if tag == _ORIENTATION and values == 1 and kind in (_SHORT, _LONG):
                (value,) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, at + 8)
                return value if 2 <= value <= 8 else None
    except struct.error:
        pass
    return None


def _tiff(orientation: int) -> bytes:
    """Return an EXIF block that holds an orientation and nothing else."""
    return b"MM\x00*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, _SHORT, 1, orientation, 0, 0)


def _jpeg_exif(orientation: int) -> bytes:
    body = _EXIF + _tiff(orientation)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _png_exif(orientation: int) -> bytes:
    body = b"eXIf" + _tiff(orientation)
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

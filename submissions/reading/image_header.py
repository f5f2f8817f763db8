"""Read the size and format of an image from its header, for files that may be hostile.

Only the formats of masks are read: TIFF, JPEG, PNG and BMP. Headers are refused, before a decoder
sees the file, that could make a decoder allocate or compute more than the size says (tiles larger
than the image, repeated tags, sixteen bits, text that unpacks to gigabytes, thousands of scans), or
that readers interpret differently (several pages, an orientation).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from metrics.masks.png import SIGNATURE, PngError, chunks

Kind = Literal["TIFF", "JPEG", "PNG", "BMP"]

_PNG_SAMPLES: Final[Mapping[int, int]] = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_TURNED: Final = "turned by an orientation tag, which readers treat differently"
_INKS: Final = "in the colours of a printer or a camera; expected black and white"
_MAX_TAGS: Final = 200
_MAX_SAMPLES: Final = 4
_MAX_STRIPS: Final = 1 << 16
_TYPE_BYTES: Final[Mapping[int, str]] = {1: "B", 3: "H", 4: "I"}
_TEXTS_AND_RATIOS: Final = frozenset({2, 5})  # software, resolution and so on

# The tags of TIFF: 256 width, 257 height, 258 bits a sample, 259 packing, 262 what 0 means, 273 and
# 279 where the strips are and their bytes, 274 orientation, 277 samples a pixel, 278 rows a strip,
# 284 planes, 317 predictor, 322 to 325 size, places and bytes of tiles.
_FAX: Final = 4
_DEFLATE: Final = 8
_PLAIN: Final[Mapping[int, int]] = {258: 8, 259: _DEFLATE, 262: 1, 274: 1, 277: 1, 284: 1, 317: 1}
"""Tags of a TIFF of one deflated strip of grey bytes, and the values that they may have there."""
_SIZE_TAGS: Final = frozenset({256, 257, 273, 278, 279})
_READ_TAGS: Final = _PLAIN.keys() | _SIZE_TAGS | {322, 323, 324, 325}
_PACKINGS: Final = frozenset({1, 2, 3, 4, 5, _DEFLATE, 32946, 32773})
"""None, the three of CCITT, LZW, deflate under its two numbers, PackBits."""

_FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN: Final = 0xDA
_EXIF: Final = 0xE1
_ORIENTATION: Final = 274
_MAX_SEGMENTS: Final = 1000
_MAX_SCANS: Final = 16
_MAX_FILL: Final = 64

_PACKED_CHUNKS: Final = frozenset({b"zTXt", b"iTXt", b"iCCP"})
_MAX_PACKED_TEXT: Final = 1 << 16


class HeaderError(ValueError):
    """The header is not that of a mask; the text says why."""


@dataclass(frozen=True)
class Header:
    """The header of an image.

    Attributes:
        kind: The format, by content.
        height: In pixels.
        width: In pixels.
        samples: Channels a pixel.
        deflated: The pixels' place in the file, if they are a single deflated strip of grey bytes
            as ``writing.encoding`` writes it; else ``None``.
        faxed: Whether the pixels are one bit each, by CCITT group 4.
    """

    kind: Kind
    height: int
    width: int
    samples: int = 1
    deflated: slice | None = None
    faxed: bool = False


def read_header(data: bytes) -> Header:
    """Read the header of an image, without decoding a pixel.

    Raises:
        HeaderError: It is none of the formats, is cut short, or has what no mask needs.
    """
    for start, kind, parse in _PARSERS:
        if data.startswith(start):
            try:
                header = parse(data)
            except (struct.error, IndexError) as error:
                raise HeaderError(f"a {kind} cut short in its header") from error
            except PngError as error:
                raise HeaderError(str(error)) from error
            if header.height < 1 or header.width < 1:
                raise HeaderError(f"a {kind} of {header.width} x {header.height} pixels")
            return header
    raise HeaderError("not a TIFF, JPEG, PNG or BMP image")


def _tiff(data: bytes) -> Header:
    tags = _tiff_tags(data)
    height, width = _single(tags, 257), _single(tags, 256)
    samples = _single(tags, 277, 1)
    if samples > _MAX_SAMPLES or any(bits not in {1, 8} for bits in tags.get(258, (1,))):
        raise HeaderError("a TIFF of more than 8 bits a channel or 4 channels")
    if _single(tags, _ORIENTATION, 1) != 1:
        raise HeaderError(_TURNED)
    if _single(tags, 262, 1) > 3:
        raise HeaderError(_INKS)
    if _single(tags, 259, 1) not in _PACKINGS:
        raise HeaderError("a TIFF packed by a method that is not read; use deflate or LZW")
    if 322 in tags and _single(tags, 322) * _single(tags, 323) > 4 * max(height * width, 1 << 16):
        raise HeaderError("a TIFF with tiles larger than the image")
    offsets, sizes = tags.get(273, tags.get(324, ())), tags.get(279, tags.get(325, ()))
    if not offsets or len(offsets) != len(sizes):
        raise HeaderError("a TIFF that does not say where its pixels are")
    if any(start + size > len(data) for start, size in zip(offsets, sizes, strict=True)):
        raise HeaderError("a TIFF cut short")
    return Header("TIFF", height, width, samples, _deflated(tags), _faxed(tags))


def _deflated(tags: Mapping[int, tuple[int, ...]]) -> slice | None:
    known = _PLAIN.keys() | _SIZE_TAGS
    if not {258, 259, 262} <= tags.keys() <= known or len(tags.get(273, ())) != 1:
        return None
    if any(tags.get(tag, (value,)) != (value,) for tag, value in _PLAIN.items()):
        return None
    if _single(tags, 278, tags[257][0]) < tags[257][0]:
        return None
    return slice(tags[273][0], tags[273][0] + tags[279][0])


def _faxed(tags: Mapping[int, tuple[int, ...]]) -> bool:
    """Whether it is packed by group 4, one bit a pixel and without a palette."""
    return (
        tags.get(259) == (_FAX,)
        and tags.get(258) == (1,)
        and tags.get(277, (1,)) == (1,)
        and tags.get(262) in {(0,), (1,)}
    )


def _tiff_tags(data: bytes) -> dict[int, tuple[int, ...]]:
    """The values of the tags that matter, by number; others without, texts and ratios apart.

    A TIFF's directory is a list of tags in ascending order, 12 bytes each: number, type, count, and
    the values, or their offset where they take more than 4 bytes. A 4-byte offset of the next page
    follows. Only the first page is read, and it must be the only one.
    """
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    if count > _MAX_TAGS:
        raise HeaderError(f"a TIFF of {count} tags")
    tags: dict[int, tuple[int, ...]] = {}
    last = -1
    for index in range(count):
        place = start + 2 + 12 * index
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, place)
        if tag <= last:
            raise HeaderError("a TIFF whose tags are repeated or out of order")
        last = tag
        if tag not in _READ_TAGS:
            tags |= {} if kind in _TEXTS_AND_RATIOS else {tag: ()}
            continue
        letter = _TYPE_BYTES.get(kind)
        if letter is None:  # readers differ in which others they take
            raise HeaderError(f"a TIFF whose tag {tag} is of an unusual type")
        if number > _MAX_STRIPS:
            raise HeaderError(f"a TIFF of more than {_MAX_STRIPS:,} strips or tiles")
        shape = f"{order}{number}{letter}"
        inline = struct.calcsize(shape) <= 4
        where = place + 8 if inline else struct.unpack_from(f"{order}I", data, place + 8)[0]
        tags[tag] = struct.unpack_from(shape, data, where)
    if any(struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)):
        raise HeaderError("a TIFF of more than one page")
    return tags


def _single(tags: Mapping[int, tuple[int, ...]], tag: int, default: int | None = None) -> int:
    values = tags.get(tag, () if default is None else (default,))
    if len(values) != 1:
        raise HeaderError(f"a TIFF without a proper tag {tag}")
    return values[0]


def _jpeg(data: bytes) -> Header:
    place: int = 2
    header: Header | None = None
    for _ in range(_MAX_SEGMENTS):
        marker, place = _marker(data, place)
        if marker in _BARE_MARKERS:
            continue
        if marker == _SCAN:
            break
        (length,) = struct.unpack_from(">H", data, place)
        if marker in _FRAME_MARKERS:
            if header is not None:
                raise HeaderError("a JPEG of two frames")
            header = _jpeg_frame(data, place)
        if length < 2:
            raise HeaderError("a damaged JPEG header")
        if marker == _EXIF and data.startswith(b"Exif\0\0", place + 2):
            _refuse_turned(data[place + 8 : place + length])
        place += length
    else:
        raise HeaderError(f"a JPEG of more than {_MAX_SEGMENTS} segments before its pixels")
    if header is None:
        raise HeaderError("a JPEG without a size")
    if data.rfind(b"\xff\xd9") < place:
        raise HeaderError("a JPEG cut short")
    if data.count(b"\xff\xda", place) >= _MAX_SCANS:
        raise HeaderError(f"a JPEG of more than {_MAX_SCANS} scans")
    return header


def _jpeg_frame(data: bytes, place: int) -> Header:
    bits, height, width, channels = struct.unpack_from(">BHHB", data, place + 2)
    if bits != 8:
        raise HeaderError("a JPEG of more than 8 bits a channel")
    if channels not in {1, 3}:
        raise HeaderError(_INKS)
    return Header("JPEG", height, width, channels)


def _marker(data: bytes, place: int) -> tuple[int, int]:
    """The next marker and the offset behind it; up to 63 more bytes of 0xFF may precede it."""
    fill = data[place : place + _MAX_FILL]
    marker = fill.lstrip(b"\xff")
    if not marker or len(marker) == len(fill):
        raise HeaderError("a damaged JPEG header")
    return marker[0], place + len(fill) - len(marker) + 1


def _refuse_turned(exif: bytes) -> None:
    """Refuse an Exif block with an orientation other than upright."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for index in range(min(count, _MAX_TAGS)):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * index)
            if tag == _ORIENTATION and value in range(2, 9):
                raise HeaderError(_TURNED)
    except struct.error:
        return


def _png(data: bytes) -> Header:
    if data[12:16] != b"IHDR":
        raise HeaderError("a PNG without its header")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    if bits > 8:
        raise HeaderError("a PNG of more than 8 bits a channel")
    packed = 0
    for kind, start, length in chunks(data):
        if kind == b"acTL":
            raise HeaderError("a PNG of more than one picture")
        if kind == b"eXIf":
            _refuse_turned(data[start : start + length])
        packed += length if kind in _PACKED_CHUNKS else 0
    if packed > _MAX_PACKED_TEXT:
        raise HeaderError(f"a PNG with {packed:,} bytes of packed text or colour profiles")
    return Header("PNG", height, width, _PNG_SAMPLES.get(colour, _MAX_SAMPLES))


def _bmp(data: bytes) -> Header:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes < 40:
        raise HeaderError("a BMP of a kind that is not read")
    width, height = struct.unpack_from("<ii", data, 18)
    bits, compression = struct.unpack_from("<HI", data, 28)
    (start,) = struct.unpack_from("<I", data, 10)
    if compression != 0:
        raise HeaderError("a compressed BMP, which is not read")
    # A negative height means that the rows begin at the top; each is padded to 4 bytes.
    if start + abs(height) * ((width * bits + 31) // 32 * 4) > len(data):
        raise HeaderError("a BMP cut short")
    return Header("BMP", abs(height), width, max(1, bits // 8))


_PARSERS: Final[tuple[tuple[bytes, Kind, Callable[[bytes], Header]], ...]] = (
    (b"II*\0", "TIFF", _tiff),
    (b"MM\0*", "TIFF", _tiff),
    (b"\xff\xd8", "JPEG", _jpeg),
    (SIGNATURE, "PNG", _png),
    (b"BM", "BMP", _bmp),
)

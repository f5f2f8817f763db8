"""The members of a zip: the directory checked against their own headers, and their bytes.

A zip describes each member twice, in its directory and in the local header before the member's
bytes, and readers differ in which they believe: a hostile zip shows one content to a validator and
another to the scorer. Here both must agree, every byte of the file must belong to a header, a
member or the directory, and a member must unpack to exactly the size and checksum that are stated.
"""

from __future__ import annotations

import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

from submissions.reading.findings import Finding, found

ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
"""Flags of a member that needs a password, by any of the ways."""

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC: Final = b"PK\3\4"
_SIZES_FOLLOW: Final = 0x8
_UTF8: Final = 0x800
_DESCRIPTORS: Final = (12, 16, 20, 24)
_LARGE: Final = 0xFFFFFFFF
_LARGE_EXTRA: Final = 1
_LARGE_SIZES: Final = struct.Struct("<2Q")
_NAME_EXTRA: Final = 0x7075
_UNKNOWN: Final = "that belong to no entry"


class _Local(NamedTuple):
    """A local header: what a zip says of a member right before its bytes."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    unpacked: int
    extra: bytes
    end: int


def locate(
    stream: BinaryIO, infos: Iterable[zipfile.ZipInfo], directory_start: int
) -> tuple[dict[int, int], list[Finding]]:
    """Find each member's bytes, and where the zip contradicts itself.

    Returns:
        tuple: The offset of each member's packed bytes by that of its header, up to the first that
        is not there or shares bytes with another; and the faults.
    """
    # The members are walked in the order of their bytes, and `place` is where the bytes that are
    # accounted for end. A member that begins before it overlaps another (a bomb that unpacks the
    # same bytes many times); one that begins behind it leaves hidden bytes in between.
    starts: dict[int, int] = {}
    faults: list[Finding] = []
    place = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name, start = info.orig_filename, info.header_offset
        if start < place:
            return starts, [*faults, found("bomb", name, "shares its bytes with another entry")]
        if start > place:
            faults.append(found("archive", name, f"{start - place:,} bytes before it {_UNKNOWN}"))
        local = _read_local(stream, start) if start < directory_start else None
        if local is None:
            message = "it does not begin where the zip's directory says"
            return starts, [*faults, found("archive", name, message)]
        faults += [found("archive", name, message) for message in _contradictions(info, local)]
        starts[start] = local.end
        place = local.end + info.compress_size
        if info.flag_bits & _SIZES_FOLLOW and place < directory_start:
            place += _descriptor_bytes(stream, info, place)
    if place > directory_start:
        faults.append(found("bomb", "", "an entry shares its bytes with the zip's directory"))
    elif place < directory_start:
        message = f"{directory_start - place:,} bytes before the zip's directory {_UNKNOWN}"
        faults.append(found("archive", "", message))
    return starts, faults


def reader(
    stream: BinaryIO, starts: dict[int, int], limit: int
) -> Callable[[zipfile.ZipInfo], bytes]:
    """A thread-safe function that unpacks a whole member of at most ``limit`` bytes.

    It raises ``zipfile.BadZipFile`` or ``zlib.error`` where the bytes are not those stated.
    ``starts`` is what ``locate`` gives.
    """
    lock = threading.Lock()

    def read(info: zipfile.ZipInfo) -> bytes:
        start = starts.get(info.header_offset)
        if start is None or max(info.file_size, info.compress_size) > limit:
            raise zipfile.BadZipFile("not read")
        with lock:
            stream.seek(start)
            packed = stream.read(info.compress_size)
        data = _unpacked(packed, info)
        if zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("its checksum does not fit its bytes")
        return data

    return read


def _unpacked(packed: bytes, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type == zipfile.ZIP_STORED:
        data, whole = packed, True
    else:
        # At most one byte more than stated is unpacked, so a lie about the size costs no memory.
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        data = stream.decompress(packed, info.file_size + 1)
        whole = stream.eof and not stream.unused_data
    if not whole or len(data) != info.file_size:
        raise zipfile.BadZipFile(
            f"it does not unpack to the {info.file_size:,} bytes that are stated"
        )
    return data


def _read_local(stream: BinaryIO, offset: int) -> _Local | None:
    stream.seek(offset)
    head = stream.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(_LOCAL_MAGIC):
        return None
    _, _, flags, method, _, _, crc, packed, unpacked, name_bytes, extra_bytes = _LOCAL.unpack(head)
    name = stream.read(name_bytes).decode("utf-8" if flags & _UTF8 else "cp437", "replace")
    extra = stream.read(extra_bytes)
    large = dict(_extras(extra)).get(_LARGE_EXTRA, b"")
    if packed == unpacked == _LARGE and len(large) >= _LARGE_SIZES.size:
        unpacked, packed = _LARGE_SIZES.unpack_from(large)
    end = offset + _LOCAL.size + name_bytes + extra_bytes
    return _Local(name, flags, method, crc, packed, unpacked, extra, end)


def _contradictions(info: zipfile.ZipInfo, local: _Local) -> Iterator[str]:
    pairs = {
        "name": (local.name, info.orig_filename),
        "packing": (local.method, info.compress_type),
        "encryption": (local.flags & ENCRYPTED, info.flag_bits & ENCRYPTED),
        "checksum": (local.crc, info.CRC),
        "packed size": (local.packed, info.compress_size),
        "size": (local.unpacked, info.file_size),
    }
    follow = local.flags & info.flag_bits & _SIZES_FOLLOW
    # A streaming writer does not know these yet: 0 here, and stated behind the member's bytes.
    later = {"checksum", "packed size", "size"} if follow else set()
    for what, (said, listed) in pairs.items():
        if said != listed and not (what in later and said in {0, _LARGE}):
            yield f"its {what} is another in the zip's directory than before its bytes"
    for extra in (info.extra, local.extra):
        for kind, value in _extras(extra):
            if kind == _NAME_EXTRA and value[5:] != info.orig_filename.encode():
                yield "a second name is hidden behind the first"


def _extras(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + 4 <= len(data):
        kind, length = struct.unpack_from("<2H", data, place)
        yield kind, data[place + 4 : place + 4 + length]
        place += 4 + length


def _descriptor_bytes(stream: BinaryIO, info: zipfile.ZipInfo, place: int) -> int:
    """Length of the data descriptor behind a member: the checksum and sizes of a streaming writer.

    It has 32-bit or 64-bit sizes, and a signature or none; 0 where none of the four fits.
    """
    stream.seek(place)
    data = stream.read(max(_DESCRIPTORS))
    for length in _DESCRIPTORS:
        magic, sizes = b"PK\7\x08" if length in {16, 24} else b"", "2L" if length < 20 else "2Q"
        packed, unpacked = info.compress_size, info.file_size
        if sizes == "2L" and max(packed, unpacked) > _LARGE:
            continue
        if data.startswith(magic + struct.pack(f"<L{sizes}", info.CRC, packed, unpacked)):
            return length
    return 0

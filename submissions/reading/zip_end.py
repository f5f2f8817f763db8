"""The end record of a zip, checked before anything reads the directory that it points to.

``zipfile`` loads the whole directory when it opens a zip, and millions of entries take gigabytes.
Where a file has several end records, or bytes behind the last, readers differ in which they use. So
the record is found and checked here first, in constant memory.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

_END: Final = struct.Struct("<4s4H2LH")
_END_MAGIC: Final = b"PK\5\6"
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_END64_MAGIC: Final = b"PK\6\6"
_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCATOR_MAGIC: Final = b"PK\6\7"
_MAX_COMMENT: Final = 0xFFFF


class EndError(ValueError):
    """The file has no valid end record; the text says why."""


def read_end(stream: BinaryIO) -> tuple[int, int]:
    """The number of entries of a zip and the bytes of its directory, by its end record.

    Raises:
        EndError: It is no zip, is cut short, or is one of several parts.
    """
    size = stream.seek(0, 2)
    start = max(0, size - _MAX_COMMENT - _END.size)
    stream.seek(start)
    tail = stream.read()
    place = tail.rfind(_END_MAGIC)
    if place < 0 or len(tail) - place < _END.size:
        raise EndError("a zip cut short" if _begins_as_zip(stream) else "not a zip")
    _, disk, first, here, entries, directory_bytes, _, comment = _END.unpack_from(tail, place)
    if {disk, first} - {0, 0xFFFF} or here != entries:
        raise EndError("one part of a zip in several parts")
    behind = len(tail) - place - _END.size - comment
    if behind:
        what = f"{behind:,} bytes behind its end" if behind > 0 else "a comment cut short"
        raise EndError(f"a zip with {what}")
    large = _large_counts(stream, tail[:place], start + place)
    if large is None:
        return entries, directory_bytes
    said = (entries, 0xFFFF), (directory_bytes, 0xFFFFFFFF)
    if any(small not in {value, unset} for (small, unset), value in zip(said, large, strict=True)):
        raise EndError("a zip whose end contradicts itself")
    return large


def _large_counts(stream: BinaryIO, before: bytes, place: int) -> tuple[int, int] | None:
    """Entries and directory bytes by the ZIP64 records; ``None`` where there are none.

    A zip of more than 65,535 entries or 4 GiB has a second, larger end record before the first, and
    between them a locator that says where it is. It must stand exactly there.
    """
    locator = before[-_LOCATOR.size :]
    if not locator.startswith(_LOCATOR_MAGIC) or len(locator) < _LOCATOR.size:
        return None
    _, disk, where, disks = _LOCATOR.unpack(locator)
    if disk or disks > 1:
        raise EndError("one part of a zip in several parts")
    expected = place - _LOCATOR.size - _END64.size
    stream.seek(max(0, expected))
    record = stream.read(_END64.size)
    if where != expected or not record.startswith(_END64_MAGIC):
        raise EndError("a zip whose end contradicts itself")
    _, _, _, _, disk, first, here, entries, directory_bytes, _ = _END64.unpack(record)
    if disk or first or here != entries:
        raise EndError("one part of a zip in several parts")
    return entries, directory_bytes


def _begins_as_zip(stream: BinaryIO) -> bool:
    stream.seek(0)
    return stream.read(4) == b"PK\3\4"

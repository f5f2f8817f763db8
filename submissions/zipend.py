"""The end record of a zip, judged before anything loads the directory it points to."""

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
    """The file does not end as a zip does; the text says how."""


def read_end(stream: BinaryIO) -> tuple[int, int]:
    """How many entries a zip has, and how many bytes its directory, as its end record says.

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
    _, disk, _, _, entries, directory_bytes, _, _ = _END.unpack_from(tail, place)
    if disk not in {0, 0xFFFF}:
        raise EndError("one part of a zip in several parts")
    for entries64, bytes64 in _zip64_counts(stream, tail[:place], start + place):
        entries = entries64 if entries == 0xFFFF else max(entries, entries64)
        directory_bytes = max(0 if directory_bytes == 0xFFFFFFFF else directory_bytes, bytes64)
    return entries, directory_bytes


def _zip64_counts(stream: BinaryIO, before: bytes, place: int) -> list[tuple[int, int]]:
    """Entries and directory bytes of the large-zip record, wherever a reader may look for it."""
    if not before[-_LOCATOR.size :].startswith(_LOCATOR_MAGIC):
        return []
    _, _, where, _ = _LOCATOR.unpack(before[-_LOCATOR.size :])
    counts: list[tuple[int, int]] = []
    for start in sorted({min(where, place), max(0, place - _LOCATOR.size - _END64.size)}):
        stream.seek(start)
        record = stream.read(_END64.size)
        if len(record) == _END64.size and record.startswith(_END64_MAGIC):
            fields = _END64.unpack(record)
            counts.append((max(fields[6:8]), fields[8]))
    return counts


def _begins_as_zip(stream: BinaryIO) -> bool:
    stream.seek(0)
    return stream.read(4) == b"PK\3\4"

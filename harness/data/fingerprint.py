"""The identity of frames by their contents, wherever they lie."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from harness.utils.device import cores
from metrics.masks.image import read_file
from metrics.utils.errors import Fault, FaultsError, or_fault
from metrics.utils.files import UnwritableError, read_mapping, write_json

if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result")

DIGITS: Final = 16
"""Hexadecimal digits of a fingerprint."""

_FILE_NAME: Final = "digests.json"
_SETTLED_NS: Final = 2_000_000_000


class FileDigests:
    """SHA-256 of files; a file that has not changed is read once.

    A digest is remembered with the file's size, inode, time of modification and time of change
    (ctime). No program can set the last one back, so a file that is corrected in place is read
    again even if size and time of modification were kept. They are read from ``folder``, where
    :meth:`save` writes them; without one they are not kept.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder and folder / _FILE_NAME
        self._known: dict[str, Any] = read_mapping(self._file) if self._file else {}
        self._changed = False

    def __call__(self, path: str) -> str:
        """The digest of a file; of no file ('') that of no bytes.

        Raises:
            UserError: If the file cannot be read.
        """
        if not path:
            return sha256(b"")
        key, stamp = str(Path(path).absolute()), _stamp(path)
        known = self._known.get(key)
        if stamp and isinstance(known, list) and known[:-1] == stamp:
            return str(known[-1])
        found = sha256(read_file(path))
        # A file that changed a moment ago may change again within the same tick of its clock.
        if stamp and time.time_ns() - max(stamp[2:]) > _SETTLED_NS:
            self._known[key] = [*stamp, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Write what was learnt; a folder that cannot be written is no fault."""
        if self._file and self._changed:
            with contextlib.suppress(UnwritableError):
                write_json(self._file, self._known)


def data_fingerprint(catalogue: pd.DataFrame, folder: Path | None = None) -> str:
    """The identity of a catalogue's frames, by their contents.

    Two catalogues have the same fingerprint if they list the same frame ids with the same bytes
    in image and mask files; neither order nor folder nor file times count. A cache knows its own
    without reading a file: ``FrameCache.contents``.

    ``folder`` is the cache folder, where digests of files are remembered; ``None`` reads them all.

    Returns:
        str: ``DIGITS`` hexadecimal digits.

    Raises:
        FaultsError: If files cannot be read, every one of them named.
    """
    return combine(read_digests(catalogue, folder))


def read_digests(catalogue: pd.DataFrame, folder: Path | None) -> list[str]:
    """The identity of each frame, in order; ``folder`` and errors as :func:`data_fingerprint`."""
    files = FileDigests(folder)
    digests = without_faults(frame_digests(rows_of(catalogue), files))
    files.save()
    return digests


def frame_digests(rows: Sequence[Mapping[str, Any]], digests: FileDigests) -> list[str | Fault]:
    """The identity of each frame, or why its files cannot be read."""

    def digest(row: Mapping[str, Any]) -> str:
        return frame_digest(row, digests(row["image"]), digests(row["mask"]))

    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(or_fault(digest), rows))


def frame_digest(row: Mapping[str, Any], image: str, mask: str) -> str:
    """The identity of a catalogue's row, from the SHA-256 of its image and of its mask, if any."""
    return sha256(repr((row["frame"], row["truth"], [image, mask])).encode())


def combine(digests: Iterable[str]) -> str:
    """The identity of a set of frames from theirs, in whatever order."""
    return sha256("\n".join(sorted(digests)).encode())[:DIGITS]


def sha256(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def rows_of(catalogue: pd.DataFrame) -> list[Mapping[str, Any]]:
    """The rows of a catalogue by column name."""
    return cast("list[Mapping[str, Any]]", catalogue.to_dict("records"))


def without_faults(results: Sequence[Result | Fault]) -> list[Result]:
    """The results of all frames; where there are faults among them, every one is raised."""
    if faults := [result for result in results if isinstance(result, Fault)]:
        raise FaultsError(faults, f"frames cannot be used, of {len(results)} in all")
    return [result for result in results if not isinstance(result, Fault)]


def _stamp(path: str) -> list[int]:
    """Size, inode, and times of modification and change in nanoseconds; empty without a file."""
    try:
        found = Path(path).stat()
    except OSError:
        return []
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]

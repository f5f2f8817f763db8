"""What frames are, wherever they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from metrics.utils.errors import Fault, FaultsError, UserError

if TYPE_CHECKING:
    import pandas as pd

DIGITS: Final = 16
"""Hexadecimal digits of a fingerprint."""


def data_fingerprint(catalogue: pd.DataFrame) -> str:
    """The identity of a catalogue's frames, by their contents.

    Two catalogues have the same fingerprint if they list the same frame ids with the same bytes
    in image and mask files; neither order nor folder nor file times count. A cache knows its own
    without reading a file: ``FrameCache.contents``.

    Args:
        catalogue: Rows of any catalogue.

    Returns:
        str: ``DIGITS`` hexadecimal digits.

    Raises:
        FaultsError: If files cannot be read, every one of them named.
    """

    def one(row: Mapping[str, Any]) -> str | Fault:
        try:
            return digest(row, *read_files(row))
        except UserError as error:
            return Fault(path="", message=error.message)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(one, rows_of(catalogue)))
    raise_faults(results)
    return combine(result for result in results if isinstance(result, str))


def digest(row: Mapping[str, Any], image: bytes, mask: bytes) -> str:
    """The identity of one frame.

    Args:
        row: Its row of the catalogue.
        image: The bytes of its image file.
        mask: The bytes of its mask file, empty where it has none.
    """
    parts = [hashlib.sha256(data).hexdigest() for data in (image, mask)]
    return hashlib.sha256(repr((row["frame"], row["truth"], parts)).encode()).hexdigest()


def combine(digests: Iterable[str]) -> str:
    """The identity of a set of frames from theirs, in whatever order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:DIGITS]


def read_files(row: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The bytes of a row's image and of its mask, empty where it has none.

    Raises:
        UserError: If one of them cannot be read.
    """
    return _read(row["image"]), _read(row["mask"]) if row["mask"] else b""


def rows_of(catalogue: pd.DataFrame) -> list[Mapping[str, Any]]:
    """The rows of a catalogue by column name."""
    return cast("list[Mapping[str, Any]]", catalogue.to_dict("records"))


def raise_faults(results: Sequence[object]) -> None:
    """Raise every fault among the results, if there are any."""
    faults = [result for result in results if isinstance(result, Fault)]
    if faults:
        raise FaultsError(faults, f"frames cannot be used, of {len(results)} in all")


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}). "
            "Check the path and its permissions."
        ) from error

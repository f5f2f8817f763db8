"""Decoded frames at network size, in memory-mapped files.

The cache folder holds one folder for each key. A key is a hash of the frames' contents, the size
and all else that decides the bytes, so a cache is never stale: other files, or files that have
changed, have another key. A cache is written beside its final name and renamed when whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data.fingerprint import (
    DIGITS,
    FileDigests,
    combine,
    frame_digest,
    frame_digests,
    rows_of,
    sha256,
    without_faults,
)
from harness.data.frames import (
    inverted_note,
    looks_inverted,
    resize_image,
    resize_mask,
    size_problem,
)
from harness.utils import console
from harness.utils.command_line import command_line
from harness.utils.device import cores
from harness.utils.prefetch import map_ahead
from metrics.masks.class_indices import decode_labels
from metrics.masks.classes import ONE, Classes
from metrics.masks.faults import RULES
from metrics.masks.image import RGB_AS_STORED, decode, read_file
from metrics.utils.errors import Fault, UserError, or_fault
from metrics.utils.files import partial_folder

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], object]

VERSION: Final = 2
"""Part of every key; raised when the same files would decode to other bytes."""

_Entry = tuple[NDArray[np.uint8], NDArray[np.uint8], str]

_IMAGES, _MASKS, _INDEX = "images.u8", "masks.u8", "index.json"
_AHEAD: Final = 4


@dataclass(frozen=True, kw_only=True)
class FrameCache:
    """Frames and masks at network size, open for reading.

    Only its folder is pickled, so that worker processes map the same pages.

    Attributes:
        folder: Where it lies.
        frames: The frames' ids, in the catalogue's order.
        images: uint8 (N, S, S, 3), RGB, read only.
        masks: uint8 (N, S, S), class indices: 0 on the background; read only.
        contents: The ``data_fingerprint`` of the catalogue it was built from.
    """

    folder: Path
    frames: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    contents: str

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    @property
    def size(self) -> int:
        """Side of the square frames, in pixels."""
        return int(self.images.shape[1])

    def holds(self, index: int) -> bool:
        """Whether any pixel of any mask is of a class, given by its index."""
        return any(bool((mask == index).any()) for mask in self.masks)

    def __reduce__(self) -> tuple[Callable[[Path], FrameCache], tuple[Path]]:
        """Pickle the folder, not the pixels."""
        return FrameCache.open, (self.folder,)

    @classmethod
    def build(
        cls,
        catalogue: pd.DataFrame,
        size: int,
        folder: Path,
        *,
        progress: Progress = lambda _done, _total: None,
        classes: Classes = ONE,
    ) -> FrameCache:
        """Open the cache of a catalogue; build it first where it does not exist.

        Frames become ``size`` x ``size`` pixels. ``folder`` holds all caches; ``progress`` is
        called after each decoded frame with the frames done and in all. Masks that look inverted
        are warned of.

        Raises:
            FaultsError: If frames or masks cannot be used, every one of them named.
            UserError: If the folder cannot be written, or the disk is full.
        """
        rows = rows_of(catalogue)
        if not rows:
            raise UserError(
                f"no frames to cache; '{command_line('data check')}' shows what was found."
            )
        files = FileDigests(folder)
        settings = _Settings(size, classes)
        try:
            try:
                cache = cls.open(folder / settings.key(frame_digests(rows, files)))
            except UserError:
                cache = cls.open(_build(rows, settings, folder, progress))
            files.save()
        except OSError as error:
            needed = len(rows) * size * size * 4 / 1e6
            raise UserError(
                f"{folder}: cannot write the frame cache, which takes {needed:.0f} MB "
                f"({error.strerror or error}). Make room and rights there, or give another folder "
                "with --workspace."
            ) from error
        _warn_of_inverted(cache, rows, classes)
        return cache

    @classmethod
    def open(cls, folder: Path) -> FrameCache:
        """Map a cache that exists.

        Raises:
            UserError: If it does not exist, or is not whole.
        """
        try:
            index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
            frames, size = tuple(index["frames"]), int(index["size"])
            shape = (len(frames), size, size)
            return cls(
                folder=folder,
                frames=frames,
                images=np.memmap(folder / _IMAGES, np.uint8, "r", shape=(*shape, 3)),
                masks=np.memmap(folder / _MASKS, np.uint8, "r", shape=shape),
                contents=str(index["contents"]),
            )
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"{folder}: expected a frame cache, but it is missing or not whole ({error}). "
                f"'{command_line('data cache')}' builds it anew."
            ) from error


class _Settings(NamedTuple):
    """What decides the bytes of a cache, besides the files."""

    size: int
    classes: Classes

    def key(self, digests: Sequence[str | Fault]) -> str:
        """Name of the cache of frames in their order; a frame that cannot be read has a fault."""
        parts = (VERSION, RULES, self.size, "bilinear", self.classes.values, *digests)
        return f"{self.size}-{sha256(' '.join(map(str, parts)).encode())[:DIGITS]}"


def _warn_of_inverted(
    cache: FrameCache, rows: Sequence[Mapping[str, Any]], classes: Classes
) -> None:
    masks = (mask == classes.channel for mask in cache.masks)
    paths = [str(r["mask"]) for r, mask in zip(rows, masks, strict=True) if looks_inverted(mask)]
    if paths:
        console.warn(inverted_note(paths, classes.chosen))


def _build(
    rows: Sequence[Mapping[str, Any]], settings: _Settings, folder: Path, progress: Progress
) -> Path:
    """Decode the frames into a new cache; its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with partial_folder(folder) as temporary:
        decode = or_fault(partial(_decode, settings=settings))
        with ThreadPoolExecutor(cores(), thread_name_prefix="cache") as pool:
            entries = map_ahead(pool, decode, rows, _AHEAD * cores())
            digests = _write(temporary, rows, settings.size, entries, progress)
        final = folder / settings.key(digests)
        _rename(temporary, final)
    return final


def _decode(row: Mapping[str, Any], settings: _Settings) -> _Entry:
    """A frame and its mask at network size, and the frame's digest."""
    if row["truth"] == "withheld":
        raise UserError(f"{row['image']}: its truth is withheld, so it cannot train or validate.")
    size = settings.size
    image_data, mask_data = read_file(row["image"]), b""
    image = decode(image_data, RGB_AS_STORED, name=str(row["image"]))
    mask = np.zeros((size, size), np.uint8)
    if row["mask"]:
        mask_data = read_file(row["mask"])
        truth = decode_labels(mask_data, settings.classes, name=str(row["mask"]))
        if problem := size_problem(truth.shape, image.shape[:2]):
            raise UserError(f"{row['mask']}: {problem}. Replace it, or leave the frame out.")
        mask = resize_mask(truth, size)
    digest = frame_digest(row, sha256(image_data), sha256(mask_data))
    return resize_image(image, size), mask, digest


def _write(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    size: int,
    entries: Iterator[_Entry | Fault],
    progress: Progress,
) -> list[str]:
    """Write all entries in order and give their digests, or raise with every fault among them.

    Plain writes: a full disk makes them fail with an error, but kills a process that writes to a
    memory map.
    """
    results: list[str | Fault] = []
    with (folder / _IMAGES).open("wb") as images, (folder / _MASKS).open("wb") as masks:
        for entry in entries:
            if isinstance(entry, Fault):
                results.append(entry)
            else:
                image, mask, digest = entry
                images.write(image.data)
                masks.write(mask.data)
                results.append(digest)
            progress(len(results), len(rows))
        for file in (images, masks):
            file.flush()
            os.fsync(file.fileno())
    digests = without_faults(results)
    index = {
        "version": VERSION,
        "size": size,
        "contents": combine(digests),
        "frames": [row["frame"] for row in rows],
    }
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")
    return digests


def _rename(temporary: Path, final: Path) -> None:
    """Give a whole cache its final name, unless another process was first."""
    from filelock import FileLock

    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # a file system without locks
            held.enter_context(FileLock(final.parent / ".lock", fallback_to_soft=False))
        with contextlib.suppress(UserError):
            FrameCache.open(final)
            return
        shutil.rmtree(final, ignore_errors=True)  # a damaged one, if any
        temporary.chmod(0o755)
        temporary.rename(final)

"""Frames decoded once: a memory map of bytes at network size.

A cache folder holds one folder a key, and the key is a fingerprint of the files, the size and
whatever else decides the bytes. So a cache is never stale: another set of files, or a file that
has changed, has another key. It is written beside its final name and renamed when whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.data.fingerprint import DIGITS, combine, digest, raise_faults, read_files, rows_of
from harness.data.frames import Interpolation, decode_image, resize_image, resize_mask
from harness.utils.prefetch import map_ahead
from metrics.masks.classes import ONE, Classes
from metrics.masks.labels import decode_labels
from metrics.utils.errors import Fault, UserError

if TYPE_CHECKING:
    import pandas as pd

VERSION: Final = 1
"""Part of every key; raised when the same files would decode to other bytes."""

_IMAGES, _MASKS, _INDEX = "images.u8", "masks.u8", "index.json"
_AHEAD: Final = 4


@dataclass(frozen=True, kw_only=True)
class FrameCache:
    """Frames and masks at network size, open for reading.

    Pickling one sends its folder alone, so that a worker process maps the same pages.

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
        jobs: int | None = None,
        progress: Callable[[int, int], object] = lambda _done, _total: None,
        interpolation: Interpolation = "bilinear",
        classes: Classes = ONE,
    ) -> FrameCache:
        """The cache of a catalogue: opened where it is there, else built.

        Args:
            catalogue: Frames whose truth is known; at least one.
            size: Side of the square frames, in pixels.
            folder: Where caches lie; made when missing.
            jobs: Threads that decode; by default one a core.
            progress: Called after each frame with the frames done and in all; not where the cache
                was there.
            interpolation: How frames are resized, see :func:`harness.data.frames.resize_image`.
            classes: What the masks' values mean.

        Returns:
            FrameCache: Open for reading.

        Raises:
            FaultsError: If frames or masks cannot be used, every one of them named.
            UserError: If the folder cannot be written, or the disk is full.
        """
        rows = rows_of(catalogue)
        if not rows:
            raise UserError(
                "there are no frames to cache; 'harness data check' shows what was found."
            )
        final = folder / _key(rows, size, interpolation, classes)
        try:
            with contextlib.suppress(UserError):
                return cls.open(final)
            folder.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=folder))
            try:
                workers = jobs or os.cpu_count() or 1
                entries = _decode_all(rows, size, interpolation, classes, workers)
                _write(temporary, rows, size, entries, progress)
                _rename(temporary, final)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise _no_room(folder, len(rows) * size * size * 4, error) from error
        return cls.open(final)

    @classmethod
    def open(cls, folder: Path) -> FrameCache:
        """Map a cache that is there.

        Raises:
            UserError: If it is not there, or not whole.
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
                "'harness data cache' builds it anew."
            ) from error


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One frame on its way into the cache."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    digest: str


def _decode_all(
    rows: Sequence[Mapping[str, Any]],
    size: int,
    interpolation: Interpolation,
    classes: Classes,
    jobs: int,
) -> Iterator[_Entry | Fault]:
    def decode(row: Mapping[str, Any]) -> _Entry | Fault:
        try:
            return _decode(row, size, interpolation, classes)
        except UserError as error:
            return Fault(path="", message=error.message)

    with ThreadPoolExecutor(jobs, thread_name_prefix="cache") as pool:
        yield from map_ahead(pool, decode, rows, _AHEAD * jobs)


def _decode(
    row: Mapping[str, Any], size: int, interpolation: Interpolation, classes: Classes
) -> _Entry:
    if row["truth"] == "withheld":
        raise UserError(f"{row['image']}: its truth is withheld, so it cannot train or validate.")
    image_data, mask_data = read_files(row)
    image = decode_image(image_data, name=str(row["image"]))
    mask = np.zeros((size, size), np.uint8)
    if row["mask"]:
        truth = decode_labels(mask_data, classes, name=str(row["mask"]))
        if truth.shape != image.shape[:2]:
            raise UserError(
                f"{row['mask']}: expected the frame's size {image.shape[1]} x {image.shape[0]}, "
                f"got {truth.shape[1]} x {truth.shape[0]}. Replace the mask or leave the frame out."
            )
        mask = resize_mask(truth, size)
    return _Entry(
        image=resize_image(image, size, interpolation=interpolation),
        mask=mask,
        digest=digest(row, image_data, mask_data),
    )


def _write(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    size: int,
    entries: Iterator[_Entry | Fault],
    progress: Callable[[int, int], object],
) -> None:
    """Write all entries in order, or raise with every fault among them.

    Plain writes, since a full disk answers them with an error and a memory map with a signal.
    """
    results: list[str | Fault] = []
    with (folder / _IMAGES).open("wb") as images, (folder / _MASKS).open("wb") as masks:
        for entry in entries:
            if isinstance(entry, Fault):
                results.append(entry)
            else:
                images.write(entry.image.data)
                masks.write(entry.mask.data)
                results.append(entry.digest)
            progress(len(results), len(rows))
        for file in (images, masks):
            file.flush()
            os.fsync(file.fileno())
    raise_faults(results)
    index = {
        "version": VERSION,
        "size": size,
        "contents": combine(result for result in results if isinstance(result, str)),
        "frames": [row["frame"] for row in rows],
    }
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def _rename(temporary: Path, final: Path) -> None:
    """Put a whole cache in its place, unless another process was first."""
    with _alone(final.parent):
        with contextlib.suppress(UserError):
            FrameCache.open(final)
            return
        shutil.rmtree(final, ignore_errors=True)  # what is there is not whole
        temporary.chmod(0o755)
        temporary.rename(final)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for other processes that rename in the folder; without locks nobody is waited for."""
    from filelock import FileLock

    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            held.enter_context(FileLock(folder / ".lock", fallback_to_soft=False))
        yield


def _key(
    rows: Sequence[Mapping[str, Any]], size: int, interpolation: Interpolation, classes: Classes
) -> str:
    """Name of the cache of these files as they are now."""
    values = "".join(f" {value}" for value in classes.values)
    hashed = hashlib.sha256(f"{VERSION} {size} {interpolation}{values}".encode())
    for row in rows:
        stamps = [_stamp(row[name]) for name in ("image", "mask") if row[name]]
        hashed.update(repr((row["frame"], row["truth"], stamps)).encode())
    return f"{size}-{hashed.hexdigest()[:DIGITS]}"


def _stamp(path: str) -> tuple[str, int, int]:
    """Path, size and time of a file; one that is not there is reported by its decoding."""
    try:
        found = Path(path).stat()
    except OSError:
        return path, -1, -1
    return str(Path(path).resolve()), found.st_size, found.st_mtime_ns


def _no_room(folder: Path, needed: int, error: OSError) -> UserError:
    return UserError(
        f"{folder}: cannot write the frame cache, which takes {needed / 1e6:.0f} MB "
        f"({error.strerror or error}). Make room there, or give another folder with --workspace."
    )

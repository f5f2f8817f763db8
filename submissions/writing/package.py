"""Write a round's package: atomically, and the same bytes for the same input."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import IO, Any, Final, Self

from metrics.frame.pixel_counts import Counts
from metrics.masks.read import Mask
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.files import create_partial, file_sha256, remove_stale_partials, unwritable
from metrics.utils.names import normal
from submissions.layout import PackageLayout
from submissions.reading.validate import inspect_package
from submissions.rounds import Sizes
from submissions.timing import check_latency, format_timing
from submissions.writing.encoding import SUFFIXES, Format, encode_mask
from submissions.writing.publish import SealedPackage

MANIFEST_VERSION: Final = 1

_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold
_SPOOL_BYTES: Final = 32 << 20


@dataclass(frozen=True, kw_only=True)
class _Spooled:
    size: tuple[int, int]
    start: int
    length: int
    latency_ms: float
    counts: Counts


class PackageWriter:
    """Collects a round's masks and writes the zip.

    Masks may be added in any order and from several threads. Each is encoded and checked at once,
    and only its encoded bytes are kept (in memory up to 32 MiB, then on the disk). Used as a
    context manager, the package is published when the block ends without an error, unless
    :meth:`seal` was called; partial files are removed in any case.

    Args:
        path: The zip's final name; its folder is made when missing.
        file_format: ``jpg`` (lossless, under the name that the organisers look for), ``tif``,
            ``png`` or ``jpeg`` (lossy; the manifest says what it costs).
        expected: Test set to frame name to (height, width) of exactly the masks that must be
            added; ``None`` for any.
        layout: The names inside.
        settings: How the masks were made, for the manifest; values that JSON can hold.

    Raises:
        UserError: The final name is taken, the folder cannot be written, or the round does not
            take masks of this suffix.
    """

    def __init__(
        self,
        path: Path,
        *,
        file_format: Format = "jpg",
        expected: Sizes | None = None,
        layout: PackageLayout | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self._format: Format = file_format
        self._expected = expected
        self._layout = layout or PackageLayout()
        self._settings = dict(settings or {})
        self._masks: dict[str, dict[str, _Spooled]] = {}
        self._lock = threading.Lock()
        check_format(file_format, self._layout)
        if path.exists():
            raise UserError(f"{path}: is already there. Give the package another name.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_stale_partials(path.parent)
            self._file, self._temporary = create_partial(path)
        except OSError as error:
            raise unwritable(path.parent, error) from error
        # Beside the package: a folder for temporary files may be small, or in memory.
        folder = str(path.parent)
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, dir=folder)  # noqa: SIM115
        self._sealed: SealedPackage | None = None

    def add(
        self,
        *,
        test_set: str,
        name: str,
        mask: Mask,
        latency_ms: float,
        size: tuple[int, int] | None = None,
    ) -> None:
        """Add the mask of one frame.

        Args:
            test_set: Such as ``EndoCV_DATA1``.
            name: The frame file's stem.
            mask: Bool array (H, W), True on the polyp; all False where there is none.
            latency_ms: Prediction time of the frame in milliseconds.
            size: Height and width of the frame, which the mask must have; taken from
                ``expected`` where that was given.

        Raises:
            UserError: The mask is of another size or kind, was added before, or is not expected;
                or the disk is full.
        """
        what = f"{test_set}/{name}"
        if self._expected is not None:
            if name not in self._expected.get(test_set, {}):
                raise UserError(f"{what}: this frame is not part of the round.")
            size = self._expected[test_set][name]
        if size is not None and mask.shape != tuple(size):
            raise UserError(
                f"{what}: expected a mask of its frame's size (height, width) {tuple(size)}, got "
                f"{mask.shape}. Resize the prediction to the frame first."
            )
        check_latency(latency_ms, what)
        encoded = encode_mask(mask, self._format, name=what)
        with self._lock:
            masks = self._masks.setdefault(test_set, {})
            if name in masks:
                raise UserError(f"{what}: its mask was added before.")
            start = self._spool.seek(0, os.SEEK_END)
            try:
                self._spool.write(encoded.data)
            except OSError as error:
                raise unwritable(self.path.parent, error) from error
            masks[name] = _Spooled(
                size=(mask.shape[0], mask.shape[1]),
                start=start,
                length=len(encoded.data),
                latency_ms=latency_ms,
                counts=encoded.counts,
            )

    def seal(self) -> SealedPackage:
        """Write the zip under a temporary name, flush it to the disk, and validate it.

        Returns:
            The package, to be given its final name by :meth:`SealedPackage.publish` or
            ``Ledger.enter``.

        Raises:
            FaultsError: Masks of the round are missing, or the written package fails its check.
            UserError: The disk is full or cannot be written.
        """
        if self._sealed is None:
            self._refuse_missing()
            try:
                self._write_zip()
            except OSError as error:
                raise unwritable(self.path.parent, error) from error
            # Our own masks' sizes are known, so the limits for masks of unknown size do not hold.
            sizes = self._expected or {
                normal(test_set): {normal(name): spooled.size for name, spooled in masks.items()}
                for test_set, masks in self._masks.items()
            }
            inspection = inspect_package(self._temporary, sizes, layout=self._layout)
            if inspection.findings:
                summary = f"{self.path}: the written package is faulty"
                raise FaultsError(inspection.faults(), summary)
            sha256 = file_sha256(self._temporary)
            if sys.platform == "win32":  # where an open file cannot be renamed
                self._file.close()
            self._sealed = SealedPackage(
                path=self.path,
                temporary=self._temporary,
                sha256=sha256,
                manifest=self._manifest(sha256),
                # The manifest says by its "cost" what a lossy format does to the masks.
                notes=tuple(n for n in inspection.notes if n != inspection.lossy_note),
            )
        return self._sealed

    def __enter__(self) -> Self:
        """The writer itself; the constructor has opened its files."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_details: object) -> None:
        """Publish the package unless there was an error or it is sealed; remove partial files."""
        try:
            if kind is None and self._sealed is None:
                self.seal().publish()
        finally:
            self._temporary.unlink(missing_ok=True)
            for file in (self._spool, self._file):
                with suppress(OSError):  # what a full disk did not take is tried once more
                    file.close()

    def _refuse_missing(self) -> None:
        message = "its mask was not added"
        faults = [
            Fault(path=f"{test_set}/{name}", message=message)
            for test_set, names in (self._expected or {}).items()
            for name in sorted(names.keys() - self._masks.get(test_set, {}).keys())
        ]
        if faults or not self._masks:
            faults = faults or [Fault(path=str(self.path), message="no mask was added")]
            raise FaultsError(faults, "the package is not complete")

    def _write_zip(self) -> None:
        suffix = SUFFIXES[self._format]
        with zipfile.ZipFile(self._file, "w") as archive:
            for test_set in sorted(self._masks):
                masks = self._masks[test_set]
                for name in sorted(masks):
                    self._spool.seek(masks[name].start)
                    data = self._spool.read(masks[name].length)
                    _write_member(archive, self._layout.mask(test_set, name, suffix), data)
                latencies = {name: spooled.latency_ms for name, spooled in masks.items()}
                if self._layout.timings:
                    text = format_timing(latencies)
                    _write_member(archive, self._layout.timing(test_set), text.encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def _manifest(self, sha256: str) -> dict[str, Any]:
        """The manifest: without times and places, so that the same input gives the same file."""
        every = [spooled for masks in self._masks.values() for spooled in masks.values()]
        manifest: dict[str, Any] = {
            "manifest": MANIFEST_VERSION,
            "package": self.path.name,
            "sha256": sha256,
            "bytes": self._temporary.stat().st_size,
            "format": self._format,
            "root": self._layout.root,
            "frames": len(every),
            "latency_ms": fmean(spooled.latency_ms for spooled in every),
            "test_sets": {
                test_set: {
                    "frames": len(masks),
                    "latency_ms": fmean(spooled.latency_ms for spooled in masks.values()),
                    "with_polyp": sum(s.counts.tp + s.counts.fn > 0 for s in masks.values()),
                }
                for test_set, masks in sorted(self._masks.items())
            },
            "settings": self._settings,
        }
        if self._format == "jpeg":
            manifest["cost"] = _cost([spooled.counts for spooled in every])
        return manifest


def format_for(layout: PackageLayout) -> Format:
    """The default format of a round: the smallest lossless one that it takes."""
    return next(name for name in SUFFIXES if SUFFIXES[name] in layout.suffixes)


def check_format(file_format: Format, layout: PackageLayout) -> None:
    """Refuse a format whose suffix the round does not take.

    Raises:
        UserError: It does not take it; the formats that it takes are named.
    """
    if SUFFIXES[file_format] not in layout.suffixes:
        names = [name for name, suffix in SUFFIXES.items() if suffix in layout.suffixes]
        raise UserError(
            f"masks as {file_format} end in {SUFFIXES[file_format]}, and the round asks for "
            f"{' or '.join(layout.suffixes)}. Choose one of {', '.join(names)}."
        )


def _cost(counts: list[Counts]) -> dict[str, float]:
    """Mean PPV and F1 of the masks as the organisers read them, against the masks themselves.

    Both are 1 for a mask that is empty before and after, as in the organisers' formulas.
    """
    return {
        "ppv": fmean(_share(c.tp, c.tp + c.fp) for c in counts),
        "f1": fmean(_share(2 * c.tp, 2 * c.tp + c.fp + c.fn) for c in counts),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _write_member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, date_time=_DATE)
    info.create_system = 3  # Unix on every system, so that the bytes are the same
    info.external_attr = 0o100644 << 16
    archive.writestr(info, data, compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)

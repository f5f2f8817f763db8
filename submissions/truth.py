"""The true masks that packages are scored against: one folder per test set."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from metrics.masks.bits import Bits
from metrics.masks.class_indices import chosen_alone
from metrics.masks.classes import ONE, Classes
from metrics.masks.image import read_file
from metrics.masks.read import Protocol, decode_bits
from metrics.utils.errors import Fault, FaultsError, or_fault
from submissions.layout import FRAME, PackageLayout
from submissions.rounds import IMAGE_SUFFIXES, inner, test_set_folders

MASK_FOLDERS: Final = frozenset({"masks", "mask"})
"""Names, in small letters, of the folder of a test set's masks where its frames have one, too."""

_JPEG: Final = b"\xff\xd8"
_KEPT_BYTES: Final = 256 << 20
_WORKERS: Final = 4

_Size = tuple[int, int]  # height and width in pixels


class TruthError(FaultsError):
    """Faults of the truth, for which no package can be scored."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The truth masks of some test sets.

    Attributes:
        folder: Where they lie.
        masks: Test set to frame name to the mask's file.
        sizes: Test set to frame name to height and width in pixels.
        sha256: Of all names and files, so that scores against different truths are not mixed.
        lossy: How many of the masks are JPEGs that are read by a threshold.
        protocol: By which masks are read.
        classes: What their values mean; the chosen class counts.
    """

    folder: Path
    masks: dict[str, dict[str, Path]]
    sizes: dict[str, dict[str, _Size]]
    sha256: str
    lossy: int
    protocol: Protocol = "official"
    classes: Classes = ONE
    _kept: dict[tuple[str, str], Bits] = field(default_factory=dict, repr=False)

    def bits(self, test_set: str, name: str) -> Bits:
        """A frame's mask.

        Raises:
            UserError: As for ``metrics.masks.read.read_mask``.
        """
        kept = self._kept.get((test_set, name))
        if kept:
            return kept
        path = self.masks[test_set][name]
        data = chosen_alone(read_file(path), self.classes, name=str(path))
        return decode_bits(data, protocol=self.protocol, name=str(path))

    @property
    def frames(self) -> int:
        """The number of frames."""
        return sum(map(len, self.masks.values()))


def find_truth(
    folder: Path,
    test_sets: Collection[str] | None = None,
    layout: PackageLayout | None = None,
    protocol: Protocol = "official",
    classes: Classes = ONE,
) -> Truth:
    """Find the masks ``TEST_SET/NAME_mask.*`` or ``TEST_SET/masks/NAME_mask.*`` in a folder.

    ``test_sets`` are those wanted; ``None`` for every folder that begins as the layout says.
    ``classes`` are what the values of masks mean.

    Raises:
        TruthError: There is no such folder; a test set is missing or empty, a file is no mask by
            its name, or two masks are of one frame; else, masks cannot be read or have a problem
            (``metrics.masks.faults``); all at once.
    """
    require_truth(folder, folder.is_dir(), "a folder of truth masks")
    layout = layout or PackageLayout()
    folders = test_set_folders(folder, test_sets, layout.prefix)
    wanted = f"folders {layout.prefix}* with masks {_wanted(layout)}"
    require_truth(folder, bool(folders), wanted, "; test sets of other names take their --round")
    faults: list[Fault] = []
    masks = {name: _masks_of(folders[name], layout, faults) for name in sorted(folders)}
    if faults:
        raise TruthError(faults, f"the truth in {folder} cannot be used")
    return read_truth(folder, masks, protocol, classes)


def require_truth(folder: Path, there: object, wanted: str, hint: str = "") -> None:
    """Refuse a folder of truth that does not hold what is wanted.

    Raises:
        TruthError: It is not there.
    """
    if not there:
        message = f"expected {wanted}, found none. Name what holds them with --truth{hint}."
        raise TruthError([Fault(path=str(folder), message=message)], "the truth cannot be used")


def _wanted(layout: PackageLayout) -> str:
    return f"{layout.masks.replace(FRAME, 'NAME')}.*"


def _masks_of(folder: Path, layout: PackageLayout, faults: list[Fault]) -> dict[str, Path]:
    if not folder.is_dir():
        faults.append(Fault(path=str(folder), message="the test set's folder is missing"))
        return {}
    masks: dict[str, Path] = {}
    for path in sorted(inner(folder, MASK_FOLDERS).iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        name = layout.frame_of(path.stem)
        if name is None:
            faults.append(Fault(path=str(path), message=f"expected a name {_wanted(layout)}"))
        elif name in masks:
            message = f"a second mask of the frame of {masks[name].name}"
            faults.append(Fault(path=str(path), message=message))
        else:
            masks[name] = path
    if not masks and not any(str(folder) in fault.path for fault in faults):
        faults.append(Fault(path=str(folder), message=f"holds no masks {_wanted(layout)}"))
    return masks


def read_truth(
    folder: Path,
    masks: dict[str, dict[str, Path]],
    protocol: Protocol = "official",
    classes: Classes = ONE,
) -> Truth:
    """Read every mask.

    Up to 256 MiB of them are kept for the packages that are scored; the rest is decoded each time.

    Raises:
        FaultsError: Masks cannot be used, all of them at once.
    """
    faults: list[Fault] = []
    sizes: dict[str, dict[str, _Size]] = {test_set: {} for test_set in masks}
    kept: dict[tuple[str, str], Bits] = {}
    whole, lossy, left = hashlib.sha256(), 0, _KEPT_BYTES
    if classes.values:
        whole.update(repr((classes.chosen, classes.names, classes.values)).encode())
    pairs = [(test_set, name) for test_set, paths in masks.items() for name in paths]
    paths = (masks[test_set][name] for test_set, name in pairs)
    read = or_fault(partial(_read_mask, protocol=protocol, classes=classes))
    with ThreadPoolExecutor(_WORKERS) as pool:
        for (test_set, name), found in zip(pairs, pool.map(read, paths), strict=True):
            if isinstance(found, Fault):
                faults.append(found)
                continue
            bits, digest, is_jpeg = found
            sizes[test_set][name] = bits.shape
            whole.update(f"{test_set}/{name}\0".encode() + digest)
            lossy += is_jpeg
            left -= bits.words.nbytes
            if left >= 0:
                kept[test_set, name] = bits
    if faults:
        raise TruthError(sorted(faults, key=str), f"the truth in {folder} cannot be used")
    return Truth(
        folder=folder,
        masks=masks,
        sizes=sizes,
        sha256=whole.hexdigest(),
        lossy=lossy,
        protocol=protocol,
        classes=classes,
        _kept=kept,
    )


def _read_mask(path: Path, *, protocol: Protocol, classes: Classes) -> tuple[Bits, bytes, bool]:
    """A mask, the SHA-256 of its file, and whether it is a JPEG read by a threshold."""
    data = read_file(path)
    mask = chosen_alone(data, classes, name=str(path))
    bits = decode_bits(mask, protocol=protocol, name=str(path))
    return bits, hashlib.sha256(data).digest(), mask.startswith(_JPEG)

"""Score a plain folder of masks against a plain folder of true masks, without a round's layout.

Both folders hold masks, or a folder of masks for each test set. Masks may also lie in a folder
``masks`` or ``mask`` beside the frames, as in ``TestDataset/SET/masks``. A mask belongs to the true
mask of its stem; ``NAME_mask`` counts as ``NAME``, however its accents are encoded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from metrics.masks.class_indices import chosen_alone
from metrics.masks.classes import ONE, Classes
from metrics.masks.read import Protocol
from metrics.utils.errors import UserError
from metrics.utils.names import counted, few, normal
from submissions.reading.archive import Archive
from submissions.reading.findings import Finding
from submissions.reading.mask import Place
from submissions.reading.structure import Structure
from submissions.reading.validate import inspect_masks
from submissions.rounds import IMAGE_SUFFIXES, inner
from submissions.scoring import PackageScore, score_masks
from submissions.truth import MASK_FOLDERS, Truth, read_truth, require_truth

_NAMED: Final = 5


@dataclass(frozen=True, kw_only=True)
class MaskFolder:
    """The masks in a folder.

    Attributes:
        folder: The folder.
        sets: Test set to name to file; the one set of a folder without sets has no name.
        findings: Dead links, and second masks of a name.
        others: What is passed over: other files, folders beside masks.
    """

    folder: Path
    sets: dict[str, dict[str, Path]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def find_masks(folder: Path) -> MaskFolder:
    """Find the masks in a folder, or in its test sets' folders.

    Raises:
        UserError: There is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of masks.")
    found, own = MaskFolder(folder=folder), inner(folder, MASK_FOLDERS)
    if masks := _masks_in(own, found):
        found.sets[""] = masks
        folders = [path for path in _visible(folder) if path.is_dir() and path != own]
        found.others.extend(f"{path.name}/" for path in folders)
        return found
    found = MaskFolder(folder=folder)  # what lies beside the test sets is looked at once more
    for path in _visible(folder):
        if path.is_dir():
            if masks := _masks_in(inner(path, MASK_FOLDERS), found):
                found.sets[normal(path.name)] = masks
            else:
                found.others.append(f"{path.name}/")
        elif path.is_symlink() and not path.exists():
            found.findings.append(Finding("unreadable", str(path), "a dead link"))
        else:
            found.others.append(path.name)
    return found


def score_folder(
    folder: Path,
    truth_folder: Path,
    protocol: Protocol = "official",
    *,
    hausdorff: bool = True,
    classes: Classes = ONE,
    threshold: float | None = None,
) -> PackageScore:
    """Score a plain folder of masks.

    ``protocol`` and ``hausdorff`` are as for ``submissions.scoring.score_package``; ``classes`` say
    what the values of both folders' masks mean, of which the chosen class is scored. With a
    ``threshold`` masks hold probabilities, and a pixel is polyp above it.

    Raises:
        FaultsError: Masks are missing, extra, or cannot be scored; all of them at once.
        UserError: A folder is missing or holds no masks.
    """
    pairs = pair_folders(folder, truth_folder, protocol, classes)

    def read(name: str) -> bytes:
        data = (folder / name).read_bytes()
        try:
            return data if threshold else chosen_alone(data, classes)
        except UserError as error:
            raise ValueError(error.message) from error

    archive = Archive(read=read)
    inspect = partial(
        inspect_masks, archive, pairs.structure, pairs.truth.sizes, threshold=threshold
    )
    return score_masks(folder, pairs.truth, inspect, hausdorff=hausdorff, notes=pairs.notes)


class Pairs(NamedTuple):
    """Predictions with their true masks; what has no partner is among the structure's findings."""

    structure: Structure
    truth: Truth
    notes: list[str]


def pair_folders(
    folder: Path, truth_folder: Path, protocol: Protocol, classes: Classes = ONE
) -> Pairs:
    """Pair the masks, or maps, of a plain folder with true masks, read by a protocol and classes.

    Raises:
        TruthError: True masks are missing or cannot be read, all of them at once.
        UserError: The folder is missing or holds no masks.
    """
    require_truth(truth_folder, truth_folder.is_dir(), "a folder of true masks")
    predictions, true = find_masks(folder), find_masks(truth_folder)
    require_truth(truth_folder, true.sets, "masks, or folders of masks")
    if not predictions.sets:
        raise UserError(f"{folder}: expected masks, or folders of masks; found none.")
    sets = _named_alike(predictions, true)
    truth = read_truth(truth_folder, true.sets, protocol, classes)
    structure = _structure(folder, sets, truth, [*true.findings, *predictions.findings])
    return Pairs(
        structure, truth, [note for found in (predictions, true) if (note := _note(found))]
    )


def _masks_in(folder: Path, found: MaskFolder) -> dict[str, Path]:
    masks: dict[str, Path] = {}
    for path in _visible(folder):
        if path.is_dir():
            continue
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            found.others.append(path.relative_to(found.folder).as_posix())
        elif not path.exists():
            found.findings.append(Finding("unreadable", str(path), "a dead link"))
        elif (first := masks.setdefault(_name(path), path)) is not path:
            message = f"a second mask of the frame of {first.name}"
            found.findings.append(Finding("duplicate", str(path), message))
    return masks


def _named_alike(predictions: MaskFolder, truth: MaskFolder) -> dict[str, dict[str, Path]]:
    """The predictions by test set; a single set without a name takes that of the other side."""
    if "" in truth.sets:
        only = next(iter(predictions.sets)) if len(predictions.sets) == 1 else ""
        folder = truth.folder.absolute()
        above = folder.name.lower() in MASK_FOLDERS and folder.parent.name
        truth.sets[only or above or folder.name or "masks"] = truth.sets.pop("")
    if "" in predictions.sets and len(truth.sets) == 1:
        return {next(iter(truth.sets)): predictions.sets[""]}
    return predictions.sets


def _structure(
    folder: Path, sets: dict[str, dict[str, Path]], truth: Truth, findings: list[Finding]
) -> Structure:
    """Pair masks with true masks; what has no partner is a finding."""
    places = []
    for test_set, masks in sets.items():
        sizes = truth.sizes.get(test_set)
        if sizes is None:
            count = f"{counted(len(masks), 'mask')} without a true mask in {truth.folder}"
            findings.append(Finding("extra", test_set or str(folder), count))
            continue
        for name, path in masks.items():
            if name in sizes:
                place = path.relative_to(folder).as_posix()
                places.append(Place(path=place, test_set=test_set, name=name, size=sizes[name]))
            else:
                message = f"an extra mask: {test_set} has no true mask of this name"
                findings.append(Finding("extra", str(path), message))
    for test_set, true in truth.masks.items():
        if test_set not in sets:
            message = f"missing: {counted(len(true), 'mask')} of {test_set}"
            findings.append(Finding("missing", str(folder), message))
            continue
        findings += [
            Finding("missing", str(path), f"its mask is missing in {folder}")
            for name, path in true.items()
            if name not in sets[test_set]
        ]
    return Structure(masks=tuple(places), timings={}, findings=tuple(findings), junk=())


def _note(found: MaskFolder) -> str:
    return f"passed over in {found.folder}: {few(found.others, _NAMED)}" if found.others else ""


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _name(path: Path) -> str:
    return normal(path.stem).removesuffix("_mask")

"""Layouts of datasets that keep frames in one folder and their masks in another.

Each dataset is one row of a table: patterns of its folders and how masks are named. Folders are
found in any capitals.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.data.listing import Listing, entries_of, folders_in, is_image, name_of
from harness.data.mask_names import MASK_NAMES
from metrics.masks.image import read_file
from metrics.utils.errors import Fault, UserError
from metrics.utils.names import normal

Key = tuple[tuple[str, str], ...]
"""Names and values of the groups of a folder."""

GENERAL_NAMES: Final = (*MASK_NAMES, "{stem}_segmentation", "{stem}_gt", "p{stem}")

_USUAL: Final = ("images", "masks")
_SPLITS: Final = {"tr": "train", "va": "val", "te": "test", "ts": "test"}


@dataclass(frozen=True, kw_only=True)
class PairLayout:
    """How a dataset lays out frames and masks.

    A pattern is a path below the dataset's folder: a regular expression for each part, where one
    that fits the empty text may be left out. Its named groups are those of a frame (``centre``,
    ``sequence``, ``test_set``, ``split``); a digit at the end of a group's name does not count. A
    folder of frames belongs to the folder of masks with the same groups. A group ``folder`` takes
    the sequence's place in identifiers.

    Attributes:
        kind: Short name; the frames' ``dataset`` unless it is a general layout.
        name, expects: Its name and its folders, for messages.
        images, masks: Patterns of the folders of frames and of masks.
        mask_names: How masks are named after their frames.
        image_suffix: What every frame's name ends in, and its mask's does not.
        least: How many pairs of folders it takes to recognise the layout.
        sequences: A CSV file in the dataset's folder that may say the frames' sequences, in columns
            ``sequence_id`` and ``png_image_path``.
    """

    kind: str
    name: str
    expects: str
    images: str
    masks: str
    mask_names: tuple[str, ...] = GENERAL_NAMES
    image_suffix: str = ""
    least: int = 1
    sequences: str = ""

    def matches(self, root: Path) -> bool:
        """Whether a folder has this layout."""
        images, masks = _find(root, self.images), _find(root, self.masks)
        return len(images.keys() & masks.keys()) >= self.least

    def fill(self, listing: Listing, dataset: str) -> None:
        """Add the frames of the listing's folder."""
        images, masks = _find(listing.root, self.images), _find(listing.root, self.masks)
        read = []
        for key in images:
            if key not in masks:
                continue
            pair = images[key][0], masks[key][0]
            read.append(pair)
            groups = dict(key)
            words = [groups.get(name, "") for name in ("split", "test_set", "centre")]
            words.append(groups.pop("folder", "") or groups.get("sequence", ""))
            listing.add_pairs(
                pair[0],
                pair[1],
                dataset=dataset,
                group="/".join(filter(None, words)),
                mask_names=self.mask_names,
                image_suffix=self.image_suffix,
                **groups,
            )
        table = listing.root / self.sequences
        if of := _read_sequences(table, self.kind):
            listing.tables.append(table)
            listing.frames = [replace(f, sequence=of.get(f.name, "")) for f in listing.frames]
        _name_others(listing, read, images.values(), listing.notes)
        _name_others(listing, read, masks.values(), [])


def _read_sequences(file: Path, kind: str) -> dict[str, str]:
    """The sequences of frames by name; none of a file that is missing or has other columns.

    Raises:
        UserError: If it is no table, or cannot be read.
    """
    if not file.is_file():
        return {}
    rows = csv.DictReader(read_file(file).decode("utf-8-sig", "replace").splitlines())
    try:
        return {
            name_of(Path(row["png_image_path"])): f"{kind}-{row['sequence_id']}"
            for row in rows
            if row.get("png_image_path") and row.get("sequence_id")
        }
    except csv.Error as error:
        raise UserError(
            f"{file}: expected a table of the frames' sequences, but it is none ({error}). Replace "
            "it with a whole copy, or take it away."
        ) from error


def _find(root: Path, pattern: str) -> dict[Key, list[Path]]:
    """Folders that fit a pattern, by their groups, in natural order.

    Of several with the same groups the deepest comes first, and of those beside each other
    ``images`` or ``masks``. Below a folder that holds images itself nothing is looked for: it is
    meant as it is.
    """
    found: list[tuple[Path, dict[str, str]]] = [(root, {})]
    for part in pattern.split("/"):
        deeper = []
        for folder, groups in found:
            inner = [] if folder != root and _holds_images(folder) else folders_in(folder)
            fitting = [path for path in inner if _fits(part, path)]
            fitting.sort(key=lambda path: path.name.lower() not in _USUAL)
            deeper += [(path, groups | _groups(part, path)) for path in fitting]
            # A part that may be left out; behind those that it fits, so that the deepest is first.
            deeper += [(folder, groups)] if re.fullmatch(part, "") else []
        found = deeper
    folders: dict[Key, list[Path]] = {}
    for path, groups in found:
        folders.setdefault(tuple(sorted(groups.items())), []).append(path)
    return folders


def _name_others(
    listing: Listing, read: list[tuple[Path, Path]], found: Iterable[list[Path]], notes: list[str]
) -> None:
    """Name folders of images that are not read: odd ones, and copies, which go into notes."""
    known = {folder for pair in read for folder in pair}
    for first, *others in found:
        alone = [first] if first not in known else []
        for folder in filter(_holds_images, [*alone, *others]):
            # Beside a folder called 'masks', others (boxes, labels) are not taken for the masks.
            copy = not alone and (first.parent != folder.parent or first.name.lower() in _USUAL)
            if copy:
                notes.append(f"{first} is read; {folder} beside it is not.")
            else:
                message = "is not read: no one folder of frames and one of masks"
                listing.oddities.append(Fault(path=str(folder), message=message))


def _holds_images(folder: Path) -> bool:
    return any(map(is_image, entries_of(folder)))


def _fits(part: str, folder: Path) -> re.Match[str] | None:
    return re.fullmatch(part, normal(folder.name), re.IGNORECASE)


def _groups(part: str, folder: Path) -> dict[str, str]:
    """What the groups of a pattern hold; of several with one name all, joined by hyphens."""
    match = _fits(part, folder)
    groups: dict[str, str] = {}
    for name_of_group, value in (match.groupdict() if match else {}).items():
        if value:
            key = name_of_group.rstrip("0123456789")
            text = _SPLITS[value[:2].lower()] if key == "split" else value
            groups[key] = f"{groups[key]}-{text}" if key in groups else text
    return groups


_IMAGES: Final = r"(images?|imgs?|frames?|originals?|bbdd|ETIS-LaribPolypDB|CVC-ColonDB)"
_MASKS: Final = r"(masks?|gts?|ground[ _-]?truths?|labels?|segmentations?|annotations?|gtpolyp)"
_PART: Final = r"(?P<split>train(ing)?|val(id(ation)?)?|test(ing)?)"
_CASE: Final = r"(?P<folder>(?P<sequence>case\d+)_\d+|(?P<sequence2>.+))"
_SEEN: Final = r"((?P<test_set>Seen|Unseen))?"
_CENTRE: Final = r"((?P<centre>BKAI|Karolinska|Simula)|(?P<test_set>BLI|FICE|LCI|NBI|WLI))"
_MODALITY: Final = r"((?P<test_set2>BLI|FICE|LCI|NBI|WLI))?"
_ISIC: Final = r".*ISIC.*_(?P<split>Training|Validation|Test)(_v\d)?"

SPECIFIC: Final = (
    PairLayout(
        kind="cvc-clinicdb",
        name="CVC-ClinicDB",
        expects="Original/ with 'Ground Truth/', or both in PNG/ or TIF/",
        images="(PNG|TIFF?)?/Original",
        masks="(PNG|TIFF?)?/Ground Truth",
        sequences="metadata.csv",
    ),
    PairLayout(
        kind="bkai-igh",
        name="BKAI-IGH NeoPolyp",
        expects="train/ with train_gt/",
        images="train/(train)?",
        masks="train_gt/(train_gt)?",
    ),
    PairLayout(
        kind="isic",
        name="ISIC",
        expects="ISIC..._Training_Input/ with ISIC..._Training_GroundTruth/",
        images=rf"{_ISIC}_(Input|Data)",
        masks=rf"{_ISIC}(_Part1)?_GroundTruth",
        mask_names=("{stem}_segmentation", "{stem}_Segmentation"),
    ),
    PairLayout(
        kind="nnunet",
        name="nnU-Net",
        expects="imagesTr/ with labelsTr/, a frame's name ending in _0000",
        images=r"images(?P<split>Tr|Ts)",
        masks=r"labels(?P<split>Tr|Ts)",
        mask_names=("{stem}",),
        image_suffix="_0000",
    ),
    PairLayout(
        kind="polypdb",
        name="PolypDB",
        expects="WLI/images/ with WLI/masks/, and other modalities or centres",
        images=f"{_CENTRE}/{_MODALITY}/images",
        masks=f"{_CENTRE}/{_MODALITY}/(masks|annotations)",
    ),
    PairLayout(
        kind="sun-seg",
        name="SUN-SEG (a folder a sequence)",
        expects="Frame/CASE/ with GT/CASE/",
        images=f"{_SEEN}/Frame/{_CASE}",
        masks=f"{_SEEN}/GT/{_CASE}",
    ),
)
"""Layouts of single datasets."""

GENERAL: Final = (
    PairLayout(
        kind="split-inside",
        name="images and masks, divided inside",
        expects="images/train/ with masks/train/, and val/, test/",
        images=f"{_IMAGES}/{_PART}",
        masks=f"{_MASKS}/{_PART}",
    ),
    PairLayout(
        kind="by-sequence",
        name="images and masks, a folder a patient or video",
        expects="images/PATIENT/ with masks/PATIENT/",
        images=f"{_IMAGES}/(?P<sequence>.+)",
        masks=f"{_MASKS}/(?P<sequence>.+)",
    ),
    PairLayout(
        kind="plain",
        name="images and masks (HyperKvasir, Kvasir-SEG or your own)",
        expects="images/ with masks/, in any capitals; also image, imgs, frames; mask, GT, labels",
        images=_IMAGES,
        masks=_MASKS,
    ),
    PairLayout(
        kind="split-outside",
        name="images and masks, divided outside",
        expects="train/images/ with train/masks/, and val/, test/",
        images=f"{_PART}/{_IMAGES}",
        masks=f"{_PART}/{_MASKS}",
        least=2,
    ),
    PairLayout(
        kind="sets",
        name="several sets of images and masks (PraNet's TestDataset)",
        expects="SET/images/ with SET/masks/, for two sets or more",
        images=rf"(?P<test_set>.+)/{_IMAGES}",
        masks=rf"(?P<test_set>.+)/{_MASKS}",
        least=2,
    ),
)
"""Layouts that fit any dataset; the first ones would hide those after them."""

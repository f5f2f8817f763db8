"""Layouts of datasets that keep frames in one folder and their masks in another.

Each dataset is one row of a table: patterns of its folders and how masks are named. Folders are
found in any capitals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.data.listing import IMAGE_SUFFIXES, MASK_NAMES, Listing, entries_of, folders_in, normal
from metrics.utils.errors import Fault

IMAGES: Final = r"(images?|imgs?|frames?|originals?|bbdd|ETIS-LaribPolypDB|CVC-ColonDB)"
MASKS: Final = r"(masks?|gts?|ground[ _-]?truths?|labels?|segmentations?|annotations?|gtpolyp)"
_PART: Final = r"(?P<split>train(ing)?|val(id(ation)?)?|test(ing)?)"
_SPLITS: Final = {"tr": "train", "va": "val", "te": "test", "ts": "test"}
_SEQUENCE: Final = r"(?P<folder>(?P<sequence>case\d+)_\d+|(?P<sequence2>.+))"
_MODALITY: Final = r"(?P<test_set>BLI|FICE|LCI|NBI|WLI)"
_CENTRE: Final = r"(?P<centre>BKAI|Karolinska|Simula)"
_ISIC: Final = r".*ISIC.*_(?P<split>Training|Validation|Test)(_v\d)?"

GENERAL_NAMES: Final = (*MASK_NAMES, "{stem}_segmentation", "{stem}_gt", "p{stem}")


Key = tuple[tuple[str, str], ...]
"""Names and values of the groups of a folder."""


@dataclass(frozen=True, kw_only=True)
class PairLayout:
    """How a dataset lays out frames and masks.

    A pattern is the path of a folder below the dataset's, a regular expression for each part. Its
    named groups are those of a frame (``centre``, ``sequence``, ``test_set``, ``split``); a digit
    at the end of a group's name does not count. A folder of frames belongs to the folder of masks
    with the same groups. A group ``folder`` takes the sequence's place in identifiers.

    Attributes:
        kind: Short name; the frames' ``dataset`` unless it is a general layout.
        name: For messages.
        expects: The folders, for messages.
        folders: Patterns of the folders of frames and of masks; the first that are there are read.
        mask_names: How masks are named after their frames.
        image_suffix: What every frame's name ends in, and its mask's does not.
        least: How many pairs of folders it takes to recognise the layout.
    """

    kind: str
    name: str
    expects: str
    folders: tuple[tuple[str, str], ...]
    mask_names: tuple[str, ...] = MASK_NAMES
    image_suffix: str = ""
    least: int = 1

    def matches(self, root: Path) -> bool:
        """Whether a folder has this layout."""
        return any(self._pairs(root, *patterns)[0] for patterns in self.folders)

    def fill(self, listing: Listing, dataset: str) -> None:
        """Add the frames of the listing's folder."""
        found = [self._pairs(listing.root, *patterns) for patterns in self.folders]
        readable = [(pairs, lone) for pairs, lone in found if pairs]
        pairs, lone = readable[0]
        for images, masks, groups in pairs:
            words = [groups.get(key, "") for key in ("split", "test_set", "centre")]
            words.append(groups.pop("folder", "") or groups.get("sequence", ""))
            listing.add_pairs(
                images,
                masks,
                dataset=dataset,
                group="/".join(filter(None, words)),
                mask_names=self.mask_names,
                image_suffix=self.image_suffix,
                **groups,
            )
        listing.oddities += [
            Fault(path=str(folder), message="is not read: no one folder of frames and one of masks")
            for folder in lone
        ]
        for other, _ in readable[1:]:
            folder = other[0][0]
            if folder not in {images for images, _, _ in pairs} and _holds_images(folder):
                listing.notes.append(f"{pairs[0][0]} is read; {folder} beside it is not.")

    def _pairs(
        self, root: Path, images: str, masks: str
    ) -> tuple[list[tuple[Path, Path, dict[str, str]]], list[Path]]:
        """Folders of frames with their masks' and groups, and those without a counterpart."""
        frames, truths = _find(root, images), _find(root, masks)
        first, masks_of = _first(frames), _first(truths)
        pairs = [(first[key], masks_of[key], dict(key)) for key in first if key in masks_of]
        if len(pairs) < self.least:
            return [], []
        read = {folder for images_, masks_, _ in pairs for folder in (images_, masks_)}
        return pairs, [folder for _, folder in (*frames, *truths) if folder not in read]


def _find(root: Path, pattern: str) -> list[tuple[Key, Path]]:
    """Folders that fit a pattern, with their groups, in natural order.

    Below a folder that holds images itself nothing is looked for: it is meant as it is.
    """
    found: list[tuple[Path, dict[str, str]]] = [(root, {})]
    for depth, part in enumerate(pattern.split("/")):
        found = [
            (path, {**groups, **_groups(part, normal(path.name))})
            for folder, groups in found
            if not (depth and _holds_images(folder))
            for path in folders_in(folder, f"(?i:{part})")
        ]
    return [(tuple(sorted(groups.items())), path) for path, groups in found]


def _first(found: list[tuple[Key, Path]]) -> dict[Key, Path]:
    """The first folder of each key."""
    folders: dict[Key, Path] = {}
    for key, folder in found:
        folders.setdefault(key, folder)
    return folders


def _holds_images(folder: Path) -> bool:
    return any(
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        for path in entries_of(folder)
    )


def _groups(part: str, name: str) -> dict[str, str]:
    """What the groups of a pattern hold; of several with one name all, joined by hyphens."""
    match = re.fullmatch(part, name, re.IGNORECASE)
    groups: dict[str, str] = {}
    for name_of_group, value in (match.groupdict() if match else {}).items():
        if value:
            key = name_of_group.rstrip("0123456789")
            text = _SPLITS[value[:2].lower()] if key == "split" else value
            groups[key] = f"{groups[key]}-{text}" if key in groups else text
    return groups


SPECIFIC: Final = (
    PairLayout(
        kind="cvc-clinicdb",
        name="CVC-ClinicDB",
        expects="Original/ with 'Ground Truth/', or both in PNG/ or TIF/",
        folders=(
            ("PNG/Original", "PNG/Ground Truth"),
            ("TIFF?/Original", "TIFF?/Ground Truth"),
            ("Original", "Ground Truth"),
        ),
    ),
    PairLayout(
        kind="bkai-igh",
        name="BKAI-IGH NeoPolyp",
        expects="train/ with train_gt/",
        folders=(("train/train", "train_gt/train_gt"), ("train", "train_gt")),
    ),
    PairLayout(
        kind="isic",
        name="ISIC",
        expects="ISIC..._Training_Input/ with ISIC..._Training_GroundTruth/",
        folders=((rf"{_ISIC}_(Input|Data)", rf"{_ISIC}(_Part1)?_GroundTruth"),),
        mask_names=("{stem}_segmentation", "{stem}_Segmentation"),
    ),
    PairLayout(
        kind="nnunet",
        name="nnU-Net",
        expects="imagesTr/ with labelsTr/, a frame's name ending in _0000",
        folders=((r"images(?P<split>Tr|Ts)", r"labels(?P<split>Tr|Ts)"),),
        mask_names=("{stem}",),
        image_suffix="_0000",
    ),
    PairLayout(
        kind="polypdb",
        name="PolypDB",
        expects="PolypDB_modality_wise/WLI/images/ with masks/, or by centre",
        folders=(
            (
                rf"PolypDB_modality_wise/{_MODALITY}/images",
                rf"PolypDB_modality_wise/{_MODALITY}/masks",
            ),
            (f"{_MODALITY}/images", f"{_MODALITY}/masks"),
            (
                rf"PolypDB_cent(er|re)_wise/{_CENTRE}/{_MODALITY}/images",
                rf"PolypDB_cent(er|re)_wise/{_CENTRE}/{_MODALITY}/masks",
            ),
            (f"{_CENTRE}/{_MODALITY}/images", f"{_CENTRE}/{_MODALITY}/masks"),
        ),
    ),
    PairLayout(
        kind="sun-seg",
        name="SUN-SEG (a folder a sequence)",
        expects="Frame/CASE/ with GT/CASE/",
        folders=(
            (f"Frame/{_SEQUENCE}", f"GT/{_SEQUENCE}"),
            (
                f"(?P<test_set>Seen|Unseen)/Frame/{_SEQUENCE}",
                f"(?P<test_set>Seen|Unseen)/GT/{_SEQUENCE}",
            ),
        ),
    ),
)
"""Layouts of single datasets."""

GENERAL: Final = (
    PairLayout(
        kind="split-inside",
        name="images and masks, divided inside",
        expects="images/train/ with masks/train/, and val/, test/",
        folders=((f"{IMAGES}/{_PART}", f"{MASKS}/{_PART}"),),
        mask_names=GENERAL_NAMES,
    ),
    PairLayout(
        kind="plain",
        name="images and masks (HyperKvasir, Kvasir-SEG or your own)",
        expects="images/ with masks/, in any capitals; also image, imgs, frames; mask, GT, labels",
        folders=(("images", "masks"), (IMAGES, MASKS)),
        mask_names=GENERAL_NAMES,
    ),
    PairLayout(
        kind="split-outside",
        name="images and masks, divided outside",
        expects="train/images/ with train/masks/, and val/, test/",
        folders=((f"{_PART}/{IMAGES}", f"{_PART}/{MASKS}"),),
        mask_names=GENERAL_NAMES,
        least=2,
    ),
    PairLayout(
        kind="sets",
        name="several sets of images and masks (PraNet's TestDataset)",
        expects="SET/images/ with SET/masks/, for two sets or more",
        folders=((rf"(?P<test_set>.+)/{IMAGES}", rf"(?P<test_set>.+)/{MASKS}"),),
        mask_names=GENERAL_NAMES,
        least=2,
    ),
)
"""Layouts that fit any dataset; the first ones would hide those after them."""

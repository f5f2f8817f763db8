"""The frames and masks of a dataset folder, matched by name; no file is opened."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from metrics.utils.errors import Fault

Truth = Literal["mask", "empty", "withheld"]

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})


@dataclass(frozen=True, kw_only=True)
class FrameFiles:
    """One frame and its files.

    Attributes:
        frame: Unique identifier, such as ``C1/C1_frame0001``.
        name: File name without its ending.
        dataset: ``endocv2021``, ``hyperkvasir``, ``kvasir-seg``, ``cvc-clinicdb``,
            ``endocv2021-test`` or ``plain``.
        centre: ``C1`` and so on, or empty.
        sequence: ``seq1``, ``seq1_neg`` and so on, or empty.
        test_set: ``EndoCV_DATA1`` and so on, or empty.
        image: The image file.
        mask: The mask file, or ``None``.
        truth: ``mask``; ``empty`` where an absent mask means that there is no polyp;
            ``withheld`` where the truth is not published.
    """

    frame: str
    name: str
    dataset: str
    centre: str = ""
    sequence: str = ""
    test_set: str = ""
    image: Path
    mask: Path | None = None
    truth: Truth


@dataclass(kw_only=True)
class Listing:
    """The frames of a dataset, added folder by folder, and what is wrong with them.

    Attributes:
        layout: Name of the layout.
        root: The dataset's folder.
        frames: What was found, in natural order.
        faults: What keeps a frame from being used: no mask, or two files of one name.
        oddities: What keeps no frame from being used but looks wrong: an empty folder, a mask
            without its frame.
    """

    layout: str
    root: Path
    frames: list[FrameFiles] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    oddities: list[Fault] = field(default_factory=list)

    def add_pairs(
        self, images: Path, masks: Path, *, dataset: str, centre: str = "", sequence: str = ""
    ) -> None:
        """Add the frames of a folder; each needs a mask in another folder."""
        mask_paths = self._by_stem(masks, "masks")
        unclaimed = dict(mask_paths)
        for stem, image in self._by_stem(images, "frames").items():
            mask = next((unclaimed.pop(s) for s in mask_stems(stem) if s in unclaimed), None)
            if mask is None:
                expected = masks / f"{mask_stems(stem)[0 if dataset != 'endocv2021' else 1]}.*"
                self.faults.append(
                    Fault(path=str(image), message=f"its mask is missing; expected {expected}")
                )
                continue
            self.frames.append(
                FrameFiles(
                    frame=f"{centre or sequence or dataset}/{stem}",
                    name=stem,
                    dataset=dataset,
                    centre=centre,
                    sequence=sequence,
                    image=image,
                    mask=mask,
                    truth="mask",
                )
            )
        self.oddities += [
            Fault(path=str(mask), message=f"a mask without its frame in {images}")
            for mask in unclaimed.values()
        ]

    def add_single(
        self, images: Path, *, dataset: str, truth: Truth, sequence: str = "", test_set: str = ""
    ) -> None:
        """Add the frames of a folder without masks."""
        self.frames += [
            FrameFiles(
                frame=f"{sequence or test_set or dataset}/{stem}",
                name=stem,
                dataset=dataset,
                sequence=sequence,
                test_set=test_set,
                image=image,
                truth=truth,
            )
            for stem, image in self._by_stem(images, "frames").items()
        ]

    def _by_stem(self, folder: Path, what: str) -> dict[str, Path]:
        """Image files of a folder by stem; a second file of the same stem is a fault."""
        found: dict[str, Path] = {}
        self.faults += [
            Fault(path=str(path), message="a dead link; restore what it leads to, or remove it")
            for path in dead_links(folder)
        ]
        for path in images_in(folder):
            first = found.setdefault(path.stem, path)
            if first != path:
                self.faults.append(
                    Fault(
                        path=str(path),
                        message=f"has the same name as {first.name} beside it; keep one of them",
                    )
                )
        if not found:
            there = "is empty" if folder.is_dir() else "is missing"
            self.oddities.append(
                Fault(path=str(folder), message=f"the folder {there}; expected {what}")
            )
        return found


def mask_stems(stem: str) -> tuple[str, str, str]:
    """Stems that the mask of a frame may have, likeliest first.

    HyperKvasir names a mask as its frame, EndoCV appends ``_mask``. A frame that ends in an
    underscore keeps a single one: the mask of ``00489_`` is ``00489_mask``.
    """
    return stem, f"{stem}_mask", f"{stem.rstrip('_')}_mask"


def images_in(folder: Path) -> list[Path]:
    """Image files directly in a folder, by their endings, without hidden ones, in natural order."""
    return in_order(
        path
        for path in files_in(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def dead_links(folder: Path) -> list[Path]:
    """Links in a folder that lead nowhere, without hidden ones, in natural order."""
    if not folder.is_dir():
        return []
    return in_order(
        path
        for path in folder.iterdir()
        if path.is_symlink() and not path.exists() and not path.name.startswith(".")
    )


def files_in(folder: Path) -> Iterator[Path]:
    """Files directly in a folder; none where the folder does not exist."""
    return (path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else iter(())


def folders_in(folder: Path, pattern: str = ".*") -> list[Path]:
    """Folders in a folder whose whole name matches, in natural order, without hidden ones."""
    if not folder.is_dir():
        return []
    return in_order(
        path
        for path in folder.iterdir()
        if re.fullmatch(pattern, path.name) and not path.name.startswith(".") and path.is_dir()
    )


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Paths of one folder in natural order: ``seq2`` comes before ``seq10``."""
    return sorted(paths, key=lambda path: natural(path.name))


def part(folder: Path, kind: str, name: str) -> Path:
    """The folder ``KIND_NAME`` in a folder, or else the only one there named ``KIND*``."""
    exact = folder / f"{kind}_{name}"
    others = folders_in(folder, f"{kind}.*")
    return others[0] if len(others) == 1 and not exact.is_dir() else exact


def natural(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key that compares runs of digits as numbers, and ties as text."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    key = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)
    return key, text

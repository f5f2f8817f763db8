"""The frames and masks of a dataset folder, matched by name; no file is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from harness.data.mask_names import MASK_NAMES, in_folders, likely, match, none_fits
from harness.data.other_files import dead_links, kind_of
from metrics.utils.errors import Fault, UserError
from metrics.utils.names import normal, passed_over, valid_text

Truth = Literal["mask", "empty", "withheld"]

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})
ENDINGS: Final = ".jpg, .png, .tif or .bmp"

_DEAD: Final = "a dead link; restore what it leads to, or remove it"


@dataclass(frozen=True, kw_only=True)
class FrameFiles:
    """One frame and its files.

    Attributes:
        frame: Unique identifier, such as ``C1/C1_frame0001``.
        name: File name without its ending, see :func:`name_of`.
        dataset: ``endocv2021``, ``hyperkvasir``, ``kvasir-seg``, ``cvc-clinicdb``,
            ``endocv2021-test``, ``plain`` and so on.
        centre: ``C1`` and so on, or empty.
        sequence: ``seq1``, ``seq1_neg`` and so on, or empty.
        test_set: ``EndoCV_DATA1`` and so on, or empty.
        split: ``train``, ``val`` or ``test`` where the folders say it, or empty.
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
    split: str = ""
    image: Path
    mask: Path | None = None
    truth: Truth


@dataclass(kw_only=True)
class Listing:
    """The frames of a dataset, added folder by folder, and what is wrong with them.

    Attributes:
        layout, root: Name of the layout, and the dataset's folder.
        frames: What was found, in natural order.
        faults: What keeps a frame from being used: no mask, or two files of one name.
        oddities: What keeps no frame from being used but looks wrong: an empty folder, a mask
            without its frame.
        notes: What was passed over on purpose, one sentence each.
        others: Files of unknown endings and folders among the frames or masks.
        tables: Files that say something of the frames.
    """

    layout: str
    root: Path
    frames: list[FrameFiles] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    oddities: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)

    @property
    def remark(self) -> str:
        """What is neither used nor known, counted and named; empty where there is nothing."""
        odd = [path for oddity in self.oddities if (path := Path(oddity.path)).exists()]
        names = [valid_text(os.path.relpath(path, self.root)) for path in (*self.others, *odd)]
        return passed_over(names, str(self.root))

    def add_dead_links(self) -> None:
        """Add a fault for each dead link below the root that may stand for a frame or a folder."""
        named = {fault.path for fault in self.faults}
        for path in dead_links(self.root):
            if path.suffix.lower() in ("", *IMAGE_SUFFIXES) and str(path) not in named:
                self.faults.append(Fault(path=str(path), message=_DEAD))

    def add_pairs(
        self,
        images: Path,
        masks: Path,
        *,
        dataset: str,
        centre: str = "",
        sequence: str = "",
        test_set: str = "",
        split: str = "",
        group: str = "",
        mask_names: Sequence[str] = MASK_NAMES,
        image_suffix: str = "",
    ) -> None:
        """Add the frames of a folder; each needs a mask in another folder.

        ``dataset`` to ``split`` are as for :class:`FrameFiles`. ``group`` comes before the name in
        identifiers, by default the centre, the sequence or else the dataset. ``mask_names`` are as
        ``MASK_NAMES``. Every frame's name ends in ``image_suffix``, its mask's does not.
        """
        unclaimed = self._by_name(masks, "masks")
        frames = self._without_suffix(self._by_name(images, "frames"), image_suffix)
        # One of the two folders may lie in the other.
        both = (*images.parents, *masks.parents, images, masks)
        self.others = [path for path in self.others if path not in both]
        found = match(frames, unclaimed, mask_names)
        sequence = normal(sequence)
        if len(frames) > 1 and unclaimed and not found:  # named otherwise: once, not for each file
            self.faults.append(none_fits(masks, frames, unclaimed, mask_names))
            return
        if frames and not found and not unclaimed and (inside := _with_images(masks)):
            self.faults.append(in_folders(masks, inside))
            return
        for name, image in frames.items():
            if name not in found:
                message = f"its mask is missing; expected {likely(name, mask_names)} in {masks}"
                self.faults.append(Fault(path=str(image), message=message))
                continue
            self.frames.append(
                FrameFiles(
                    frame=f"{group or centre or sequence or dataset}/{name}", name=name,
                    dataset=dataset, centre=centre, sequence=sequence, test_set=test_set,
                    split=split, image=image, mask=found[name], truth="mask",
                )
            )  # fmt: skip
        self.oddities += [
            Fault(path=str(mask), message=f"a mask without its frame in {images}")
            for mask in unclaimed.values()
        ]

    def add_single(
        self, images: Path, *, dataset: str, truth: Truth, sequence: str = "", test_set: str = ""
    ) -> None:
        """Add the frames of a folder without masks."""
        sequence = normal(sequence)
        self.frames += [
            FrameFiles(
                frame=f"{sequence or test_set or dataset}/{name}",
                name=name,
                dataset=dataset,
                sequence=sequence,
                test_set=test_set,
                image=image,
                truth=truth,
            )
            for name, image in self._by_name(images, "frames").items()
        ]

    def _without_suffix(self, frames: dict[str, Path], suffix: str) -> dict[str, Path]:
        """Frames by their names without a suffix; a name that lacks it is a fault."""
        message = f"expected a name that ends in {suffix}"
        fitting = {name: path for name, path in frames.items() if name.endswith(suffix)}
        others = [path for name, path in frames.items() if name not in fitting]
        self.faults += [Fault(path=str(path), message=message) for path in others]
        return {name.removesuffix(suffix): path for name, path in fitting.items()}

    def _by_name(self, folder: Path, what: str) -> dict[str, Path]:
        """Image files of a folder by name; a second file of the same name is a fault."""
        found: dict[str, Path] = {}
        entries = in_order(path for path in entries_of(folder) if not path.name.startswith("."))
        for path in [folder, *entries]:
            if path.is_symlink() and not path.exists():
                self.faults.append(Fault(path=str(path), message=_DEAD))
            elif kind_of(path.name):
                continue
            elif is_image(path):
                first = found.setdefault(name_of(path), path)
                if first != path:
                    message = f"has the same name as {first.name} beside it; keep one of them"
                    self.faults.append(Fault(path=str(path), message=message))
            elif path != folder:
                self.others.append(path)
        if not found and (folder.exists() or not folder.is_symlink()):
            there = "is missing"
            if folder.is_dir():
                there = "holds none" if entries else "is empty"
            self.oddities.append(
                Fault(path=str(folder), message=f"the folder {there}; expected {what}")
            )
        return found


def name_of(path: Path) -> str:
    """A file's name without its ending, as ``metrics.utils.names.normal`` has it."""
    return normal(path.stem)


def images_in(folder: Path) -> list[Path]:
    """Image files directly in a folder, by their endings, without hidden ones, in natural order."""
    return in_order(path for path in entries_of(folder) if is_image(path))


def _with_images(folder: Path) -> list[str]:
    return [path.name for path in folders_in(folder) if images_in(path)]


def is_image(path: Path) -> bool:
    """Whether a file is there that has the ending of an image and is not hidden."""
    return (
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def entries_of(folder: Path) -> list[Path]:
    """Files and folders directly in a folder; none where it does not exist.

    Raises:
        UserError: If it may not be read.
    """
    try:
        return list(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror or error}") from error


def folders_in(folder: Path, pattern: str = ".*") -> list[Path]:
    """Folders in a folder whose whole name matches, in natural order, without hidden ones."""
    return in_order(
        path
        for path in entries_of(folder)
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
    # Triples, since a number cannot be compared with a text: numbers come first.
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    key = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)
    return key, text

"""The images that are to be predicted, and what lies beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.data.listing import IMAGE_SUFFIXES, natural
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.names import is_reserved

_NAMED: Final = 5
_ENDINGS: Final = ", ".join(sorted(IMAGE_SUFFIXES))


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What ``predict`` reads.

    Attributes:
        root: The folder; that of the image where a single one is predicted.
        images: The images, in natural order.
        passed_over: Sub-folders, files of other endings and dead links, by their relative names.
    """

    root: Path
    images: tuple[Path, ...]
    passed_over: tuple[str, ...] = ()

    def mask_name(self, image: Path) -> str:
        """The name of an image's mask, relative to the folder of the masks."""
        return image.relative_to(self.root).with_suffix(".png").as_posix()

    @property
    def remark(self) -> str:
        """What was passed over, counted and named; empty where nothing was."""
        if not self.passed_over:
            return ""
        named = ", ".join(self.passed_over[:_NAMED])
        more = len(self.passed_over) - _NAMED
        rest = f" and {more} more" if more > 0 else ""
        return f"{len(self.passed_over)} passed over in {self.root}: {named}{rest}"


def find_sources(source: Path, *, recursive: bool = False) -> Sources:
    """The image at a path, or those of a folder; links to sub-folders are not followed.

    Raises:
        UserError: There are no images.
        FaultsError: Two images would get the same mask, or Windows reserves the name of one.
    """
    if source.is_file():
        found = Sources(root=source.parent, images=(source,))
        _refuse_reserved(found)
        return found
    images: list[Path] = []
    passed_over: list[str] = []
    _search(source, source, images, passed_over, recursive=recursive)
    images.sort(key=lambda path: natural(path.relative_to(source).as_posix()))
    found = Sources(root=source, images=tuple(images), passed_over=tuple(passed_over))
    if not images:
        where = source if recursive else f"{source} itself"
        remark = f". {found.remark}" if found.remark else ""
        raise UserError(f"no images in {where}; expected files {_ENDINGS}{remark}")
    _refuse_twins(found)
    _refuse_reserved(found)
    return found


def _search(
    folder: Path, root: Path, images: list[Path], passed_over: list[str], *, recursive: bool
) -> None:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        name = path.relative_to(root).as_posix()
        if path.is_dir():
            if recursive and not path.is_symlink():
                _search(path, root, images, passed_over, recursive=True)
            else:
                passed_over.append(f"{name}/ (a folder; --recursive takes those that are no links)")
        elif not path.exists():
            passed_over.append(f"{name} (a dead link)")
        elif path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            images.append(path)
        else:
            passed_over.append(name)


def _refuse_twins(sources: Sources) -> None:
    first: dict[str, Path] = {}
    faults = []
    for image in sources.images:
        other = first.setdefault(sources.mask_name(image), image)
        if other is not image:
            message = f"would get the same mask name as {other.relative_to(sources.root)}"
            faults.append(Fault(path=str(image), message=message))
    if faults:
        raise FaultsError(faults, "each image needs a name of its own; rename these")


def _refuse_reserved(sources: Sources) -> None:
    faults = [
        Fault(path=str(image), message=f"Windows reserves the name of its mask, {image.stem}.png")
        for image in sources.images
        if is_reserved(image.name)
    ]
    if faults:
        raise FaultsError(faults, "masks could not be opened on Windows; rename these")

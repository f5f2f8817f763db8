"""The images that are to be predicted, and what lies beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.data.listing import IMAGE_SUFFIXES, natural
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.names import clashes, is_reserved, passed_over

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
        return passed_over(self.passed_over, str(self.root))


def find_sources(source: Path, *, recursive: bool = False) -> Sources:
    """The image at a path, or those of a folder; links to sub-folders are not followed.

    Raises:
        UserError: There are no images.
        FaultsError: Masks of two images would be one file, if only where capitals do not count, or
            Windows reserves the name of one; all of them at once.
    """
    if source.is_file():
        found = Sources(root=source.parent, images=(source,))
        _refuse_names(found)
        return found
    images: list[Path] = []
    others: list[str] = []
    _search(source, source, images, others, recursive=recursive)
    images.sort(key=lambda path: natural(path.relative_to(source).as_posix()))
    found = Sources(root=source, images=tuple(images), passed_over=tuple(others))
    if not images:
        where = source if recursive else f"{source} itself"
        remark = f". {found.remark}" if found.remark else ""
        raise UserError(
            f"no images in {where}; expected files {_ENDINGS}, or a video by its own path{remark}"
        )
    _refuse_names(found)
    return found


def _search(
    folder: Path, root: Path, images: list[Path], others: list[str], *, recursive: bool
) -> None:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        name = path.relative_to(root).as_posix()
        if path.is_dir():
            if recursive and not path.is_symlink():
                _search(path, root, images, others, recursive=True)
            else:
                others.append(f"{name}/ (a folder; --recursive takes those that are no links)")
        elif not path.exists():
            others.append(f"{name} (a dead link)")
        elif path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            images.append(path)
        else:
            others.append(name)


def _refuse_names(sources: Sources) -> None:
    masks = [sources.mask_name(image) for image in sources.images]
    faults = [
        Fault(
            path=str(sources.images[at]),
            message=f"its mask, {masks[at]}, would be one file with that of "
            f"{sources.images[other]}{_where(masks[at], masks[other])}",
        )
        for at, other in clashes(masks)
    ]
    faults += [
        Fault(path=str(image), message=f"Windows reserves a part of its mask's name, {mask}")
        for image, mask in zip(sources.images, masks, strict=True)
        if any(map(is_reserved, mask.split("/")))
    ]
    if faults:
        raise FaultsError(faults, "masks cannot have these names; rename the images")


def _where(name: str, other: str) -> str:
    return "" if name == other else ", on systems where capitals or accents do not count"

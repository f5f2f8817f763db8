"""Files of a dataset folder that are neither frame nor mask."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_FOLDERS: Final = (
    ("bounding boxes", re.compile(r"bbox_.*")),
    ("copies in imagesAll_positive", re.compile(r"imagesAll_positive")),
)
_FILES: Final = (
    ("system files", re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini", re.IGNORECASE)),
    ("tables", re.compile(r".*\.csv", re.IGNORECASE)),
    ("archives", re.compile(r".*\.(zip|tar|gz|tgz)", re.IGNORECASE)),
    ("box files", re.compile(r"(bounding-boxes|kavsir_bboxes)\.json")),
    ("superpixels", re.compile(r"ISIC_.*_superpixels\.png")),  # beside the frames of ISIC 2017
    ("notes", re.compile(r"(README|LICEN[CS]E|CITATION).*|.*\.(md|pdf)", re.IGNORECASE)),
)


def find_other_files(root: Path, used: Iterable[Path]) -> tuple[dict[str, int], list[Path]]:
    """The files below ``root`` that are not used: numbers of known ones by kind, and the others."""
    taken = {str(path) for path in used}
    known: Counter[str] = Counter()
    unknown = []
    for folder, names, files in os.walk(root):
        names.sort()
        inner = Path(folder).relative_to(root).parts
        for name in files:
            path = Path(folder, name)
            if str(path) in taken:
                continue
            if kind := kind_of(name, inner):
                known[kind] += 1
            else:
                unknown.append(path)
    return dict(sorted(known.items())), sorted(unknown)


def dead_links(folder: Path) -> Iterator[Path]:
    """Links below a folder that lead nowhere, without hidden ones; links are not followed."""
    for inner, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(inner, name)
            if not name.startswith(".") and path.is_symlink() and not path.exists():
                yield path


def kind_of(name: str, inner: tuple[str, ...] = ()) -> str:
    """The kind of a file, by its name and the folders around it; '' for an unknown one."""
    for kind, pattern in _FILES:
        if pattern.fullmatch(name):
            return kind
    for kind, pattern in _FOLDERS:
        if any(pattern.fullmatch(part) for part in inner):
            return kind
    return ""

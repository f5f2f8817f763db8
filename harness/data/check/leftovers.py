"""Files beside the frames: those that the releases ship and nobody needs, and strays."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
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
    ("notes", re.compile(r"(README|LICEN[CS]E|CITATION).*|.*\.(md|pdf)", re.IGNORECASE)),
)


@dataclass(frozen=True, kw_only=True)
class Leftovers:
    """Files below a dataset folder that are neither frame nor mask.

    Attributes:
        known: How many there are of each kind that the releases ship.
        strays: All others, sorted.
    """

    known: dict[str, int]
    strays: tuple[Path, ...]


def find_leftovers(root: Path, used: Iterable[Path]) -> Leftovers:
    """Find what lies below ``root`` beside the files that are used."""
    taken = {str(path) for path in used}
    known: Counter[str] = Counter()
    strays = []
    for folder, names, files in os.walk(root):
        names.sort()
        inner = Path(folder).relative_to(root).parts
        for name in files:
            path = Path(folder, name)
            if str(path) in taken:
                continue
            if kind := _kind(inner, name):
                known[kind] += 1
            else:
                strays.append(path)
    return Leftovers(known=dict(sorted(known.items())), strays=tuple(sorted(strays)))


def _kind(inner: tuple[str, ...], name: str) -> str:
    """What a file is, by the folders it lies in and by its name; '' for a stray."""
    for kind, pattern in _FILES:
        if pattern.fullmatch(name):
            return kind
    for kind, pattern in _FOLDERS:
        if any(pattern.fullmatch(part) for part in inner):
            return kind
    return ""

"""The names inside a package: root, task, test set folders, masks and timing files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TASK: Final = "segmentation"
TEST_SET_PREFIX: Final = "EndoCV_DATA"
MASK_SUFFIXES: Final = (".jpg", ".tif")
"""What a mask may be called; the content decides how it is decoded."""

_FOLDER_END: Final = "_pred"
_MASK_END: Final = "_mask"
_TIMING: Final = re.compile(r"timeElaspsed(?P<test_set>.+)\.txt")  # the organisers' spelling
_JUNK_NAMES: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_JUNK_FOLDER: Final = "__MACOSX"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything lies in a package.

    Attributes:
        root: The one folder at the top of the archive.
    """

    root: str = "EndoCV2021"

    def folder(self, test_set: str) -> str:
        """The folder of a test set."""
        return f"{self.root}/{TASK}/{test_set}{_FOLDER_END}"

    def mask(self, test_set: str, name: str, suffix: str = ".jpg") -> str:
        """The mask of the frame ``name`` (the frame file's stem)."""
        return f"{self.folder(test_set)}/{name}{_MASK_END}{suffix}"

    def timing(self, test_set: str) -> str:
        """The timing file of a test set."""
        return f"{self.folder(test_set)}/timeElaspsed{test_set}.txt"


def predicted_test_set(folder: str) -> str | None:
    """The test set whose predictions a folder of this name holds, or ``None``."""
    return folder.removesuffix(_FOLDER_END) if folder.endswith(_FOLDER_END) else None


def frame_of(stem: str) -> str | None:
    """The frame that a mask of this stem belongs to, or ``None`` where the stem is no mask's."""
    return stem.removesuffix(_MASK_END) if stem.endswith(_MASK_END) else None


def timed_test_set(file_name: str) -> str | None:
    """The test set whose timing file has this name, or ``None``."""
    match = _TIMING.fullmatch(file_name)
    return match["test_set"] if match else None


def is_junk(path: str) -> bool:
    """Whether an operating system left this file or folder behind: harmless, and never read."""
    parts = path.rstrip("/").split("/")
    return parts[0] == _JUNK_FOLDER or parts[-1] in _JUNK_NAMES or parts[-1].startswith("._")

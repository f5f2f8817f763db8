"""The names inside a package: root, task, test set folders, masks and timing files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from metrics.utils.names import normal

TEST_SET: Final = "{test_set}"
FRAME: Final = "{frame}"
TEST_SET_PREFIX: Final = "EndoCV_DATA"

HALF: Final = 0.5
"""Above this a probability is polyp if nothing else is said."""

_JUNK_NAMES: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_JUNK_FOLDER: Final = "__MACOSX"


@dataclass(frozen=True, kw_only=True)
class PackageLayout:
    """The paths in a package: ``root/task/folders/masks``, and ``root/task/folders/timings``.

    Names are those of ``metrics.utils.names.normal``, however a file system spells their accents.

    Attributes:
        root: The one folder at the top of the archive.
        task: The folder in it; empty where the test sets lie in the root itself.
        folders: The folder of a test set, ``{test_set}`` standing for its name.
        masks: A mask's name without its suffix, ``{frame}`` standing for the frame file's stem.
        suffixes: The suffixes that masks may have; their content decides how they are decoded.
        timings: The timing file of a test set, ``{test_set}`` standing for its name; empty where
            none is asked for.
        prefix: How the names of test sets begin, where a round does not list them.
        grey: Whether masks may be grey, a value of 0 to 255 standing for a probability of 0 to 1.
    """

    root: str = "EndoCV2021"
    task: str = "segmentation"
    folders: str = "{test_set}_pred"
    masks: str = "{frame}_mask"
    suffixes: tuple[str, ...] = (".jpg", ".tif")
    timings: str = "timeElaspsed{test_set}.txt"  # the organisers' spelling
    prefix: str = TEST_SET_PREFIX
    grey: bool = False

    @property
    def threshold(self) -> float | None:
        """The probability above which a pixel is polyp; ``None`` for masks of black and white."""
        return HALF if self.grey else None

    @property
    def top(self) -> tuple[str, ...]:
        """The folders above those of the test sets."""
        return (self.root, self.task) if self.task else (self.root,)

    def folder(self, test_set: str) -> str:
        """The folder of a test set."""
        return "/".join((*self.top, self.folders.replace(TEST_SET, test_set)))

    def mask(self, test_set: str, name: str, suffix: str | None = None) -> str:
        """The mask of the frame ``name`` (the frame file's stem); the first suffix by default."""
        stem = self.masks.replace(FRAME, name)
        return f"{self.folder(test_set)}/{stem}{suffix or self.suffixes[0]}"

    def timing(self, test_set: str) -> str:
        """The timing file of a test set, where one is asked for."""
        return f"{self.folder(test_set)}/{self.timings.replace(TEST_SET, test_set)}"

    def predicted_test_set(self, folder: str) -> str | None:
        """The test set whose predictions a folder of this name holds, or ``None``."""
        return _inside(normal(folder), self.folders, TEST_SET)

    def timed_test_set(self, file_name: str) -> str | None:
        """The test set whose timing file has this name, or ``None``."""
        return _inside(normal(file_name), self.timings, TEST_SET) if self.timings else None

    def frame_of(self, stem: str) -> str | None:
        """The frame that a mask of this stem belongs to; ``None`` where the stem is no mask's."""
        return _inside(normal(stem), self.masks, FRAME)


def is_junk(path: str) -> bool:
    """Whether it is a file or folder that operating systems leave behind: harmless, never used."""
    parts = path.rstrip("/").split("/")
    return parts[0] == _JUNK_FOLDER or parts[-1] in _JUNK_NAMES or parts[-1].startswith("._")


def _inside(text: str, pattern: str, place: str) -> str | None:
    """The part of a text that stands for the pattern's placeholder, or ``None`` if none fits."""
    before, _, after = pattern.partition(place)
    inside = text[len(before) : len(text) - len(after)]
    return inside if inside and text == f"{before}{inside}{after}" else None

"""Counts of frames with and without each class by split and source, as in the paper's Table 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from harness.data.splits import SPLITS
from metrics.masks.classes import ONE, Classes

PAPER_TABLE_1: Final[Mapping[str, tuple[int, int, int]]] = {
    "train": (1764, 1329, 435),
    "val": (2756, 1400, 1356),
    "test": (1000, 1000, 0),
}
"""Frames, with polyp, without, from the DivergentNets paper, Table 1. It prints 1,754 training
frames, which is not the sum of the two beside it."""

TOTAL: Final = "all"
PAPER: Final = "the paper"


def titles(classes: Classes) -> dict[str, str]:
    """The columns that count frames with each class and, last, with none, and their headings."""
    if len(classes) == 1:
        name = classes.chosen
        return {"polyp": name.capitalize(), "non_polyp": f"Non-{name}"}
    with_each = {f"with_{name}": name.capitalize() for name in classes.names}
    return {**with_each, "without": "None of these"}


def summarise(frames: pd.DataFrame, classes: Classes = ONE, *, with_paper: bool) -> pd.DataFrame:
    """Count frames per split and source.

    Args:
        frames: A catalogue with a further column ``holds``: for each class whether it is there, or
            None where the truth is withheld or cannot be read.
        classes: The foreground classes.
        with_paper: Add the paper's counts of its one class below each split, for comparison.

    Returns:
        DataFrame: For each split a row per centre, one for the sequences, one for the negative
        sequences, one per further dataset, then the total. Columns ``split``, ``source``,
        ``frames``, those of :func:`titles`, which are None where all truth is withheld, and
        ``sizes``, width x height in pixels. Test sets and frames of no split come last, with an
        empty ``split``.
    """
    rows = list(_rows(frames, classes, with_paper and len(classes) == 1))
    columns = ["split", "source", "frames", *titles(classes), "sizes"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _rows(frames: pd.DataFrame, classes: Classes, with_paper: bool) -> Iterator[dict[str, Any]]:
    sources = _sources(frames)
    for split in (*SPLITS, ""):
        inside = frames["split"] == split
        for source in dict.fromkeys(sources[inside]):
            yield _row(split, source, frames[inside & (sources == source)], classes)
        if split and inside.any():
            yield _row(split, TOTAL, frames[inside], classes)
            if with_paper:
                counts = dict(zip(("frames", *titles(classes)), PAPER_TABLE_1[split], strict=True))
                yield {"split": split, "source": PAPER, **counts, "sizes": ""}


def _sources(frames: pd.DataFrame) -> pd.Series[str]:
    """The source of each frame: centre, kind of sequence, test set, or else dataset."""
    negative = frames["truth"] == "empty"
    source = frames["dataset"].where(frames["test_set"] == "", frames["test_set"])
    source = source.where(frames["sequence"] == "", "sequences")
    source = source.where((frames["sequence"] == "") | ~negative, "negative sequences")
    return source.where(frames["centre"] == "", frames["centre"])


def _row(split: str, source: str, frames: pd.DataFrame, classes: Classes) -> dict[str, Any]:
    known = list(frames["holds"].dropna())
    names = titles(classes)
    of_each = map(sum, zip(*known, strict=True))
    counts = [*of_each, sum(not any(holds) for holds in known)]
    if source.endswith("sequences"):
        count = frames["sequence"].nunique()
        source = f"{count} {source if count > 1 else source[:-1]}"
    return {
        "split": split,
        "source": source,
        "frames": len(frames),
        **(dict(zip(names, counts, strict=True)) if known else dict.fromkeys(names)),
        "sizes": _sizes(frames),
    }


def _sizes(frames: pd.DataFrame) -> str:
    """Smallest and largest frame, and how many sizes there are."""
    sides = {(w, h) for w, h in zip(frames["width"], frames["height"], strict=True) if w and h}
    sizes = sorted(sides, key=lambda side: (side[0] * side[1], side))
    if not sizes:
        return ""
    texts = [f"{width} x {height}" for width, height in (sizes[0], sizes[-1])]
    return texts[0] if len(sizes) == 1 else f"{texts[0]} to {texts[1]} ({len(sizes)} sizes)"

"""Counts of frames with and without a polyp by split and source, as in the paper's Table 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from harness.data.splits import SPLITS

COLUMNS: Final = ("split", "source", "frames", "polyp", "non_polyp", "sizes")

PAPER_TABLE_1: Final[Mapping[str, tuple[int, int, int]]] = {
    "train": (1764, 1329, 435),
    "val": (2756, 1400, 1356),
    "test": (1000, 1000, 0),
}
"""Frames, with polyp, without, from the DivergentNets paper, Table 1. It prints 1,754 training
frames, which is not the sum of the two beside it."""

TOTAL: Final = "all"
PAPER: Final = "the paper"


def summarise(frames: pd.DataFrame, *, with_paper: bool) -> pd.DataFrame:
    """Count frames per split and source.

    Args:
        frames: A catalogue with a further column ``polyp``: True, False, or None where the truth
            is withheld or cannot be read.
        with_paper: Add the paper's counts below each split, for comparison.

    Returns:
        DataFrame: Columns ``COLUMNS``: for each split a row per centre, one for the sequences, one
        for the negative sequences, one per further dataset, then the total.
        ``polyp`` and ``non_polyp`` are None where all truth is withheld; ``sizes`` is width x
        height in pixels. Test sets and frames of no split come last, with an empty ``split``.
    """
    return pd.DataFrame(list(_rows(frames, with_paper)), columns=list(COLUMNS), dtype=object)


def _rows(frames: pd.DataFrame, with_paper: bool) -> Iterator[dict[str, Any]]:
    sources = _sources(frames)
    for split in (*SPLITS, ""):
        inside = frames["split"] == split
        for source in dict.fromkeys(sources[inside]):
            yield _row(split, source, frames[inside & (sources == source)])
        if split and inside.any():
            yield _row(split, TOTAL, frames[inside])
            if with_paper:
                counts = dict(zip(COLUMNS[2:5], PAPER_TABLE_1[split], strict=True))
                yield {"split": split, "source": PAPER, **counts, "sizes": ""}


def _sources(frames: pd.DataFrame) -> pd.Series[str]:
    """The source of each frame: centre, kind of sequence, test set, or else dataset."""
    negative = frames["truth"] == "empty"
    source = frames["dataset"].where(frames["test_set"] == "", frames["test_set"])
    source = source.where(frames["sequence"] == "", "sequences")
    source = source.where((frames["sequence"] == "") | ~negative, "negative sequences")
    return source.where(frames["centre"] == "", frames["centre"])


def _row(split: str, source: str, frames: pd.DataFrame) -> dict[str, Any]:
    known = frames["polyp"].notna()
    polyp = int((frames["polyp"] == True).sum())  # noqa: E712 (None is neither)
    if source.endswith("sequences"):
        count = frames["sequence"].nunique()
        source = f"{count} {source if count > 1 else source[:-1]}"
    return {
        "split": split,
        "source": source,
        "frames": len(frames),
        "polyp": polyp if known.any() else None,
        "non_polyp": int(known.sum()) - polyp if known.any() else None,
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

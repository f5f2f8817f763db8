"""A division of a dataset into train, val and test, drawn by a seed, sequences being left whole."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from typing import Final, NamedTuple

import pandas as pd

from harness.data.layouts import to_catalogue
from harness.data.listing import FrameFiles
from harness.data.splits import SPLITS, folds
from metrics.utils.errors import UserError

PARTS: Final = 10
"""One part of ten validates and another tests, as is usual for polyp datasets."""


class DrawnSplits(NamedTuple):
    """A division as the text of a file of splits, its frames by split, and what is to be noted."""

    text: str
    counts: dict[str, int]
    note: str


def draw_splits(frames: Sequence[FrameFiles], seed: int, *, with_test: bool) -> DrawnSplits:
    """Divide frames; the same frames and seed give the same division.

    Frames whose folder says ``test`` stay there; unless there are any, ``with_test`` sets a part
    aside to test on.

    Raises:
        UserError: If there are too few sequences and single frames to divide.
    """
    table = to_catalogue(frames, [(0, 0)] * len(frames))
    fixed = table["split"] == "test"
    with_test = with_test and not fixed.any()
    table["split"] = table["split"].where(fixed, "train")
    pool = table[~fixed]
    groups = pool["sequence"].where(pool["sequence"] != "", pool["frame"]).nunique()
    if groups < 2 + with_test:
        raise UserError(
            f"cannot divide {len(pool)} frames of {groups} sequences and single frames: a sequence "
            "stays whole. Give --val DIR or --splits FILE"
        )
    parts = [fold["split"] == "val" for fold in folds(table, min(PARTS, groups), seed)]
    # A long sequence makes a part of its own, which is better trained on. Of parts that differ from
    # a tenth by less than a frame the first ones are taken.
    parts.sort(key=lambda part: int(abs(part.sum() - len(pool) / PARTS)))
    table.loc[parts[0], "split"] = "val"
    if with_test:
        table.loc[parts[1], "split"] = "test"
    return DrawnSplits(
        text=_text(table, seed),
        counts={name: int((table["split"] == name).sum()) for name in SPLITS},
        note=_note(pool),
    )


def _note(pool: pd.DataFrame) -> str:
    single = int((pool["sequence"] == "").sum())
    if not single:
        return f"{pool['sequence'].nunique()} sequences are left whole."
    which = "No sequences known" if single == len(pool) else f"No sequence known of {single} frames"
    return (
        f"{which}: frames of one video or patient may stand on both sides. Put each one's into a "
        "folder of its own (images/PATIENT/ with masks/PATIENT/), or give --splits."
    )


def _text(table: pd.DataFrame, seed: int) -> str:
    lines = [f"# Drawn by 'harness init' with seed {seed}.", f'name = "drawn by seed {seed}"']
    for split in SPLITS:
        inside = table[table["split"] == split]
        if inside.empty:
            continue
        sequences = inside["sequence"][inside["sequence"] != ""].unique().tolist()
        single = inside["frame"][inside["sequence"] == ""].tolist()
        lines += ["", f"[{split}]"]
        lines += [*_list("sequences", sequences), *_list("frames", single)]
    return "\n".join(lines) + "\n"


def _list(key: str, names: Sequence[str]) -> list[str]:
    """A TOML list of names, in which no character stands for any text."""
    if not names:
        return []
    return [f"{key} = [", *(f"    {_quoted(glob.escape(name))}," for name in names), "]"]


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

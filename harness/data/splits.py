"""Which frames train, validate and test: the paper's splits or a user's own, from TOML files."""

from __future__ import annotations

import fnmatch
import random
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, Field, StrictStr, model_validator

from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.names import few, normal
from metrics.utils.text import read_toml
from metrics.utils.validation import validate

SPLITS: Final = ("train", "val", "test")

KEYS: Final[Mapping[str, str]] = {
    "centres": "centre",
    "sequences": "sequence",
    "datasets": "dataset",
    "test_sets": "test_set",
    "frames": "frame",
}
"""What a split may list, with the column of the catalogue that it is looked up in."""

_Patterns = Annotated[tuple[StrictStr, ...], Field(description="a list of names")]


class Rule(BaseModel, extra="forbid", frozen=True):
    """What belongs to a split: patterns (``fnmatch``) of names, by key of ``KEYS``."""

    centres: _Patterns = ()
    sequences: _Patterns = ()
    datasets: _Patterns = ()
    test_sets: _Patterns = ()
    frames: _Patterns = ()


class Splits(BaseModel, extra="forbid", frozen=True):
    """Which frames belong to train, val and test.

    ``name`` stands in tables and registers; the paper's are called ``paper``.
    """

    name: StrictStr = Field("", description="text")
    train: Rule | None = None
    val: Rule | None = None
    test: Rule | None = None

    @model_validator(mode="after")
    def _has_a_split(self) -> Self:
        if not (self.train or self.val or self.test):
            raise ValueError("no split; expected tables [train], [val], [test]")
        return self


OWN: Final = Splits(name="own", train=Rule())
"""Of frames whose folders say what they are for; it assigns none itself."""


def load_splits(path: Path | None = None) -> Splits:
    """Read splits from a TOML file; the paper's where ``path`` is ``None``.

    Raises:
        UserError: If the file cannot be read or is no TOML.
        FaultsError: If it names unknown splits or keys, or lists that are no lists of names.
    """
    if path is None:
        text = resources.files("harness.data").joinpath("paper_splits.toml").read_text("utf-8")
        return validate(Splits, tomllib.loads(text))
    values = {"name": path.stem, **read_toml(path)}
    summary = f"the splits {path} cannot be used"
    return validate(Splits, values, path=str(path), summary=summary)


def assign(catalogue: pd.DataFrame, splits: Splits) -> pd.DataFrame:
    """Assign each frame of a catalogue to its split; one that has a split keeps it.

    Returns:
        DataFrame: A copy with ``split`` as ``train``, ``val``, ``test``, or empty where no split
        names the frame.

    Raises:
        FaultsError: If two splits name the same frame.
    """
    names = catalogue["split"].to_numpy(dtype=object, copy=True)
    free = names == ""
    twice: list[Fault] = []
    for split in SPLITS:
        hit = free & _matches(catalogue, getattr(splits, split) or Rule())
        both = hit & (names != "")
        twice += [
            Fault(path=frame, message=f"in {first} and in {split}; a frame is in one split only")
            for frame, first in zip(catalogue["frame"][both], names[both], strict=True)
        ]
        names[hit] = split
    if twice:
        raise FaultsError(twice, f"the splits {splits.name!r} overlap")
    return catalogue.assign(split=names.astype(str))


def left_out(catalogue: pd.DataFrame, splits: Splits) -> str:
    """A sentence that counts the frames in no split by centre, sequence, test set or else dataset.

    Returns:
        str: Empty where there are none.
    """
    rest = catalogue[catalogue["split"] == ""]
    columns = ["centre", "sequence", "test_set", "dataset"]
    counts = Counter(next(filter(None, row)) for row in rest[columns].itertuples(index=False))
    parts = ", ".join(f"{name} ({count})" for name, count in counts.items())
    where = "" if splits == OWN else f" of {splits.name!r}, and so not used"
    return f"In no split{where}: {parts}." if parts else ""


def unmatched(catalogue: pd.DataFrame, splits: Splits) -> str:
    """A sentence about the names and patterns that fit no frame; empty where all fit."""
    lost = []
    for split in SPLITS:
        for key, column in KEYS.items():
            there = set(catalogue[column])
            for name in map(normal, getattr(getattr(splits, split) or Rule(), key)):
                literal = re.sub(r"\[([*?[])\]", r"\1", name)  # as glob.escape writes it
                if literal not in there and not fnmatch.filter(there, name):
                    lost.append(f"{name} ({key} of {split})")
    return f"Nothing fits these names of {splits.name!r}: {few(lost, 3)}." if lost else ""


def folds(catalogue: pd.DataFrame, count: int, seed: int = 0) -> list[pd.DataFrame]:
    """Divide the training and validation frames into 2 or more folds for cross-validation.

    A sequence stays whole, and the folds hold about equally many frames with and without polyps
    (a frame that has a mask counts as one with a polyp, since no mask is opened). Frames of the
    test split and of none stay as they are. ``seed`` shuffles sequences and single frames.

    Returns:
        list[DataFrame]: One copy of the catalogue per fold; in the k-th, the k-th part is ``val``
        and the others are ``train``.

    Raises:
        UserError: If there are fewer groups (sequences and single frames) than folds.
    """
    pool = catalogue["split"].isin(["train", "val"]).to_numpy()
    names = catalogue["sequence"].where(catalogue["sequence"] != "", catalogue["frame"]).to_numpy()
    polyp = (catalogue["truth"] == "mask").to_numpy()
    groups: dict[str, list[int]] = {}
    for index in np.flatnonzero(pool):
        groups.setdefault(str(names[index]), []).append(int(index))
    if not 2 <= count <= len(groups):
        raise UserError(
            f"cannot make {count} folds; expected 2 to {len(groups)}, since a sequence stays whole "
            f"and there are {len(groups)} sequences and single frames"
        )
    parts = _balanced(list(groups.values()), polyp, count, seed)
    results = []
    for part in parts:
        split = catalogue["split"].to_numpy(dtype=object, copy=True)
        split[pool] = "train"
        split[part] = "val"
        results.append(catalogue.assign(split=split.astype(str)))
    return results


def leave_out(catalogue: pd.DataFrame, centre: str) -> pd.DataFrame:
    """Train without a centre and test on it.

    Returns:
        DataFrame: A copy in which the centre's frames are ``test``, what was ``test`` is in no
        split, and the rest stays.

    Raises:
        UserError: If the centre has no frames, or nothing is left to train on.
    """
    known = sorted(set(catalogue["centre"]) - {""})
    if centre not in known:
        there = ", ".join(known) or "none"
        raise UserError(f"no frames of a centre {centre!r} to leave out; there are: {there}")
    inside = catalogue["centre"] == centre
    split = catalogue["split"].where(catalogue["split"] != "test", "").where(~inside, "test")
    if not (split == "train").any():
        raise UserError(f"without {centre} nothing is left to train on")
    return catalogue.assign(split=split)


def _balanced(
    groups: Sequence[Sequence[int]], polyp: npt.NDArray[np.bool_], count: int, seed: int
) -> list[list[int]]:
    """Distribute groups, the largest first, each to the part with the fewest frames of its kind."""
    order = list(groups)
    random.Random(seed).shuffle(order)
    order.sort(key=len, reverse=True)
    parts: list[list[int]] = [[] for _ in range(count)]
    held = [[0, 0] for _ in range(count)]
    for group in order:
        with_polyp = int(polyp[list(group)].sum())
        kinds = (with_polyp, len(group) - with_polyp)
        # What adding the group to a part adds to the sum of squared counts of both kinds: least
        # where the group's kind is rarest. So the counts of each kind stay about even.
        costs = [
            sum(k * (2 * h + k) for k, h in zip(kinds, part_held, strict=True))
            for part_held in held
        ]
        target = min(range(count), key=lambda i: (costs[i], len(parts[i])))
        parts[target].extend(group)
        held[target] = [h + k for h, k in zip(held[target], kinds, strict=True)]
    return parts


def _matches(catalogue: pd.DataFrame, rule: Rule) -> npt.NDArray[np.bool_]:
    """Bool array, True where any of a split's patterns names the frame."""
    hit = np.zeros(len(catalogue), dtype=bool)
    for key, column in KEYS.items():
        if names := [normal(name) for name in getattr(rule, key)]:
            # Plain names are looked up: thousands of alternatives would be tried one by one. Where
            # there are no others, (?!) fits nothing.
            patterns = [name for name in names if set(name) & set("*?[")]
            whole = re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)")
            hit |= catalogue[column].isin(names).to_numpy()
            hit |= np.array([bool(whole.match(value)) for value in catalogue[column]], bool)
    return hit

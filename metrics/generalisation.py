"""The challenge's generalisation figures: how much lower a model scores on another set of frames.

For each of F1, recall, PPV and 1 - normalised Hausdorff, with A of the reference set and B of the
other: the deviation is 0 where B lies within 10 % of A, else |0.9 A - B| (EndoCV 2021 evaluator).
The mean over the metrics is the deviation of the set, the mean of B its generalisation score.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from metrics.endocv import summarise
from metrics.masks.classes import chosen_rows
from metrics.masks.read import Protocol
from metrics.utils.errors import UserError

TOLERANCE: Final = 0.1
"""The share of the reference figure within which nothing counts as lost."""

FIGURES: Final = ("f1", "recall", "ppv", "closeness")
"""Closeness is 1 - normalised Hausdorff, used where both sets have it."""


def deviation(reference: float, other: float) -> float:
    """How far a figure B on one set falls out of the tolerance around its reference A.

    0 within 0.9 A to 1.1 A, else |0.9 A - B|: as the organisers have it, also a B that is better
    than A by more than the tolerance deviates. NaN where either figure is.

    Example:
        >>> deviation(0.8, 0.75), round(deviation(0.8, 0.5), 3)
        (0.0, 0.22)
    """
    slack = TOLERANCE * reference
    if reference - slack <= other <= reference + slack:
        return 0.0
    return abs(reference - slack - other)


def generalisation(reference: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Compare the figures of two sets of frames, means by the names in ``FIGURES``.

    Returns:
        gap (mean of A - B), deviation and generalisation_score, each over the figures that both
        have, then gap_FIGURE and deviation_FIGURE.

    Example:
        >>> figures = generalisation({"f1": 0.8, "recall": 0.9}, {"f1": 0.5, "recall": 0.85})
        >>> {name: round(figures[name], 3) for name in ("gap", "deviation", "generalisation_score")}
        {'gap': 0.175, 'deviation': 0.11, 'generalisation_score': 0.675}
    """
    names = [name for name in FIGURES if name in reference and name in other]
    gaps = {name: reference[name] - other[name] for name in names}
    deviations = {name: deviation(reference[name], other[name]) for name in names}
    return {
        "gap": float(np.mean(list(gaps.values()))),
        "deviation": float(np.mean(list(deviations.values()))),
        "generalisation_score": float(np.mean([other[name] for name in names])),
        **{f"gap_{name}": gap for name, gap in gaps.items()},
        **{f"deviation_{name}": value for name, value in deviations.items()},
    }


def between_sets(table: pd.DataFrame, by: str, *, protocol: Protocol = "official") -> pd.DataFrame:
    """Generalisation between every ordered pair of splits, centres or test sets.

    The polyp rows of a frame table are used. The normalised Hausdorff is, by the ``official``
    protocol, the mean of hausdorff_rows over its largest value in the set; by ``strict``, the mean
    of hausdorff_px over the frame's diagonal. Sets are told apart by the column ``by``, such as
    'split', 'centre' or 'test_set'; rows where it is empty belong to none.

    Returns:
        One row a model and ordered pair: model (where the table has it), reference, other and the
        figures of ``generalisation``.

    Raises:
        UserError: The column is missing or names fewer than two sets.

    Example:
        >>> row = {"class": "polyp", "fp": 1, "fn": 1, "tn": 6}
        >>> rows = [{**row, "tp": 8, "centre": "C1"}, {**row, "tp": 2, "centre": "C2"}]
        >>> between = between_sets(pd.DataFrame(rows), "centre")
        >>> between[["reference", "other", "gap"]].round(3).to_numpy().tolist()
        [['C1', 'C2', 0.222], ['C2', 'C1', -0.222]]
    """
    if by not in table or table.loc[_belongs(table[by]), by].nunique() < 2:
        raise UserError(
            f"expected a frame table with at least two sets in the column {by}, but it has fewer. "
            "Evaluate on more sets, or choose another column."
        )
    runs = ["model"] if "model" in table else []
    polyp = chosen_rows(table)
    polyp = polyp[_belongs(polyp[by])]
    figures = summarise(polyp, [*runs, by], protocol)
    closeness = _closeness(polyp, [*runs, by], protocol)
    if closeness is not None:
        figures = figures.merge(closeness, on=[*runs, by])
    rows = []
    for run, sets in figures.groupby(runs, sort=False) if runs else [((), figures)]:
        named = dict(zip(runs, run, strict=True))
        records = cast("list[dict[str, float]]", sets.to_dict("records"))
        rows += [
            {**named, "reference": a[by], "other": b[by]} | generalisation(a, b)
            for a in records
            for b in records
            if a is not b
        ]
    return pd.DataFrame(rows)


def _belongs(sets: pd.Series[Any]) -> pd.Series[bool]:
    """Which rows belong to a set; in a table that was read from CSV, an empty name is NaN."""
    return sets.notna() & (sets != "")


def _closeness(polyp: pd.DataFrame, by: list[str], protocol: Protocol) -> pd.DataFrame | None:
    column = "hausdorff_rows" if protocol == "official" else "hausdorff_px"
    if column not in polyp:
        return None
    plain = polyp[column].to_numpy(dtype=np.float64)
    if protocol == "strict":
        largest = np.hypot(polyp["height"].to_numpy(), polyp["width"].to_numpy())
    else:
        largest = polyp.groupby(by)[column].transform("max").to_numpy(dtype=np.float64)
    normalised = np.divide(plain, largest, out=np.zeros_like(plain), where=largest != 0)
    closeness = polyp[by].assign(closeness=1 - normalised)
    return closeness.groupby(by, sort=False)["closeness"].mean().reset_index()

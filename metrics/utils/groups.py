"""Means and deviations over groups of a table's rows, for a fraction of the cost of ``groupby``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def group_codes(table: pd.DataFrame, by: Sequence[str]) -> tuple[Codes, pd.DataFrame]:
    """Each row's group by some columns, as a number, and a row a group, in order of appearance.

    Example:
        >>> codes, groups = group_codes(pd.DataFrame({"centre": ["C2", "C1", "C2"]}), ["centre"])
        >>> codes, groups["centre"].tolist()
        (array([0, 1, 0]), ['C2', 'C1'])
    """
    codes = np.zeros(len(table), dtype=np.int64)
    for name in by:
        codes = combine_codes(codes, table[name])
    # Codes count up as groups appear, so the sorted ones stand in order of appearance.
    first = np.unique(codes, return_index=True)[1]
    return codes, table[list(by)].iloc[first].reset_index(drop=True)


def combine_codes(codes: Codes, column: pd.Series[Any]) -> Codes:
    """A number for each pair of a code and a column's value, in order of first appearance."""
    of_column, values = pd.factorize(column, use_na_sentinel=False)
    return pd.factorize(codes * len(values) + of_column)[0].astype(np.int64)


def frame_codes(table: pd.DataFrame) -> Codes:
    """Each row's frame of its model, as a number; the rows of its classes have the same.

    A frame that a model has several times, once a fold of a cross-validation, is as many frames.

    Example:
        >>> frame_codes(pd.DataFrame({"frame": list("aaaa"), "class": ["polyp", "background"] * 2}))
        array([0, 0, 1, 1])
    """
    codes, _ = group_codes(table, [name for name in ("model", "frame") if name in table])
    rows = pd.Series(combine_codes(codes, table["class"]))
    return combine_codes(codes, rows.groupby(rows).cumcount())


def moments(codes: Codes, values: Floats, groups: int) -> tuple[Floats, Floats, Codes]:
    """Mean, population SD and number of the defined values of each group, (groups, K) each.

    ``codes`` are each row's group, (N,), 0 to groups - 1; in ``values``, (N, K), NaN is left out.
    Mean and SD of no value are NaN.

    Example:
        >>> moments(np.array([0, 0, 1]), np.array([[1.0], [3.0], [np.nan]]), 2)[0]
        array([[ 2.],
               [nan]])
    """

    def sums(columns: Floats) -> Floats:
        summed = [np.bincount(codes, weights=one, minlength=groups) for one in columns.T]
        return np.stack(summed, axis=1).astype(np.float64)  # of no rows, bincount makes integers

    defined = ~np.isnan(values)
    number = sums(defined.astype(np.float64))
    means = ratio(sums(np.where(defined, values, 0.0)), number)
    squares = np.where(defined, values - means[codes], 0.0) ** 2
    return means, np.sqrt(ratio(sums(squares), number)), number.astype(np.int64)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient; NaN where the denominator is not above 0."""
    undefined = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)

"""The organisers' overlap figures, their means over frames, the score and its deviations.

With s = 1e-15 and counts in pixels, per frame and class (EndoCV 2021 evaluator):

    f1       = (2 tp + s) / (2 tp + fp + fn + s)
    iou      = (tp + s) / (tp + fp + fn + s)
    ppv      = (tp + s) / (tp + fp + s)
    recall   = (tp + s) / (tp + fn + s)
    f2       = 5 ppv recall / (4 ppv + recall + s)
    accuracy = (tp + tn) / (tp + fp + fn + tn)

and, in the same manner, specificity = (tn + s) / (tn + fp + s), which they do not report. The
``strict`` protocol leaves s out: a figure whose denominator is zero is NaN, and no mean holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from metrics.masks.classes import chosen_rows
from metrics.masks.read import Protocol
from metrics.registry import frame_metrics
from metrics.utils.errors import UserError
from metrics.utils.groups import Floats, combine_codes, frame_codes, group_codes, moments, ratio
from metrics.utils.validation import look_up, require_columns

SMOOTHING: Final = 1e-15
"""The organisers' s, in numerator and denominator."""

COUNTS: Final = ("tp", "fp", "fn", "tn")
FIGURES: Final = ("iou", "f1", "f2", "ppv", "recall", "accuracy", "specificity")
SCORED: Final = ("f1", "f2", "ppv", "recall")
"""The figures whose mean is the challenge's score."""

MEASURED: Final = ("hausdorff_px", "hd95_px", "assd_px", "nsd_2px", "latency_ms")
"""Further columns of the frame table that ``summarise`` averages where they are there."""

_IDENTITY: Final = (
    "model", "frame", "name", "dataset", "centre", "sequence", "test_set", "split", "height",
    "width", "latency_ms", "stratum",
)  # fmt: skip
SET: Final = "test_set"


def add_figures(table: pd.DataFrame, protocol: Protocol = "official") -> pd.DataFrame:
    """A frame table with a column for each of ``FIGURES``, row by row.

    Args:
        table: One row a frame and class, with the columns tp, fp, fn, tn in pixels.
        protocol: ``official`` smooths, so that two empty masks agree perfectly (all figures 1);
            ``strict`` yields NaN where a denominator is zero: PPV for an empty prediction,
            recall for an empty truth, IoU, F1 and F2 where both are empty.

    Raises:
        UserError: A count column is missing, or there is no such protocol.

    Example:
        >>> frame = pd.DataFrame([{"tp": 3, "fp": 1, "fn": 0, "tn": 6}])
        >>> add_figures(frame)[["iou", "f1", "recall"]].round(3).to_dict("records")
        [{'iou': 0.75, 'f1': 0.857, 'recall': 1.0}]
    """
    require_columns(table, COUNTS)
    return table.assign(**_figures(table, protocol))


def with_all_classes(table: pd.DataFrame) -> pd.DataFrame:
    """A frame table with one more row a frame, of the class 'all'.

    That row is the paper's micro-average: the pixels of every class's channel counted together,
    so that F1, recall and PPV are equal in it. Figures that no sum of pixels yields (boundary
    distances) are missing in it.

    Raises:
        UserError: A column that the sums need is missing.

    Example:
        >>> rows = [{"frame": "a", "class": "polyp", "tp": 3, "fp": 1, "fn": 0, "tn": 6}]
        >>> rows += [{"frame": "a", "class": "background", "tp": 6, "fp": 0, "fn": 1, "tn": 3}]
        >>> with_all_classes(pd.DataFrame(rows)).iloc[-1].to_dict()
        {'frame': 'a', 'class': 'all', 'tp': 9, 'fp': 1, 'fn': 1, 'tn': 9}
    """
    require_columns(table, ("frame", "class", *COUNTS))
    single = table[table["class"] != "all"]
    codes = frame_codes(single)
    first = single.iloc[np.unique(codes, return_index=True)[1]]
    micro = first[[name for name in _IDENTITY if name in first]].assign(
        **{"class": "all"},
        **{name: np.bincount(codes, single[name]).astype(np.int64) for name in COUNTS},
    )
    return pd.concat([single, micro.reindex(columns=single.columns)], ignore_index=True)


def summarise(
    table: pd.DataFrame, by: Sequence[str] = ("class",), protocol: Protocol = "official"
) -> pd.DataFrame:
    """Means over frames, the score, and each standard deviation under its own name.

    Args:
        table: A frame table; figures are computed from its counts.
        by: Columns whose values make the groups, such as ``("model", "class", "centre")``.
        protocol: As for ``add_figures``.

    Returns:
        One row a group, in order of first appearance: the group's columns; n (frames); the mean
        of each figure under its own name, of each of ``MEASURED`` and of each plug-in's figure
        that the table has; score;
        sd_frames (mean of the SDs over frames of F1, F2, PPV and recall); sd_metrics (SD of
        those four means); sd_sets (SD of the score over the test sets, where the table has a
        test_set column; NaN for fewer than two, or where a set has no score); sd_FIGURE (SD over
        frames); left_out_FIGURE (frames where it is undefined, left out of its mean). All SDs are
        population SDs. A mean over no frames is NaN.

    Raises:
        UserError: A column is missing.

    Example:
        >>> rows = [{"class": "polyp", "tp": 3, "fp": 1, "fn": 0, "tn": 6}]
        >>> rows += [{"class": "polyp", "tp": 1, "fp": 0, "fn": 3, "tn": 6}]
        >>> summarise(pd.DataFrame(rows))[["n", "iou", "recall"]].round(3).to_dict("records")
        [{'n': 2, 'iou': 0.5, 'recall': 0.625}]
    """
    by = [by] if isinstance(by, str) else list(by)
    require_columns(table, (*by, *COUNTS))
    names = [*FIGURES, *(name for name in (*MEASURED, *frame_metrics()) if name in table)]
    figures = _figures(table, protocol)
    values = np.column_stack(
        [figures[n] if n in figures else table[n].to_numpy(dtype=np.float64) for n in names]
    )
    codes, groups = group_codes(table, by)
    means, deviations, defined = moments(codes, values, len(groups))
    n = np.bincount(codes, minlength=len(groups))
    four = [names.index(name) for name in SCORED]
    columns: dict[str, npt.NDArray[Any]] = {
        "n": n,
        **dict(zip(names, means.T, strict=True)),
        "score": means[:, four].mean(axis=1),
        "sd_frames": deviations[:, four].mean(axis=1),
        "sd_metrics": means[:, four].std(axis=1),
    }
    if SET in table:
        columns["sd_sets"] = _spread_of_sets(table[SET], codes, len(groups), values[:, four])
    for name, deviation in zip(FIGURES, deviations.T, strict=False):
        columns[f"sd_{name}"] = deviation
    for name, number in zip(names, defined.T, strict=True):
        if name != "latency_ms":
            columns[f"left_out_{name}"] = n - number
    return pd.concat([groups, pd.DataFrame(columns)], axis=1)


def organisers_json(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """The result file of the organisers' evaluator for one test set, as a dict for JSON.

    Args:
        table: A frame table of one test set, counted by the ``official`` protocol. Its polyp rows
            are used. The column hausdorff_rows (``metrics.frame.official_hausdorff``) yields the
            evaluator's four Hausdorff keys, which are not distances between regions; without that
            column they are left out.

    Returns:
        ``{"EndoCV2021_seg": {key: {"value": figure}}}`` in the evaluator's order; typeIIerror is
        its name for F2. Where every Hausdorff figure is 0, so is the normalised one.

    Raises:
        UserError: The table has no polyp rows, or those of several models or test sets.

    Example:
        >>> frame = {"frame": "a", "class": "polyp", "tp": 3, "fp": 1, "fn": 0, "tn": 6}
        >>> figures = organisers_json(pd.DataFrame([frame]))["EndoCV2021_seg"]
        >>> figures["jaccard"], figures["PPV"]
        ({'value': 0.75}, {'value': 0.75})
    """
    polyp = chosen_rows(table) if "class" in table else table
    sets, models = (polyp[name].nunique() if name in polyp else 1 for name in (SET, "model"))
    if polyp.empty or sets > 1 or models > 1:
        raise UserError(
            f"expected the polyp rows of one model and test set, but the table has {len(polyp)} of "
            f"them, of {models} models in {sets} test sets. Write one result file for each."
        )
    figures = add_figures(polyp)
    values = {key: float(figures[name].to_numpy().mean()) for key, name in _RESULT_KEYS.items()}
    deviations = {
        key: float(figures[name].to_numpy().std()) for key, name in _DEVIATION_KEYS.items()
    }
    if "hausdorff_rows" in polyp:
        plain = polyp["hausdorff_rows"].to_numpy(dtype=np.float64)
        normalised = plain / (plain.max() or 1.0)
        values |= {
            "hausdorff_distance": float(normalised.mean()),
            "hausdorff_distance_nonNorm": float(plain.mean()),
        }
        deviations |= {"hdf_std": float(normalised.std()), "hdf_std_noNorm": float(plain.std())}
    return {"EndoCV2021_seg": {key: {"value": v} for key, v in (values | deviations).items()}}


_RESULT_KEYS: Final = {
    "dice": "f1", "jaccard": "iou", "typeIIerror": "f2", "PPV": "ppv", "recall": "recall",
    "OverallAcc": "accuracy",
}  # fmt: skip
_DEVIATION_KEYS: Final = {
    "dice_std": "f1", "jc_std": "iou", "f2_std": "f2", "ppv_std": "ppv", "r_std": "recall",
    "acc_std": "accuracy",
}  # fmt: skip


def _figures(table: pd.DataFrame, protocol: Protocol) -> dict[str, Floats]:
    """Each of ``FIGURES``, float64 (N,), from a table's counts."""
    compute = look_up({"official": _official, "strict": _strict}, protocol, "protocol")
    return compute(*(table[name].to_numpy(dtype=np.float64) for name in COUNTS))


def _official(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> dict[str, Floats]:
    # The order of operations is the evaluator's, so that the last bit agrees.
    s = SMOOTHING
    truth, prediction = tp + fn, tp + fp
    ppv, recall = (tp + s) / (prediction + s), (tp + s) / (truth + s)
    return {
        "iou": (tp + s) / (truth + prediction - tp + s),
        "f1": (2 * tp + s) / (truth + prediction + s),
        "f2": 5.0 * (ppv * recall) / (4.0 * ppv + recall + s),
        "ppv": ppv,
        "recall": recall,
        "accuracy": ratio(tp + tn, tp + tn + fp + fn),
        "specificity": (tn + s) / (tn + fp + s),
    }


def _strict(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> dict[str, Floats]:
    return {
        "iou": ratio(tp, tp + fp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "f2": ratio(5 * tp, 5 * tp + 4 * fn + fp),
        "ppv": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "accuracy": ratio(tp + tn, tp + fp + fn + tn),
        "specificity": ratio(tn, tn + fp),
    }


def _spread_of_sets(
    test_sets: pd.Series[Any], codes: npt.NDArray[np.int64], groups: int, four: Floats
) -> Floats:
    """For each group, the SD of the score over its test sets.

    NaN for fewer than two, or where one of them has no score: without it the others spread less.
    """
    in_a_set = (test_sets.fillna("") != "").to_numpy()
    codes = codes[in_a_set]
    of_set = combine_codes(codes, test_sets[in_a_set])
    first = np.unique(of_set, return_index=True)[1]
    scores = moments(of_set, four[in_a_set], len(first))[0].mean(axis=1, keepdims=True)
    _, deviations, defined = moments(codes[first], scores, groups)
    sets = np.bincount(codes[first], minlength=groups)
    return np.where((sets > 1) & (defined[:, 0] == sets), deviations[:, 0], np.nan)

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

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from metrics.errors import UserError
from metrics.masks import Protocol
from metrics.registry import frame_metrics

Floats = npt.NDArray[np.float64]

SMOOTHING: Final = 1e-15
"""The organisers' s, in numerator and denominator."""

COUNTS: Final = ("tp", "fp", "fn", "tn")
FIGURES: Final = ("iou", "f1", "f2", "ppv", "recall", "accuracy", "specificity")
SCORED: Final = ("f1", "f2", "ppv", "recall")
"""The figures whose mean is the score."""

MEASURED: Final = ("hausdorff_px", "hd95_px", "assd_px", "nsd_2px", "latency_ms")
"""Further columns of the frame table that ``summarise`` averages where they are there."""

_IDENTITY: Final = (
    "model", "frame", "name", "dataset", "centre", "sequence", "test_set", "split", "height",
    "width", "latency_ms", "stratum",
)  # fmt: skip
_SET: Final = "test_set"


def add_figures(table: pd.DataFrame, protocol: Protocol = "official") -> pd.DataFrame:
    """A frame table with a column for each of ``FIGURES``, row by row.

    Args:
        table: One row a frame and class, with the columns tp, fp, fn, tn in pixels.
        protocol: ``official`` smooths, so that two empty masks agree perfectly (all figures 1);
            ``strict`` yields NaN where a denominator is zero: PPV for an empty prediction,
            recall for an empty truth, IoU, F1 and F2 where both are empty.

    Raises:
        UserError: A count column is missing.
    """
    _require(table, COUNTS)
    tp, fp, fn, tn = (table[name].to_numpy(dtype=np.float64) for name in COUNTS)
    compute = _official if protocol == "official" else _strict
    return table.assign(**compute(tp, fp, fn, tn))


def with_all_classes(table: pd.DataFrame) -> pd.DataFrame:
    """A frame table with one more row a frame, of the class 'all'.

    That row is the paper's micro-average: the pixels of every class's channel counted together,
    so that F1, recall and PPV are equal in it. Figures that no sum of pixels yields (boundary
    distances) are missing in it.

    Raises:
        UserError: A column that the sums need is missing.
    """
    _require(table, ("frame", "class", *COUNTS))
    single = table[table["class"] != "all"]
    keys = [name for name in ("model", "frame") if name in single]
    sums = single.groupby(keys, sort=False, as_index=False)[list(COUNTS)].sum()
    kept = [name for name in _IDENTITY if name in single and name not in keys]
    identity = single.drop_duplicates(keys)[[*keys, *kept]]
    micro = identity.merge(sums, on=keys, validate="one_to_one").assign(**{"class": "all"})
    missing = [name for name in single if name not in micro]
    if missing:
        micro = micro.reindex(columns=[*micro.columns, *missing])
    return pd.concat([single, micro[list(single.columns)]], ignore_index=True)


def score(figures: Mapping[str, float]) -> float:
    """The challenge's score: the mean of F1, F2, PPV and recall."""
    return float(sum(figures[name] for name in SCORED) / len(SCORED))


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
        test_set column; NaN for fewer than two); sd_FIGURE (SD over frames); left_out_FIGURE
        (frames where it is undefined, left out of its mean). All SDs are population SDs. A mean
        over no frames is NaN.

    Raises:
        UserError: A column is missing.
    """
    by = list(by)
    _require(table, (*by, *COUNTS))
    names = [*FIGURES, *(name for name in (*MEASURED, *frame_metrics()) if name in table)]
    full = add_figures(table, protocol)
    summary = _means(full, by, names)
    if _SET in table:
        summary = summary.merge(_spread_of_sets(full, by), on=by, how="left")
    front = [*by, "n", *names, "score", "sd_frames", "sd_metrics"]
    front += ["sd_sets"] if _SET in table else []
    return summary[[*front, *(name for name in summary if name not in front)]]


def organisers_json(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """The result file of the organisers' evaluator for one test set, as a dict for JSON.

    Args:
        table: A frame table of one test set, counted by the ``official`` protocol. Its polyp rows
            are used. The column hausdorff_rows (see ``metrics.hausdorff``) yields the evaluator's
            four Hausdorff keys, which are not distances between regions; without that column they
            are left out.

    Returns:
        ``{"EndoCV2021_seg": {key: {"value": figure}}}`` in the evaluator's order; typeIIerror is
        its name for F2. Where every Hausdorff figure is 0, so is the normalised one.

    Raises:
        UserError: The table has no polyp rows or more than one test set.
    """
    polyp = table[table["class"] == "polyp"] if "class" in table else table
    if polyp.empty or (_SET in polyp and polyp[_SET].nunique() > 1):
        raise UserError(
            "expected the polyp rows of one test set, but the table has "
            f"{len(polyp)} of them in {polyp[_SET].nunique() if _SET in polyp else 1} test sets. "
            "Write one result file for each test set."
        )
    figures = add_figures(polyp)
    columns = {name: figures[name].to_numpy() for _, name in _RESULT_KEYS}
    values = {key: float(columns[name].mean()) for key, name in _RESULT_KEYS}
    deviations = {key: float(columns[name].std()) for key, name in _DEVIATION_KEYS}
    if "hausdorff_rows" in polyp:
        plain, normalised = _hausdorff_values(polyp["hausdorff_rows"].to_numpy(dtype=np.float64))
        values |= {
            "hausdorff_distance": float(normalised.mean()),
            "hausdorff_distance_nonNorm": float(plain.mean()),
        }
        deviations |= {"hdf_std": float(normalised.std()), "hdf_std_noNorm": float(plain.std())}
    return {"EndoCV2021_seg": {key: {"value": v} for key, v in (values | deviations).items()}}


_RESULT_KEYS: Final = (
    ("dice", "f1"),
    ("jaccard", "iou"),
    ("typeIIerror", "f2"),
    ("PPV", "ppv"),
    ("recall", "recall"),
    ("OverallAcc", "accuracy"),
)
_DEVIATION_KEYS: Final = (
    ("dice_std", "f1"),
    ("jc_std", "iou"),
    ("f2_std", "f2"),
    ("ppv_std", "ppv"),
    ("r_std", "recall"),
    ("acc_std", "accuracy"),
)


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
        "accuracy": _ratio(tp + tn, tp + tn + fp + fn),
        "specificity": (tn + s) / (tn + fp + s),
    }


def _strict(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> dict[str, Floats]:
    return {
        "iou": _ratio(tp, tp + fp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "f2": _ratio(5 * tp, 5 * tp + 4 * fn + fp),
        "ppv": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "accuracy": _ratio(tp + tn, tp + fp + fn + tn),
        "specificity": _ratio(tn, tn + fp),
    }


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    undefined = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)


def _means(full: pd.DataFrame, by: list[str], names: list[str]) -> pd.DataFrame:
    groups = full.groupby(by, sort=False, dropna=False)
    means = groups[names].mean()
    deviations = groups[list(FIGURES)].std(ddof=0)
    defined = groups[[name for name in names if name != "latency_ms"]].count()
    left_out = defined.rsub(groups.size(), axis=0)
    means.insert(0, "n", groups.size())
    means["score"] = means[list(SCORED)].mean(axis=1, skipna=False)
    means["sd_frames"] = deviations[list(SCORED)].mean(axis=1, skipna=False)
    means["sd_metrics"] = means[list(SCORED)].std(axis=1, ddof=0, skipna=False)
    columns = [means, deviations.add_prefix("sd_"), left_out.add_prefix("left_out_")]
    return pd.concat(columns, axis=1).reset_index()


def _spread_of_sets(full: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    sets = full[full[_SET].fillna("") != ""]
    scores = sets.groupby([*dict.fromkeys([*by, _SET])], sort=False)[list(SCORED)].mean()
    per_set = scores.mean(axis=1, skipna=False).rename("sd_sets").reset_index()
    groups = per_set.groupby(by, sort=False)["sd_sets"]
    return groups.std(ddof=0).where(groups.size() > 1).reset_index()


def _hausdorff_values(plain: Floats) -> tuple[Floats, Floats]:
    largest = float(plain.max())
    return plain, plain / largest if largest > 0 else np.zeros_like(plain)


def _require(table: pd.DataFrame, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in table]
    if missing:
        raise UserError(
            f"expected a frame table with the columns {', '.join(names)}, but "
            f"{', '.join(missing)} is missing. It was not written by an evaluation."
        )

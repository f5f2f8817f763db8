"""Further tables of a split: contours, polyps, their sizes, plug-ins' figures, generalisation.

For the arguments see ``by_class``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.data.listing import natural
from harness.report.tables.columns import Column
from harness.report.tables.view import View, capitalised, in_order, titled
from harness.report.views.by_class import (
    FIGURES,
    MODEL,
    N,
    caption,
    left_out_columns,
    left_out_note,
    regions,
)
from metrics.averages import (
    Average,
    average_of,
    has_several_sets,
    mean_over_sets,
    summarise_by,
)
from metrics.endocv import SET, organisers_json, summarise
from metrics.frame.lesions import MIN_IOU, summarise_detection
from metrics.frame.official_hausdorff import WARNING
from metrics.generalisation import between_sets
from metrics.masks.classes import chosen_class, chosen_rows
from metrics.registry import frame_metrics
from metrics.strata import EDGES, STRATA, add_stratum
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from metrics.masks.read import Protocol

_CONTOURS: Final = (
    Column("hausdorff_px", "Hausdorff px", decimals=1, best="min"),
    Column("hd95_px", "HD95 px", decimals=1, best="min"),
    Column("assd_px", "ASSD px", decimals=1, best="min"),
    Column("nsd_2px", "NSD 2 px", decimals=3, best="max"),
)
_SETS: Final = (Column("reference", "From"), Column("other", "To"))
_SUMMARY: Final = (
    Column("gap", "Mean gap", decimals=3),
    Column("deviation", "Deviation", decimals=3, best="min"),
    Column("generalisation_score", "Score", decimals=3, best="max"),
)
_GAPS: Final = {"f1": "F1", "recall": "Recall", "ppv": "PPV", "closeness": "1 - H"}
_NORMALISED: Final = {
    "official": "the organisers' figure by its largest in the set",
    "strict": "the true distance by the frame's diagonal",
}


def contour_view(summary: pd.DataFrame, *, split: str) -> View:
    """Distances between contours."""
    rows = chosen_rows(summary).reset_index(drop=True)
    return View(
        frame=rows,
        data_only_columns=["model"],
        columns=[MODEL, *_CONTOURS, N, Column("left_out_hausdorff_px", "Left out", decimals=0)],
        title=f"{split} split, {chosen_class(rows)} contours",
        caption=f"{caption(rows)} In pixels of the frame's own size. What is missed, or "
        "seen where there is none, counts as the frame's diagonal; frames without either are left "
        "out. NSD: share of both contours within 2 pixels of the other.",
    )


def detection_view(
    frames: pd.DataFrame,
    *,
    split: str,
    by: Sequence[str] = ("model",),
    average: Average | None = None,
) -> View:
    """Regions found, and frames with any recognised, by either average over test sets."""
    class_ = chosen_class(frames)
    named, columns = regions(class_), _detection_columns(class_)
    rows, said = summarise_detection(frames, by=by), ""
    if SET not in by and has_several_sets(frames):
        said = f" Shares are of the {named} and frames of all test sets."
    if said and average_of(frames, average) == "sets":
        shares = [column.key for column in columns[:4] if column.key in rows]
        means = mean_over_sets(summarise_detection(frames, by=[*by, SET]), by, shares)
        rows[shares] = means[shares].to_numpy()
        said = " Shares: the mean over the test sets of each set's, undefined where one's is."
    return View(
        frame=titled(rows),
        data_only_columns=["model"],
        columns=[MODEL, *columns],
        title=f"{split} split, {named} and frames recognised",
        caption=f"{capitalised(named)} are found by predicted regions of IoU {MIN_IOU:g} or more, "
        f"one for one. Frame sensitivity and specificity: is there any {class_} at all (one pixel)."
        + said,
    )


def _detection_columns(class_: str) -> list[Column]:
    named = regions(class_)
    return [
        Column("lesion_sensitivity", f"{capitalised(named)} found", decimals=3, best="max"),
        Column("false_polyps_a_frame", f"False {named}/frame", decimals=3, best="min"),
        Column("frame_sensitivity", "Frame sens.", decimals=3, best="max"),
        Column("frame_specificity", "Frame spec.", decimals=3, best="max"),
        Column("frames_with", f"With {class_}"),
        Column("frames_without", "Without"),
    ]


def stratum_view(
    frames: pd.DataFrame, *, split: str, formulas: Protocol, average: Average | None = None
) -> View:
    """The polyp figures by its size; over sets, those that have frames of the size count."""
    polyp = chosen_rows(add_stratum(frames))
    average, class_ = average_of(polyp, average), chosen_class(polyp)
    rows = summarise_by(average, polyp, ("model", "stratum"), formulas)
    rows = in_order(rows, STRATA.index, "stratum")
    sd = {"score": f"sd_{average}"}
    columns = [replace(column, best=None, sd=sd.get(column.key, "")) for column in FIGURES]
    columns += [N, *left_out_columns(rows)]
    return View(
        frame=titled(rows),
        data_only_columns=["model"],
        columns=[Column("stratum", capitalised(class_)), MODEL, *columns],
        title=f"{split} split, by the size of the {class_}",
        caption=f"{caption(rows, score=True)} Share of the frame: small below "
        f"{100 * EDGES[0]:g} %, large from {100 * EDGES[1]:g} %; none: frames without any."
        + left_out_note(rows, formulas),
        group="stratum",
    )


def organisers_hausdorff_view(
    frames: pd.DataFrame, split: str, average: Average | None = None
) -> View:
    """The organisers' Hausdorff figures of each model, with a warning."""
    names = (
        "hausdorff_distance_nonNorm", "hdf_std_noNorm", "hausdorff_distance", "hdf_std",
    )  # fmt: skip
    over_sets = average_of(frames, average) == "sets"
    parts = frames if over_sets else frames.assign(**{SET: ""})
    rows = []
    for (model, _), part in parts.groupby(["model", SET], sort=False):
        written = organisers_json(part)["EndoCV2021_seg"]
        rows.append({"model": model, **{key: written[key]["value"] for key in names}})
    means = pd.DataFrame(rows).groupby("model", sort=False, as_index=False).mean()
    return View(
        frame=titled(means),
        data_only_columns=["model"],
        columns=[MODEL, *(Column(key, decimals=3) for key in names)],
        title=f"{split} split, the organisers' Hausdorff figures",
        caption=WARNING + (" Means over the test sets of each set's figures." if over_sets else ""),
    )


def plug_in_view(summary: pd.DataFrame, *, split: str) -> View | None:
    """The figures of metric plug-ins; ``None`` where the table has none."""
    there = [metric for name, metric in frame_metrics().items() if name in summary]
    if not there:
        return None
    notes = [f"{capitalised(chosen_class(summary))}, where the figure is defined."]
    notes += [f"{metric.title}: {metric.note}" for metric in there if metric.note]
    return View(
        frame=chosen_rows(summary).reset_index(drop=True),
        data_only_columns=["model"],
        columns=[
            MODEL,
            *(
                Column(metric.name, metric.title, decimals=metric.decimals, best=metric.better)
                for metric in there
            ),
            N,
            *(
                Column(f"left_out_{metric.name}", f"{metric.title}, left out", decimals=0)
                for metric in there
            ),
        ],
        title=f"{split} split, figures of plug-ins",
        caption=" ".join([caption(summary), *notes]),
    )


def by_test_set(frames: pd.DataFrame, kind: str) -> View:
    """Contours or polyps of each package by test set; packages stand as models in the frames."""
    by, class_ = ("model", "test_set"), chosen_class(frames)
    if kind == "contours":
        view = contour_view(summarise(chosen_rows(frames), (*by, "class"), "strict"), split="")
        title = f"{capitalised(class_)} contours"
    else:
        view = detection_view(frames, split="", by=by)
        title = f"{capitalised(regions(class_))} and frames recognised"
    first = [Column("model", "Package"), Column("test_set", "Test set")]
    columns = [*first, *(column for column in view.columns or () if column is not MODEL)]
    return replace(view, columns=columns, data_only_columns=(), title=f"{title} (strict protocol)")


def generalisation_view(
    frames: pd.DataFrame,
    by: str,
    *,
    title: str,
    formulas: Protocol,
    reference: str | None = None,
    other: str | None = None,
) -> View:
    """The drop from one set of frames to another, with the organisers' 10 % tolerance.

    ``by`` is the column that names the sets. ``reference`` is the set that others are compared
    with, ``other`` the one compared with it; ``None`` for each in turn.

    Raises:
        UserError: If there are fewer than two sets, or none of a name asked for.
    """
    rows = _between_sets(frames, by, formulas, reference, other)
    gaps = {key: name for key, name in _GAPS.items() if f"gap_{key}" in rows}
    each = [Column(f"gap_{key}", f"{name} gap", decimals=3) for key, name in gaps.items()]
    return View(
        frame=titled(rows),
        data_only_columns=["model", *(f"deviation_{key}" for key in gaps)],
        columns=[*_SETS, MODEL, *each, *_SUMMARY],
        title=title,
        caption="Gap: reference minus other. Over F1, recall, PPV and, where measured, 1 - H, the "
        f"normalised Hausdorff ({_NORMALISED[formulas]}). Deviation: their mean, each 0 within "
        "10 % of the reference, else |0.9 reference - other|. Score: mean of the other's figures. "
        "Figures of each are means over all its frames.",
        group="other",
    )


def has_several(frames: pd.DataFrame, column: str) -> bool:
    """Whether a column names several sets of frames."""
    return bool(frames.loc[frames[column] != "", column].nunique() > 1)


def _between_sets(
    frames: pd.DataFrame, by: str, formulas: Protocol, reference: str | None, other: str | None
) -> pd.DataFrame:
    """The drops asked for, in natural order of the sets."""
    rows = between_sets(frames, by, protocol=formulas)
    for column, name in (("reference", reference), ("other", other)):
        if name and name not in set(rows[column]):
            there = ", ".join(sorted(set(rows[column]), key=natural))
            raise UserError(f"no {by} {name!r} here; there are {there}.")
        rows = rows[rows[column] == name] if name else rows
    if rows.empty:
        raise UserError(f"expected two sets, but {reference!r} was given as both.")
    return in_order(rows, natural, "reference", "other")

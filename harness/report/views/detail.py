"""Further tables of a split: contours, polyps, their sizes, plug-ins' figures, generalisation.

For the arguments see ``by_class``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from harness.data.listing import natural
from harness.report.tables.columns import Column
from harness.report.tables.view import View, title_of
from harness.report.views.by_class import FIGURES, MODEL, N, left_out_columns
from metrics.masks.classes import chosen_rows
from metrics.registry import frame_metrics
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from metrics.masks.read import Protocol

_CONTOURS: Final = (
    Column(key="hausdorff_px", title="Hausdorff px", decimals=1, best="min"),
    Column(key="hd95_px", title="HD95 px", decimals=1, best="min"),
    Column(key="assd_px", title="ASSD px", decimals=1, best="min"),
    Column(key="nsd_2px", title="NSD 2 px", decimals=3, best="max"),
)
_DETECTION: Final = (
    Column(key="lesion_sensitivity", title="Polyps found", decimals=3, best="max"),
    Column(key="false_polyps_a_frame", title="False polyps/frame", decimals=3, best="min"),
    Column(key="frame_sensitivity", title="Frame sens.", decimals=3, best="max"),
    Column(key="frame_specificity", title="Frame spec.", decimals=3, best="max"),
    Column(key="frames_with", title="With polyp"),
    Column(key="frames_without", title="Without"),
)

_SETS: Final = (Column(key="reference", title="From"), Column(key="other", title="To"))
_SUMMARY: Final = (
    Column(key="gap", title="Mean gap", decimals=3),
    Column(key="deviation", title="Deviation", decimals=3, best="min"),
    Column(key="generalisation_score", title="Score", decimals=3, best="max"),
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
        columns=[
            MODEL,
            *_CONTOURS,
            N,
            Column(key="left_out_hausdorff_px", title="Left out", decimals=0),
        ],
        title=f"{split} split, polyp contours",
        caption="Means over frames, in pixels of the frame's own size. A polyp that is missed, or "
        "seen where there is none, counts as the frame's diagonal; frames without either are left "
        "out. NSD: share of both contours within 2 pixels of the other.",
    )


def detection_view(frames: pd.DataFrame, *, split: str, by: Sequence[str] = ("model",)) -> View:
    """Polyps found, and frames with a polyp recognised."""
    from metrics.frame.lesions import MIN_IOU, summarise_detection

    rows = summarise_detection(frames, by=by)
    return View(
        frame=rows.assign(title=rows["model"].map(title_of)),
        data_only_columns=["model"],
        columns=[MODEL, *_DETECTION],
        title=f"{split} split, polyps and frames recognised",
        caption=f"A polyp is found by a predicted region of IoU {MIN_IOU:g} or more, one for one. "
        "Frame sensitivity and specificity: is there a polyp at all (any pixel).",
    )


def stratum_view(frames: pd.DataFrame, *, split: str, formulas: Protocol) -> View:
    """The polyp figures by the size of the polyp."""
    from metrics.endocv import summarise
    from metrics.strata import EDGES, STRATA, add_stratum

    polyp = chosen_rows(add_stratum(frames))
    rows = summarise(polyp, by=("model", "stratum"), protocol=formulas)
    order = sorted(rows.index, key=lambda i: STRATA.index(str(rows.loc[i, "stratum"])))
    rows = rows.loc[order].reset_index(drop=True)
    columns = [Column(key=c.key, title=c.title, decimals=c.decimals, sd=c.sd) for c in FIGURES]
    columns += [N, *left_out_columns(rows)]
    return View(
        frame=rows.assign(title=rows["model"].map(title_of)),
        data_only_columns=["model"],
        columns=[Column(key="stratum", title="Polyp"), MODEL, *columns],
        title=f"{split} split, by the size of the polyp",
        caption=f"Share of the frame: small below {EDGES[0]:.0%}, large from {EDGES[1]:.0%}; none: "
        "frames without a polyp.",
        group="stratum",
    )


def organisers_hausdorff_view(frames: pd.DataFrame, *, split: str) -> View:
    """The organisers' Hausdorff figures of each model, with a warning."""
    import pandas as pd

    from metrics.endocv import organisers_json
    from metrics.frame.hausdorff import WARNING

    names = (
        "hausdorff_distance_nonNorm", "hdf_std_noNorm", "hausdorff_distance", "hdf_std",
    )  # fmt: skip
    rows = []
    for model, of_model in frames.assign(test_set="").groupby("model", sort=False):
        written = organisers_json(of_model)["EndoCV2021_seg"]
        values = {key: written[key]["value"] for key in names}
        rows.append({"model": model, "title": title_of(str(model)), **values})
    return View(
        frame=pd.DataFrame(rows),
        data_only_columns=["model"],
        columns=[MODEL, *(Column(key=key, decimals=3) for key in names)],
        title=f"{split} split, the organisers' Hausdorff figures",
        caption=WARNING,
    )


def plug_in_view(summary: pd.DataFrame, *, split: str) -> View | None:
    """The figures of metric plug-ins; ``None`` where the table has none."""
    there = [metric for name, metric in frame_metrics().items() if name in summary]
    if not there:
        return None
    notes = [f"{metric.title}: {metric.note}" for metric in there if metric.note]
    return View(
        frame=chosen_rows(summary).reset_index(drop=True),
        data_only_columns=["model"],
        columns=[
            MODEL,
            *(
                Column(
                    key=metric.name,
                    title=metric.title,
                    decimals=metric.decimals,
                    best=metric.better,
                )
                for metric in there
            ),
            N,
        ],
        title=f"{split} split, figures of plug-ins",
        caption=" ".join(["Means over frames where the figure is defined, polyp.", *notes]),
    )


def by_test_set(frames: pd.DataFrame, kind: str) -> View:
    """Contours or polyps of each package by test set; packages stand as models in the frames."""
    from metrics.endocv import summarise

    by = ("model", "test_set")
    first = [Column(key="model", title="Package"), Column(key="test_set", title="Test set")]
    if kind == "contours":
        polyp = chosen_rows(frames)
        view = contour_view(summarise(polyp, (*by, "class"), "strict"), split="")
    else:
        view = detection_view(frames, split="", by=by)
    columns = [*first, *(column for column in view.columns or () if column is not MODEL)]
    title = {"contours": "Polyp contours", "polyps": "Polyps and frames recognised"}[kind]
    return replace(view, columns=columns, data_only_columns=(), title=f"{title} (strict protocol)")


def generalisation_view(
    frames: pd.DataFrame,
    by: str,
    *,
    title: str,
    formulas: Protocol,
    reference: str = "",
    other: str = "",
) -> View:
    """The drop from one set of frames to another, with the organisers' 10 % tolerance.

    ``by`` is the column that names the sets. ``reference`` is the set that others are compared
    with, ``other`` the one compared with it; empty for each in turn.

    Raises:
        UserError: If there are fewer than two sets, or none of a name asked for.
    """
    rows = _between_sets(frames, by, formulas, reference, other)
    gaps = {key: name for key, name in _GAPS.items() if f"gap_{key}" in rows}
    each = [Column(key=f"gap_{key}", title=f"{name} gap", decimals=3) for key, name in gaps.items()]
    return View(
        frame=rows.assign(title=rows["model"].map(title_of)),
        data_only_columns=["model", *(f"deviation_{key}" for key in gaps)],
        columns=[*_SETS, MODEL, *each, *_SUMMARY],
        title=title,
        caption="Gap: reference minus other. Over F1, recall, PPV and, where measured, 1 - H, the "
        f"normalised Hausdorff ({_NORMALISED[formulas]}). Deviation: their mean, each 0 within "
        "10 % of the reference, else |0.9 reference - other|. Score: mean of the other's figures.",
        group="other",
    )


def _between_sets(
    frames: pd.DataFrame, by: str, formulas: Protocol, reference: str, other: str
) -> pd.DataFrame:
    """The drops asked for, in natural order of the sets."""
    from metrics.generalisation import between_sets

    rows = between_sets(frames, by, protocol=formulas)
    for column, name in (("reference", reference), ("other", other)):
        if name and name not in set(rows[column]):
            there = ", ".join(sorted(set(rows[column]), key=natural))
            raise UserError(f"no {by} {name!r} here; there are {there}.")
        rows = rows[rows[column] == name] if name else rows
    if rows.empty:
        raise UserError(f"expected two sets, but {reference!r} was given as both.")
    order = sorted(
        rows.index,
        key=lambda i: (natural(str(rows.loc[i, "reference"])), str(rows.loc[i, "other"])),
    )
    return rows.loc[order].reset_index(drop=True)

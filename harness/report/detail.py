"""The further figures of a split: contours, lesions, sizes of polyps, generalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.data.listing import natural
from harness.report.columns import Column
from harness.report.results import FIGURES, MODEL, N, View, title_of

if TYPE_CHECKING:
    import pandas as pd

    from metrics.masks import Protocol

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


def contour_view(summary: pd.DataFrame, *, split: str) -> View:
    """How far the contours lie apart.

    Args:
        summary: What ``results.figures`` gives.
        split: Name of the split, for the title.
    """
    rows = summary[summary["class"] == "polyp"].reset_index(drop=True)
    return View(
        frame=rows,
        further=["model"],
        columns=[MODEL, *_CONTOURS, N],
        title=f"{split} split, polyp contours",
        caption="Means over frames, in pixels of the frame's own size. A polyp that is missed, or "
        "seen where there is none, counts as the frame's diagonal; frames without either are left "
        "out. NSD: share of both contours within 2 pixels of the other.",
    )


def detection_view(frames: pd.DataFrame, *, split: str) -> View:
    """Which polyps, and which frames with a polyp, are recognised.

    Args:
        frames: Frame tables with a ``model`` column.
        split: Name of the split, for the title.
    """
    from metrics.lesions import MIN_IOU, summarise_detection

    rows = summarise_detection(frames, by=("model",))
    return View(
        frame=rows.assign(title=rows["model"].map(title_of)),
        further=["model"],
        columns=[MODEL, *_DETECTION],
        title=f"{split} split, polyps and frames recognised",
        caption=f"A polyp is found by a predicted region of IoU {MIN_IOU:g} or more, one for one. "
        "Frame sensitivity and specificity: is there a polyp at all (any pixel).",
    )


def stratum_view(frames: pd.DataFrame, *, split: str, formulas: Protocol) -> View:
    """The polyp figures by the size of the polyp.

    Args:
        frames: Frame tables with a ``model`` column.
        split: Name of the split, for the title.
        formulas: The protocol of ``metrics.endocv.summarise``.
    """
    from metrics.endocv import summarise
    from metrics.strata import EDGES, STRATA, add_stratum

    polyp = add_stratum(frames)
    polyp = polyp[polyp["class"] == "polyp"]
    rows = summarise(polyp, by=("model", "stratum"), protocol=formulas)
    order = sorted(rows.index, key=lambda i: STRATA.index(str(rows.loc[i, "stratum"])))
    rows = rows.loc[order].reset_index(drop=True)
    columns = [Column(key=c.key, title=c.title, decimals=c.decimals, sd=c.sd) for c in FIGURES]
    return View(
        frame=rows.assign(title=rows["model"].map(title_of)),
        further=["model"],
        columns=[Column(key="stratum", title="Polyp"), MODEL, *columns, N],
        title=f"{split} split, by the size of the polyp",
        caption=f"Share of the frame: small below {EDGES[0]:.0%}, large from {EDGES[1]:.0%}; none: "
        "frames without a polyp.",
        group="stratum",
    )


def generalisation_view(frames: pd.DataFrame, by: str, *, title: str, formulas: Protocol) -> View:
    """What is lost from one set of frames to another, with the organisers' 10 % tolerance.

    Args:
        frames: Frame tables with a ``model`` column, of two sets or more.
        by: The column that tells the sets apart.
        title: What stands above.
        formulas: The protocol of ``metrics.endocv.summarise``.

    Raises:
        UserError: If there are fewer than two sets.
    """
    from metrics.generalisation import between_sets

    rows = between_sets(frames, by, protocol=formulas)
    order = sorted(
        rows.index,
        key=lambda i: (natural(str(rows.loc[i, "reference"])), str(rows.loc[i, "other"])),
    )
    rows = rows.loc[order].reset_index(drop=True)
    return View(
        frame=rows.assign(title=rows["model"].map(title_of)),
        further=["model"],
        columns=[
            Column(key="reference", title="From"),
            Column(key="other", title="To"),
            MODEL,
            Column(key="gap", title="Gap", decimals=3),
            Column(key="deviation", title="Deviation", decimals=3, best="min"),
            Column(key="generalisation_score", title="Score", decimals=3, best="max"),
        ],
        title=title,
        caption="Over F1, recall, PPV and, where measured, 1 - normalised Hausdorff. Deviation: 0 "
        "within 10 % of the reference, else |0.9 reference - other|.",
        group="other",
    )

"""Results of a split by class and by centre, from frame tables.

Here and in ``detail``: ``frames`` are frame tables one after another, with a column ``model``;
``formulas`` is the protocol of ``metrics.endocv.summarise``; ``summary`` is what :func:`figures`
gives; ``split`` and ``protocol`` stand in titles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.data.listing import natural
from harness.report.tables.choices import AVERAGES, SD_MEANINGS
from harness.report.tables.columns import Column
from harness.report.tables.view import View, capitalised, in_order, titled
from metrics.averages import SD_OF, Average, average_of, has_several_sets, summarise_by
from metrics.endocv import summarise, with_all_classes
from metrics.masks.classes import ALL, BACKGROUND, POLYP, chosen_class, chosen_rows

if TYPE_CHECKING:
    from metrics.masks.read import Protocol

PAPER_TABLES: Final = {"val": 2, "test": 3}
"""Number of the paper's table with the figures of a split."""

FIGURES: Final = (
    Column("iou", "IoU", decimals=3, best="max"),
    Column("f1", "F1", decimals=3, best="max"),
    Column("f2", "F2", decimals=3, best="max"),
    Column("ppv", "PPV", decimals=3, best="max"),
    Column("recall", "Recall", decimals=3, best="max"),
    Column("specificity", "Spec.", decimals=3, best="max"),
    Column("accuracy", "Acc.", decimals=3, best="max"),
    Column("score", "Score", decimals=3, best="max", sd="sd_frames"),
)
MEANS: Final[Mapping[Average, str]] = {"sets": "mean of the sets", "frames": "all frames"}
"""The places of the two averages over several test sets."""

MODEL: Final = Column("title", "Model")
N: Final = Column("n", "Frames", decimals=0)
LATENCY: Final = Column("latency_ms", "ms/frame", decimals=1, best="min")


def figures(
    frames: pd.DataFrame, formulas: Protocol = "official", average: Average | None = None
) -> pd.DataFrame:
    """The figures of each model and class over all frames, or all test sets.

    Returns:
        DataFrame: One row a model and class ('polyp', 'background', 'all'), with ``title``, the
        model's name as the paper writes it.
    """
    average = average_of(frames, average)
    summary = summarise_by(average, with_all_classes(frames), ("model", "class"), formulas)
    return titled(summary)


def by_place(
    frames: pd.DataFrame, formulas: Protocol = "official", average: Average | None = None
) -> pd.DataFrame:
    """The polyp figures of each model in each test set, or at each centre.

    Frames of no test set count for their centre, their sequence or else their dataset, in a
    column ``place``; places are in natural order, models in that of the table. Of several test
    sets the last two places are their two averages, ``MEANS``, that of ``average`` first.
    """
    polyp = with_place(chosen_rows(frames))
    summary = summarise(polyp, by=("model", "place"), protocol=formulas)
    summary = in_order(summary, natural, "place")
    if has_several_sets(polyp):
        first = average_of(polyp, average)
        parts = [summary.drop(columns="sd_sets")]
        for one, place in sorted(MEANS.items(), key=lambda mean: mean[0] != first):
            means = summarise_by(one, polyp, ("model",), formulas).assign(place=place)
            # Each mean with the SD that belongs to it.
            parts.append(means.drop(columns=SD_OF["frames" if one == "sets" else "sets"]))
        summary = pd.concat(parts, ignore_index=True)
    summary["class"] = chosen_class(frames)
    return titled(summary)


def with_place(frames: pd.DataFrame) -> pd.DataFrame:
    """A frame table or catalogue with a column ``place``: set, centre, sequence or dataset."""
    place = frames["test_set"]
    for column in ("centre", "sequence", "dataset"):
        place = place.where(place != "", frames[column])
    return frames.assign(place=place)


def class_view(
    summary: pd.DataFrame,
    class_: str,
    *,
    split: str,
    protocol: str,
    paper: pd.DataFrame | None = None,
) -> View:
    """The table of one class: a row a model, with the paper's row under it.

    ``paper`` has rows of the paper (``metrics.paper.results``), or is ``None`` where the split is
    not the paper's.
    """
    rows = _with_paper(summary[summary["class"] == class_], paper, class_, split)
    latency = [LATENCY] if class_ == chosen_class(summary) else []
    named = "all classes (micro)" if class_ == ALL else class_
    return View(
        frame=rows,
        columns=[MODEL, *_figures(summary), *latency, N, *left_out_columns(rows)],
        title=f"{split} split, {named} ({protocol} protocol)",
        caption=caption(summary, score=True) + left_out_note(rows, protocol),
        reference_note=_note(rows, split),
    )


def long_view(
    summary: pd.DataFrame, *, split: str, protocol: str, paper: pd.DataFrame | None = None
) -> View:
    """The tables of all classes as one, for spreadsheets and programs."""
    parts = [
        _with_paper(summary[summary["class"] == class_], paper, class_, split)
        for class_ in summary["class"].unique()
    ]
    frame = pd.concat(parts, ignore_index=True)
    first = [Column("model", "Model"), Column("class", "Class")]
    figures_shown = _figures(summary)
    shown = {key for column in (*first, *figures_shown, LATENCY, N) for key in column.keys}
    rest = [c for c in frame.columns if c not in shown and c not in ("title", "paper", "misprint")]
    return View(
        frame=frame,
        columns=[*first, *figures_shown, LATENCY, N, *rest],
        title=f"{split} split ({protocol} protocol)",
        caption=caption(summary, score=True),
        group="class",
        reference_note=_note(frame, split),
    )


def place_view(summary: pd.DataFrame, *, split: str, protocol: str) -> View:
    """The table of the polyp figures by centre, what :func:`by_place` gives."""
    columns, undefined = [replace(one, best=None) for one in FIGURES], left_out_columns(summary)
    class_ = chosen_class(summary)
    what, spread = "centre or sequence", []
    explained = f"Means over frames.{_score_note('frames')}"
    if summary["place"].isin(MEANS.values()).any():
        what = "test set"
        explained += (
            f" The {MEANS['sets']} counts each set the same, however many frames it has; "
            f"{MEANS['frames']}: each frame the same."
        )
        spread = [Column("sd_sets", "SD of the sets", decimals=3)]
    return View(
        frame=summary,
        data_only_columns=["model"],
        columns=[Column("place", capitalised(what)), MODEL, *columns, *spread, N, *undefined],
        title=f"{split} split, {class_}, by {what} ({protocol} protocol)",
        group="place",
        caption=explained + left_out_note(summary, protocol),
    )


def caption(summary: pd.DataFrame, *, score: bool = False) -> str:
    """What the means of a summary are over, and what its score is.

    Args:
        summary: What :func:`figures` gives, or the like.
        score: Whether the score is shown with its SD.
    """
    average = _average(summary)
    said = f"Figures: {AVERAGES[average]}." if "average" in summary else "Means over frames."
    return said + (_score_note(average) if score else "")


def _score_note(average: Average) -> str:
    """A sentence on the score, and the SD beside it."""
    sd = SD_OF[average]
    return f" Score: mean of F1, F2, PPV and recall, \u00b1 {sd} ({SD_MEANINGS[sd]})."


def _average(summary: pd.DataFrame) -> Average:
    """The average of its figures; of a single set both are the same."""
    is_over_sets = "average" in summary and (summary["average"] == "sets").any()
    return "sets" if is_over_sets else "frames"


def _figures(summary: pd.DataFrame) -> list[Column]:
    """The columns of the figures; of several test sets the score by the other average, too."""
    if "average" not in summary:
        return list(FIGURES)
    other = "frames" if _average(summary) == "sets" else "sets"
    score = replace(FIGURES[-1], sd=f"sd_{_average(summary)}")
    return [
        *FIGURES[:-1],
        score,
        replace(score, key=f"score_{other}", title=f"Score ({other})", sd=""),
    ]


def regions(class_: str) -> str:
    """What the connected regions of a class are called.

    Example:
        >>> regions("polyp"), regions("nucleus")
        ('polyps', 'nucleus regions')
    """
    return "polyps" if class_ == POLYP else f"{class_} regions"


def is_papers(frames: pd.DataFrame) -> bool:
    """Whether a frame table has the paper's classes, polyp and background, and no others."""
    return set(frames["class"]) == {POLYP, BACKGROUND}


def left_out_columns(rows: pd.DataFrame) -> list[Column]:
    """How many frames each figure is undefined in, and so left out of its mean."""
    titles = {column.key: column.title for column in FIGURES if column.key != "score"}
    counted = {name: f"left_out_{name}" for name in titles if f"left_out_{name}" in rows}
    return [
        Column(key, f"{titles[name]} undef.", decimals=0)
        for name, key in counted.items()
        if (rows[key] > 0).any()
    ]


def left_out_note(rows: pd.DataFrame, protocol: str) -> str:
    """A sentence on what the strict protocol leaves out of these means."""
    if protocol != "strict":
        return ""
    if left_out_columns(rows):
        return " Undef.: frames where a figure is undefined (0 / 0), left out of its mean."
    return " Every figure is defined in every frame, so none was left out of a mean."


def _with_paper(
    rows: pd.DataFrame, paper: pd.DataFrame | None, class_: str, split: str
) -> pd.DataFrame:
    """Our rows, each with the paper's row of its model under it."""
    ours = rows.assign(paper=False, misprint=False).reset_index(drop=True)
    if paper is None:
        return ours
    wanted = (paper["split"] == split) & (paper["class"] == class_)
    theirs = paper[wanted & paper["model"].isin(ours["model"])]
    if theirs.empty:
        return ours
    misprint = theirs["misprint"].map({True: " (misprint?)", False: ""})
    theirs = theirs.assign(paper=True, title="  paper" + misprint)
    # Without the columns that only ours has, pandas would have to guess their type.
    common = [column for column in ours.columns if column in theirs]
    joined = pd.concat([ours, theirs[common]], ignore_index=True)
    return in_order(joined, ours["model"].tolist().index, "model")


def _note(rows: pd.DataFrame, split: str) -> str:
    if not rows["paper"].any():
        return ""
    return (
        f"the paper's Table {PAPER_TABLES[split]}: its recipe on the full datasets, other frames "
        "than these."
    )

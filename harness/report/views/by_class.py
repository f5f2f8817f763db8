"""Results of a split by class and by centre, from frame tables.

Here and in ``detail``: ``frames`` are frame tables one after another, with a column ``model``;
``formulas`` is the protocol of ``metrics.endocv.summarise``; ``summary`` is what :func:`figures`
gives; ``split`` and ``protocol`` stand in titles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.data.listing import natural
from harness.report.tables.columns import Column
from harness.report.tables.view import View, title_of
from metrics.masks.classes import ALL, BACKGROUND, POLYP, chosen_class, chosen_rows

if TYPE_CHECKING:
    import pandas as pd

    from metrics.masks.read import Protocol

PAPER_TABLES: Final = {"val": 2, "test": 3}
"""Number of the paper's table with the figures of a split."""

FIGURES: Final = (
    Column(key="iou", title="IoU", decimals=3, best="max"),
    Column(key="f1", title="F1", decimals=3, best="max"),
    Column(key="f2", title="F2", decimals=3, best="max"),
    Column(key="ppv", title="PPV", decimals=3, best="max"),
    Column(key="recall", title="Recall", decimals=3, best="max"),
    Column(key="specificity", title="Spec.", decimals=3, best="max"),
    Column(key="accuracy", title="Acc.", decimals=3, best="max"),
    Column(key="score", title="Score", decimals=3, best="max", sd="sd_frames"),
)
MEAN_OF_SETS: Final = "mean of the sets"
"""The place of the means over test sets."""

MODEL: Final = Column(key="title", title="Model")
N: Final = Column(key="n", title="Frames", decimals=0)
LATENCY: Final = Column(key="latency_ms", title="ms/frame", decimals=1, best="min")
_CAPTION: Final = (
    "Means over frames. Score: mean of F1, F2, PPV and recall, ± sd_frames (the mean of their SDs "
    "over frames)."
)


def figures(frames: pd.DataFrame, formulas: Protocol = "official") -> pd.DataFrame:
    """The figures of each model and class over all frames.

    Returns:
        DataFrame: One row a model and class ('polyp', 'background', 'all'), with ``title``, the
        model's name as the paper writes it.
    """
    from metrics.endocv import summarise, with_all_classes

    summary = summarise(with_all_classes(frames), by=("model", "class"), protocol=formulas)
    return summary.assign(title=summary["model"].map(title_of))


def by_place(frames: pd.DataFrame, formulas: Protocol = "official") -> pd.DataFrame:
    """The polyp figures of each model in each test set, or at each centre.

    Frames of no test set count for their centre, their sequence or else their dataset, in a
    column ``place``; places are in natural order, models in that of the table. Of several test
    sets a last place, ``MEAN_OF_SETS``, has the means of their figures, each set counting the same,
    and ``sd_sets``, the SD of their scores.
    """
    from metrics.endocv import summarise

    polyp = with_place(chosen_rows(frames))
    summary = summarise(polyp, by=("model", "place"), protocol=formulas)
    ordered = sorted(summary.index, key=lambda row: natural(str(summary.loc[row, "place"])))
    summary = summary.loc[ordered].reset_index(drop=True)
    if (polyp["test_set"] != "").any() and polyp["place"].nunique() > 1:
        summary = _with_means(summary)
    summary["class"] = chosen_class(frames)
    return summary.assign(title=summary["model"].map(title_of))


def _with_means(summary: pd.DataFrame) -> pd.DataFrame:
    """Figures by model and test set, with a row a model for the means of its sets.

    A figure that is undefined in a set has no mean over the sets.
    """
    import pandas as pd

    summary = summary.assign(sd_sets=float("nan"))
    counts = [name for name in summary if name == "n" or str(name).startswith("left_out_")]
    rows = []
    for model, sets in summary.groupby("model", sort=False):
        figures = sets.select_dtypes("number")
        # The SDs of the sets are over frames, and of other figures than these means.
        means = figures[[name for name in figures if not str(name).startswith("sd_")]]
        row = {**means.mean(skipna=False), **figures[counts].sum()}
        row["sd_sets"] = sets["score"].std(ddof=0, skipna=False)
        rows.append({"model": model, "place": MEAN_OF_SETS, **row})
    return pd.concat([summary, pd.DataFrame(rows)], ignore_index=True)


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
    first = class_ == chosen_class(summary)
    latency = [LATENCY] if first else []
    named = "all classes (micro)" if class_ == ALL else class_
    return View(
        frame=rows,
        columns=[MODEL, *FIGURES, *latency, N, *left_out_columns(rows)],
        title=f"{split} split, {named} ({protocol} protocol)",
        caption=(_CAPTION if first else "Means over frames.") + left_out_note(rows, protocol),
        reference_note=_note(rows, split),
    )


def long_view(
    summary: pd.DataFrame, *, split: str, protocol: str, paper: pd.DataFrame | None = None
) -> View:
    """The tables of all classes as one, for spreadsheets and programs."""
    import pandas as pd

    parts = [
        _with_paper(summary[summary["class"] == class_], paper, class_, split)
        for class_ in summary["class"].unique()
    ]
    frame = pd.concat(parts, ignore_index=True)
    first = [Column(key="model", title="Model"), Column(key="class", title="Class")]
    shown = {key for column in (*first, *FIGURES, LATENCY, N) for key in column.keys}
    rest = [c for c in frame.columns if c not in shown and c not in ("title", "paper", "misprint")]
    return View(
        frame=frame,
        columns=[*first, *FIGURES, LATENCY, N, *rest],
        title=f"{split} split ({protocol} protocol)",
        caption=_CAPTION,
        group="class",
        reference_note=_note(frame, split),
    )


def place_view(summary: pd.DataFrame, *, split: str, protocol: str) -> View:
    """The table of the polyp figures by centre, what :func:`by_place` gives."""
    columns = [Column(key=c.key, title=c.title, decimals=c.decimals, sd=c.sd) for c in FIGURES]
    class_ = chosen_class(summary)
    what, caption, spread = "centre or sequence", "Means over frames.", []
    if (summary["place"] == MEAN_OF_SETS).any():
        what = "test set"
        caption += f" The {MEAN_OF_SETS} counts each set the same, however many frames it has."
        spread = [Column(key="sd_sets", title="SD of the sets", decimals=3)]
    return View(
        frame=summary,
        data_only_columns=["model"],
        columns=[
            Column(key="place", title=what.capitalize()),
            MODEL,
            *columns,
            *spread,
            N,
            *left_out_columns(summary),
        ],
        title=f"{split} split, {class_}, by {what} ({protocol} protocol)",
        group="place",
        caption=caption + left_out_note(summary, protocol),
    )


def is_papers(frames: pd.DataFrame) -> bool:
    """Whether a frame table has the paper's classes, polyp and background, and no others."""
    return set(frames["class"]) == {POLYP, BACKGROUND}


def left_out_columns(rows: pd.DataFrame) -> list[Column]:
    """How many frames each figure is undefined in, and so left out of its mean."""
    titles = {column.key: column.title for column in FIGURES if column.key != "score"}
    counted = {name: f"left_out_{name}" for name in titles if f"left_out_{name}" in rows}
    return [
        Column(key=key, title=f"{titles[name]} undef.", decimals=0)
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
    import pandas as pd

    ours = rows.assign(paper=False, misprint=False)
    if paper is None:
        return ours.reset_index(drop=True)
    wanted = (paper["split"] == split) & (paper["class"] == class_)
    theirs = paper[wanted & paper["model"].isin(ours["model"])].assign(paper=True)
    misprint = theirs["misprint"].map({True: " (misprint?)", False: ""})
    theirs = theirs.assign(title="  paper" + misprint)
    if theirs.empty:
        return ours.reset_index(drop=True)
    order = {model: position for position, model in enumerate(ours["model"])}
    # Without the columns that only ours has, pandas would have to guess their type.
    common = [column for column in ours.columns if column in theirs]
    joined = pd.concat([ours, theirs[common]], ignore_index=True)
    return joined.sort_values(
        "model", key=lambda names: names.map(order), kind="stable"
    ).reset_index(drop=True)


def _note(rows: pd.DataFrame, split: str) -> str:
    if not rows["paper"].any():
        return ""
    return (
        f"the paper's Table {PAPER_TABLES[split]}: its recipe on the full datasets, other frames "
        "than these."
    )

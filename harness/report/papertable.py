"""The paper's Tables 2 to 4 for our models, with the paper's figures beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.assess import ORDER
from harness.report.columns import Column
from harness.report.results import PAPER_TABLES, View, title_of

if TYPE_CHECKING:
    import pandas as pd

_CLASSES: Final = {"all": "All", "polyp": "Polyp", "background": "Backgr."}
_FIGURES: Final = {"iou": "IoU", "f1": "F1", "recall": "REC", "ppv": "PREC"}
_KEYS: Final = [f"{class_}_{figure}" for class_ in _CLASSES for figure in _FIGURES]


def table_view(summary: pd.DataFrame, split: str, reference: pd.DataFrame) -> View:
    """Table 2 (validation) or 3 (test): the paper's columns, in the paper's order.

    Args:
        summary: What ``results.figures`` gives.
        split: ``val`` or ``test``.
        reference: ``metrics.paper.results()``.

    Returns:
        View: Under each of our rows the paper's, and the difference (ours less the paper's).
    """
    import pandas as pd

    ours = _wide(summary)
    theirs = _wide(reference[reference["split"] == split])
    misprints = set(reference[(reference["split"] == split) & reference["misprint"]]["model"])
    known = [name for name in ORDER if name in ours.index]
    rest = [name for name in ours.index if name not in known]
    rows = []
    for name in (*known, *rest):
        rows.append({"title": title_of(name), "paper": False, "kind": "ours", **ours.loc[name]})
        if name not in theirs.index:
            continue
        mark = " (misprint?)" if name in misprints else ""
        rows.append({"title": f"  paper{mark}", "paper": True, "kind": "paper", **theirs.loc[name]})
        difference = ours.loc[name] - theirs.loc[name]
        rows.append({"title": "  difference", "paper": True, "kind": "difference", **difference})
    frame = pd.DataFrame(rows)
    frame.insert(0, "model", frame["title"].where(frame["kind"] == "ours").ffill())
    notes = [
        f"the paper's Table {PAPER_TABLES[split]}, and ours less it: its recipe on the full "
        "datasets, other frames than these."
    ]
    if misprints:
        notes.append("Its background row of DeepLabv3+ repeats the polyp row: likely a misprint.")
    return View(
        frame=frame,
        columns=[Column(key="title", title="Model"), *map(_column, _KEYS)],
        title=f"Table {PAPER_TABLES[split]}: {split} split",
        caption="Means over frames. All: the pixels of both classes together (micro-average).",
        reference_note=" ".join(notes),
        further=["model", "kind"],
    )


def official_view(ranking: pd.DataFrame) -> View:
    """Table 4: round, model, score and SD, the paper's rows among ours.

    Args:
        ranking: What ``submissions.leaderboard.with_paper`` gives.
    """
    rows = ranking.assign(
        title=ranking["model"].map(title_of), paper=ranking["source"] == "paper"
    ).reset_index(drop=True)
    return View(
        frame=rows,
        columns=[
            Column(key="round", title="Round"),
            Column(key="title", title="Model"),
            Column(key="score", title="Score", decimals=3, best="max"),
            Column(key="sd", title="SD", decimals=3),
            Column(key="sd_name", title="SD is"),
        ],
        title="Table 4: official results",
        caption="Score: mean of F1, F2, PPV and recall.",
        group="round",
        further=["model", "source"],
        reference_note="the paper's, on the organisers' frames; it names no kind of SD.",
    )


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a model, one column a class and figure."""
    wide = rows.pivot(index="model", columns="class", values=list(_FIGURES))
    wide.columns = [f"{names[1]}_{names[0]}" for names in wide.columns.to_list()]
    return wide.reindex(columns=_KEYS)


def _column(key: str) -> Column:
    class_, figure = key.rsplit("_", 1)
    return Column(key=key, title=f"{_CLASSES[class_]} {_FIGURES[figure]}", decimals=3, best="max")

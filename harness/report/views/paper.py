"""The paper's Tables 2 to 4 for our models, with the paper's figures beside ours."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

import models
from harness.report.tables.choices import AVERAGES
from harness.report.tables.columns import Column
from harness.report.tables.view import View, title_of
from harness.report.views.by_class import PAPER_TABLES
from harness.report.views.leaderboard import HASH_SHOWN, several_sets

_CLASSES: Final = {"all": "All", "polyp": "Polyp", "background": "Backgr."}
_FIGURES: Final = {"iou": "IoU", "f1": "F1", "recall": "REC", "ppv": "PREC"}
_KEYS: Final = [f"{class_}_{figure}" for class_ in _CLASSES for figure in _FIGURES]


def table_view(summary: pd.DataFrame, split: str, reference: pd.DataFrame) -> View:
    """Table 2 (validation) or 3 (test): the paper's columns, in the paper's order.

    Returns:
        View: Under each of our rows the paper's, and the difference (ours minus the paper's).
    """
    ours = _wide(summary)
    theirs = _wide(reference[reference["split"] == split])
    misprints = set(ours.index) & set(reference.query("split == @split and misprint")["model"])
    rows = []
    for name in sorted(ours.index, key=models.paper_order):
        model = {"model": name, "title": title_of(name)}
        rows.append({**model, "paper": False, "kind": "ours", **ours.loc[name]})
        if name not in theirs.index:
            continue
        mark = " (misprint?)" if name in misprints else ""
        beside = {"paper": {"title": f"  paper{mark}", **theirs.loc[name]}}
        beside["difference"] = {"title": "  difference", **(ours.loc[name] - theirs.loc[name])}
        rows += [{**model, "paper": True, "kind": kind, **row} for kind, row in beside.items()]
    notes = [
        f"the paper's Table {PAPER_TABLES[split]}, and ours minus it: trained by its recipe on "
        "the full datasets, evaluated on other frames."
    ]
    if misprints:
        notes.append("Its background row of DeepLabv3+ repeats the polyp row: likely a misprint.")
    return View(
        frame=pd.DataFrame(rows),
        columns=[Column("title", "Model"), *map(_column, _KEYS)],
        title=f"Table {PAPER_TABLES[split]}: {split} split",
        caption="Means over frames. All: the pixels of both classes together (micro-average).",
        reference_note=" ".join(notes),
        data_only_columns=["model", "kind"],
    )


def official_view(ranking: pd.DataFrame) -> View:
    """The columns of Table 4, with the paper's figures and the difference in its rounds."""
    keys = ["round", "model"]
    is_paper = ranking["source"] == "paper"
    theirs = ranking[is_paper].set_index(keys)[["score", "sd"]]
    rows: list[dict[Any, Any]] = []
    for ours in ranking[~is_paper].to_dict("records"):
        title = _with_team(ours.get("team", ""), ours["model"])
        rows.append({**ours, "title": title, "kind": "ours", "paper": False})
        key = (ours["round"], ours["model"])
        if key in theirs.index:
            rows += _beside(ours, theirs.loc[key].to_dict())
    ranked = {(row["round"], row["model"]) for row in rows}
    for row in ranking[is_paper].to_dict("records"):
        if (row["round"], row["model"]) not in ranked:
            title = f"{title_of(row['model'])} (paper)"
            rows.append({**row, "title": title, "kind": "paper", "paper": True})
    frame = pd.DataFrame(rows).sort_values("round", kind="stable", ignore_index=True)
    columns = [
        Column("round", "Round"),
        Column("title", "Model"),
        Column("score", "Score", decimals=3, best="max"),
        Column("sd", "SD", decimals=3),
        Column("sd_name", "SD is"),
        Column("n", "Frames", decimals=0),
    ]
    if several_sets(ranking, "round"):
        frame["truth"] = frame["truth_sha256"].str[:HASH_SHOWN]
        columns.append(Column("truth", "Truth"))
    return View(
        frame=frame,
        columns=columns,
        title="Table 4: official results" if is_paper.any() else "Results by round",
        caption="Score: mean of F1, F2, PPV and recall." + _averaged_by(ranking),
        group="round",
        data_only_columns=["team", "model", "kind"],
        reference_note="the paper's, on the organisers' frames, and ours minus it; the paper names "
        "no kind of SD.",
    )


def _with_team(team: str, model: str) -> str:
    return f"{team} {model}" if team not in ("", model) else title_of(model)


def _averaged_by(ranking: pd.DataFrame) -> str:
    ours = list(ranking["average"].dropna()) if "average" in ranking else []
    return f" Ours is {AVERAGES[ours[0]]}." if ours else ""


def _beside(ours: dict[Any, Any], theirs: dict[Any, Any]) -> list[dict[Any, Any]]:
    """The paper's row under one of ours, and the difference."""
    common = {"round": ours["round"], "model": ours["model"], "paper": True}
    return [
        {**common, **theirs, "title": "  paper", "kind": "paper", "sd_name": "as printed"},
        {
            **common,
            "title": "  difference",
            "kind": "difference",
            "score": ours["score"] - theirs["score"],
            "sd": ours["sd"] - theirs["sd"],
        },
    ]


def _wide(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a model, one column a class and figure."""
    wide = rows.pivot(index="model", columns="class", values=list(_FIGURES))
    wide.columns = [f"{names[1]}_{names[0]}" for names in wide.columns.to_list()]
    return wide.reindex(columns=_KEYS)


def _column(key: str) -> Column:
    class_, figure = key.rsplit("_", 1)
    return Column(key, f"{_CLASSES[class_]} {_FIGURES[figure]}", decimals=3, best="max")

from __future__ import annotations

import pandas as pd
import pytest

from harness.report.views.paper import official_view, table_view
from metrics.paper import results
from submissions.leaderboard import rank, with_paper


def summary() -> pd.DataFrame:
    """U-Net and DeepLabv3+, in the wrong order, and one model that the paper does not have."""
    rows = [
        {"model": model, "class": name, "iou": 0.9, "f1": 0.9, "recall": 0.8, "ppv": 0.7}
        for model in ("mine", "deeplabv3+", "unet")
        for name in ("polyp", "background", "all")
    ]
    return pd.DataFrame(rows)


def test_the_papers_order_with_its_figures_and_the_difference() -> None:
    view = table_view(summary(), "test", results())
    titles = view.frame["title"].tolist()
    assert titles == [
        "U-Net", "  paper", "  difference",
        "DeepLabv3+", "  paper (misprint?)", "  difference",
        "mine",
    ]  # fmt: skip
    rows = view.frame.set_index(["model", "kind"])
    assert rows.loc[("unet", "paper"), "polyp_iou"] == 0.823
    assert rows.loc[("unet", "difference"), "polyp_iou"] == pytest.approx(0.9 - 0.823)
    assert rows.loc[("unet", "difference"), "background_recall"] == pytest.approx(0.8 - 0.988)
    assert "misprint" in view.reference_note
    assert "misprint" not in table_view(summary(), "val", results()).reference_note
    without = summary().query("model != 'deeplabv3+'")
    assert "misprint" not in table_view(without, "test", results()).reference_note


def test_the_columns_are_the_papers() -> None:
    columns = table_view(summary(), "val", results()).columns
    headings = [column if isinstance(column, str) else column.heading for column in columns]
    figures = ("IoU", "F1", "REC", "PREC")
    classes = ("All", "Polyp", "Backgr.")
    assert headings == ["Model", *(f"{name} {figure}" for name in classes for figure in figures)]


def scored(round_name: str, model: str, score: float) -> dict[str, object]:
    return {"round": round_name, "team": "", "model": model, "score": score, "sd_frames": 0.2,
            "protocol": "official", "n": 5}  # fmt: skip


def test_table_four_has_the_difference_under_each_model_that_the_paper_has() -> None:
    rows = [scored("2", "divergentnets", 0.9), scored("1", "triunet", 0.5), scored("2", "fpn", 0.6)]
    view = official_view(with_paper(rank(pd.DataFrame(rows))))
    shown = view.frame[["round", "model", "kind", "score"]].to_numpy().tolist()
    assert [row[:3] for row in shown] == [
        ["1", "triunet", "ours"], ["1", "triunet", "paper"], ["1", "triunet", "difference"],
        ["1", "unet++", "paper"],
        ["2", "divergentnets", "ours"], ["2", "divergentnets", "paper"],
        ["2", "divergentnets", "difference"], ["2", "fpn", "ours"], ["2", "triunet", "paper"],
    ]  # fmt: skip
    scores = [row[3] for row in shown]
    assert scores[:3] == pytest.approx([0.5, 0.925, 0.5 - 0.925])
    assert scores[4:7] == pytest.approx([0.9, 0.823, 0.9 - 0.823])
    assert view.frame.loc[2, "sd"] == pytest.approx(0.2 - 0.152)
    assert view.title == "Table 4: official results"


def test_rounds_that_the_paper_has_not_are_no_table_of_it() -> None:
    view = official_view(with_paper(rank(pd.DataFrame([scored("cells", "triunet", 0.5)]))))
    assert view.frame["kind"].tolist() == ["ours"]
    assert view.title == "Results by round"

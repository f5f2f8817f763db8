from __future__ import annotations

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from harness.report.tables import render
from harness.report.tables.render import Column, Format, TableSettings


@pytest.fixture
def frame() -> pd.DataFrame:
    """Three models of ours and one row of a paper."""
    return pd.DataFrame(
        {
            "model": ["unet", "triunet", "divergentnets", "unet"],
            "score": [1 / 3, 0.54449, float("nan"), 0.917],
            "sd": [0.1, 0.2, float("nan"), 0.168],
            "frames": np.array([1090, 109, 61, 0]),
            "round": [1, 1, 1, 2],
            "paper": [False, False, False, True],
        }
    )


SETTINGS: TableSettings = {
    "columns": [
        Column(key="model", title="Model"),
        Column(key="score", title="Score", decimals=3, best="max", sd="sd"),
        Column(key="frames", title="Frames"),
    ],
    "group": "round",
    "reference": "paper",
    "reference_note": "Table 4 of the paper",
    "title": "Leaderboard",
    "caption": "mean over frames",
    "metadata": {"seed": 1},
}


def test_plain_text_is_aligned_and_marks_the_reference(frame: pd.DataFrame) -> None:
    assert render.render(frame, **SETTINGS) == (
        "Leaderboard\n"
        "\n"
        "Model                  Score  Frames\n"
        "-------------  -------------  ------\n"
        "unet           0.333 ± 0.100   1,090\n"
        "triunet        0.544 ± 0.200     109\n"
        "divergentnets              -      61\n"
        "-------------  -------------  ------\n"
        "unet †         0.917 ± 0.168       0\n"
        "\n"
        "mean over frames\n"
        "† Table 4 of the paper\n"
    )


def test_plain_text_is_never_cut() -> None:
    long = pd.DataFrame({"path": ["x" * 500], "advice": ["y" * 500]})
    assert "x" * 500 + "  " + "y" * 500 in render.render(long)


def test_wide_characters_keep_the_columns_straight() -> None:
    lines = render.render(pd.DataFrame({"name": ["腸", "ab"], "n": [1, 2]})).splitlines()
    assert lines[2:] == ["腸    1", "ab    2"]


def test_csv_keeps_full_precision_and_empty_cells(frame: pd.DataFrame) -> None:
    rows = list(csv.DictReader(io.StringIO(render.render(frame, format="csv", **SETTINGS))))
    assert list(rows[0]) == ["round", "model", "score", "sd", "frames", "paper"]
    assert float(rows[0]["score"]) == 1 / 3
    assert rows[2]["score"] == ""
    assert [row["paper"] for row in rows] == ["False", "False", "False", "True"]


def test_json_keeps_full_precision_and_metadata(frame: pd.DataFrame) -> None:
    values = json.loads(render.render(frame, format="json", **SETTINGS))
    assert values["metadata"] == {"seed": 1}
    assert values["title"] == "Leaderboard"
    assert values["rows"][0] == {
        "round": 1,
        "model": "unet",
        "score": 1 / 3,
        "sd": 0.1,
        "frames": 1090,
        "paper": False,
    }
    assert values["rows"][2]["score"] is None


def test_json_has_no_infinity() -> None:
    text = render.render(pd.DataFrame({"px": [float("inf"), 1.5]}), format="json")
    assert json.loads(text)["rows"] == [{"px": "inf"}, {"px": 1.5}]


def test_markdown_marks_the_best_of_each_group(frame: pd.DataFrame) -> None:
    text = render.render(frame, format="markdown", **SETTINGS)
    assert "| Model | Score | Frames |\n| :-- | --: | --: |\n" in text
    assert "| triunet | **0.544 ± 0.200** | 109 |" in text
    assert text.count("**0.") == 1


def test_markdown_escapes_what_it_would_read() -> None:
    text = render.render(pd.DataFrame({"a|b": ["C1_*x*"]}), format="markdown")
    assert text == "| a\\|b |\n| :-- |\n| C1\\_\\*x\\* |\n"


def test_latex_is_booktabs_with_the_best_in_bold(frame: pd.DataFrame) -> None:
    text = render.render(frame, format="latex", **SETTINGS)
    assert "\\begin{tabular}{lrr}" in text
    assert "    triunet & \\textbf{0.544 $\\pm$ 0.200} & 109 \\\\\n" in text
    assert "    \\midrule\n    unet $\\dagger$ & 0.917" in text
    assert text.count("\\toprule") == text.count("\\bottomrule") == 1


def test_latex_escapes_its_own_signs() -> None:
    text = render.render(pd.DataFrame({"50%": ["a_b & {c} #1 $x$ \\ ~ ^"]}), format="latex")
    assert "    50\\% \\\\" in text
    assert (
        "    a\\_b \\& \\{c\\} \\#1 \\$x\\$ \\textbackslash{} \\textasciitilde{} "
        "\\textasciicircum{} \\\\"
    ) in text


def test_a_terminal_gets_colour_and_separators(frame: pd.DataFrame) -> None:
    screen = io.StringIO()
    drawn = render.rich_table(frame, **SETTINGS)
    Console(file=screen, force_terminal=True, width=100, color_system="standard").print(drawn)
    text = screen.getvalue()
    assert "\x1b[1;32m0.544 ± 0.200" in text
    assert "\x1b[2munet †" in text


def test_a_narrow_terminal_folds_and_hides_nothing(frame: pd.DataFrame) -> None:
    screen = io.StringIO()
    Console(file=screen, width=24).print(render.rich_table(frame, **SETTINGS))
    assert "…" not in screen.getvalue()


def test_show_writes_plain_text_into_a_pipe(
    frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    render.show(frame, **SETTINGS)
    assert capsys.readouterr().out == render.render(frame, **SETTINGS)


@pytest.mark.parametrize("format_", [*render.FORMATS, "svg"])
def test_a_table_without_rows_has_its_head(frame: pd.DataFrame, format_: Format) -> None:
    text = render.render(frame.iloc[:0], format=format_, **SETTINGS)
    assert text.endswith("\n")
    assert "Model" in text or "model" in text or '"rows": []' in text


def test_a_column_that_is_not_there_raises(frame: pd.DataFrame) -> None:
    with pytest.raises(KeyError, match="iou"):
        render.render(frame, columns=["model", "iou"])


def test_the_picture_is_svg_with_every_row(frame: pd.DataFrame) -> None:
    picture = render.svg(frame, command="harness leaderboard", **SETTINGS)
    assert picture.startswith("<svg")
    for text in ("harness&#160;leaderboard", "divergentnets", "0.544", "Leaderboard"):
        assert text in picture
    assert "url(http" not in picture

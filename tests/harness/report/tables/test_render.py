from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from harness.report.tables import render
from harness.report.tables.choices import FORMATS, Format
from harness.report.tables.columns import Column
from harness.report.tables.view import View


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


METADATA = {"seed": 1}


@pytest.fixture
def view(frame: pd.DataFrame) -> View:
    return View(
        frame=frame,
        columns=[
            Column(key="model", title="Model"),
            Column(key="score", title="Score", decimals=3, best="max", sd="sd"),
            Column(key="frames", title="Frames"),
        ],
        group="round",
        reference_note="Table 4 of the paper",
        title="Leaderboard",
        caption="mean over frames",
    )


def test_plain_text_is_aligned_and_marks_the_reference(view: View) -> None:
    assert view.render() == (
        "Leaderboard\n"
        "\n"
        "Model                  Score    Frames\n"
        "-------------  -------------  --------\n"
        "unet           0.333 ± 0.100     1,090\n"
        "triunet        0.544 ± 0.200       109\n"
        "divergentnets              -        61\n"
        "-------------  -------------  --------\n"
        "unet †         0.917 ± 0.168         0\n"
        "\n"
        "mean over frames\n"
        "† Table 4 of the paper\n"
    )


def test_plain_text_is_never_cut() -> None:
    long = pd.DataFrame({"path": ["x" * 500], "advice": ["y" * 500]})
    assert "x" * 500 + "  " + "y" * 500 in View(frame=long).render()


def test_wide_characters_keep_the_columns_straight() -> None:
    pytest.importorskip("wcwidth")
    lines = View(frame=pd.DataFrame({"name": ["腸", "ab"], "n": [1, 2]})).render().splitlines()
    assert lines[2:] == ["腸        1", "ab        2"]


def test_csv_keeps_full_precision_and_empty_cells(view: View) -> None:
    rows = list(csv.DictReader(io.StringIO(view.render("csv"))))
    assert list(rows[0]) == ["round", "model", "score", "sd", "frames", "paper"]
    assert float(rows[0]["score"]) == 1 / 3
    assert rows[2]["score"] == ""
    assert [row["paper"] for row in rows] == ["False", "False", "False", "True"]


def test_csv_holds_no_formula_of_a_stranger() -> None:
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "unet", ""]
    frame = pd.DataFrame({"name": names, "gap": [-0.5] * len(names), "=h": [None] * len(names)})
    rows = list(csv.reader(io.StringIO(View(frame=frame).render("csv"))))
    assert rows[0] == ["name", "gap", "'=h"]
    assert [row[0] for row in rows[1:]] == [*(f"'{name}" for name in names[:5]), "unet", ""]
    assert {row[1] for row in rows[1:]} == {"-0.5"}


def test_json_keeps_full_precision_and_metadata(view: View) -> None:
    values = json.loads(view.render("json", METADATA))
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
    text = View(frame=pd.DataFrame({"px": [float("inf"), 1.5]})).render("json")
    assert json.loads(text)["rows"] == [{"px": "inf"}, {"px": 1.5}]


def test_markdown_marks_the_best_of_each_group(view: View) -> None:
    text = view.render("markdown")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert rows[2] == ["Model", "Score", "Frames"]
    assert [(cell[0], cell[-1]) for cell in rows[3]] == [(":", "-"), ("-", ":"), ("-", ":")]
    assert rows[5] == ["triunet", "**0.544 ± 0.200**", "109"]
    assert "\n\n† Table 4 of the paper\n" in text
    assert text.count("**0.") == 1


def test_markdown_escapes_what_it_would_read() -> None:
    text = View(frame=pd.DataFrame({"a|b": ["C1_*x*"]})).render("markdown")
    head, _, row = text.splitlines()
    assert head.split() == ["|", "a\\|b", "|"]
    assert row.split() == ["|", "C1\\_\\*x\\*", "|"]


def test_latex_is_booktabs_with_the_best_in_bold(view: View) -> None:
    text = re.sub(" +", " ", view.render("latex"))
    assert "\\begin{tabular}{lrr}" in text
    assert "\n triunet & \\textbf{0.544 $\\pm$ 0.200} & 109 \\\\\n" in text
    assert "\n \\midrule\n unet $\\dagger$ & 0.917" in text
    assert text.count("\\toprule") == text.count("\\bottomrule") == 1


def test_latex_escapes_its_own_signs() -> None:
    text = View(frame=pd.DataFrame({"50%": ["a_b & {c} #1 $x$ \\ ~ ^"]})).render("latex")
    assert re.search(r"^ *50\\% +\\\\$", text, flags=re.MULTILINE)
    assert (
        "    a\\_b \\& \\{c\\} \\#1 \\$x\\$ \\textbackslash{} \\textasciitilde{} "
        "\\textasciicircum{} \\\\"
    ) in text


def test_a_terminal_gets_colour_and_separators(view: View) -> None:
    screen = io.StringIO()
    drawn = render.rich_table(view.table())
    Console(file=screen, force_terminal=True, width=100, color_system="standard").print(drawn)
    text = screen.getvalue()
    assert "\x1b[1;32m0.544 ± 0.200" in text
    assert "\x1b[2munet †" in text


def test_a_narrow_terminal_breaks_no_number_and_hides_nothing(view: View) -> None:
    table = view.table()
    widths = [width for width in range(20, 100) if render.fitted(table, width)]
    assert widths == list(range(widths[0], 100))
    for width in widths:
        screen = io.StringIO()
        drawn = render.fitted(table, width)
        assert drawn is not None
        Console(file=screen, width=width).print(drawn)
        assert "0.544 ± 0.200" in screen.getvalue()
        assert "…" not in screen.getvalue()


def test_a_table_too_wide_for_a_terminal_comes_in_parts_that_name_their_rows(view: View) -> None:
    table = view.table()
    narrowest = next(width for width in range(10, 200) if render.fitted(table, width))
    for width in (narrowest - 1, narrowest - 4):
        screen = io.StringIO()
        parts = render.in_parts(table, width)
        assert len(parts) > 2
        for part in parts:
            Console(file=screen, width=width).print(part)
        lines = screen.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        assert "0.544 ± 0.200" in screen.getvalue()
        assert sum("unet †" in line for line in lines) == len(parts) - 1
        assert sum(table.title in line for line in lines) == 1
    assert len(render.in_parts(table, narrowest)) == 1
    assert render.in_parts(table, 10) == []


def test_text_that_is_folded_leaves_the_figures_whole(view: View) -> None:
    long = view.frame.assign(model="a team with quite a long name", note="as printed there")
    columns = ["model", "note", *(view.columns or ())[1:]]
    table = replace(view, frame=long, columns=columns).table()
    narrowest = next(width for width in range(10, 200) if render.fitted(table, width))
    for width in range(narrowest, narrowest + 40):
        screen = io.StringIO()
        Console(file=screen, width=width).print(render.fitted(table, width))
        assert all(cell.text in screen.getvalue() for cell in table.lines[0].cells[2:])
        for word in ["quite", "printed", "there"]:
            assert word in screen.getvalue()


def test_show_writes_plain_text_into_a_pipe(view: View, capsys: pytest.CaptureFixture[str]) -> None:
    view.show()
    assert capsys.readouterr().out == view.render()


@pytest.mark.parametrize("format_", [*FORMATS, "svg"])
def test_a_table_without_rows_has_its_head(view: View, format_: Format) -> None:
    text = replace(view, frame=view.frame.iloc[:0]).render(format_)
    assert text.endswith("\n")
    assert "Model" in text or "model" in text or '"rows": []' in text


def test_a_column_that_is_not_there_raises(view: View) -> None:
    with pytest.raises(KeyError, match="iou"):
        replace(view, columns=["model", "iou"]).render()


def test_the_picture_is_svg_with_every_row(view: View) -> None:
    picture = render.svg(view.table(), "harness leaderboard")
    assert picture.startswith("<svg")
    for text in ("harness&#160;leaderboard", "divergentnets", "0.544", "Leaderboard"):
        assert text in picture
    assert "url(http" not in picture


def test_a_picture_is_as_wide_as_the_table_needs() -> None:
    wide = pd.DataFrame({f"column_{n}": [(n + 1) / 9] for n in range(40)})
    picture = View(frame=wide).render("svg")
    assert all(str((n + 1) / 9) in picture for n in range(40))

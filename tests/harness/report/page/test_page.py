"""The figures on the page are those of the frame tables, and nothing is without unit or n."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from harness.report.page.content import PageContent
from harness.report.page.page import render
from harness.report.tables.view import View

MEMBERS = ("fpn", "triunet")


@pytest.fixture(scope="module")
def page(content: PageContent) -> str:
    return render(content)


def f1_of(content: PageContent) -> pd.DataFrame:
    """F1 by frame and model from the counts, with the organisers' smoothing."""
    polyp = content.frames[content.frames["class"] == "polyp"]
    overlap, rest = 2 * polyp["tp"] + 1e-15, polyp["fp"] + polyp["fn"]
    f1 = overlap / (overlap + rest)
    return polyp.assign(f1=f1).pivot(index="frame", columns="model", values="f1")


def table_of(page: str, title: str) -> list[list[str]]:
    """The cells of the table under a title."""
    part = page[page.index(f"<h3>{title}</h3>") :]
    body = re.search(r"<tbody>(.*?)</tbody>", part, flags=re.DOTALL)
    assert body
    return [
        [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td.*?</td>", row)]
        for row in re.findall(r"<tr.*?</tr>", body[1], flags=re.DOTALL)
    ]


def section_of(page: str, anchor: str) -> str:
    found = re.search(rf'<section id="{anchor}">.*?</section>', page, flags=re.DOTALL)
    assert found
    return found[0]


def plots_of(page: str, anchor: str) -> list[list[dict[str, Any]]]:
    """The data of each plot of a section, of its largest set of rows."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', section_of(page, anchor))
    specs = [json.loads(text) for text in found]
    return [max(spec["datasets"].values(), key=lambda rows: len(rows[0])) for spec in specs]


def test_everything_is_in_the_file_itself(page: str) -> None:
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?!#|data:)', own)
    assert "url(" not in own
    assert "@import" not in own
    assert "window.vegaEmbed" in page
    assert "&lt;preset&gt;" in page
    assert "something is left out" in page


def test_a_splits_own_ranking_comes_before_the_rounds(content: PageContent) -> None:
    rounds = View(frame=pd.DataFrame({"model": ["unet"]}), title="Leaderboard")
    headings = re.findall(
        "<h3>(.*?)</h3>",
        section_of(render(dataclasses.replace(content, leaderboard=rounds)), "ranking"),
    )
    assert headings[0] == "Score"
    assert headings[-1] == "Submissions to the rounds"


def test_frames_of_one_sequence_have_no_intervals(content: PageContent) -> None:
    one = dataclasses.replace(content, frames=content.frames.assign(sequence="seq1"), members=None)
    page = render(one)
    assert "all frames with a value, or all of a test set, are of one sequence" in page
    (score, *_) = plots_of(page, "ranking")
    assert {row["low"] for row in score} == {None}
    for text in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page):
        json.loads(text, parse_constant=pytest.fail)  # a browser reads no NaN


def test_the_chosen_class_is_called_by_its_name(content: PageContent) -> None:
    renamed = content.frames.replace({"class": {"polyp": "nucleus"}})
    page = render(dataclasses.replace(content, frames=renamed))
    for anchor in ("classes", "centres", "distribution", "training", "frames"):
        assert "polyp" not in section_of(page, anchor).lower(), anchor
    assert "F1 by size of the nucleus" in page
    assert "Nucleus contours" in page


def test_means_are_those_of_the_frame_table(content: PageContent, page: str) -> None:
    means = f1_of(content).mean()
    shown = {row[0]: float(row[2]) for row in table_of(page, "Polyp class")}

    assert shown == pytest.approx(
        {
            "U-Net": means["unet"],
            "FPN": means["fpn"],
            "TriUNet": means["triunet"],
            "DivergentNets": means["divergentnets"],
        },
        abs=5e-4,
    )
    assert {row[-1] for row in table_of(page, "Polyp class")} == {"14"}


def test_the_list_of_frames_is_the_frame_table(content: PageContent, page: str) -> None:
    f1 = f1_of(content)
    entries = json.loads(re.search(r'id="entries">(.*?)</script>', page)[1])  # type: ignore[index]

    assert len(entries) == 14
    for entry in entries:
        expected = f1.loc[entry["frame"], content.models]
        assert entry["f1"] == pytest.approx(expected.tolist())
        members = f1.loc[entry["frame"], list(MEMBERS)].mean()
        assert entry["gain"] == pytest.approx(expected["divergentnets"] - members)
    places = re.search(r'name="place">(.*?)</select>', page, re.DOTALL)[1]  # type: ignore[index]
    assert re.findall(r"<option>(.*?)</option>", places) == ["C1", "C2", "seq6_neg"]
    # A square of 20 of 48 x 64 pixels is 13 %, one of 9 is 3 %.
    strata = {entry["place"]: entry["stratum"] for entry in entries}
    assert strata == {"C1": "medium", "C2": "small", "seq6_neg": "none"}
    cells = table_of(page, "The same frames as a table")
    assert {row[0].strip(): float(row[3]) for row in cells} == pytest.approx(
        f1["unet"].to_dict(), abs=5e-4
    )


def test_centres_and_sizes_are_drawn_with_their_figures(content: PageContent, page: str) -> None:
    f1 = f1_of(content)
    by_centre, by_size = (
        {(row["group"], row["model"]): row["value"] for row in rows}
        for rows in plots_of(page, "centres")
    )
    centre = f1[f1.index.str.startswith("C2/")]
    assert by_centre["C2\n(n = 5)", "FPN"] == pytest.approx(centre["fpn"].mean(), abs=1e-5)
    assert by_size["small\n(n = 5)", "FPN"] == pytest.approx(centre["fpn"].mean(), abs=1e-5)
    empty = f1[f1.index.str.startswith("seq6")]
    assert by_size["none\n(n = 3)", "U-Net"] == pytest.approx(empty["unet"].mean(), abs=1e-5)
    rows = table_of(page, "By centre or sequence")
    assert len(rows) == 3 * len(content.models)


def test_disagreement_is_measured_on_every_frame(content: PageContent, page: str) -> None:
    assert content.members is not None
    f1 = f1_of(content)["divergentnets"]
    spread = content.members.divergence.set_index("frame")["disagreement"].loc[f1.index]
    row, variance = table_of(page, "Does disagreement predict errors?")

    assert float(row[1]) == pytest.approx(spread.mean(), abs=5e-4)
    assert row[2].split(" [")[0] == f"{spearmanr(spread, f1).statistic:.3f}"
    poor = f1 < 0.5
    expected = roc_auc_score(poor, spread) if poor.any() else None
    assert row[3].split(" [")[0] == ("-" if expected is None else f"{expected:.3f}")
    assert row[4:] == [str(int(poor.sum())), "14"]
    assert variance[0].startswith("variance of votes")


def test_the_gap_and_the_pairs_are_differences_of_means(content: PageContent, page: str) -> None:
    f1 = f1_of(content)
    there = f1[f1.index.str.startswith("C1/")]
    (gaps,) = plots_of(page, "generalisation")
    fpn = next(row for row in gaps if row["model"] == "FPN")
    assert fpn["start"] == pytest.approx(f1["fpn"].mean(), abs=1e-5)
    assert fpn["end"] == pytest.approx(there["fpn"].mean(), abs=1e-5)
    (pairs,) = plots_of(page, "pairs")
    found = {(row["row"], row["column"]): row["difference"] for row in pairs}
    difference = float(np.mean(f1["fpn"] - f1["unet"]))
    assert found["FPN", "U-Net"] == pytest.approx(difference, abs=1e-3)
    assert found["U-Net", "FPN"] == -found["FPN", "U-Net"]
    table = {
        (row[0], row[1]): float(row[2]) for row in table_of(page, "Differences in F1 as a table")
    }
    assert table["U-Net", "FPN"] == pytest.approx(-difference, abs=1e-3)


def test_curves_are_of_the_models_whose_maps_were_measured(page: str, content: PageContent) -> None:
    dice, precision, found = plots_of(page, "curves")
    shown = {content.styles[name].label for name in content.curves}
    assert len(shown) == 2
    for rows in (dice, precision, found):
        assert {row["model"] for row in rows} == shown
    half = [row for row in dice if row["x"] == 0.5 and row["model"] == "DivergentNets"]
    assert half[0]["low"] <= half[0]["y"] <= half[0]["high"]
    section = section_of(page, "curves")
    assert "By threshold" in section
    assert "AP by polyp" in section


def test_reliability_is_of_pixels_and_of_polyps(page: str, content: PageContent) -> None:
    pixels, polyps = plots_of(page, "calibration")
    for rows in (pixels, polyps):
        assert {row["model"] for row in rows} == {"U-Net", "DivergentNets"}
        assert all(0 <= row[name] <= 1 for row in rows for name in ("x", "y"))
    assert "1.30" in section_of(page, "calibration")


def test_a_curve_of_polyps_found_starts_where_none_is_and_ends_with_the_data(page: str) -> None:
    found = plots_of(page, "curves")[-1]
    for model in ("U-Net", "DivergentNets"):
        first, *others = [(row["x"], row["y"]) for row in found if row["model"] == model]
        assert first == (0, 0)
        assert others
    (spec,) = re.findall(r'"domain": \[-[\d.]+, ([\d.]+)\]', section_of(page, "curves"))[-2:-1]
    assert float(spec) < 4


def test_a_section_of_tables_alone_is_unfolded(page: str, content: PageContent) -> None:
    assert "<details>" in section_of(page, "generalisation")
    alone = render(dataclasses.replace(content, elsewhere={}))
    assert "<details open>" in section_of(alone, "generalisation")


def test_no_figure_is_without_n_and_unit(page: str) -> None:
    plots = re.findall(r'<figure class="plot">(.*?)</figure>', page, flags=re.DOTALL)
    assert len(plots) == 15
    for plot in plots:
        title = re.search("<h3>(.*?)</h3>", plot)
        assert title
        caption = re.search(r"<figcaption>(.*?)</figcaption>", plot, flags=re.DOTALL)
        assert caption and re.search(r"n = \d", caption[1]), title[1]  # noqa: PT018
        assert re.search(r"0 to 1|rank, 1 is best|mean over steps", plot), title[1]
    for table in re.findall(r'<figure class="table">(.*?)</figure>', page, flags=re.DOTALL):
        assert re.search(r"Frames<|n = \d|With polyp<|Reference|From<", table), table[:200]


def test_every_frame_of_a_plot_can_be_found_in_the_list(content: PageContent, page: str) -> None:
    (dots,) = plots_of(page, "distribution")
    assert {row["frame"] for row in dots} == set(content.frames["frame"])
    assert len(dots) == 14 * len(content.models)
    (marks,) = plots_of(page, "disagreement")
    assert {row["frame"] for row in marks} == set(content.frames["frame"])


def test_curves_are_the_histories(page: str) -> None:
    f1, loss = plots_of(page, "training")
    assert [row["value"] for row in f1] == [0.1, 0.4, 0.6, 0.2, 0.3, 0.5]
    assert [row["value"] for row in loss if row["model"] == "U-Net"] == [0.9, 0.5, 0.3]
    assert table_of(page, "Best and last epochs")[0] == [
        "U-Net",
        "3",
        "3",
        "0.600",
        "0.600",
        "0.300",
    ]


def test_one_model_without_pictures_has_a_page(content: PageContent) -> None:
    alone = content.frames[content.frames["model"] == "unet"]
    page = render(
        dataclasses.replace(
            content, frames=alone, cards=[], ensemble="", members=None,
            histories={}, elsewhere={}, notes=[],
        )
    )  # fmt: skip
    assert "<title>Val split: 1 model on 14 frames</title>" in page
    assert 'id="pairs"' not in page
    assert "largest gain" not in page
    assert "<dialog" not in page

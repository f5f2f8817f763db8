"""The figures on the page are those of the frame tables, and nothing is without unit or n."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from harness.report.page.content import PageContent
from harness.report.page.frame_list import frame_list
from harness.report.page.page import render


@pytest.fixture
def page(source: PageContent) -> str:
    return render(source)


def f1_of(source: PageContent) -> pd.DataFrame:
    """F1 by frame and model from the counts, with the organisers' smoothing."""
    polyp = source.frames[source.frames["class"] == "polyp"]
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


def test_everything_is_in_the_file_itself(page: str) -> None:
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "url(" not in page
    assert "@import" not in page
    assert "&lt;preset&gt;" in page
    assert "something is left out" in page


def test_means_are_those_of_the_frame_table(source: PageContent, page: str) -> None:
    means = f1_of(source).mean()
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


def test_the_list_of_frames_is_the_frame_table(source: PageContent, page: str) -> None:
    f1 = f1_of(source)
    entries = json.loads(re.search(r'id="entries">(.*?)</script>', page)[1])  # type: ignore[index]

    assert len(entries) == 14
    for entry in entries:
        expected = f1.loc[entry["frame"], source.models]
        assert entry["f1"] == pytest.approx(expected.tolist())
        members = f1.loc[entry["frame"], list(source.members)].mean()
        assert entry["improved"] == pytest.approx(expected["divergentnets"] - members)
    assert frame_list(source).places == ["C1", "C2", "seq6_neg"]
    # A square of 20 of 48 x 64 pixels is 13 %, one of 9 is 3 %.
    strata = {entry["place"]: entry["stratum"] for entry in entries}
    assert strata == {"C1": "medium", "C2": "small", "seq6_neg": "none"}
    cells = table_of(page, "The same frames as a table")
    assert {row[0].strip(): float(row[3]) for row in cells} == pytest.approx(
        f1["unet"].to_dict(), abs=5e-4
    )


def test_places_and_sizes_are_drawn_with_their_figures(source: PageContent, page: str) -> None:
    f1 = f1_of(source)
    section = html.unescape(section_of(page, "places"))
    centre = f1[f1.index.str.startswith("C2/")]
    assert f"FPN, C2 (n = 5): {centre['fpn'].mean():.3f}" in section
    assert f"FPN, small (n = 5): {centre['fpn'].mean():.3f}" in section
    empty = f1[f1.index.str.startswith("seq6")]
    assert f"U-Net, none (n = 3): {empty['unet'].mean():.3f}" in section


def test_disagreement_is_measured_on_every_frame(source: PageContent, page: str) -> None:
    assert source.divergence is not None
    f1 = f1_of(source)["divergentnets"]
    spread = source.divergence.set_index("frame")["disagreement"].loc[f1.index]
    row, variance = table_of(page, "Does disagreement foretell a poor prediction?")

    assert float(row[1]) == pytest.approx(spread.mean(), abs=5e-4)
    assert row[2].split(" [")[0] == f"{spearmanr(spread, f1).statistic:.3f}"
    poor = f1 < 0.5
    expected = roc_auc_score(poor, spread) if poor.any() else None
    assert row[3].split(" [")[0] == ("-" if expected is None else f"{expected:.3f}")
    assert row[4:] == [str(int(poor.sum())), "14"]
    assert variance[0].startswith("variance of votes")


def test_the_gap_and_the_pairs_are_differences_of_means(source: PageContent, page: str) -> None:
    f1 = f1_of(source)
    there = f1[f1.index.str.startswith("C1/")]
    gap = html.unescape(section_of(page, "gaps"))
    assert f"FPN: val split {f1['fpn'].mean():.3f}, test split {there['fpn'].mean():.3f}" in gap
    pairs = html.unescape(section_of(page, "pairs"))
    difference = float(np.mean(f1["fpn"] - f1["unet"]))
    assert f"FPN less U-Net: {difference:+.3f}" in pairs
    assert f"U-Net less FPN: {-difference:+.3f}" in pairs


def test_no_figure_is_without_n_and_unit(page: str) -> None:
    plots = re.findall(r'<figure class="plot">(.*?)</figure>', page, flags=re.DOTALL)
    assert len(plots) == 10
    for plot in plots:
        title = re.search("<h3>(.*?)</h3>", plot)
        assert title
        caption = re.search(r"<figcaption>(.*?)</figcaption>", plot, flags=re.DOTALL)
        assert caption and re.search(r"n = \d", caption[1]), title[1]  # noqa: PT018
        assert re.search(r"0 to 1|rank, 1 is best|mean over steps", plot), title[1]
    for table in re.findall(r'<figure class="table">(.*?)</figure>', page, flags=re.DOTALL):
        assert re.search(r"Frames<|n = \d|With polyp<|Reference|From<", table), table[:200]


def test_plots_are_well_formed_for_wide_and_narrow_screens(page: str) -> None:
    drawn = re.findall(r'<svg class="(wide|narrow)".*?</svg>', page, flags=re.DOTALL)
    assert sorted(set(drawn)) == ["narrow", "wide"]
    assert drawn.count("wide") == drawn.count("narrow") == 10
    for svg in re.findall(r'<svg class="(?:wide|narrow)".*?</svg>', page, flags=re.DOTALL):
        ET.fromstring(svg)


def test_one_model_without_pictures_has_a_page(source: PageContent) -> None:
    alone = source.frames[source.frames["model"] == "unet"]
    page = render(
        dataclasses.replace(
            source, frames=alone, cards=[], divergence=None, ensemble="", members=[],
            histories={}, elsewhere={}, notes=[],
        )
    )  # fmt: skip
    assert "1 model on 14 frames" in page
    assert 'id="pairs"' not in page
    assert "most improved" not in page
    assert "<dialog" not in page

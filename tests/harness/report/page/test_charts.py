"""Specifications hold their figures, and Vega draws them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import vl_convert

from harness.report.page import charts, charts_curves, charts_xy, vega
from harness.report.page.charts_xy import probability
from harness.report.page.style import Style, styles
from harness.report.page.vega import Spec

A, B = styles(["A & B", "B"])


def rows_of(spec: Spec) -> list[dict[str, Any]]:
    """The data of a specification that has one set of rows, or the set with the most columns."""
    found: list[dict[str, Any]] = max(spec["datasets"].values(), key=lambda rows: len(rows[0]))
    return found


def drawn(spec: Spec) -> str:
    svg: str = vl_convert.vegalite_to_svg(spec)
    return svg


def test_figures_with_intervals() -> None:
    estimates = [
        (A, 0.8, 0.7, 0.9),
        (B, 0.5, 0.4, 0.6),
    ]
    spec = charts.intervals(estimates, title="Score", axis="score, 0 to 1")
    assert rows_of(spec) == [
        {"model": "A & B", "value": 0.8, "low": 0.7, "high": 0.9},
        {"model": "B", "value": 0.5, "low": 0.4, "high": 0.6},
    ]
    svg = drawn(spec)
    assert "A &amp; B" in svg
    assert ">0.800</text>" in svg
    assert A.colour in svg
    assert B.colour in svg


def test_ranks_have_whole_ticks() -> None:
    estimates = [
        (A, 1, 1, 2),
        (B, 2, 1, 2),
    ]
    svg = drawn(charts.intervals(estimates, title="Rank", axis="rank, 1 is best", whole=True))
    assert set(re.findall(r">([\d.]+)</text>", svg)) == {"1", "2"}


def test_one_dot_a_frame_and_the_median() -> None:
    values = [(A, [(f"f{n}", n / 4) for n in range(5)]), (B, [("f0", 0.25)])]
    spec = charts.distributions(values, title="F1", axis="F1 of a frame, 0 to 1")
    assert [(row["frame"], row["value"]) for row in rows_of(spec)][:2] == [("f0", 0), ("f1", 0.25)]
    svg = drawn(spec)
    assert svg.count('aria-roledescription="circle"') == 6
    assert ">0.500</text>" in svg


def test_each_group_has_a_mark_a_model() -> None:
    rows = [("C1", 4, [(A, 0.25), (B, 0.75)]), ("C2", 1, [(A, 1.0)])]
    spec = charts.groups(rows, title="F1", axis="mean F1, 0 to 1")
    assert [(row["group"], row["model"], row["value"]) for row in rows_of(spec)] == [
        ("C1\n(n = 4)", "A & B", 0.25),
        ("C1\n(n = 4)", "B", 0.75),
        ("C2\n(n = 1)", "A & B", 1.0),
    ]
    assert drawn(spec).count('aria-roledescription="point"') == 3


def test_from_set_to_set() -> None:
    spec = charts.spans([(A, 0.8, 0.6)], names=("val", "test"), title="gap", axis="mean F1, 0 to 1")
    assert rows_of(spec) == [{"model": "A & B", "start": 0.8, "end": 0.6, "gap": -0.2}]
    assert ">−0.200</text>" in drawn(spec)


def test_poor_frames_are_marked() -> None:
    points = [("f1", 0.1, 0.9), ("f2", 0.8, 0.2), ("f3", 0.9, 0.5)]
    spec = charts_xy.scatter(points, title="F1", across="disagreement", up="F1", below=0.5)
    assert [row["poor"] for row in rows_of(spec)] == [False, True, False]
    svg = drawn(spec)
    assert svg.count(vega.MARK) == 2
    assert "disagreement" in svg


def test_curves_end_with_their_mark() -> None:
    dashed = Style(label="C", colour=A.colour, shape="square", dashed=True)
    curve = [(1.0, 0.2), (2.0, 0.4), (3.0, 0.8)]
    spec = charts_xy.lines([(A, curve), (dashed, curve)], title="F1 by epoch", axis="F1, 0 to 1")
    assert [row["last"] for row in rows_of(spec)] == [False, False, True] * 2
    svg = drawn(spec)
    assert svg.count('stroke-dasharray="2,3"') >= 1
    assert svg.count('aria-roledescription="point"') == 2


def test_a_curve_without_a_band_is_still_drawn() -> None:
    curve = pd.DataFrame({"x": [0.1, 0.9], "y": [0.2, 0.4], "low": np.nan, "high": np.nan})
    spec = charts_curves.bands([(A, curve)], title="Dice", axes=("threshold", "Dice"))
    assert [(row["x"], row["y"], row["low"]) for row in rows_of(spec)] == [
        (0.1, 0.2, None),
        (0.9, 0.4, None),
    ]


def test_the_matrix_says_which_model_is_better() -> None:
    cells = {
        (0, 1): (0.125, 0.0004),
        (1, 0): (-0.125, 0.0004),
    }
    spec = charts_xy.matrix([A, B], cells, title="pairs")
    first, second = rows_of(spec)
    assert (first["row"], first["column"], first["better"]) == ("A & B", "B", True)
    assert (second["difference"], second["p"], second["better"]) == (-0.125, "p < 0.001", False)
    svg = drawn(spec)
    assert ">+0.13</text>" in svg
    assert ">−0.13</text>" in svg


@pytest.mark.parametrize(
    "make",
    [
        lambda: charts.distributions([(A, [])], title="F1", axis="F1"),
        lambda: charts.distributions([(A, [("f", 0.5)])], title="F1", axis="F1"),
        lambda: charts_xy.lines([(A, [(1.0, 0.5)])], title="F1", axis="F1"),
        lambda: charts.intervals([(A, 0.5, 0.5, 0.5)], title="F1", axis="F1"),
    ],
)
def test_few_figures(make: Callable[[], Spec]) -> None:
    assert "<svg" in drawn(make())


@pytest.mark.parametrize("epochs", [2, 3])
def test_few_epochs_have_one_label_each(epochs: int) -> None:
    curve = [(float(epoch), 0.5 + epoch / 10) for epoch in range(1, 1 + epochs)]
    svg = drawn(charts_xy.lines([(A, curve)], title="F1 by epoch", axis="F1"))
    labels = re.findall(r">(\d)</text>", svg)
    assert labels == [str(epoch) for epoch in range(1, 1 + epochs)]


def test_plots_are_as_wide_as_their_place() -> None:
    spec = charts_xy.lines([(A, [(1.0, 0.5)])], title="F1 by epoch", axis="F1")
    assert spec["width"] == "container"
    assert spec["description"] == "F1 by epoch"


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "p < 0.001"), (0.042, "p = 0.042"), (1.0, "p = 1.000")]
)
def test_probabilities(p: float, text: str) -> None:
    assert probability(p) == text

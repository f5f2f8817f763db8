"""Plots of many models at once: every figure in its place."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from harness.report.page import grids
from harness.report.page.grids import Group, Pair, probability
from harness.report.page.svg import NARROW, WIDE, Canvas, styles


@pytest.fixture(params=[WIDE, NARROW], ids=lambda canvas: canvas.name)
def canvas(request: pytest.FixtureRequest) -> Canvas:
    found: Canvas = request.param
    return found


def test_each_group_has_a_mark_a_model(canvas: Canvas) -> None:
    a, b = styles(["A", "B"])
    rows = [
        Group(label="C1", n=4, values=[(a, 0.25), (b, 0.75)]),
        Group(label="C2", n=1, values=[(a, 1.0)]),
    ]
    svg = grids.groups(rows, title="F1", axis="mean F1", canvas=canvas)
    ET.fromstring(svg)
    across = [float(x) for x in re.findall(r"translate\(([\d.]+) ", svg)]
    span = canvas.stop - canvas.left
    expected = [canvas.left + share * span for share in (0.25, 0.75, 1.0)]
    assert across == pytest.approx(expected, abs=0.1)
    assert "n = 4" in svg
    assert "B, C1 (n = 4): 0.750" in svg


def test_from_set_to_set(canvas: Canvas) -> None:
    svg = grids.spans(
        [("A", 0.8, 0.6)], names=("val", "test"), title="gap", axis="F1", canvas=canvas
    )
    ET.fromstring(svg)
    ring, dot = (float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg))
    assert dot < ring
    assert "A: val 0.800, test 0.600" in svg
    assert "-0.200" in svg


def test_poor_frames_are_crosses(canvas: Canvas) -> None:
    points = [("f1", 0.1, 0.9), ("f2", 0.8, 0.2), ("f3", 0.9, 0.5)]
    svg = grids.cloud(points, title="F1", across="disagreement", up="F1", below=0.5, canvas=canvas)
    ET.fromstring(svg)
    assert svg.count('class="cross"') == 1
    assert svg.count('class="point"') == 2
    assert "f2: disagreement 0.800, F1 0.200" in svg


def test_the_matrix_says_who_is_better(canvas: Canvas) -> None:
    cells = {
        (0, 1): Pair(difference=0.125, p=0.0004, told=True),
        (1, 0): Pair(difference=-0.125, p=0.0004, told=True),
    }
    svg = grids.matrix(["A", "A long name indeed"], cells, title="pairs", canvas=canvas)
    ET.fromstring(svg)
    assert "A less A long name indeed: +0.125, p &lt; 0.001" in svg
    first, second = re.findall(r'fill="(#\w+)" fill-opacity="0.55"', svg)
    assert first != second
    assert svg.count("cell strong") == 2


@pytest.mark.parametrize(
    ("p", "text", "short"),
    [(0.0004, "p < 0.001", "<.01"), (0.042, "p = 0.042", ".04"), (1.0, "p = 1.000", "1")],
)
def test_probabilities(p: float, text: str, short: str) -> None:
    assert probability(p) == text
    assert probability(p, short=True) == short

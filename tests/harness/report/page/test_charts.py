"""Plots are well-formed SVG with every figure in its place."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from harness.report.page import charts
from harness.report.page.charts import Estimate
from harness.report.page.svg import styles


def positions(svg: str, pattern: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, svg)]


def test_figures_with_intervals_lie_in_order() -> None:
    estimates = [
        Estimate(label="A & B", value=0.8, low=0.7, high=0.9),
        Estimate(label="C", value=0.5, low=0.4, high=0.6),
    ]
    svg = charts.intervals(estimates, title="Score", axis="score, 0 to 1")
    ET.fromstring(svg)
    assert "A &amp; B: 0.800 [0.700, 0.900]" in svg
    first, second = positions(svg, r'<circle cx="([\d.]+)"')
    assert second < first
    starts = positions(svg, r'<line x1="([\d.]+)" x2="[\d.]+" y1="[\d.]+" y2="[\d.]+" class="int')
    assert starts[0] < first and starts[1] < second  # noqa: PT018


def test_one_dot_a_value_and_the_quartiles() -> None:
    svg = charts.distributions({"A": [0.0, 0.25, 0.5, 0.75, 1.0]}, title="F1", axis="F1")
    ET.fromstring(svg)
    dots = positions(svg, r"M([\d.]+) [\d.]+h0")
    assert len(dots) == 5
    (box,) = positions(svg, r'<rect x="([\d.]+)"')
    assert box == pytest.approx(dots[1], abs=0.1)
    assert "median 0.500" in svg


def test_curves_go_up_where_figures_do() -> None:
    style = styles(["A"])[0]
    svg = charts.lines([(style, [(1, 0.2), (2, 0.4), (3, 0.8)])], title="F1", axis="F1")
    ET.fromstring(svg)
    (points,) = re.findall(r'points="([^"]+)"', svg)
    across, up = zip(*(map(float, point.split(",")) for point in points.split()), strict=True)
    assert list(across) == sorted(across)
    assert list(up) == sorted(up, reverse=True)
    assert "A: 0.800 after epoch 3" in svg
    assert charts.lines([], title="F1", axis="F1") == ""


def test_the_ends_of_an_axis_can_be_given() -> None:
    estimate = Estimate(label="A", value=2, low=1, high=3)
    svg = charts.intervals([estimate], title="Rank", axis="rank", decimals=0, ends=(1, 3))
    assert "A: 2 [1, 3]" in svg
    assert ">1</text>" in svg
    assert ">0</text>" not in svg
    assert "1.5" not in svg


@pytest.mark.parametrize("values", [[], [0.5]])
def test_few_values(values: list[float]) -> None:
    ET.fromstring(charts.distributions({"A": values}, title="F1", axis="F1"))

"""Marks, colours and scales that the plots share."""

from __future__ import annotations

import pytest

from harness.report.page import svg
from harness.report.page.svg import COLOURS, LEADING, NARROW, Scale


def test_models_are_told_apart_by_colour_and_by_shape() -> None:
    names = [f"m{n}" for n in range(16)]
    found = svg.styles(names, leading="m3")
    assert found[3].colour == LEADING
    assert [style.colour for style in found].count(LEADING) == 1
    assert len({(style.colour, style.shape) for style in found}) == 16
    assert len({(style.colour, style.dashed) for style in found[:8]}) == 8
    assert {style.colour for style in found} == {*COLOURS, LEADING}


@pytest.mark.parametrize(("low", "high"), [(0.62, 0.91), (0.5, 0.5), (-3.0, 41.0)])
def test_a_scale_begins_and_ends_on_round_figures(low: float, high: float) -> None:
    scale = Scale.around(low, high, 100, 200)
    ticks = scale.ticks()
    assert ticks[0] == pytest.approx(scale.low)
    assert ticks[-1] == pytest.approx(scale.high)
    assert 2 <= len(ticks) <= 7
    assert 100 <= scale(low) <= scale(high) <= 200


def test_texts_are_escaped() -> None:
    style = svg.styles(["<b>"])[0]
    drawn = svg.legend([style]) + svg.mark(style, 0, 0, title="<i>")
    drawn += svg.row_label(NARROW, "a & b", 0) + svg.drawing(NARROW, [], 1, '"')
    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert "a &amp; b" in drawn
    assert 'aria-label="&quot;"' in drawn

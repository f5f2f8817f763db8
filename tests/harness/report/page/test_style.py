"""Colours and shapes of the models."""

from __future__ import annotations

from harness.report.page.style import COLOURS, HIGHLIGHT, styles


def test_models_are_told_apart_by_colour_and_by_shape() -> None:
    names = [f"m{n}" for n in range(16)]
    found = styles(names, highlighted="m3")
    assert found[3].colour == HIGHLIGHT
    assert [style.colour for style in found].count(HIGHLIGHT) == 1
    assert len({(style.colour, style.shape) for style in found}) == 16
    assert len({(style.colour, style.dashed) for style in found[:8]}) == 8
    assert {style.colour for style in found} == {*COLOURS, HIGHLIGHT}

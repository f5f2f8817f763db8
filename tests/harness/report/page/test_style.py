"""Colours and shapes of the models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.report.page import page
from harness.report.page.style import COLOURS, HIGHLIGHT, styles


def test_models_are_told_apart_by_colour_and_by_shape() -> None:
    names = [f"m{n}" for n in range(16)]
    found = styles(names, highlighted="m3")
    assert found[3].colour == HIGHLIGHT
    assert [style.colour for style in found].count(HIGHLIGHT) == 1
    assert len({(style.colour, style.shape) for style in found}) == 16
    assert len({(style.colour, style.dashed) for style in found[:8]}) == 8
    assert {style.colour for style in found} == {*COLOURS, HIGHLIGHT}


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2, of '#RRGGBB'."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", [*COLOURS, HIGHLIGHT])
def test_every_colour_is_seen_on_light_and_dark_pages(colour: str) -> None:
    css = Path(page.__file__).with_name("templates").joinpath("report.css").read_text()
    pages = re.findall(r"--page: (#\w{6})", css)
    assert len(pages) == 2
    for background in pages:
        dark, light = sorted(map(luminance, (colour, background)))
        assert (light + 0.05) / (dark + 0.05) > 2.2

"""Plots of one figure a model as SVG: they take their colours from the page, light or dark.

Pure functions of figures; each returns one ``<svg>`` element.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from harness.report.page.svg import (
    WIDE,
    Canvas,
    Scale,
    Style,
    axis_below,
    axis_left,
    drawing,
    mark,
    row_label,
    value_label,
)

_ROW: Final = 30
_FOOT: Final = 44
_INSET: Final = 14


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        label: What it is of.
        value: The figure.
        low: Lower limit; the value itself where there is no interval.
        high: Upper limit.
    """

    label: str
    value: float
    low: float
    high: float


def intervals(
    estimates: Sequence[Estimate],
    *,
    title: str,
    axis: str,
    canvas: Canvas = WIDE,
    decimals: int = 3,
    ends: tuple[float, float] | None = None,
) -> str:
    """A dot and a line for each figure and its interval, one under the other.

    Args:
        estimates: In the order from top to bottom.
        title: What a screen reader says of the plot.
        axis: What the axis shows, with its unit.
        canvas: How wide it is drawn.
        decimals: Digits of the figures behind the point.
        ends: Of the axis; by default round figures around the estimates.
    """
    low = min((e.low for e in estimates), default=0.0)
    high = max((e.high for e in estimates), default=1.0)
    scale = Scale.around(low, high, canvas.left, canvas.stop)
    if ends:
        inside = canvas.left + _INSET, canvas.stop - _INSET
        scale = Scale(*ends, *inside, whole=decimals == 0)
    height = _ROW * len(estimates) + _FOOT
    parts = [axis_below(scale, height - 40, axis)]
    for place, estimate in enumerate(estimates):
        y = _ROW * place + _ROW / 2
        value, first, last = (
            f"{figure:.{decimals}f}" for figure in (estimate.value, estimate.low, estimate.high)
        )
        parts.append(
            f"<g><title>{escape(estimate.label)}: {value} [{first}, {last}]</title>"
            f"{row_label(canvas, estimate.label, y)}"
            f'<line x1="{scale(estimate.low):.1f}" x2="{scale(estimate.high):.1f}" y1="{y}" '
            f'y2="{y}" class="interval"/><circle cx="{scale(estimate.value):.1f}" cy="{y}" r="5" '
            f'class="dot"/>{value_label(canvas, value, y)}</g>'
        )
    return drawing(canvas, parts, height, title)


def distributions(
    values: Mapping[str, Sequence[float]], *, title: str, axis: str, canvas: Canvas = WIDE
) -> str:
    """Every value of each series as a dot, with the quartiles as a box.

    Args:
        values: Label to its values, each from 0 to 1.
        title: What a screen reader says of the plot.
        axis: What the axis shows, with its unit.
        canvas: How wide it is drawn.
    """
    scale = Scale(0.0, 1.0, canvas.left, canvas.stop)
    row = _ROW + 10
    height = row * len(values) + _FOOT
    parts = [axis_below(scale, height - 40, axis)]
    for place, (label, series) in enumerate(values.items()):
        y = row * place + row / 2
        parts.append(row_label(canvas, label, y))
        if not series:
            continue
        # One path of round-capped points of no length: a tenth of the size of as many circles.
        dots = "".join(
            f"M{scale(value):.1f} {y + _spread(number):.1f}h0"
            for number, value in enumerate(series)
        )
        first, median, third = (_quantile(series, share) for share in (0.25, 0.5, 0.75))
        parts.append(
            f'<path class="points" d="{dots}"/>'
            f'<rect x="{scale(first):.1f}" y="{y - 11}" height="22" class="box" '
            f'width="{max(scale(third) - scale(first), 1):.1f}"/>'
            f'<line x1="{scale(median):.1f}" x2="{scale(median):.1f}" y1="{y - 11}" y2="{y + 11}" '
            f'class="median"><title>{escape(label)}: median {median:.3f}</title></line>'
            f"{value_label(canvas, f'{median:.3f}', y)}"
        )
    return drawing(canvas, parts, height, title)


def lines(
    series: Sequence[tuple[Style, Sequence[tuple[float, float]]]],
    *,
    title: str,
    axis: str,
    canvas: Canvas = WIDE,
) -> str:
    """Curves over epochs, each with its mark at its end.

    Args:
        series: Styles with their points (epoch, value).
        title: What a screen reader says of the plot.
        axis: What the upright axis shows, with its unit.
        canvas: How wide it is drawn.
    """
    points = [point for _, curve in series for point in curve]
    if not points:
        return ""
    height, left, top, bottom = 300, 50, 26, 252
    last = max(2.0, *(x for x, _ in points))
    across = Scale(1.0, last, left, canvas.width - 14)
    up = Scale.around(min(y for _, y in points), max(y for _, y in points), bottom, top)
    middle = (left + across.stop) / 2
    parts = [
        axis_left(up, left, across.stop),
        f'<text x="0" y="12">{escape(axis)}</text>',
        f'<text x="{left}" y="{bottom + 18}" text-anchor="middle">1</text>',
        f'<text x="{across.stop}" y="{bottom + 18}" text-anchor="end">{last:g}</text>',
        f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">epoch</text>',
    ]
    for style, curve in series:
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in curve)
        x, y = curve[-1]
        dashes = ' stroke-dasharray="2 4"' if style.dashed else ""
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{style.colour}" stroke-width="2"'
            f"{dashes}/>"
            + mark(style, across(x), up(y), title=f"{style.label}: {y:.3f} after epoch {x:g}")
        )
    return drawing(canvas, parts, height, title)


def _spread(number: int) -> float:
    """Dots of one value beside each other: a fixed pattern, so that a page is reproducible."""
    return (number * 7 % 17) - 8.0


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])

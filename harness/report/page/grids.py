"""Plots of many models at once as SVG: by place or size, from set to set, pair by pair.

Pure functions of figures; each returns one ``<svg>`` element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from harness.report.page.svg import (
    LEADING,
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

_STEP: Final = 11
_ROW: Final = 30
_FOOT: Final = 44
_BETTER: Final = "#0072B2"
_WORSE: Final = LEADING
_CELL: Final = 46
_LONGEST: Final = 14


@dataclass(frozen=True, kw_only=True)
class Group:
    """What a row of dots stands for.

    Attributes:
        label: Its name, such as a centre.
        n: Frames in it.
        values: Each style's figure there.
    """

    label: str
    n: int
    values: Sequence[tuple[Style, float]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The difference between two models.

    Attributes:
        difference: Of the row's model less the column's.
        p: How likely so large a difference is by chance.
        told: Whether the two are told apart.
    """

    difference: float
    p: float
    told: bool


def groups(rows: Sequence[Group], *, title: str, axis: str, canvas: Canvas = WIDE) -> str:
    """A mark for each model in each group; models lie a little under each other.

    Args:
        rows: From top to bottom.
        title: What a screen reader says of the plot.
        axis: What the axis shows, with its unit.
        canvas: How wide it is drawn.
    """
    scale = Scale(0.0, 1.0, canvas.left, canvas.stop)
    tall = max(_STEP * max((len(row.values) for row in rows), default=1) + 12, 44)
    height = tall * len(rows) + _FOOT
    parts = [axis_below(scale, height - 40, axis)]
    for place, row in enumerate(rows):
        top = tall * place
        parts.append(row_label(canvas, row.label, top + tall / 2 - 8, f"n = {row.n}"))
        if place:
            parts.append(f'<line x1="0" x2="{canvas.stop}" y1="{top}" y2="{top}" class="divider"/>')
        first = top + (tall - _STEP * (len(row.values) - 1)) / 2
        for number, (style, value) in enumerate(row.values):
            said = f"{style.label}, {row.label} (n = {row.n}): {value:.3f}"
            parts.append(mark(style, scale(value), first + _STEP * number, radius=4.5, title=said))
    return drawing(canvas, parts, height, title)


def spans(
    rows: Sequence[tuple[str, float, float]],
    *,
    names: tuple[str, str],
    title: str,
    axis: str,
    canvas: Canvas = WIDE,
) -> str:
    """From one figure to another: a ring, a line and a dot for each model.

    Args:
        rows: Label, the figure it starts from and the one it ends at, from top to bottom.
        names: What the two are.
        title: What a screen reader says of the plot.
        axis: What the axis shows, with its unit.
        canvas: How wide it is drawn.
    """
    figures = [figure for _, *both in rows for figure in both]
    scale = Scale.around(min(figures), max(figures), canvas.left, canvas.stop)
    height = _ROW * len(rows) + _FOOT
    parts = [axis_below(scale, height - 40, axis)]
    for place, (label, start, end) in enumerate(rows):
        y = _ROW * place + _ROW / 2
        said = f"{label}: {names[0]} {start:.3f}, {names[1]} {end:.3f}"
        parts.append(
            f"<g><title>{escape(said)}</title>{row_label(canvas, label, y)}"
            f'<line x1="{scale(start):.1f}" x2="{scale(end):.1f}" y1="{y}" y2="{y}" class="span"/>'
            f'<circle cx="{scale(start):.1f}" cy="{y}" r="5" class="ring"/>'
            f'<circle cx="{scale(end):.1f}" cy="{y}" r="5" class="dot"/>'
            f"{value_label(canvas, f'{end - start:+.3f}', y)}</g>"
        )
    return drawing(canvas, parts, height, title)


def cloud(
    points: Sequence[tuple[str, float, float]],
    *,
    title: str,
    across: str,
    up: str,
    below: float,
    canvas: Canvas = WIDE,
) -> str:
    """A dot for each frame by two figures from 0 to 1.

    Args:
        points: Name, the figure across and the figure upwards.
        title: What a screen reader says of the plot.
        across: What the level axis shows, with its unit.
        up: What the upright axis shows, with its unit.
        below: A line at this height: dots under it are marked as poor.
        canvas: How wide it is drawn.
    """
    left, top, bottom = 50, 26, 300
    level = Scale(0.0, 1.0, left, min(canvas.width - 14, 560))
    upright = Scale(0.0, 1.0, bottom, top)
    parts = [
        axis_left(upright, left, level.stop),
        axis_below(level, bottom, across, top),
        f'<text x="0" y="12">{escape(up)}</text>',
        f'<line x1="{left}" x2="{level.stop}" y1="{upright(below):.1f}" y2="{upright(below):.1f}" '
        'class="limit"/>',
    ]
    parts += [_dot(name, level(x), upright(y), x, y, poor=y < below) for name, x, y in points]
    return drawing(canvas, parts, bottom + 44, title)


def _dot(name: str, left: float, top: float, x: float, y: float, *, poor: bool) -> str:
    """A dot, or a cross where the figure upwards is poor."""
    said = f"<title>{escape(name)}: disagreement {x:.3f}, F1 {y:.3f}</title>"
    if poor:
        place = f"translate({left:.1f} {top:.1f})"
        return f'<path class="cross" d="M-4 -4L4 4M-4 4L4 -4" transform="{place}">{said}</path>'
    return f'<circle class="point" cx="{left:.1f}" cy="{top:.1f}" r="4">{said}</circle>'


def matrix(
    labels: Sequence[str],
    cells: Mapping[tuple[int, int], Pair],
    *,
    title: str,
    canvas: Canvas = WIDE,
) -> str:
    """Differences of every pair: rows less columns, the deeper the colour the larger.

    Args:
        labels: Of rows and columns.
        cells: Row and column to what lies there; the diagonal has none.
        title: What a screen reader says of the plot.
        canvas: How wide it is drawn.
    """
    side = (canvas.width - canvas.left) / max(len(labels), 1)
    top = 92
    largest = max((abs(cell.difference) for cell in cells.values()), default=0.0) or 1.0
    parts = [
        f'<text transform="translate({canvas.left + side * (i + 0.5):.1f} {top - 8}) rotate(40)" '
        f'text-anchor="end" class="{_size(side)}">{escape(_short(label))}</text>'
        for i, label in enumerate(labels)
    ]
    for row, label in enumerate(labels):
        parts.append(row_label(canvas, label, top + _CELL * (row + 0.5)))
        parts += [
            _cell(
                cells[row, column],
                canvas.left + side * column,
                top + _CELL * row,
                side,
                largest,
                f"{label} less {other}",
            )
            for column, other in enumerate(labels)
            if (row, column) in cells
        ]
    return drawing(canvas, parts, top + _CELL * len(labels) + 4, title)


def _cell(pair: Pair, x: float, y: float, side: float, largest: float, said: str) -> str:
    colour = _BETTER if pair.difference > 0 else _WORSE
    strength = 0.55 * abs(pair.difference) / largest
    middle = x + side / 2
    small = _size(side)
    number = f"{pair.difference:+.2f}".replace("0.", ".") if small else f"{pair.difference:+.3f}"
    p = probability(pair.p, short=bool(small))
    strong = " strong" if pair.told else ""
    return (
        f"<g><title>{escape(f'{said}: {pair.difference:+.3f}, {probability(pair.p)}')}</title>"
        f'<rect x="{x + 1:.1f}" y="{y + 1:.1f}" width="{side - 2:.1f}" height="{_CELL - 2}" '
        f'fill="{colour}" fill-opacity="{strength:.2f}" class="cell{strong}"/>'
        f'<text x="{middle:.1f}" y="{y + 20:.1f}" text-anchor="middle" class="{small}{strong}">'
        f"{number}</text>"
        f'<text x="{middle:.1f}" y="{y + 36:.1f}" text-anchor="middle" class="small">'
        f"{escape(p)}</text></g>"
    )


def probability(p: float, *, short: bool = False) -> str:
    """A p-value as it is read; ``short`` for a cell with room for four characters."""
    if short:
        return "<.01" if p < 0.01 else f"{p:.2f}".lstrip("0").replace("1.00", "1")
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _size(side: float) -> str:
    return "small" if side < 60 else ""


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}\u2026"

"""What the plots of the page share: canvases for wide and narrow screens, scales and marks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Self

COLOURS: Final = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#888888", "#F0E442",
)  # fmt: skip
"""Colours of Okabe and Ito, which the colour-blind can tell apart, and a grey for their black."""

LEADING: Final = "#D55E00"
"""Their vermilion, kept for the ensemble."""

TICKS: Final = 5
_HAIRLINE: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """How wide a plot is drawn, in the units of its SVG.

    Attributes:
        name: The class by which the page's style shows or hides it.
        width: In all.
        left: Room for labels.
        right: Room for figures.
    """

    name: str
    width: int
    left: int
    right: int

    @property
    def stop(self) -> int:
        """Where the plot itself ends."""
        return self.width - self.right


WIDE: Final = Canvas(name="wide", width=720, left=150, right=60)
NARROW: Final = Canvas(name="narrow", width=360, left=104, right=54)


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one model is drawn everywhere on the page.

    Attributes:
        label: Its name as it is shown.
        colour: Of its marks, lines and contours.
        shape: Of its marks, a key of ``SHAPES``; tells models apart without their colour.
        dashed: Whether its lines are dashed, because another's have the colour.
    """

    label: str
    colour: str
    shape: str
    dashed: bool = False


SHAPES: Final = {
    "circle": "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0 -2 0Z",
    "square": "M-.9 -.9H.9V.9H-.9Z",
    "triangle": "M0 -1.1L1.1 .9H-1.1Z",
    "diamond": "M0 -1.25L1.25 0L0 1.25L-1.25 0Z",
    "wedge": "M0 1.1L1.1 -.9H-1.1Z",
    "bar": "M-.45 -1.2H.45V1.2H-.45Z",
    "lens": "M-1.3 -.5H1.3V.5H-1.3Z",
}
"""Outlines of radius 1."""


def styles(labels: Sequence[str], leading: str = "") -> list[Style]:
    """A style for each label, all different up to 49 of them.

    Args:
        labels: In the order in which they are shown.
        leading: The one that stands out.
    """
    shapes = list(SHAPES)
    found, place = [], 0
    for label in labels:
        if label == leading:
            found.append(Style(label=label, colour=LEADING, shape="diamond"))
            continue
        turn = place // len(COLOURS)
        shape = shapes[(place + turn) % len(shapes)]
        colour = COLOURS[place % len(COLOURS)]
        found.append(Style(label=label, colour=colour, shape=shape, dashed=turn > 0))
        place += 1
    return found


def mark(style: Style, x: float, y: float, *, radius: float = 5.0, title: str = "") -> str:
    """One mark of a series, with a text that appears under the pointer."""
    said = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<path class="mark" d="{SHAPES[style.shape]}" fill="{style.colour}" '
        f'transform="translate({x:.1f} {y:.1f}) scale({radius:g})">{said}</path>'
    )


def legend(shown: Sequence[Style]) -> str:
    """What the marks mean, as HTML that wraps on a narrow screen."""
    items = "".join(
        f'<li><svg viewBox="-7 -7 14 14" aria-hidden="true">{mark(one, 0, 0)}</svg>'
        f"{escape(one.label)}</li>"
        for one in shown
    )
    return f'<ul class="legend">{items}</ul>'


@dataclass(frozen=True)
class Scale:
    """From a figure to a position; ``whole`` has ticks at whole numbers only."""

    low: float
    high: float
    start: float
    stop: float
    whole: bool = False

    @classmethod
    def around(cls, low: float, high: float, start: float, stop: float) -> Self:
        """A scale that begins and ends on a tick."""
        step = _step((high - low) or 0.1)
        first, last = math.floor(low / step), math.ceil(high / step)
        return cls(first * step, max(last, first + 1) * step, start, stop)

    def __call__(self, value: float) -> float:
        """Where a figure stands."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round figures along it."""
        step = _step(self.high - self.low)
        step = max(1, math.ceil(step)) if self.whole else step
        count = math.floor((self.high - self.low) / step + _HAIRLINE)
        return [round(self.low + place * step, 10) for place in range(count + 1)]


def _step(span: float) -> float:
    """A round distance between ticks, of which a span holds a handful."""
    raw = max(span, _HAIRLINE) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)


def axis_below(scale: Scale, bottom: float, text: str, top: float = 0.0) -> str:
    """Upright grid lines with their figures, and what the axis shows."""
    ticks = "".join(
        f'<line x1="{scale(tick):.1f}" x2="{scale(tick):.1f}" y1="{top:g}" y2="{bottom}" '
        f'class="grid"/>'
        f'<text x="{scale(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in scale.ticks()
    )
    middle = (scale.start + scale.stop) / 2
    return f'{ticks}<text x="{middle}" y="{bottom + 34}" text-anchor="middle">{escape(text)}</text>'


def axis_left(scale: Scale, left: float, right: float) -> str:
    """Level grid lines with their figures."""
    return "".join(
        f'<line x1="{left}" x2="{right}" y1="{scale(tick):.1f}" y2="{scale(tick):.1f}" '
        f'class="grid"/><text x="{left - 6}" y="{scale(tick) + 4:.1f}" text-anchor="end">{tick:g}'
        "</text>"
        for tick in scale.ticks()
    )


def row_label(canvas: Canvas, text: str, y: float, beneath: str = "") -> str:
    """The name of a row, left of it, and a smaller line under it."""
    x = canvas.left - 10
    lower = f'<text x="{x}" y="{y + 20:.1f}" text-anchor="end" class="small">{escape(beneath)}'
    shown = f'<text x="{x}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    return shown + (f"{lower}</text>" if beneath else "")


def value_label(canvas: Canvas, text: str, y: float) -> str:
    """A figure at the right of its row."""
    return f'<text x="{canvas.stop + 8}" y="{y + 4:.1f}">{escape(text)}</text>'


def drawing(canvas: Canvas, parts: Sequence[str], height: float, title: str) -> str:
    """A whole plot.

    Args:
        canvas: What it was drawn for.
        parts: Its elements.
        height: In the canvas's units.
        title: What a screen reader says of it.
    """
    return (
        f'<svg class="{canvas.name}" viewBox="0 0 {canvas.width} {height:g}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def for_both(draw: Callable[[Canvas], str]) -> str:
    """A plot for wide screens and one for narrow ones; the page's style shows one of them."""
    return draw(WIDE) + draw(NARROW)

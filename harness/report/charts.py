"""Plots as SVG for the page: they take their colours from the page's style, light or dark.

Pure functions of figures; each returns one ``<svg>`` element. Series are told apart by the eight
colours of Okabe and Ito, which the colour-blind can tell apart, and by their labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Self

COLOURS: Final = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#888888",
)  # fmt: skip

_WIDTH: Final = 720
_ROW: Final = 30
_LEFT: Final = 150
_RIGHT: Final = 60
_TICKS: Final = 5


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


def intervals(estimates: Sequence[Estimate], *, title: str, axis: str) -> str:
    """A dot and a line for each figure and its interval, one under the other.

    Args:
        estimates: In the order from top to bottom.
        title: What a screen reader says of the plot.
        axis: What the axis shows, with its unit.
    """
    low = min((e.low for e in estimates), default=0.0)
    high = max((e.high for e in estimates), default=1.0)
    scale = _Scale.around(low, high)
    height = _ROW * len(estimates) + 44
    parts = [_axis(scale, height - 40, axis)]
    for place, estimate in enumerate(estimates):
        y = _ROW * place + _ROW / 2
        said = f"{estimate.label}: {estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
        parts.append(
            f"<g><title>{escape(said)}</title>{_label(estimate.label, y)}"
            f'<line x1="{scale(estimate.low):.1f}" x2="{scale(estimate.high):.1f}" y1="{y}" '
            f'y2="{y}" class="interval"/><circle cx="{scale(estimate.value):.1f}" cy="{y}" r="5" '
            f'class="dot"/><text x="{_WIDTH - _RIGHT + 8}" y="{y + 4}">{estimate.value:.3f}</text>'
            "</g>"
        )
    return _svg(parts, height, title)


def distributions(values: Mapping[str, Sequence[float]], *, title: str, axis: str) -> str:
    """Every value of each series as a dot, with the quartiles as a box.

    Args:
        values: Label to its values, each from 0 to 1.
        title: What a screen reader says of the plot.
        axis: What the axis shows, with its unit.
    """
    scale = _Scale(0.0, 1.0)
    row = _ROW + 10
    height = row * len(values) + 44
    parts = [_axis(scale, height - 40, axis)]
    for place, (label, series) in enumerate(values.items()):
        y = row * place + row / 2
        parts.append(_label(label, y))
        parts += [
            f'<circle cx="{scale(value):.1f}" cy="{y + _spread(number):.1f}" r="2.4" '
            'class="point"/>'
            for number, value in enumerate(series)
        ]
        if not series:
            continue
        first, median, third = (_quantile(series, share) for share in (0.25, 0.5, 0.75))
        parts.append(
            f'<rect x="{scale(first):.1f}" y="{y - 11}" height="22" class="box" '
            f'width="{max(scale(third) - scale(first), 1):.1f}"/>'
            f'<line x1="{scale(median):.1f}" x2="{scale(median):.1f}" y1="{y - 11}" y2="{y + 11}" '
            f'class="median"><title>{escape(label)}: median {median:.3f}</title></line>'
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{y + 4}">{median:.3f}</text>'
        )
    return _svg(parts, height, title)


def lines(series: Mapping[str, Sequence[tuple[float, float]]], *, title: str, axis: str) -> str:
    """Curves over epochs, with a legend.

    Args:
        series: Label to its points (epoch, value).
        title: What a screen reader says of the plot.
        axis: What the upright axis shows.
    """
    points = [point for curve in series.values() for point in curve]
    if not points:
        return ""
    height, left, top, bottom = 300, 50, 12, 250
    across = _Scale(1.0, max(2.0, *(x for x, _ in points)), left, _WIDTH - 150)
    up = _Scale.around(min(y for _, y in points), max(y for _, y in points), bottom, top)
    parts = [
        f'<line x1="{left}" x2="{across.stop}" y1="{up(tick):.1f}" y2="{up(tick):.1f}" '
        'class="grid"/>'
        f'<text x="{left - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in up.ticks()
    ]
    parts.append(
        f'<text x="{left}" y="{height - 12}">epoch 1 to {across.high:g}; {escape(axis)}</text>'
    )
    for place, (label, curve) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in curve)
        legend = top + 10 + 20 * place
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<line x1="{across.stop + 12}" x2="{across.stop + 30}" y1="{legend}" y2="{legend}" '
            f'stroke="{colour}" stroke-width="3"/>'
            f'<text x="{across.stop + 36}" y="{legend + 4}">{escape(label)}</text>'
        )
    return _svg(parts, height, title)


@dataclass(frozen=True)
class _Scale:
    """From a figure to a position."""

    low: float
    high: float
    start: float = _LEFT
    stop: float = _WIDTH - _RIGHT

    @classmethod
    def around(
        cls, low: float, high: float, start: float = _LEFT, stop: float = _WIDTH - _RIGHT
    ) -> Self:
        """A scale that begins and ends on a tick."""
        step = _step((high - low) or 0.1)
        return cls(math.floor(low / step) * step, math.ceil(high / step) * step, start, stop)

    def __call__(self, value: float) -> float:
        """Where a figure stands."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round figures along it."""
        step = _step(self.high - self.low)
        count = round((self.high - self.low) / step)
        return [round(self.low + place * step, 10) for place in range(count + 1)]


def _step(span: float) -> float:
    """A round distance between ticks, of which a span holds a handful."""
    raw = max(span, 1e-9) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)


def _axis(scale: _Scale, bottom: float, text: str) -> str:
    ticks = "".join(
        f'<line x1="{scale(tick):.1f}" x2="{scale(tick):.1f}" y1="0" y2="{bottom}" class="grid"/>'
        f'<text x="{scale(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in scale.ticks()
    )
    middle = (scale.start + scale.stop) / 2
    return f'{ticks}<text x="{middle}" y="{bottom + 34}" text-anchor="middle">{escape(text)}</text>'


def _label(text: str, y: float) -> str:
    return f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(text)}</text>'


def _svg(parts: Sequence[str], height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _spread(number: int) -> float:
    """Dots of one value beside each other: a fixed pattern, so that a page is reproducible."""
    return (number * 7 % 17) - 8.0


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])

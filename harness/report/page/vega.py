"""What the plots share: data, axes, colours, legends, zoom and theme."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt

from harness.report.page.style import Style

Spec = dict[str, Any]
"""A Vega-Lite specification, ready for JSON."""

TEXT: Final = "var(--text)"
SOFT: Final = "var(--soft)"
LINE: Final = "var(--line)"
PAGE: Final = "var(--page)"
LIMIT: Final = "var(--limit)"
MARK: Final = "var(--mark)"

UNIT: Final = alt.Scale(domain=[0, 1], nice=False)
ROW: Final = 36
"""Height of a model's row, in pixels."""
NARROW_ROW: Final = 20
"""The same where there are more than ``MANY_ROWS`` of them, without numbers in them."""
MANY_ROWS: Final = 16

NEAR: Final = alt.Scale(zero=False, nice=False, padding=24)
"""Around the figures, with room for what stands beside them."""

WITH_EDGES: Final = alt.Scale(domain=[-0.02, 1.02], nice=False)
"""From 0 to 1, with room for whole marks at both ends, where marks are clipped."""

_ZOOM: Final = "wheel![event.ctrlKey || event.metaKey]"
"""Plain scrolling over a plot scrolls the page."""

_DIGITS: Final = 5
_FONT: Final = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def chart(rows: Sequence[Mapping[str, Any]]) -> alt.Chart:
    """A chart of rows that are carried in its specification."""
    # As a plain object: Altair checks each row of its own class, which takes three times as long.
    return alt.Chart({"values": list(rows)})


def within(pixels: int) -> dict[str, Any]:
    """How labels of models keep within a width: a long one lacks its middle.

    Runs and teams of one name differ at the end, which Vega's own limit cuts off.
    """
    return {"labelExpr": _shortened(pixels), "labelLimit": pixels}


def _shortened(pixels: int) -> str:
    half = pixels // 18
    short = f"slice(datum.label, 0, {half}) + '\u2026' + slice(datum.label, -{half})"
    return f"(length(datum.label) > {pixels // 7} ? {short} : datum.label)"


def model_rows(styles: Sequence[Style]) -> alt.Y:
    """One row a model, in the order given."""
    axis = alt.Axis(**within(130))
    return alt.Y("model:N", title=None, sort=[style.label for style in styles], axis=axis)


def numbers(
    rows: Sequence[Mapping[str, Any]], styles: Sequence[Style], x: str, text: alt.Text, title: str
) -> alt.Chart:
    """A figure above the mark of each model."""
    at = alt.X(f"{x}:Q", title=title)
    texts: alt.Chart = chart(rows).mark_text(dy=-13, color=TEXT)
    return texts.encode(x=at, y=model_rows(styles), text=text)


def dashes(styles: Sequence[Style]) -> alt.StrokeDash:
    """Whole or dashed lines by model."""
    patterns = [[2, 3] if style.dashed else [1, 0] for style in styles]
    return alt.StrokeDash("model:N", scale=_by_label(styles, patterns), legend=key())


def colour(styles: Sequence[Style], *, legend: bool = True, channel: Any = alt.Color) -> Any:
    """A channel of colour by model."""
    scale = _by_label(styles, [style.colour for style in styles])
    return channel("model:N", scale=scale, legend=key() if legend else None)


def shape(styles: Sequence[Style], *, legend: bool = True) -> alt.Shape:
    """The shape of a mark by model."""
    scale = _by_label(styles, [style.shape for style in styles])
    return alt.Shape("model:N", scale=scale, legend=key() if legend else None)


def _by_label(styles: Sequence[Style], values: Sequence[Any]) -> alt.Scale:
    return alt.Scale(domain=[style.label for style in styles], range=values)


def key() -> alt.Legend:
    """Above the plot, in as many columns as the screen has room for."""
    # By the window: a plot's own width changes while it is laid out, and its height then does not.
    narrow = "windowSize()[0] < 560"
    return alt.Legend(
        title=None,
        orient="top",
        columns=alt.expr(f"{narrow} ? 2 : 3"),
        symbolOpacity=1,
        labelExpr=f"{narrow} ? {_shortened(95)} : {_shortened(140)}",
        labelLimit=140,
    )


def legend_choice() -> tuple[alt.Parameter, Any]:
    """A click in the legend shows one model; the parameter, and the opacity that follows it."""
    chosen = alt.selection_point(fields=["model"], bind="legend")
    return chosen, alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.12))


def zoom() -> alt.Parameter:
    """Drag to move, Ctrl and wheel to zoom, double click to see everything again."""
    return alt.selection_interval(bind="scales", zoom=_ZOOM)


def short(value: float) -> float | None:
    """Without digits that nobody sees and the page would have to carry; JSON has no NaN."""
    return None if math.isnan(value) else round(float(value), _DIGITS)


def spec(plot: alt.Chart | alt.LayerChart | alt.FacetChart, title: str) -> Spec:
    """The finished specification, as wide as its place on the page."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    axis = {
        "domain": False, "ticks": False, "labelColor": TEXT, "labelFontSize": 13,
        "labelPadding": 8, "titleColor": SOFT, "titleFontSize": 13, "titleFontWeight": "normal",
        "titlePadding": 8, "gridColor": LINE, "labelFlush": False,
    }  # fmt: skip
    drawn = plot.properties(width="container", autosize=fit, description=title).configure(
        background="transparent",
        font=_FONT,
        padding={"left": 0, "right": 16, "top": 6, "bottom": 4},
        axis=axis,
        axisQuantitative={"tickCount": 6},
        legend={"labelColor": TEXT, "labelFontSize": 13, "symbolSize": 90, "padding": 0,
                "columnPadding": 16, "offset": 10},
        text={"fontSize": 12.5},
        view={"stroke": None},
    )  # fmt: skip
    found: Spec = drawn.to_dict()
    return found

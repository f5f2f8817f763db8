"""Plots of one model or group a row, as Vega-Lite specifications built with Altair.

Each function takes figures and returns one specification with its data inside. Colours that differ
between light and dark are CSS variables of the page (``var(--text)``): Vega writes them into the
SVG as they are, so plots follow the reader's colour scheme, and paper, without being drawn again.
A datum with a ``frame`` can be clicked: the page's script opens that frame.

``title`` is the description for screen readers, ``axis`` what the axis shows, with its unit. Rows
and models are given from top to bottom, figures from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from harness.report.page.style import Style
from harness.report.page.vega import (
    MANY_ROWS,
    NARROW_ROW,
    NEAR,
    PAGE,
    ROW,
    SOFT,
    TEXT,
    UNIT,
    Spec,
    chart,
    colour,
    legend_choice,
    model_rows,
    numbers,
    shape,
    short,
    spec,
)


def intervals(
    estimates: Sequence[tuple[Style, float, float, float]],
    *,
    title: str,
    axis: str,
    whole: bool = False,
) -> Spec:
    """A mark and its interval for each model, one model a row.

    ``estimates`` are model, figure and the limits of its interval; ``whole`` says that the figures
    are whole numbers from 1, as ranks are.
    """
    rows = [
        {"model": style.label, "value": short(value), "low": short(low), "high": short(high)}
        for style, value, low, high in estimates
    ]
    styles = [style for style, *_ in estimates]
    form = "d" if whole else ".3f"
    scale, ticks = NEAR, alt.Axis()
    if whole:
        scale = alt.Scale(domain=[0.5, max(len(rows), 2) + 0.5], nice=False)
        last = max(len(rows), 2)
        shown = [1, *range(5, last + 1, 5)] if last > MANY_ROWS else [*range(1, last + 1)]
        ticks = alt.Axis(values=shown, tickCount=len(shown), format="d")
    figures = [alt.Tooltip(f"{name}:Q", format=form) for name in ("value", "low", "high")]
    base = chart(rows).encode(
        y=model_rows(styles), color=colour(styles, legend=False), tooltip=["model:N", *figures]
    )
    bars = base.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.75).encode(
        x=alt.X("low:Q", title=axis, scale=scale, axis=ticks), x2="high:Q"
    )
    marks = base.mark_point(filled=True, size=110, opacity=1, stroke=PAGE, strokeWidth=1).encode(
        x=alt.X("value:Q", title=axis), shape=shape(styles, legend=False)
    )
    if len(rows) > MANY_ROWS:  # no room for numbers, which tooltips and tables have
        return spec(alt.layer(bars, marks).properties(height=NARROW_ROW * len(rows)), title)
    text = numbers(rows, styles, "value", alt.Text("value:Q", format=form), axis)
    return spec(alt.layer(bars, marks, text).properties(height=ROW * len(rows)), title)


def distributions(
    values: Sequence[tuple[Style, Sequence[tuple[str, float]]]], *, title: str, axis: str
) -> Spec:
    """The figure of every frame as a dot, one model a row, with the quartiles as a box."""
    styles = [style for style, _ in values]
    # Dots of equal figures are spread by a fixed pattern, so that a page is reproducible.
    rows = [
        {"model": style.label, "frame": frame, "value": short(value), "spread": number * 7 % 17}
        for style, frames in values
        for number, (frame, value) in enumerate(frames)
    ]
    x = alt.X("value:Q", title=axis, scale=UNIT)
    base = chart(rows).encode(x=x, y=model_rows(styles))
    spread = alt.YOffset("spread:Q", scale=alt.Scale(domain=[-4, 20]))  # 0 to 16 and a margin
    dots = base.mark_circle(size=26, opacity=0.6, cursor="pointer").encode(
        yOffset=spread,
        color=colour(styles, legend=False),
        tooltip=["frame:N", "model:N", alt.Tooltip("value:Q", title="F1", format=".3f")],
    )
    box = base.mark_bar(size=24, fillOpacity=0, stroke=SOFT, strokeWidth=1).encode(
        x=alt.X("q1(value):Q", title=axis), x2="q3(value):Q"
    )
    x_median = alt.X("median(value):Q", title=axis)
    median = base.mark_tick(size=24, thickness=3, color=TEXT, opacity=1).encode(x=x_median)
    label = base.mark_text(dy=-19, color=TEXT).encode(
        x=x_median, text=alt.Text("median(value):Q", format=".3f")
    )
    drawn = alt.layer(dots, box, median, label).properties(height=52 * len(values))
    return spec(drawn, title)


def groups(
    rows: Sequence[tuple[str, int, Sequence[tuple[Style, float]]]], *, title: str, axis: str
) -> Spec:
    """A mark for each model in each group of frames, such as a centre; one group a row.

    A row has a name, its number of frames and each model's figure.
    """
    styles = list({style.label: style for *_, values in rows for style, _ in values}.values())
    data = [
        {"group": f"{name}\n(n = {n})", "model": style.label, "value": short(value)}
        for name, n, values in rows
        for style, value in values
    ]
    names = alt.Axis(
        labelExpr="split(datum.label, '\\n')", labelOffset=-8, labelLimit=120, grid=True,
        tickBand="extent",
    )  # fmt: skip
    order = [style.label for style in styles]
    chosen, opacity = legend_choice()
    drawn = (
        chart(data)
        .mark_point(filled=True, size=75, stroke=PAGE, strokeWidth=1)
        .encode(
            x=alt.X("value:Q", title=axis, scale=UNIT),
            y=alt.Y("group:N", title=None, sort=None, axis=names, scale=alt.Scale(padding=0)),
            yOffset=alt.YOffset("model:N", sort=order, scale=alt.Scale(paddingOuter=1)),
            color=colour(styles),
            shape=shape(styles),
            opacity=opacity,
            tooltip=["model:N", "group:N", alt.Tooltip("value:Q", title="F1", format=".3f")],
        )
        .add_params(chosen)
    )
    tall = max(48, 12 * (len(styles) + 2))
    return spec(drawn.properties(height=tall * len(rows)), title)


def spans(
    rows: Sequence[tuple[Style, float, float]], *, names: tuple[str, str], title: str, axis: str
) -> Spec:
    """The change from one set to another: a ring, a line and a dot for each model.

    A row has a model and its figures on the two sets, whose names are ``names``.
    """
    data = [
        {"model": style.label, "start": short(start), "end": short(end),
         "gap": round(end - start, 3) + 0.0}  # a sum of -0.0 and 0.0 is 0.0
        for style, start, end in rows
    ]  # fmt: skip
    styles = [style for style, *_ in rows]
    said = [
        alt.Tooltip("model:N"),
        alt.Tooltip("start:Q", title=names[0], format=".3f"),
        alt.Tooltip("end:Q", title=names[1], format=".3f"),
        alt.Tooltip("gap:Q", format="+.3f"),
    ]
    base = chart(data).encode(
        y=model_rows(styles), color=colour(styles, legend=False), tooltip=said
    )
    start = alt.X("start:Q", title=axis, scale=NEAR)
    line = base.mark_rule(strokeWidth=2, opacity=0.6).encode(x=start, x2="end:Q")
    ring = base.mark_point(filled=True, fill=PAGE, size=80, opacity=1, strokeWidth=2).encode(
        x=start, stroke=colour(styles, legend=False, channel=alt.Stroke)
    )
    dot = base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("end:Q", title=axis))
    text = numbers(data, styles, "end", alt.Text("gap:Q", format="+.3f"), axis)
    return spec(alt.layer(line, ring, dot, text).properties(height=ROW * len(rows)), title)

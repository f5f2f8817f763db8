"""Plots over two axes, as Vega-Lite specifications: frames, epochs, pairs of models.

See ``charts`` for how they follow the page's colours and are clicked, and for the arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

from harness.report.page.style import COLOURS, HIGHLIGHT, Style
from harness.report.page.vega import (
    LIMIT,
    MARK,
    PAGE,
    TEXT,
    WITH_EDGES,
    Spec,
    chart,
    colour,
    dashes,
    legend_choice,
    shape,
    short,
    spec,
    within,
    zoom,
)
from metrics.statistics.bootstrap_intervals import LEVEL


def scatter(
    points: Sequence[tuple[str, float, float]], *, title: str, across: str, up: str, below: float
) -> Spec:
    """A mark for each frame by two figures from 0 to 1; a cross where that upwards is ``below``."""
    rows = [
        {"frame": frame, "x": short(x), "y": short(y), "poor": y < below} for frame, x, y in points
    ]
    kinds, colours = [False, True], [MARK, LIMIT]
    marks = (
        chart(rows)
        .mark_point(filled=True, size=55, opacity=0.6, clip=True, cursor="pointer")
        .encode(
            x=alt.X("x:Q", title=across, scale=WITH_EDGES),
            y=alt.Y("y:Q", title=up, scale=WITH_EDGES),
            color=alt.Color("poor:N", scale=alt.Scale(domain=kinds, range=colours), legend=None),
            shape=alt.Shape(
                "poor:N", scale=alt.Scale(domain=kinds, range=["circle", "cross"]), legend=None
            ),
            tooltip=[
                "frame:N",
                alt.Tooltip("x:Q", title="disagreement", format=".3f"),
                alt.Tooltip("y:Q", title="F1", format=".3f"),
            ],
        )
        .add_params(zoom())
    )
    limit = chart([{"y": below}]).mark_rule(color=LIMIT, strokeDash=[6, 4], clip=True)
    return spec(alt.layer(limit.encode(y="y:Q"), marks).properties(height=320), title)


def lines(
    series: Sequence[tuple[Style, Sequence[tuple[float, float]]]], *, title: str, axis: str
) -> Spec:
    """Curves over epochs, of points (epoch, figure), each with its model's mark at its end."""
    styles = [style for style, _ in series]
    rows = [
        {"model": style.label, "epoch": epoch, "value": short(value), "last": n == len(curve)}
        for style, curve in series
        for n, (epoch, value) in enumerate(curve, 1)
    ]
    last = max((epoch for _, curve in series for epoch, _ in curve), default=1.0)
    # A little room at the end, where the marks would be cut in half.
    epochs = alt.Scale(domain=[1, max(last, 2) * 1.015], nice=False)
    # Of few epochs Vega has ticks between them all the same, which would be rounded to others.
    whole = "datum.value % 1 ? '' : datum.label"
    ticks = alt.Axis(format="d", tickMinStep=1, grid=False, labelExpr=whole)
    chosen, opacity = legend_choice()
    base = chart(rows).encode(
        x=alt.X("epoch:Q", scale=epochs, axis=ticks),
        y=alt.Y("value:Q", title=axis, scale=alt.Scale(zero=False, nice=True)),
        color=colour(styles),
        opacity=opacity,
        tooltip=["model:N", "epoch:Q", alt.Tooltip("value:Q", format=".3f")],
    )
    curves = base.mark_line(strokeWidth=2, clip=True).encode(strokeDash=dashes(styles))
    ends = (
        base.transform_filter("datum.last")
        .mark_point(filled=True, size=80, stroke=PAGE, strokeWidth=1)
        .encode(shape=shape(styles))
    )
    # Invisible marks under the pointer say the figure of every epoch.
    hover = base.mark_circle(size=120, clip=True).encode(opacity=alt.value(0))
    drawn = alt.layer(curves.add_params(chosen, zoom()), ends, hover)
    return spec(drawn.properties(height=260), title)


def matrix(
    styles: Sequence[Style], cells: Mapping[tuple[int, int], tuple[float, float]], *, title: str
) -> Spec:
    """The difference of every pair of models: the row's minus the column's.

    ``cells`` maps row and column to the difference and its p-value; the diagonal has none.
    """
    labels = [style.label for style in styles]
    data = [
        {"row": labels[row], "column": labels[column], "size": short(abs(difference)),
         "difference": round(difference, 3) + 0.0, "better": difference > 0,
         "p": probability(p), "significant": p < 1 - LEVEL}
        for (row, column), (difference, p) in cells.items()
    ]  # fmt: skip
    cell = alt.Scale(paddingInner=0.05, paddingOuter=0.025)
    above = alt.Axis(orient="top", labelAngle=-40, labelAlign="left", **within(110))
    base = chart(data).encode(
        x=alt.X("column:N", sort=labels, title=None, scale=cell, axis=above),
        y=alt.Y("row:N", sort=labels, title=None, scale=cell, axis=alt.Axis(**within(130))),
        tooltip=["row:N", "column:N", alt.Tooltip("difference:Q", format="+.3f"), "p:N"],
    )
    strong = alt.datum.significant
    better = alt.Scale(domain=[True, False], range=[COLOURS[0], HIGHLIGHT])
    squares = base.mark_rect(strokeWidth=1.5).encode(
        fill=alt.Fill("better:N", scale=better, legend=None),
        fillOpacity=alt.FillOpacity("size:Q", scale=alt.Scale(range=[0, 0.55]), legend=None),
        stroke=alt.when(strong).then(alt.value(TEXT)).otherwise(alt.value(PAGE)),
    )
    # On a narrow screen there is no room for the texts; they are in the tooltip and in the table.
    side = f"width / {max(len(labels), 1)}"
    number = base.mark_text(
        dy=alt.expr(f"{side} < 64 ? 0 : -7"), color=TEXT, opacity=alt.expr(f"{side} < 36 ? 0 : 1")
    ).encode(text=alt.Text("difference:Q", format="+.2f"))
    p = base.mark_text(
        dy=9, color=TEXT, fontSize=11, opacity=alt.expr(f"{side} < 64 ? 0 : 1")
    ).encode(text="p:N")
    return spec(alt.layer(squares, number, p).properties(height=46 * len(labels)), title)


def probability(p: float) -> str:
    """A p-value as it is read."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"

"""Plots of ranks: podium, places and the significance map, as Vega-Lite specifications.

See ``charts`` for how they follow the page's colours and are clicked, and for the arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from harness.report.page.style import COLOURS, Style
from harness.report.page.vega import (
    LINE,
    MANY_ROWS,
    SOFT,
    WITH_EDGES,
    Spec,
    chart,
    colour,
    short,
    spec,
    within,
)


def podium(
    dots: Sequence[tuple[str, int, Style, float]], styles: Sequence[Style], *, title: str
) -> Spec:
    """A line for each frame, from its best model to its worst.

    ``dots`` are frame, place from 1, model and figure from 0 to 1.
    """
    names = [style.label for style in styles]
    rows = [
        {"frame": frame, "place": place, "model": style.label, "value": short(value)}
        for frame, place, style, value in dots
    ]
    places = alt.X("place:O", title="place in the frame", axis=alt.Axis(labelAngle=0))
    base = chart(rows).encode(
        x=places,
        xOffset=alt.XOffset("model:N", sort=names),
        y=alt.Y("value:Q", title="F1, 0 to 1", scale=WITH_EDGES),
    )
    lines = base.mark_line(color=SOFT, strokeWidth=0.6, opacity=0.35).encode(detail="frame:N")
    marks = base.mark_circle(size=34, opacity=0.8, cursor="pointer").encode(
        color=colour(styles),
        tooltip=["frame:N", "model:N", "place:O", alt.Tooltip("value:Q", title="F1", format=".3f")],
    )
    return spec(alt.layer(lines, marks).properties(height=300), title)


def place_counts(
    counts: Sequence[tuple[int, Style, int]], styles: Sequence[Style], *, title: str
) -> Spec:
    """How often each model takes each place; ``counts`` are place from 1, model and frames."""
    rows = [{"place": p, "model": style.label, "frames": n} for p, style, n in counts]
    names = [style.label for style in styles]
    bars = (
        chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("place:O", title="place in the frame", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("model:N", sort=names),
            y=alt.Y("frames:Q", title="frames"),
            color=colour(styles),
            tooltip=["model:N", "place:O", "frames:Q"],
        )
    )
    return spec(bars.properties(height=220), title)


def significance_map(
    names: Sequence[str], cells: Sequence[tuple[str, str, bool]], *, title: str
) -> Spec:
    """A square for each pair of models, filled where the row's is significantly better.

    ``cells`` are row, column and whether the row's model is significantly better.
    """
    rows = [{"row": row, "column": column, "better": better} for row, column, better in cells]
    order = list(names)
    shade = alt.Scale(domain=[True, False], range=[COLOURS[0], LINE])
    many = len(names) > MANY_ROWS
    above = alt.Axis(
        orient="top", labelAngle=-90 if many else -60, labelAlign="left", **within(110),
        labelBaseline="middle", labelFontSize=11 if many else 13, labelOverlap=False,
    )  # fmt: skip
    squares = (
        chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("column:N", sort=order, title=None, axis=above,
                    scale=alt.Scale(paddingInner=0.06)),
            y=alt.Y("row:N", sort=order, title=None, axis=alt.Axis(**within(130)),
                    scale=alt.Scale(paddingInner=0.06)),
            fill=alt.Fill("better:N", scale=shade, legend=None),
            tooltip=["row:N", "column:N", alt.Tooltip("better:N", title="significantly better")],
        )
    )  # fmt: skip
    return spec(squares.properties(height=max(120, 18 * len(names))), title)

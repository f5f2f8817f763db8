"""Curves over thresholds, as Vega-Lite specifications; see ``charts``.

``axes`` are what the two axes show, with their units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from harness.report.page.vega import (
    SOFT,
    WITH_EDGES,
    Spec,
    chart,
    colour,
    dashes,
    legend_choice,
    short,
    spec,
    zoom,
)

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.page.style import Style

Series = Sequence[tuple["Style", "pd.DataFrame"]]


def bands(series: Series, *, title: str, axes: tuple[str, str]) -> Spec:
    """A line with its band for each model, both axes from 0 to 1.

    ``series`` has four columns a model: across, upwards, and the band's limits, NaN for none.
    """
    return _lines(series, ("x", "y", "low", "high"), title=title, axes=axes)


def steps(series: Series, *, title: str, axes: tuple[str, str], most: float) -> Spec:
    """A stepped line for each model, across from 0 to ``most`` and upwards from 0 to 1.

    ``series`` has two columns a model: across and upwards.
    """
    names, how = ("x", "y"), "step-after"
    return _lines(series, names, title=title, axes=axes, most=most, interpolate=how)


def reliability(series: Series, *, title: str, axes: tuple[str, str]) -> Spec:
    """A line with a mark for each bin of each model, and the diagonal; both axes from 0 to 1.

    ``series`` holds ``metrics.calibration.reliability`` of each model.
    """
    plain = [(style, bins[["confidence", "frequency"]]) for style, bins in series]
    ends = chart([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
    diagonal = ends.mark_line(color=SOFT, strokeDash=[6, 4]).encode(x="x:Q", y="y:Q")
    return _lines(plain, ("x", "y"), title=title, axes=axes, under=[diagonal], point=True)


def _lines(
    series: Series,
    names: Sequence[str],
    *,
    title: str,
    axes: tuple[str, str],
    most: float = 1,
    under: Sequence[alt.Chart] = (),
    **line: Any,
) -> Spec:
    """A line for each model, with a band where ``names`` of the columns has its limits."""
    rows = [
        {"model": style.label, "at": number}
        | {name: short(value) for name, value in zip(names, values, strict=True)}
        for style, table in series
        for number, values in enumerate(table.dropna(subset=table.columns[:2]).to_numpy().tolist())
    ]
    styles = [style for style, _ in series]
    chosen, opacity = legend_choice()
    # With room for a whole line at both ends, as above and below.
    edges = alt.Scale(domain=[-0.02 * most, 1.02 * most], nice=False)
    across = alt.X("x:Q", title=axes[0], scale=edges)
    base = chart(rows).encode(x=across, color=colour(styles), opacity=opacity)
    layers = [*under]
    if "low" in names:
        low = alt.Y("low:Q", title=axes[1], scale=WITH_EDGES)
        layers.append(base.mark_area(fillOpacity=0.15, clip=True).encode(y=low, y2="high:Q"))
    lines = base.mark_line(strokeWidth=2, clip=True, **line).encode(
        y=alt.Y("y:Q", title=axes[1], scale=WITH_EDGES),
        order="at:Q",
        strokeDash=dashes(styles),
        tooltip=["model:N", *(alt.Tooltip(name, format=".3f") for name in ("x:Q", "y:Q"))],
    )
    layers.append(lines.add_params(chosen, zoom()))
    return spec(alt.layer(*layers).properties(height=300), title)

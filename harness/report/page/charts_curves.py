"""Curves over thresholds, as Vega-Lite specifications; see ``charts``.

``axes`` are what the two axes show, with their units.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt

from harness.report.page.vega import LIMIT, UNIT, Spec, chart, colour, dashes, short, spec, zoom

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.page.style import Style

Series = Sequence[tuple["Style", "pd.DataFrame"]]


def bands(series: Series, *, title: str, axes: tuple[str, str]) -> Spec:
    """A line with its band for each model, both axes from 0 to 1.

    ``series`` has four columns a model: across, upwards, and the band's limits.
    """
    base, styles = _base(series, ("x", "y", "low", "high"))
    chosen = alt.selection_point(fields=["model"], bind="legend")
    across = alt.X("x:Q", title=axes[0], scale=UNIT)
    band = base.mark_area(opacity=0.15, clip=True).encode(
        x=across,
        y=alt.Y("low:Q", title=axes[1], scale=UNIT),
        y2="high:Q",
        opacity=alt.when(chosen).then(alt.value(0.15)).otherwise(alt.value(0.02)),
    )
    return _drawn(base, band, styles, chosen, across, axes[1], title)


def steps(series: Series, *, title: str, axes: tuple[str, str], most: float) -> Spec:
    """A stepped line for each model, across from 0 to ``most`` and upwards from 0 to 1.

    ``series`` has two columns a model: across and upwards.
    """
    base, styles = _base(series, ("x", "y"))
    chosen = alt.selection_point(fields=["model"], bind="legend")
    across = alt.X("x:Q", title=axes[0], scale=alt.Scale(domain=[0, most], nice=False))
    return _drawn(base, None, styles, chosen, across, axes[1], title, interpolate="step-after")


def reliability(series: Series, *, title: str, axes: tuple[str, str]) -> Spec:
    """A line with a mark for each bin of each model, and the diagonal; both axes from 0 to 1.

    ``series`` holds ``metrics.calibration.reliability`` of each model.
    """
    plain = [(style, bins[["confidence", "frequency"]]) for style, bins in series]
    base, styles = _base(plain, ("x", "y"))
    ends = chart([{"x": 0, "y": 0}, {"x": 1, "y": 1}])
    diagonal = ends.mark_line(color=LIMIT, strokeDash=[6, 4]).encode(x="x:Q", y="y:Q")
    chosen = alt.selection_point(fields=["model"], bind="legend")
    across = alt.X("x:Q", title=axes[0], scale=UNIT)
    return _drawn(base, diagonal, styles, chosen, across, axes[1], title, point=True)


def _base(series: Series, names: Sequence[str]) -> tuple[alt.Chart, list[Style]]:
    rows = [
        {"model": style.label, "at": number}
        | {name: short(value) for name, value in zip(names, values, strict=True)}
        for style, table in series
        for number, values in enumerate(table.dropna().to_numpy().tolist())
    ]
    styles = [style for style, _ in series]
    return chart(rows).encode(color=colour(styles)), styles


def _drawn(
    base: alt.Chart,
    band: alt.Chart | None,
    styles: Sequence[Style],
    chosen: alt.Parameter,
    across: alt.X,
    up: str,
    title: str,
    **line: Any,
) -> Spec:
    shown = alt.when(chosen).then(alt.value(1)).otherwise(alt.value(0.12))
    lines = base.mark_line(strokeWidth=2, clip=True, **line).encode(
        x=across,
        y=alt.Y("y:Q", title=up, scale=UNIT),
        order="at:Q",
        opacity=shown,
        strokeDash=dashes(styles),
        tooltip=[
            "model:N",
            alt.Tooltip("x:Q", format=".3f"),
            alt.Tooltip("y:Q", format=".3f"),
        ],
    )
    layers = [one for one in (band, lines.add_params(chosen, zoom())) if one is not None]
    return spec(alt.layer(*layers).properties(height=300), title)

"""Where models are good and where not: by centre, by size, from set to set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.listing import natural
from harness.report.page import charts, grids
from harness.report.page.content import Plot, table
from harness.report.page.svg import for_both, legend
from harness.report.tables.view import title_of
from harness.report.views import detail
from metrics.endocv import summarise
from metrics.masks.classes import chosen_rows
from metrics.strata import EDGES, STRATA, add_stratum

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.page.content import PageContent
    from harness.report.tables.columns import Table

_SIZES = (
    f"By the polyp's share of the frame: small below {EDGES[0]:.0%}, medium below {EDGES[1]:.0%}, "
    "large from there on; none: frames without a polyp, where F1 is 1 if nothing is predicted and "
    "0 if anything is"
)


def distribution(source: PageContent) -> Plot:
    """The F1 of every frame of every model."""
    by_model = source.polyp.groupby("model", sort=False)
    values = {title_of(str(name)): rows["f1"].tolist() for name, rows in by_model}
    return Plot(
        title="F1 of each frame",
        html=for_both(
            lambda canvas: charts.distributions(
                values, title="F1 of each frame by model", axis="F1 of a frame, 0 to 1",
                canvas=canvas,
            )
        ),
        caption=f"One dot a frame, {source.n} a model; box: quartiles; line and number: median.",
    )  # fmt: skip


def by_place(source: PageContent) -> list[Table | Plot]:
    """F1 of every model in every place and every size of polyp, as plots."""
    polyp = add_stratum(source.polyp)
    shown: list[Table | Plot] = []
    if polyp["place"].nunique() > 1:
        names = sorted(set(polyp["place"]), key=natural)
        caption = "Mean F1 of the polyp class over the frames of each centre, sequence or test set"
        shown.append(_plot(source, polyp, "place", names, "F1 by centre or sequence", caption))
    sizes = [name for name in STRATA if name in set(polyp["stratum"])]
    shown.append(_plot(source, polyp, "stratum", sizes, "F1 by size of the polyp", _SIZES))
    return shown


def folded(source: PageContent) -> list[Table]:
    """The same as tables, with every figure."""
    view = detail.stratum_view(source.frames, split=source.name, formulas=source.formulas)
    return [table(view, title="By the size of the polyp")]


def gaps(source: PageContent) -> tuple[list[Table | Plot], list[Table]]:
    """What is lost from one set to another: a plot, and tables to unfold."""
    shown: list[Table | Plot] = []
    for name, other in source.elsewhere.items():
        shown.append(_gap(source, name, other))
    columns = ("centre", "sequence", "test_set")
    by = next((c for c in columns if _several(source.frames, c)), "")
    if not by:
        return shown, []
    title = f"What is lost from {by.replace('_', ' ')} to {by.replace('_', ' ')}"
    view = detail.generalisation_view(source.frames, by, title=title, formulas=source.formulas)
    return shown, [table(view)]


def _several(frames: pd.DataFrame, column: str) -> bool:
    return bool(frames.loc[frames[column] != "", column].nunique() > 1)


def _plot(
    source: PageContent, polyp: pd.DataFrame, by: str, names: list[str], title: str, caption: str
) -> Plot:
    means: dict[str, dict[str, float]] = {}
    n: dict[str, int] = {}
    for row in summarise(polyp, ("model", by), source.formulas).to_dict("records"):
        means.setdefault(row[by], {})[row["model"]] = row["f1"]
        n[row[by]] = max(n.get(row[by], 0), row["n"])
    models = source.models
    rows = [
        grids.Group(
            label=name,
            n=n[name],
            values=[(source.styles[m], means[name][m]) for m in models if m in means[name]],
        )
        for name in names
    ]
    key = legend([source.styles[model] for model in models])
    drawn = for_both(
        lambda canvas: grids.groups(rows, title=title, axis="mean F1, 0 to 1", canvas=canvas)
    )
    return Plot(title=title, html=key + drawn, caption=f"{caption}; {source.n}.")


def _gap(source: PageContent, name: str, other: pd.DataFrame) -> Plot:
    """Mean F1 on one set and on the other, model by model; validation comes before the test."""
    sets = [
        (name, _means(source, chosen_rows(other)), other["frame"].nunique()),
        (source.name, _means(source, source.polyp), source.frames["frame"].nunique()),
    ]
    if source.split == "val":
        sets.reverse()
    (first, before, n_first), (last, after, n_last) = sets
    both = [model for model in source.models if model in before and model in after]
    rows = [(title_of(model), before[model], after[model]) for model in both]
    title = f"From the {first} to the {last}"
    return Plot(
        title=title,
        html=for_both(
            lambda canvas: grids.spans(
                rows, names=(first, last), title=title, axis="mean F1, 0 to 1", canvas=canvas
            )
        ),
        caption=f"Ring: {first}, n = {n_first} frames. Dot: {last}, n = {n_last} frames. The "
        "number is the gap in mean F1 of the polyp class: below 0, it was lost.",
    )


def _means(source: PageContent, polyp: pd.DataFrame) -> dict[str, float]:
    """Mean F1 of each model."""
    summary = summarise(polyp, ("model",), source.formulas)
    return dict(zip(summary["model"], summary["f1"].tolist(), strict=True))

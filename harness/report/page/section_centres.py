"""F1 by centre, by size of the polyp, frame by frame, and from one set to another."""

from __future__ import annotations

import pandas as pd

from harness.data.listing import natural
from harness.report.page import charts
from harness.report.page.content import PageContent, Plot
from harness.report.tables.choices import AVERAGES
from harness.report.tables.columns import Column, Table
from harness.report.tables.view import View
from harness.report.views import by_class, detail
from metrics.averages import Average, has_several_sets, summarise_by
from metrics.masks.classes import chosen_rows
from metrics.strata import EDGES, STRATA, add_stratum

_SIZES = (
    f"By its share of the frame: small below {100 * EDGES[0]:g} %, medium below "
    f"{100 * EDGES[1]:g} %, large from there on; none: frames without any, where F1 is 1 if "
    "nothing is predicted and 0 if anything is"
)


def distribution(content: PageContent) -> Plot:
    """The F1 of every frame of every model."""
    of_model = dict(list(content.polyp.groupby("model", sort=False)))
    values = [
        (content.styles[name], list(zip(rows["frame"], rows["f1"].tolist(), strict=True)))
        for name in content.leading
        for rows in [of_model[name]]
    ]
    return Plot(
        title="F1 of each frame",
        spec=charts.distributions(
            values, title="F1 of each frame by model", axis="F1 of a frame, 0 to 1"
        ),
        caption=f"One dot a frame, {content.n} a model; a click opens the frame. Box: quartiles; "
        f"line and number: median.{_best(content)}",
    )


def _best(content: PageContent) -> str:
    """A sentence on which models a plot shows, where it does not show all."""
    shown = len(content.leading)
    return f" The best {shown} by mean F1." if shown < len(content.models) else ""


def by_centre(content: PageContent) -> list[Table | Plot]:
    """F1 of every model at every centre and for every size of polyp, as plots."""
    polyp = add_stratum(content.polyp)
    shown: list[Table | Plot] = []
    if polyp["place"].nunique() > 1:
        names = sorted(set(polyp["place"]), key=natural)
        caption = (
            f"Mean F1 of the {content.class_} class over the frames of each centre, sequence or "
            "test set"
        )
        shown.append(_plot(content, polyp, "place", names, "F1 by centre or sequence", caption))
    sizes = [name for name in STRATA if name in set(polyp["stratum"])]
    title = f"F1 by size of the {content.class_}"
    shown.append(_plot(content, polyp, "stratum", sizes, title, _SIZES))
    return shown


def tables(content: PageContent) -> list[Table]:
    """The same as tables, with every figure."""
    centres = by_class.by_place(content.frames, average=content.average)
    sizes = detail.stratum_view(
        content.frames, split=content.name, formulas="official", average=content.average
    )
    view = by_class.place_view(centres, split=content.name, protocol=content.protocol)
    return [
        view.table("By centre or sequence"),
        sizes.table(f"By the size of the {content.class_}"),
    ]


def gaps(content: PageContent) -> tuple[list[Table | Plot], list[Table]]:
    """How much F1 drops from one set to another: plots, and tables to unfold."""
    shown: list[Table | Plot] = []
    folded: list[Table] = []
    for name, other in content.elsewhere.items():
        plot, table = _gap(content, name, other)
        shown.append(plot)
        folded.append(table)
    columns = ("centre", "sequence", "test_set")
    by = next((c for c in columns if detail.has_several(content.frames, c)), "")
    if by:
        named = by.replace("_", " ")
        title = f"Drop from {named} to {named}"
        view = detail.generalisation_view(content.frames, by, title=title, formulas="official")
        folded.append(view.table())
    return shown, folded


def _plot(
    content: PageContent, polyp: pd.DataFrame, by: str, names: list[str], title: str, caption: str
) -> Plot:
    means: dict[str, dict[str, float]] = {}
    n: dict[str, int] = {}
    summary = summarise_by(content.average, polyp, ("model", by))
    for row in summary.to_dict("records"):
        means.setdefault(row[by], {})[row["model"]] = row["f1"]
        n[row[by]] = max(n.get(row[by], 0), row["n"])
    rows = [
        (name, n[name], [(content.styles[m], of[m]) for m in content.leading if m in of])
        for name in names
        for of in [means[name]]
    ]
    spec = charts.groups(rows, title=title, axis="mean F1, 0 to 1")
    if by == "stratum":
        caption += _averaged(content.average, content.frames)
    return Plot(title=title, spec=spec, caption=f"{caption}; {content.n}.{_best(content)}")


def _gap(content: PageContent, name: str, other: pd.DataFrame) -> tuple[Plot, Table]:
    """Mean F1 of each model on two sets; validation comes before test."""
    sets = [
        (name, _means(content, chosen_rows(other)), other["frame"].nunique()),
        (content.name, _means(content, content.polyp), content.frames["frame"].nunique()),
    ]
    if content.split == "val":
        sets.reverse()
    (first, before, n_first), (last, after, n_last) = sets
    both = [model for model in content.models if model in before and model in after]
    rows = [(content.styles[model], before[model], after[model]) for model in both]
    plot = Plot(
        title=f"From the {first} to the {last}",
        spec=charts.spans(
            rows, names=(first, last), title=f"Mean F1, {first} and {last}", axis="mean F1, 0 to 1"
        ),
        caption=f"Ring: {first}, n = {n_first} frames. Dot: {last}, n = {n_last} frames. "
        f"Number: the change in mean F1 of the {content.class_} class"
        f"{_averaged(content.average, content.frames, other)}.",
    )
    cells = [
        {"model": style.label, "first": start, "last": end, "gap": end - start}
        for style, start, end in rows
    ]
    view = View(
        frame=pd.DataFrame(cells),
        columns=[
            Column("model", "Model"),
            Column("first", f"{first} (n = {n_first})", decimals=3),
            Column("last", f"{last} (n = {n_last})", decimals=3),
            Column("gap", "Change in F1", decimals=3),
        ],
        title=f"Mean F1 on the {first} and the {last}",
    )
    return plot, view.table()


def _means(content: PageContent, polyp: pd.DataFrame) -> dict[str, float]:
    """Mean F1 of each model."""
    summary = summarise_by(content.average, polyp, ("model",))
    return dict(zip(summary["model"], summary["f1"].tolist(), strict=True))


def _averaged(average: Average, *tables: pd.DataFrame) -> str:
    """Words on the average of several test sets, to follow in a caption."""
    return f" ({AVERAGES[average]})" if any(map(has_several_sets, tables)) else ""

"""The tables of an evaluation, by the names of ``harness evaluate --table``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.evaluation.calibration import calibration_of, risk_rows
from harness.evaluation.curves import curves_of
from harness.evaluation.map_table import pranet_rows
from harness.evaluation.stored import PROTOCOLS
from harness.report.tables.choices import SETS, Format
from harness.report.tables.view import View, titled
from harness.report.views import by_class, detail, maps
from harness.report.views import paper as paper_table
from harness.report.views.pranet import pranet_views
from metrics.endocv import add_figures
from metrics.masks.classes import chosen_class
from metrics.paper import results as paper_results
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from metrics.averages import Average
    from metrics.masks.read import Protocol


MOST_LINES: Final = 60
"""Of a table that stands below others on a terminal; a longer one is asked for by its name."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Frame tables of several models, and how they are shown.

    Attributes:
        frames: One after another, with a ``model`` column.
        split: The split, or several as ``val and test``.
        protocol: ``paper``, ``official`` or ``strict``.
        is_paper_split: Whether the frames are those of the paper's splits.
        by: The column that names the sets for generalisation, such as ``split``; ``None`` for the
            first of them with two sets or more.
        reference: The set that others are compared with; ``None`` for each in turn.
        other: The set compared with it; ``None`` for each in turn.
        average: By which several test sets are averaged; ``None`` for over sets.
        maps: The map tables of the same models, for tables of probability maps.
        temperatures: Model to the temperature that calibrates it, where one is known.
    """

    frames: pd.DataFrame
    split: str
    protocol: str
    is_paper_split: bool = True
    by: str | None = None
    reference: str | None = None
    other: str | None = None
    average: Average | None = None
    maps: pd.DataFrame | None = None
    temperatures: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def map_tables(self) -> dict[str, pd.DataFrame]:
        """Model to its map table."""
        if self.maps is None:
            raise ValueError("the table needs the map tables of the models")
        return {str(model): own for model, own in self.maps.groupby("model", sort=False)}

    @property
    def formulas(self) -> Protocol:
        """The protocol of the formulas."""
        return PROTOCOLS[self.protocol].formulas

    @property
    def summary(self) -> pd.DataFrame:
        """What ``by_class.figures`` gives."""
        return by_class.figures(self.frames, self.formulas, self.average)

    @property
    def class_(self) -> str:
        """The chosen class, of which all figures of a single class are."""
        return chosen_class(self.frames)

    @property
    def is_papers(self) -> bool:
        """Whether splits and classes are the paper's."""
        return self.is_paper_split and by_class.is_papers(self.frames)


def classes(measured: Measured, format_: Format) -> list[View]:
    """One table a class, and polyp figures by centre; a single long table for CSV and JSON.

    On a terminal that by centre is left out where it is long.
    """
    reference = paper_results() if measured.is_papers else None
    summary = measured.summary
    named = {"split": measured.split, "protocol": measured.protocol}
    if format_ in ("csv", "json"):
        return [by_class.long_view(summary, paper=reference, **named)]
    names = summary["class"].unique()
    views = [by_class.class_view(summary, c, paper=reference, **named) for c in names]
    below = places(measured, format_)
    if format_ == "table" and len(below[0].frame) > MOST_LINES:
        hint = f" The {len(below[0].frame)} lines by centre or sequence: --table places."
        return [*views[:-1], replace(views[-1], caption=views[-1].caption + hint)]
    return [*views, *below]


def places(measured: Measured, _format: Format) -> list[View]:
    """Polyp figures by centre or sequence."""
    summary = by_class.by_place(measured.frames, measured.formulas, measured.average)
    return [by_class.place_view(summary, split=measured.split, protocol=measured.protocol)]


def paper(measured: Measured, _format: Format) -> list[View]:
    """The paper's Table 2 or 3."""
    if not measured.is_papers:
        raise UserError(
            "--table paper is for the paper's splits and classes, not for --leave-out, --folds, "
            "or frames or classes of your own"
        )
    summary = measured.summary
    return [paper_table.table_view(summary, measured.split, paper_results())]


def pranet(measured: Measured, format_: Format) -> list[View]:
    """PraNet's table, by test set, or of the split where its frames are of none."""
    tables = measured.map_tables.items()
    rows = [pranet_rows(own).assign(model=model) for model, own in tables]
    table = titled(pd.concat(rows, ignore_index=True))
    return pranet_views(table.replace({"test_set": {"": measured.split}}), format_)


def curves(measured: Measured, _format: Format) -> list[View]:
    """What each model reaches by threshold, and its polyps by score."""
    found = {model: curves_of(table) for model, table in measured.map_tables.items()}
    return [
        maps.by_pixel_view(found, split=measured.split),
        maps.by_region_view(found, split=measured.split, class_=measured.class_),
    ]


def calibration(measured: Measured, _format: Format) -> list[View]:
    """Calibration before and after temperature scaling, and thresholds that keep a risk."""
    tables, kept = measured.map_tables, measured.temperatures
    found = {model: calibration_of(table, kept.get(model)) for model, table in tables.items()}
    risks = {model: risk_rows(table) for model, table in tables.items()}
    return [
        maps.calibration_view(found, split=measured.split, class_=measured.class_),
        maps.risk_view(risks, split=measured.split, class_=measured.class_),
    ]


def contours(measured: Measured, _format: Format) -> list[View]:
    """Distances between contours; by the official protocol the organisers' figure beside them."""
    frames, split = measured.frames, measured.split
    views = [detail.contour_view(measured.summary, split=split)]
    if "hausdorff_rows" in frames:
        views.append(detail.organisers_hausdorff_view(frames, split, measured.average))
    return views


def polyps(measured: Measured, _format: Format) -> list[View]:
    """Polyps found, and frames recognised."""
    return [detail.detection_view(measured.frames, split=measured.split, average=measured.average)]


def strata(measured: Measured, _format: Format) -> list[View]:
    """Polyp figures by size of the polyp."""
    frames, split, formulas = measured.frames, measured.split, measured.formulas
    return [detail.stratum_view(frames, split=split, formulas=formulas, average=measured.average)]


def generalisation(measured: Measured, _format: Format) -> list[View]:
    """The drop from one split, centre, sequence, dataset or test set to another."""
    by = measured.by or _column_of_sets(measured.frames)
    return [
        detail.generalisation_view(
            measured.frames,
            by,
            title=f"{measured.split} split, generalisation from {by} to {by}".replace("_", " "),
            formulas=measured.formulas,
            reference=measured.reference,
            other=measured.other,
        )
    ]


def more(measured: Measured, format_: Format) -> list[View]:
    """Contours, polyps and strata, and generalisation between centres where there are any."""
    views = [view for make in (contours, polyps, strata) for view in make(measured, format_)]
    if detail.has_several(measured.frames, "centre"):
        views += generalisation(measured, format_)
    return [*views, *plug_ins(measured, format_)]


def plug_ins(measured: Measured, _format: Format) -> list[View]:
    """The figures of ``harness.metrics`` plug-ins, where there are any."""
    view = detail.plug_in_view(measured.summary, split=measured.split)
    return [] if view is None else [view]


def by_frame(measured: Measured, _format: Format) -> list[View]:
    """Every figure of every frame and class."""
    table = add_figures(measured.frames, measured.formulas)
    front = ["model", "frame", "class"]
    return [
        View(
            frame=table,
            columns=[*front, *(name for name in table.columns if name not in front)],
            title=f"{measured.split} split, by frame ({measured.protocol} protocol)",
        )
    ]


KINDS: Final[Mapping[str, Callable[[Measured, Format], list[View]]]] = {
    "classes": classes, "places": places, "paper": paper, "pranet": pranet, "curves": curves,
    "calibration": calibration, "contours": contours, "polyps": polyps, "strata": strata,
    "generalisation": generalisation, "more": more, "frames": by_frame,
}  # fmt: skip


def _column_of_sets(frames: pd.DataFrame) -> str:
    return next((name for name in SETS if detail.has_several(frames, name)), "centre")

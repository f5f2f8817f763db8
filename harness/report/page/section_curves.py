"""Dice, precision and sensitivity over thresholds, each plot with its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.page import charts_curves
from harness.report.page.content import PageContent, Plot
from harness.report.tables.view import capitalised
from harness.report.views.by_class import regions
from harness.report.views.calibration import calibration_view
from harness.report.views.curves import by_pixel_view, by_region_view
from metrics.calibration import BINS
from metrics.curves import RESAMPLES
from metrics.frame.candidates import CUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.evaluation.curves import Curves
    from harness.report.tables.columns import Table

_BANDS = f"Bands: 95 % bootstrap, {RESAMPLES:,} resamples of sequences."
_MOST_FALSE = 4.0


def curves(content: PageContent) -> list[Table | Plot]:
    """The plots and tables of the models whose probability maps were measured."""
    known = {model: content.curves[model] for model in content.models if model in content.curves}
    if not known:
        return []
    return [
        _dice(content, known),
        _precision(content, known),
        by_pixel_view(known, split=content.name).table("By threshold"),
        _froc(content, known),
        by_region_view(known, split=content.name, class_=content.class_).table(
            f"{capitalised(regions(content.class_))} by score"
        ),
    ]


def calibration(content: PageContent) -> list[Table | Plot]:
    """Reliability by pixel and by region, and the figures as a table."""
    known = {
        name: content.calibrations[name] for name in content.models if name in content.calibrations
    }
    if not known:
        return []
    kinds = (
        ("pixel", "by_pixel", f"share of {content.class_} pixels"),
        (content.class_, "by_polyp", f"share of candidates that find {content.class_}"),
    )
    plots = [
        Plot(
            title=f"Reliability by {kind}",
            spec=charts_curves.reliability(
                [(content.styles[name], getattr(one, key)) for name, one in known.items()],
                title=f"Reliability by {kind}",
                axes=("probability, 0 to 1", f"{share}, 0 to 1"),
            ),
            caption=f"{BINS} bins of equal width; on the dashed line probabilities are "
            f"frequencies. {content.n}.",
        )
        for kind, key, share in kinds
    ]
    view = calibration_view(known, split=content.name, class_=content.class_)
    return [*plots, view.table("Calibration")]


def _dice(content: PageContent, known: Mapping[str, Curves]) -> Plot:
    columns = ["threshold", "dice", "dice_low", "dice_high"]
    series = [(content.styles[model], found.by_pixel[columns]) for model, found in known.items()]
    return Plot(
        title="Dice over thresholds",
        spec=charts_curves.bands(
            series, title="Mean Dice by threshold", axes=("threshold", "mean Dice, 0 to 1")
        ),
        caption=f"A pixel is {content.class_} where its probability is above the threshold. "
        f"{_BANDS} {content.n}.",
    )


def _precision(content: PageContent, known: Mapping[str, Curves]) -> Plot:
    columns = ["recall", "precision", "precision_low", "precision_high"]
    series = [(content.styles[model], found.by_pixel[columns]) for model, found in known.items()]
    return Plot(
        title="Precision and recall by pixel",
        spec=charts_curves.bands(
            series, title="Precision by recall", axes=("recall, 0 to 1", "precision, 0 to 1")
        ),
        caption="All frames' pixels together, at 255 thresholds; precision's band is that at the "
        f"same threshold. {_BANDS} {content.n}.",
    )


def _froc(content: PageContent, known: Mapping[str, Curves]) -> Plot:
    columns = ["false_a_frame", "sensitivity"]
    series = [(content.styles[model], found.by_polyp[columns]) for model, found in known.items()]
    named = regions(content.class_)
    return Plot(
        title=f"{capitalised(named)} found against false ones",
        spec=charts_curves.steps(
            series,
            title=f"Sensitivity by false {named} a frame",
            axes=(f"false {named} a frame", f"share of {named} found, 0 to 1"),
            most=_MOST_FALSE,
        ),
        caption=f"Candidates (regions above {CUT:g}) from the best score down; up to "
        f"{_MOST_FALSE:g} false ones a frame. n = "
        f"{max(found.polyps for found in known.values())} {named}.",
    )

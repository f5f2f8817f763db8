"""Dice, precision and sensitivity over thresholds, each plot with its table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.report.page import charts_curves
from harness.report.page.content import PageContent, Plot
from harness.report.tables.view import capitalised
from harness.report.views.by_class import regions
from harness.report.views.maps import by_pixel_view, by_region_view, calibration_view
from metrics.calibration import BINS
from metrics.curves import RESAMPLES
from metrics.frame.candidates import CUT
from metrics.utils.names import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.evaluation.curves import Curves
    from harness.report.tables.columns import Table

_BANDS = f"Bands: 95 % bootstrap, {RESAMPLES:,} resamples of sequences."
_MOST_FALSE: Final = 4


def curves(content: PageContent) -> list[Table | Plot]:
    """The plots and tables of the models whose probability maps were measured."""
    known = {model: content.curves[model] for model in content.models if model in content.curves}
    if not known:
        return []
    return [
        *_bands(content, known),
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


def _bands(content: PageContent, known: Mapping[str, Curves]) -> list[Plot]:
    """Mean Dice by threshold, and precision by recall, with their bands."""
    plots = (
        ("Dice over thresholds", "Mean Dice by threshold", ("threshold", "dice"),
         ("threshold", "mean Dice, 0 to 1"),
         f"A pixel is {content.class_} where its probability is above the threshold."),
        ("Precision and recall by pixel", "Precision by recall", ("recall", "precision"),
         ("recall, 0 to 1", "precision, 0 to 1"),
         "All frames' pixels together, at 255 thresholds; precision's band is that at the same "
         "threshold."),
    )  # fmt: skip
    return [
        Plot(
            title=heading,
            spec=charts_curves.bands(
                [
                    (content.styles[model], found.by_pixel[[x, y, f"{y}_low", f"{y}_high"]])
                    for model, found in known.items()
                ],
                title=title,
                axes=axes,
            ),
            caption=f"{caption} {_BANDS} {content.n}.",
        )
        for heading, title, (x, y), axes, caption in plots
    ]


def _froc(content: PageContent, known: Mapping[str, Curves]) -> Plot:
    # Above all scores nothing is found and nothing is wrong; many curves have but one more point.
    first = pd.DataFrame({"false_a_frame": [0.0], "sensitivity": [0.0]})
    series = [
        (content.styles[model], pd.concat([first, found.by_polyp[[*first]]]))
        for model, found in known.items()
    ]
    furthest = max(float(points["false_a_frame"].max()) for _, points in series)
    most = float(min(_MOST_FALSE, max(1, math.ceil(furthest))))
    named = regions(content.class_)
    return Plot(
        title=f"{capitalised(named)} found against false ones",
        spec=charts_curves.steps(
            series,
            title=f"Sensitivity by false {named} a frame",
            axes=(f"false {named} a frame", f"share of {named} found, 0 to 1"),
            most=most,
        ),
        caption=f"Candidates (regions above {CUT:g}) from the best score down; up to "
        f"{counted(int(most), 'false one')} a frame. n = "
        f"{max(found.polyps for found in known.values())} {named}.",
    )

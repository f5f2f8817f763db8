"""The curves of a map table, for one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics.curves import average_precision, froc, threshold_curves
from metrics.statistics.clusters import clusters_of, effective_number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Curves:
    """What a model's probability maps reach at every threshold.

    Attributes:
        by_pixel: See ``metrics.curves.threshold_curves``.
        by_polyp: See ``metrics.curves.froc``.
        average_precision: By polyp.
        polyps: How many there are.
        frames: How many frames.
        effective_clusters: How many sequences of one length would vary as much as theirs.
    """

    by_pixel: pd.DataFrame
    by_polyp: pd.DataFrame
    average_precision: float
    polyps: int
    frames: int
    effective_clusters: float


def curves_of(table: pd.DataFrame) -> Curves:
    """The curves of one model's map table."""
    clusters = clusters_of(table)
    by_polyp = froc(table["found"].tolist(), table["false"].tolist(), table["polyps"].tolist())
    return Curves(
        by_pixel=threshold_curves(
            np.stack(table["polyp_levels"].tolist()),
            np.stack(table["rest_levels"].tolist()),
            clusters,
        ),
        by_polyp=by_polyp,
        average_precision=average_precision(by_polyp),
        polyps=int(table["polyps"].sum()),
        frames=len(table),
        effective_clusters=effective_number(clusters),
    )

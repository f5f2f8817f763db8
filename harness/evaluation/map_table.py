"""The map table of an evaluation: what is measured of each frame's probability map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from metrics.curves import level_counts
from metrics.frame.candidates import candidates
from metrics.masks.read import Mask
from metrics.pranet import MapFigures, as_saved, measure_map, summarise_maps

if TYPE_CHECKING:
    import pandas as pd

TABLE: Final = "maps.parquet"

COPIED: Final = ("frame", "dataset", "centre", "sequence", "test_set")
"""Columns of the catalogue that the map table repeats."""


def map_row(
    frame: Mapping[str, Any], probability: NDArray[np.float32], truth: Mask
) -> dict[str, Any]:
    """The row of a frame of the catalogue.

    Probabilities and truth, (H, W), are of the chosen class, at the frame's own size.
    """
    polyp, rest = level_counts(probability, truth)
    return {
        **{name: frame[name] for name in COPIED},
        **measure_map(as_saved(probability), truth, probability > 0.5)._asdict(),
        "polyp_levels": polyp,
        "rest_levels": rest,
        **candidates(truth, probability)._asdict(),
    }


def pranet_rows(table: pd.DataFrame) -> pd.DataFrame:
    """PraNet's figures of a map table, a row a test set; one without a name where there is none."""
    import pandas as pd

    rows = [
        {
            "test_set": test_set,
            **summarise_maps(map(MapFigures._make, own[[*MapFigures._fields]].to_numpy())),
        }
        for test_set, own in table.groupby("test_set", sort=False)
    ]
    return pd.DataFrame(rows)

"""Strata: frames by the share of their area that is polyp."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from metrics.masks.classes import chosen_class
from metrics.utils.errors import UserError
from metrics.utils.groups import frame_codes

STRATA: Final = ("none", "small", "medium", "large")
EDGES: Final = (0.05, 0.15)
"""Area shares from which on a frame's polyp is medium, and large."""


def add_stratum(table: pd.DataFrame, edges: tuple[float, float] = EDGES) -> pd.DataFrame:
    """A frame table with the column stratum, alike in all rows of a frame.

    It is 'none' (the frame has no polyp), 'small', 'medium' or 'large', by the share of the frame's
    area, tp + fn, from which on a polyp is medium, and large. A frame with several polyps goes by
    their area together.

    Raises:
        UserError: A frame has no polyp row, or the edges do not rise from 0 to 1.

    Example:
        >>> rows = [{"frame": "a", "class": "polyp", "tp": 4, "fp": 0, "fn": 0, "tn": 96}]
        >>> rows += [{"frame": "b", "class": "polyp", "tp": 20, "fp": 0, "fn": 0, "tn": 80}]
        >>> add_stratum(pd.DataFrame(rows))["stratum"].tolist()
        ['small', 'large']
    """
    if not 0 < edges[0] < edges[1] < 1:
        raise UserError(f"expected two rising area shares between 0 and 1, but got {edges}.")
    polyp, codes = table["class"] == chosen_class(table), frame_codes(table)
    area = table["tp"] + table["fn"]
    share = area / (area + table["fp"] + table["tn"])
    names = np.asarray(STRATA, dtype=object)[np.where(area > 0, np.digitize(share, edges) + 1, 0)]
    strata = np.full(codes.max(initial=-1) + 1, None, dtype=object)
    strata[codes[polyp]] = names[polyp]
    joined = table.assign(stratum=strata[codes]).reset_index(drop=True)
    if joined["stratum"].isna().any():
        frame = joined.loc[joined["stratum"].isna(), "frame"].iloc[0]
        raise UserError(f"frame {frame}: expected a row of the class polyp, but there is none.")
    return joined

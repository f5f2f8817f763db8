"""A curve as one line of text, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

LEVELS: Final = "▁▂▃▄▅▆▇█"
WIDEST: Final = 60


def sparkline(values: Sequence[float], widest: int = WIDEST) -> str:
    """Values as bars of eight heights, the smallest the lowest.

    Returns:
        str: One character a value or group; all the lowest if the values are equal.
    """
    grouped = _grouped(values, widest)
    finite = [value for value in grouped if math.isfinite(value)]
    if not finite:
        return " " * len(grouped)
    low, high = min(finite), max(finite)
    step = (high - low) / (len(LEVELS) - 1)
    return "".join(
        " " if not math.isfinite(value) else LEVELS[round((value - low) / step) if step else 0]
        for value in grouped
    )


def _grouped(values: Sequence[float], widest: int) -> list[float]:
    count = min(len(values), widest)
    edges = [round(place * len(values) / count) for place in range(count + 1)] if count else [0]
    parts = [values[start:end] for start, end in pairwise(edges)]
    return [sum(part) / len(part) for part in parts]

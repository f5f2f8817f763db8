"""Small masks drawn as text, and frame tables made from counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import settings

from metrics.frame.pixel_counts import Counts, frame_rows
from metrics.statistics.samples import Samples

settings.register_profile("metrics", deadline=None, max_examples=60)
settings.load_profile("metrics")

Mask = npt.NDArray[np.bool_]


def _drawn(text: str) -> Mask:
    lines = text.split()
    return np.array([[sign == "#" for sign in line] for line in lines])


def _table(counts: Sequence[tuple[int, int, int, int]], **columns: object) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for number, one in enumerate(counts):
        own = {
            name: value[number] if isinstance(value, list) else value
            for name, value in columns.items()
        }
        rows += frame_rows(Counts(*one), **({"frame": f"f{number}"} | own))
    return pd.DataFrame(rows)


@pytest.fixture
def drawn() -> Callable[[str], Mask]:
    """A mask from lines of '#' (polyp) and '.' (background)."""
    return _drawn


@pytest.fixture
def table() -> Callable[..., pd.DataFrame]:
    """A frame table from polyp counts (tp, fp, fn, tn); a list gives one value a frame."""
    return _table


def _drawn_samples(
    *, models: int = 2, clusters: int = 30, size: int = 1, gap: float = 0.0, seed: int = 0
) -> Samples:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(clusters), size)
    hard = rng.normal(0.7, 0.1, clusters)[codes]
    noise = rng.normal(0, 0.1, (models, len(codes)))
    values = hard + noise + gap * np.arange(models)[:, None]
    return Samples(
        models=tuple("abcdefgh"[:models]),
        figures=("f1",),
        values=values[..., None],
        clusters=codes,
        frames=tuple(f"f{number}" for number in range(len(codes))),
    )


@pytest.fixture
def drawn_samples() -> Callable[..., Samples]:
    """F1 of several models, each better than the one before by a gap, in equal clusters."""
    return _drawn_samples

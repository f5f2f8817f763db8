"""Figures that a plug-in brings become columns that are averaged, compared and ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata

import numpy as np
import pandas as pd
import pytest

from metrics import registry
from metrics.endocv import summarise
from metrics.frame.pixel_counts import count, frame_rows
from metrics.masks.read import Mask
from metrics.registry import FrameMetric
from metrics.statistics.comparison import compare
from metrics.statistics.ranking import rank
from metrics.statistics.samples import collect
from metrics.utils.errors import UserError


class Entry:
    value = "package:metric"

    def __init__(self, loaded: object) -> None:
        self.loaded = loaded

    def load(self) -> object:
        return self.loaded


def area_error(mask_truth: Mask, mask_prediction: Mask) -> float:
    """Pixels too many or too few; undefined without a polyp."""
    if not mask_truth.any():
        return float("nan")
    return abs(int(mask_prediction.sum()) - int(mask_truth.sum()))


AREA = FrameMetric(
    name="area_error_px", title="Area error px", compute=area_error, better="min", decimals=1
)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Entry]]:
    found: list[Entry] = []
    monkeypatch.setattr(metadata, "entry_points", lambda group: found)
    registry.frame_metrics.cache_clear()
    yield found
    registry.frame_metrics.cache_clear()


def square(side: int) -> Mask:
    mask = np.zeros((8, 8), bool)
    mask[:side, :side] = True
    return mask


def table() -> pd.DataFrame:
    """Truths of 4, 16 and 0 pixels; model a predicts 4 and 9, model b 1 and 16, both one pixel."""
    rows: list[dict[str, object]] = []
    for model, sides in (("a", (2, 3, 1)), ("b", (1, 4, 1))):
        for number, (side, predicted) in enumerate(zip((2, 4, 0), sides, strict=True)):
            truth, prediction = square(side), square(predicted)
            rows += frame_rows(
                count(truth, prediction),
                measured=registry.measured(truth, prediction),
                model=model, frame=f"f{number}", sequence="",
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_a_plug_in_is_a_column_that_is_averaged(entries: list[Entry]) -> None:
    entries.append(Entry(AREA))
    summary = summarise(table(), ("model", "class")).set_index(["model", "class"])

    assert summary.loc[("a", "polyp"), "area_error_px"] == (0 + 7) / 2
    assert summary.loc[("b", "polyp"), "area_error_px"] == (3 + 0) / 2
    assert summary.loc[("a", "polyp"), "left_out_area_error_px"] == 1
    assert np.isnan(summary.loc[("a", "background"), "area_error_px"])


def test_smaller_is_better_where_the_plug_in_says_so(entries: list[Entry]) -> None:
    entries.append(Entry(AREA))
    samples = collect(table(), figures=["area_error_px"])

    assert rank(samples, "area_error_px", resamples=50).table["model"].tolist() == ["b", "a"]
    (found,) = compare(samples, "a", "b", resamples=50)
    assert found.superiority == 0.5
    assert found.difference == 2


@pytest.mark.parametrize(
    ("loaded", "message"),
    [
        (FrameMetric(name="f1", title="F1", compute=area_error), "'f1' is taken"),
        (replace(AREA, name="score_sets"), "'score_sets' is taken"),
        (replace(AREA, name="title"), "'title' is taken"),
        (area_error, "expected a metrics.registry.FrameMetric"),
    ],
)
def test_a_broken_plug_in_is_named_and_left_out(
    entries: list[Entry], loaded: object, message: str
) -> None:
    entries += [Entry(loaded), Entry(AREA)]
    with pytest.warns(UserWarning, match=message):
        assert list(registry.frame_metrics()) == ["area_error_px"]


@pytest.mark.parametrize("answer", [lambda a, b: 1 / 0, lambda a, b: None, lambda a, b: np.inf])
def test_a_plug_in_that_fails_is_named(
    entries: list[Entry], answer: Callable[[Mask, Mask], float]
) -> None:
    entries.append(Entry(replace(AREA, compute=answer)))
    with pytest.raises(UserError, match="the metric area_error_px of a plug-in fails"):
        registry.measured(square(1), square(2))


def test_what_is_better_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="better is 'max' or 'min', not 'lower'"):
        FrameMetric(name="a", title="A", compute=area_error, better="lower")  # type: ignore[arg-type]


def test_no_plug_in_may_take_a_column_of_the_frame_table() -> None:
    names = set(frame_rows(count(square(1), square(2)))[0]) - {"area_error_px"}
    assert names <= registry.TAKEN

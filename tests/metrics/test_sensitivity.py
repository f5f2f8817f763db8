"""The checks of the metrics notice a bug when one is planted."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from metrics import endocv
from metrics.frame import pixel_counts as counts
from metrics.masks import read
from metrics.statistics.samples import collect
from metrics.utils.errors import FaultsError

Mask = npt.NDArray[np.bool_]


def pairs() -> list[tuple[Mask, Mask]]:
    """Unequal shapes with a hole, an empty truth, an empty prediction."""
    y, x = np.ogrid[:60, :80]
    polyp = ((x - 40) / 20) ** 2 + ((y - 30) / 12) ** 2 < 1
    holed = polyp & ~((x - 44) ** 2 + (y - 30) ** 2 < 20)
    small = (x - 60) ** 2 + (y - 15) ** 2 < 40
    nothing = np.zeros_like(polyp)
    return [(holed, np.roll(polyp, 6, 1)), (polyp, small), (nothing, small), (polyp, nothing)]


def scored(protocol: read.Protocol) -> dict[str, float]:
    """Means over the pairs by the code of this project, from encoded masks."""
    rows: list[dict[str, object]] = []
    for number, pair in enumerate(pairs()):
        truth, prediction = (
            read.decode_mask(_jpeg(mask), protocol=protocol, name="drawn") for mask in pair
        )
        rows += counts.frame_rows(counts.count(truth, prediction), frame=f"f{number}")
    summary = endocv.summarise(pd.DataFrame(rows), protocol=protocol)
    return summary.set_index("class").loc["polyp"].to_dict()


def expected(protocol: read.Protocol) -> dict[str, float]:
    """The same means by way of sets of pixels."""
    threshold = 0 if protocol == "official" else 127
    figures: dict[str, list[float]] = {"ppv": [], "recall": [], "f1": []}
    for pair in pairs():
        truth, prediction = (
            {
                tuple(point)
                for point in np.argwhere(
                    np.asarray(Image.open(io.BytesIO(_jpeg(mask)))) > threshold
                )
            }
            for mask in pair
        )
        shared = len(truth & prediction)
        empty = 1.0 if protocol == "official" else float("nan")
        figures["ppv"].append(shared / len(prediction) if prediction else empty)
        figures["recall"].append(shared / len(truth) if truth else empty)
        figures["f1"].append(2 * shared / (len(truth) + len(prediction)))
    return {name: float(np.nanmean(values)) for name, values in figures.items()}


def agree() -> bool:
    """Whether both ways come to the same figures by both protocols."""
    return all(
        scored(protocol)[name] == pytest.approx(value, abs=1e-9)
        for protocol in read.THRESHOLDS
        for name, value in expected(protocol).items()
    )


def _jpeg(mask: Mask) -> bytes:
    pixels = np.where(mask, 255, 0).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])[1])


def _swapped(compute: Callable[..., dict[str, object]]) -> Callable[..., dict[str, object]]:
    def wrong(*args: object) -> dict[str, object]:
        figures = compute(*args)
        return figures | {"ppv": figures["recall"], "recall": figures["ppv"]}

    return wrong


def test_without_a_bug_both_ways_agree():
    assert agree()


@pytest.mark.parametrize("compute", ["_official", "_strict"])
def test_ppv_and_recall_swapped(compute, monkeypatch):
    monkeypatch.setattr(endocv, compute, _swapped(getattr(endocv, compute)))
    assert not agree()


@pytest.mark.parametrize(
    "thresholds", [{"official": 0, "strict": 0}, {"official": 127, "strict": 127}]
)
def test_the_wrong_threshold(thresholds, monkeypatch):
    monkeypatch.setattr(read, "THRESHOLDS", thresholds)
    assert not agree()


def test_a_frame_dropped(monkeypatch):
    summarise = endocv.summarise
    monkeypatch.setattr(endocv, "summarise", lambda table, **rest: summarise(table[2:], **rest))
    assert not agree()


def test_truth_and_prediction_exchanged(monkeypatch):
    monkeypatch.setattr(
        counts, "count", lambda truth, prediction, f=counts.count: f(prediction, truth)
    )
    assert not agree()


def test_a_missing_frame_never_passes_unnoticed(table):
    frames = pd.concat([table([(1, 1, 1, 1)] * 3, model=name) for name in "ab"])
    with pytest.raises(FaultsError):
        collect(frames.iloc[:-2])

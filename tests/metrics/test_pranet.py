"""PraNet's table, against figures of pysodmetrics."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import distance_transform_edt

from metrics.frame.saliency import _smoothed_errors, weighted_f
from metrics.pranet import MapFigures, fit_map, measure_map, summarise_maps
from metrics.utils.errors import UserError
from tests.metrics.pranet_oracle import FIGURES, cases

ORACLE = json.loads(FIGURES.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def measured() -> dict[str, MapFigures]:
    return {name: measure_map(*pair) for name, pair in cases().items()}


@pytest.mark.parametrize("name", ORACLE)
def test_figures_are_those_of_pysodmetrics(name: str, measured: dict[str, MapFigures]) -> None:
    frames = measured.values() if name == "all" else [measured[name]]
    ours = summarise_maps(frames)
    assert {key: ours[key] for key in ORACLE[name]} == pytest.approx(ORACLE[name], abs=1e-9)


def test_dice_at_one_half_is_that_of_the_map_as_it_is(measured: dict[str, MapFigures]) -> None:
    # Stretched to [0, 1] the faint map is a good one; its own values stay below one half.
    assert summarise_maps([measured["faint"]])["mdice"] > 0.5
    assert measured["faint"].dice_half == 0
    map_, truth = cases()["soft"]
    hit = np.count_nonzero((map_ > 127) & truth)
    both = np.count_nonzero(map_ > 127) + truth.sum()
    assert measured["soft"].dice_half == pytest.approx(2 * hit / both)
    assert measured["soft"].iou_half == pytest.approx(hit / (both - hit))


def test_a_truth_in_bytes_is_one_of_bool(measured: dict[str, MapFigures]) -> None:
    map_, truth = cases()["soft"]
    in_bytes = measure_map(map_, truth * np.uint8(255))
    for name, value in measured["soft"]._asdict().items():
        np.testing.assert_array_equal(getattr(in_bytes, name), value)
    assert weighted_f(map_ / 255, truth * np.uint8(255)) == in_bytes.weighted_f


def test_a_polyp_in_the_last_row_and_column_is_no_special_case() -> None:
    truth = np.zeros((8, 8), bool)
    truth[7, 7] = True
    figures = summarise_maps([measure_map(truth.astype(np.uint8) * 255, truth)])
    assert figures["sm"] == pytest.approx(1)
    assert figures["wfm"] == pytest.approx(1)


def test_weighted_f_is_exact_and_so_the_same_in_every_process() -> None:
    """OpenCV's distances are not: their last bits depend on where memory was free."""
    map_, truth = cases()["soft"]
    values = map_ / 255
    weights = 2 - np.exp(np.log(0.5) / 5 * distance_transform_edt(~truth)[~truth])
    missed, polyp = _smoothed_errors(values, truth), np.count_nonzero(truth)
    hit, false = polyp - missed, values[~truth] @ weights
    assert weighted_f(values, truth) == pytest.approx(2 * hit / (polyp + hit + false), rel=1e-14)


@pytest.mark.parametrize("shape", [(60, 100), (20, 23), (90, 20)])
def test_another_size_is_bicubic_as_in_matlab(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    map_ = cv2.blur(rng.integers(0, 256, (40, 50)).astype(np.uint8), (5, 5))
    fitted = fit_map(map_, shape)
    # Pillow's kernel is the same; it treats the edges otherwise, and rounds other ties.
    theirs = np.asarray(Image.fromarray(map_).resize(shape[::-1], Image.Resampling.BICUBIC))
    inner = (slice(8, -8), slice(8, -8))
    assert fitted.shape == shape
    assert np.abs(fitted[inner].astype(int) - theirs[inner]).max() <= 1
    assert np.array_equal(fit_map(map_, map_.shape), map_)


def test_mirrored_edges_keep_a_constant_map() -> None:
    deep = np.full((5, 7), 40_000, np.uint16)
    assert np.array_equal(fit_map(deep, (9, 3)), np.full((9, 3), 40_000))


def test_other_input_is_refused() -> None:
    truth = np.zeros((4, 4), bool)
    with pytest.raises(UserError, match="one shape"):
        measure_map(np.zeros((4, 5), np.uint8), truth)
    with pytest.raises(UserError, match="8 or 16 bits"):
        measure_map(np.zeros((4, 4)), truth)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="at least one"):
        summarise_maps([])

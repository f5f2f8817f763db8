import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist

from metrics.frame.boundary import BoundaryDistances, boundary_distances, contour
from metrics.utils.errors import UserError


def blobs(seed, shape=(40, 56)):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=(2, *shape)), (0, 4, 4))
    return field > np.quantile(field, 0.8)


def by_all_pairs(truth, prediction):
    """The same figures from every distance between eroded-away pixels, by SciPy."""
    edges = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) for mask in (truth, prediction)]
    distances = cdist(*edges)
    there, back = distances.min(axis=1), distances.min(axis=0)
    both = np.concatenate([there, back])
    percentiles = (np.percentile(there, 95), np.percentile(back, 95))
    return both.max(), max(percentiles), both.mean(), (both <= 2).mean()


def test_contour_worked_by_hand(drawn):
    mask = drawn("""
        #####
        #####
        #####
        .....
    """)
    # Only the middle three pixels of the second row have mask on all four sides.
    inner = {(1, 1), (1, 2), (1, 3)}
    expected = {(row, column) for row in range(3) for column in range(5)} - inner
    assert {tuple(point) for point in contour(mask)} == expected


def test_distances_worked_by_hand():
    truth, prediction = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    truth[5, 5:15] = True
    prediction[9, 5:15] = True
    # Two parallel lines, four pixels apart everywhere.
    assert boundary_distances(truth, prediction) == BoundaryDistances(4.0, 4.0, 4.0, 0.0)
    prediction[:] = False
    prediction[7, 5:15] = True
    prediction[7, 15:20] = True
    # Two apart, but for five pixels that stick out: sqrt(2^2 + k^2) for k = 1 to 5.
    out = [math.hypot(2, k) for k in range(1, 6)]
    result = boundary_distances(truth, prediction)
    assert result.hausdorff_px == pytest.approx(math.hypot(2, 5))
    assert result.assd_px == pytest.approx((20 * 2 + sum(out)) / 25)
    assert result.nsd_2px == pytest.approx(20 / 25)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_scipy_agrees_on_blobs(seed):
    truth, prediction = blobs(seed)
    if truth.any() and prediction.any():
        ours = boundary_distances(truth, prediction)
        assert ours == pytest.approx(by_all_pairs(truth, prediction), abs=1e-12)


@pytest.fixture(scope="module")
def monai():
    """Project MONAI's metrics; its import touches what others have deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("monai.metrics")


@pytest.mark.parametrize("seed", range(20))
def test_monai_agrees_on_blobs(seed, monai):
    truth, prediction = blobs(seed)
    pair = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = (
            monai.compute_hausdorff_distance(*pair, include_background=True),
            monai.compute_hausdorff_distance(*pair, include_background=True, percentile=95),
            monai.compute_average_surface_distance(*pair, include_background=True, symmetric=True),
            monai.compute_surface_dice(*pair, [2.0], include_background=True),
        )
    ours = boundary_distances(truth, prediction)
    # Theirs interpolates the percentile in float32, where versions of torch round differently.
    assert ours == pytest.approx([float(figure) for figure in theirs], rel=1e-5, abs=1e-5)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_symmetry_bounds_and_identity(seed):
    truth, prediction = blobs(seed)
    there, back = boundary_distances(truth, prediction), boundary_distances(prediction, truth)
    assert there == pytest.approx(back, nan_ok=True)
    if truth.any() and prediction.any():
        assert 0 <= there.assd_px <= there.hausdorff_px < math.hypot(*truth.shape)
        assert there.hd95_px <= there.hausdorff_px
        assert 0 <= there.nsd_2px <= 1
    if truth.any():
        assert boundary_distances(truth, truth) == BoundaryDistances(0.0, 0.0, 0.0, 1.0)


def test_two_empty_masks_have_no_distance():
    empty = np.zeros((5, 6), bool)
    assert all(math.isnan(value) for value in boundary_distances(empty, empty))


@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_mask_is_worse_than_any_prediction(missed):
    mask, empty = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    mask[0, 0] = True
    far = np.zeros((30, 40), bool)
    far[-1, -1] = True
    pair = (mask, empty) if missed else (empty, mask)
    result, worst = boundary_distances(*pair), boundary_distances(mask, far)
    assert result == BoundaryDistances(50.0, 50.0, 50.0, 0.0)
    assert result.hausdorff_px > worst.hausdorff_px
    assert result.nsd_2px <= worst.nsd_2px


def test_a_missed_polyp_never_improves_a_mean():
    truths = [blobs(seed)[0] for seed in range(4)]
    predictions = [blobs(seed)[1] for seed in range(4)]
    before = [boundary_distances(*pair) for pair in zip(truths, predictions, strict=True)]
    for missed in range(4):
        after = list(before)
        after[missed] = boundary_distances(truths[missed], np.zeros_like(truths[missed]))
        for name in ("hausdorff_px", "hd95_px", "assd_px"):
            mean_after = np.nanmean([getattr(one, name) for one in after])
            assert mean_after > np.nanmean([getattr(one, name) for one in before])
        assert np.nanmean([one.nsd_2px for one in after]) <= np.nanmean(
            [one.nsd_2px for one in before]
        )


def test_other_shapes_are_refused():
    with pytest.raises(UserError, match="one shape"):
        boundary_distances(np.zeros((4, 9), bool), np.zeros((4, 8), bool))

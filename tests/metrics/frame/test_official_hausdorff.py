import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import directed_hausdorff

from metrics.frame.official_hausdorff import hausdorff_rows
from metrics.utils.errors import UserError


@st.composite
def pairs(draw):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=90))
    share = draw(st.sampled_from([0.02, 0.5, 0.98]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.random((2, *shape)) < share


def of_rows(truth, prediction):
    a, b = truth.astype(float), prediction.astype(float)
    return max(directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0])


def test_worked_by_hand(drawn):
    truth = drawn("""
        .....
        ####.
    """)
    prediction = drawn("""
        .....
        ##..#
    """)
    # The rows '####.' and '##..#' differ in three pixels, and '.....' is further off.
    assert hausdorff_rows(truth, prediction) == math.sqrt(3)


@settings(max_examples=80)
@given(pairs())
def test_scipy_agrees_on_rows_as_points(pair):
    assert hausdorff_rows(*pair) == pytest.approx(of_rows(*pair), abs=1e-12)


@pytest.mark.parametrize("shift", [(0, 3), (11, 0), (5, -7), (-20, 13)])
def test_scipy_agrees_on_shapes(shift):
    y, x = np.ogrid[:160, :210]
    truth = ((x - 100) / 50) ** 2 + ((y - 80) / 30) ** 2 < 1
    truth &= ~(((x - 90) / 9) ** 2 + ((y - 75) / 14) ** 2 < 1)
    prediction = np.roll(truth, shift, (0, 1)) | (((x - 30) ** 2 + (y - 30) ** 2) < 90)
    assert hausdorff_rows(truth, prediction) == pytest.approx(of_rows(truth, prediction), abs=1e-12)


@given(pairs())
def test_symmetry_and_identity(pair):
    truth, prediction = pair
    assert hausdorff_rows(truth, prediction) == hausdorff_rows(prediction, truth)
    assert hausdorff_rows(truth, truth) == 0.0


def test_it_is_no_distance_between_regions():
    truth = np.zeros((40, 40), bool)
    truth[2:8, 5:15] = True
    assert hausdorff_rows(truth, np.roll(truth, 25, axis=0)) == 0.0


def test_empty_masks():
    empty, full = np.zeros((4, 9), bool), np.ones((4, 9), bool)
    assert hausdorff_rows(empty, empty) == 0.0
    assert hausdorff_rows(full, full) == 0.0
    assert hausdorff_rows(empty, full) == hausdorff_rows(full, empty) == 3.0


def test_other_shapes_are_refused():
    with pytest.raises(UserError, match="one shape"):
        hausdorff_rows(np.zeros((4, 9), bool), np.zeros((4, 8), bool))

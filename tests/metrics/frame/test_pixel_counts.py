import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix

from metrics.frame.boundary import boundary_distances
from metrics.frame.disagreement import measure_disagreement
from metrics.frame.lesions import count_lesions
from metrics.frame.official_hausdorff import hausdorff_rows
from metrics.frame.pixel_counts import Counts, count, frame_rows
from metrics.utils.errors import UserError

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)


@st.composite
def pairs(draw):
    shape = draw(SHAPES)
    return draw(hnp.arrays(bool, shape)), draw(hnp.arrays(bool, shape))


def test_counts_worked_by_hand(drawn):
    truth = drawn("""
        ..##
        ..##
        ....
    """)
    prediction = drawn("""
        .##.
        .##.
        ..#.
    """)
    # Shared: column 2 of rows 0 and 1. Predicted alone: column 1 twice and the foot. Missed:
    # column 3 twice. The other 12 - 2 - 3 - 2 = 5 pixels are background in both.
    assert count(truth, prediction) == Counts(tp=2, fp=3, fn=2, tn=5)


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        (False, False, Counts(0, 0, 0, 6)),
        (False, True, Counts(0, 6, 0, 0)),
        (True, False, Counts(0, 0, 6, 0)),
        (True, True, Counts(6, 0, 0, 0)),
    ],
)
def test_empty_and_full_masks_are_no_special_case(truth, prediction, expected):
    assert count(np.full((2, 3), truth), np.full((2, 3), prediction)) == expected


@given(pairs())
def test_agrees_with_scikit_learn(pair):
    truth, prediction = pair
    tn, fp, fn, tp = confusion_matrix(
        truth.ravel(), prediction.ravel(), labels=[False, True]
    ).ravel()
    assert count(truth, prediction) == (tp, fp, fn, tn)


@given(pairs())
def test_exchanging_truth_and_prediction_exchanges_fp_and_fn(pair):
    truth, prediction = pair
    one, other = count(truth, prediction), count(prediction, truth)
    assert other == (one.tp, one.fn, one.fp, one.tn)


@given(pairs())
def test_background_counts_are_those_of_the_inverted_masks(pair):
    truth, prediction = pair
    assert count(truth, prediction).swapped() == count(~truth, ~prediction)


def test_a_view_that_is_not_contiguous_counts_the_same():
    rng = np.random.default_rng(3)
    truth, prediction = rng.random((2, 30, 40)) > 0.5
    expected = count(truth[::2, ::3].copy(), prediction[::2, ::3].copy())
    assert count(truth[::2, ::3], prediction[::2, ::3]) == expected


@pytest.mark.parametrize("white", [np.uint8(255), np.uint8(1), np.int64(2), np.float32(1)])
@pytest.mark.parametrize("measure", [count, boundary_distances, count_lesions, hausdorff_rows])
def test_masks_of_any_type_are_measured_as_those_of_bool(drawn, measure, white):
    truth, prediction = drawn("##..#."), drawn(".#..##")
    assert measure(truth * white, prediction * white) == measure(truth, prediction)
    assert measure(truth * white, prediction) == measure(truth, prediction)


def test_members_of_any_type_disagree_as_those_of_bool(drawn):
    members = [drawn("##.."), drawn("#...")]
    in_bytes = [member * np.uint8(255) for member in members]
    assert measure_disagreement(in_bytes) == measure_disagreement(members)


@pytest.mark.parametrize("values", [[0, 7, 255], [0.2, 0.0, 0.9], [0.0, np.nan, 1.0], [-1, 0, 1]])
@pytest.mark.parametrize("measure", [count, boundary_distances, count_lesions, hausdorff_rows])
def test_greys_maps_and_class_indices_are_no_masks(measure, values):
    with pytest.raises(UserError, match="0 and one value"):
        measure(np.array([[True, False, True]]), np.array([values]))


@pytest.mark.parametrize("shape", [(3, 2), (6,), (2, 3, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(UserError, match=r"one shape \(height, width\)"):
        count(np.zeros((2, 3), bool), np.zeros(shape, bool))


def test_two_rows_a_frame():
    polyp, background = frame_rows(
        Counts(1, 2, 3, 4), measured={"hd95_px": 5.0}, frame="C1/a", height=2, width=5
    )
    assert (polyp["class"], background["class"]) == ("polyp", "background")
    assert [polyp[name] for name in ("tp", "fp", "fn", "tn")] == [1, 2, 3, 4]
    assert [background[name] for name in ("tp", "fp", "fn", "tn")] == [4, 3, 2, 1]
    assert polyp["frame"] == background["frame"] == "C1/a"
    assert polyp["hd95_px"] == 5.0
    assert np.isnan(background["hd95_px"])

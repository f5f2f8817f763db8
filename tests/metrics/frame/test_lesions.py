import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from metrics.frame.lesions import LesionCounts, count_lesions, summarise_detection
from metrics.utils.errors import UserError


def test_regions_worked_by_hand(drawn):
    truth = drawn("""
        ##....##
        ##....##
        ........
        ###.....
    """)
    prediction = drawn("""
        ##......
        ##......
        .....#..
        ..##....
    """)
    # Upper left found exactly, upper right missed, the foot found with IoU 1/4, one false.
    assert count_lesions(truth, prediction) == LesionCounts(3, 2, 1)
    assert count_lesions(truth, prediction, min_iou=0.25) == LesionCounts(3, 2, 1)
    assert count_lesions(truth, prediction, min_iou=0.26) == LesionCounts(3, 1, 2)


def test_corners_connect(drawn):
    diagonal = drawn("""
        #..
        .#.
        ..#
    """)
    assert count_lesions(diagonal, diagonal) == LesionCounts(1, 1, 0)


def test_a_region_finds_one_polyp_only(drawn):
    truth = drawn("##.##")
    prediction = drawn("#####")
    assert count_lesions(truth, prediction) == LesionCounts(2, 1, 0)


def test_painting_the_whole_frame_finds_nothing():
    truth = np.zeros((40, 40), bool)
    truth[5:10, 5:10] = True
    assert count_lesions(truth, np.ones((40, 40), bool)) == LesionCounts(1, 0, 1)


def test_pairing_finds_as_many_as_can_be(drawn):
    # The wide region overlaps both polyps, the narrow one the left polyp alone: greedy pairing by
    # overlap would give the wide region to the left polyp and miss the right one.
    truth = drawn("""
        ######.....##
        ######.....##
        ######.......
        ######.......
    """)
    prediction = drawn("""
        .############
        .############
        .............
        ######.......
    """)
    assert count_lesions(truth, prediction, min_iou=0.1) == LesionCounts(2, 2, 0)


def test_empty_masks():
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    assert count_lesions(empty, empty) == LesionCounts(0, 0, 0)
    assert count_lesions(full, empty) == LesionCounts(1, 0, 0)
    assert count_lesions(empty, full) == LesionCounts(0, 0, 1)


@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_scipy_agrees_on_the_number_of_regions(seed):
    truth, prediction = np.random.default_rng(seed).random((2, 20, 25)) < 0.25
    result = count_lesions(truth, prediction)
    eight = np.ones((3, 3))
    assert result.polyps == ndimage.label(truth, eight)[1]
    assert result.polyps_found + result.false_polyps == ndimage.label(prediction, eight)[1]
    assert result.polyps_found <= min(result.polyps, ndimage.label(prediction, eight)[1])
    assert count_lesions(prediction, truth).polyps_found == result.polyps_found
    own = count_lesions(truth, truth)
    assert own == LesionCounts(result.polyps, result.polyps, 0)


@pytest.mark.parametrize("min_iou", [0, -0.1, 1.1])
def test_an_impossible_overlap_is_refused(min_iou):
    with pytest.raises(UserError, match="min_iou"):
        count_lesions(np.ones((2, 2), bool), np.ones((2, 2), bool), min_iou=min_iou)


def test_other_shapes_are_refused():
    with pytest.raises(UserError, match="one shape"):
        count_lesions(np.ones((2, 2), bool), np.ones((2, 3), bool))


def test_detection_worked_by_hand(table):
    # Found, missed, false alarm, rightly spared, found.
    frames = table(
        [(5, 0, 0, 5), (0, 0, 3, 7), (0, 2, 0, 8), (0, 0, 0, 10), (1, 1, 1, 7)],
        centre=["C1", "C1", "C1", "C2", "C2"],
    )
    frames["polyps"] = [2, np.nan, 1, np.nan, 0, np.nan, 0, np.nan, 1, np.nan]
    frames["polyps_found"] = [1, np.nan, 0, np.nan, 0, np.nan, 0, np.nan, 1, np.nan]
    frames["false_polyps"] = [0, np.nan, 0, np.nan, 1, np.nan, 0, np.nan, 2, np.nan]
    whole = summarise_detection(frames).iloc[0]
    assert whole["frames"] == 5
    assert whole["frames_with"] == 3
    assert whole["frames_without"] == 2
    assert whole["frame_sensitivity"] == pytest.approx(2 / 3)
    assert whole["frame_specificity"] == pytest.approx(1 / 2)
    assert whole["lesion_sensitivity"] == pytest.approx(2 / 4)
    assert whole["false_polyps_a_frame"] == pytest.approx(3 / 5)
    by_centre = summarise_detection(frames, by=("centre",)).set_index("centre")
    assert by_centre.loc["C2", "frame_specificity"] == 1.0
    assert by_centre.loc["C1", "frame_specificity"] == 0.0
    assert by_centre.loc["C1", "lesion_sensitivity"] == pytest.approx(1 / 3)


def test_a_share_of_nothing_is_nan(table):
    row = summarise_detection(table([(0, 0, 0, 9)])).iloc[0]
    assert np.isnan(row["frame_sensitivity"])
    assert row["frame_specificity"] == 1.0
    assert "lesion_sensitivity" not in row


def test_a_missing_column_is_named(table):
    with pytest.raises(UserError, match="lacks split"):
        summarise_detection(table([(0, 0, 0, 9)]), by=("split",))

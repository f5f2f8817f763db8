from io import StringIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.generalisation import between_sets, deviation, generalisation
from metrics.utils.errors import UserError


@pytest.mark.parametrize(
    ("reference", "other", "expected"),
    [
        (0.8, 0.8, 0.0),
        (0.8, 0.73, 0.0),  # within 0.72 to 0.88
        (0.8, 0.87, 0.0),
        (0.8, 0.62, 0.10),
        (0.8, 0.92, 0.20),  # better by more than the tolerance counts from its lower end
        (0.0, 0.0, 0.0),
        (0.0, 0.3, 0.3),
    ],
)
def test_deviation_worked_by_hand(reference, other, expected):
    assert deviation(reference, other) == pytest.approx(expected, abs=1e-12)


def test_deviation_of_the_undefined_is_undefined():
    assert np.isnan(deviation(float("nan"), 0.5))


@given(st.floats(0, 1), st.floats(0, 1))
def test_deviation_is_never_negative(reference, other):
    assert 0 <= deviation(reference, other) <= 1


def test_generalisation_worked_by_hand():
    a = {"f1": 0.8, "recall": 0.9, "ppv": 0.7, "closeness": 0.5}
    b = {"f1": 0.6, "recall": 0.85, "ppv": 0.7, "closeness": 0.4}
    result = generalisation(a, b)
    # Only F1 (0.72 - 0.6) and closeness (0.45 - 0.4) fall out of the tolerance.
    assert result["deviation"] == pytest.approx((0.12 + 0.05) / 4)
    assert result["generalisation_score"] == pytest.approx((0.6 + 0.85 + 0.7 + 0.4) / 4)
    assert result["gap"] == pytest.approx((0.2 + 0.05 + 0.0 + 0.1) / 4)
    assert result["gap_f1"] == pytest.approx(0.2)
    assert result["deviation_closeness"] == pytest.approx(0.05)
    del a["closeness"]
    assert generalisation(a, b)["generalisation_score"] == pytest.approx((0.6 + 0.85 + 0.7) / 3)


def test_every_ordered_pair_of_sets(table):
    frames = table(
        [(6, 2, 4, 8), (5, 0, 0, 5), (1, 3, 1, 5), (9, 9, 9, 9)], centre=["C1", "C2", "C3", ""]
    )
    result = between_sets(frames, "centre")
    pairs = set(zip(result["reference"], result["other"], strict=True))
    assert len(result) == len(pairs) == 6
    row = result.set_index(["reference", "other"]).loc[("C2", "C1")]
    assert row["gap_f1"] == pytest.approx(1 - 2 / 3)
    assert row["deviation_f1"] == pytest.approx(0.9 - 2 / 3)
    assert row["generalisation_score"] == pytest.approx((2 / 3 + 0.6 + 0.75) / 3)


def test_models_are_kept_apart(table):
    frames = pd.concat(
        [
            table([(6, 2, 4, 8), (5, 0, 0, 5)], split=["val", "test"], model="a"),
            table([(5, 0, 0, 5), (5, 0, 0, 5)], split=["val", "test"], model="b"),
        ]
    )
    result = between_sets(frames, "split").set_index(["model", "reference", "other"])
    assert len(result) == 4
    assert result.loc[("b", "val", "test"), "gap"] == pytest.approx(0)
    assert result.loc[("a", "test", "val"), "gap"] > 0


def test_hausdorff_by_protocol(table):
    frames = table([(5, 0, 0, 5)] * 4, split=["val", "val", "test", "test"], height=30, width=40)
    frames["hausdorff_rows"] = np.repeat([4.0, 2.0, 0.0, 0.0], 2)
    frames["hausdorff_px"] = np.repeat([5.0, np.nan, 50.0, 25.0], 2)
    official = between_sets(frames, "split").set_index("reference").loc["val"]
    assert official["gap_closeness"] == pytest.approx((1 - 0.75) - 1)
    strict = between_sets(frames, "split", protocol="strict").set_index("reference").loc["val"]
    assert strict["gap_closeness"] == pytest.approx((1 - 0.1) - (1 - 0.75))


def test_a_single_set_is_refused(table):
    with pytest.raises(UserError, match="at least two sets in the column centre"):
        between_sets(table([(5, 0, 0, 5)] * 2, centre=["C1", ""]), "centre")


def test_a_table_from_csv_has_no_set_without_a_name(table):
    frames = table([(6, 2, 4, 8), (5, 0, 0, 5), (9, 9, 9, 9)], centre=["C1", "C2", ""])
    read = pd.read_csv(StringIO(frames.to_csv(index=False)))
    pd.testing.assert_frame_equal(between_sets(read, "centre"), between_sets(frames, "centre"))

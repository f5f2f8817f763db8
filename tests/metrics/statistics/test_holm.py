import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.statistics.holm import holm


def test_holm_worked_by_hand():
    # Sorted 0.01 x 4, 0.02 x 3, 0.04 x 2 (kept no lower than 0.06), 0.5 x 1.
    assert holm([0.02, 0.5, 0.01, 0.04]) == pytest.approx([0.06, 0.5, 0.04, 0.08])
    assert holm([0.02, 0.02, 0.03]) == pytest.approx([0.06, 0.06, 0.06])
    assert holm([0.7, 0.8]).tolist() == [1.0, 1.0]
    assert holm([0.03, float("nan"), 0.2]) == pytest.approx([0.06, float("nan"), 0.2], nan_ok=True)
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_lies_between_the_plain_value_and_bonferroni(p):
    corrected = holm(p)
    assert (corrected >= np.array(p) - 1e-15).all()
    assert (corrected <= np.minimum(np.array(p) * len(p), 1) + 1e-15).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()

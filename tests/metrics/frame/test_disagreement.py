import pytest

from metrics.frame.disagreement import Disagreement, measure_disagreement
from metrics.utils.errors import UserError


def test_worked_by_hand(drawn):
    a, b, c = drawn("##.."), drawn("#..."), drawn("....")
    # IoU: a and b 1/2, a and c 0, b and c 0. Votes: 2/3, 1/3, 0, 0 of each pixel.
    result = measure_disagreement([a, b, c])
    assert result.disagreement == pytest.approx(1 - (0.5 + 0 + 0) / 3)
    assert result.vote_variance == pytest.approx((2 / 9 + 2 / 9) / 4)


def test_members_that_agree(drawn):
    assert measure_disagreement([drawn("##..")] * 3) == Disagreement(0.0, 0.0)
    assert measure_disagreement([drawn("....")] * 2) == Disagreement(0.0, 0.0)


def test_two_halves_cannot_disagree_more(drawn):
    assert measure_disagreement([drawn("##.."), drawn("..##")]) == Disagreement(1.0, 0.25)


def test_too_few_members_or_other_shapes(drawn):
    with pytest.raises(UserError, match="two members"):
        measure_disagreement([drawn("#")])
    with pytest.raises(UserError, match="shape"):
        measure_disagreement([drawn("#"), drawn("##")])

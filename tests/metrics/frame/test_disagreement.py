import pytest

from metrics.frame.disagreement import Divergence, divergence
from metrics.utils.errors import UserError


def test_worked_by_hand(drawn):
    a, b, c = drawn("##.."), drawn("#..."), drawn("....")
    # IoU: a and b 1/2, a and c 0, b and c 0. Votes: 2/3, 1/3, 0, 0 of each pixel.
    result = divergence([a, b, c])
    assert result.disagreement == pytest.approx(1 - (0.5 + 0 + 0) / 3)
    assert result.vote_variance == pytest.approx((2 / 9 + 2 / 9) / 4)


def test_members_that_agree(drawn):
    assert divergence([drawn("##..")] * 3) == Divergence(0.0, 0.0)
    assert divergence([drawn("....")] * 2) == Divergence(0.0, 0.0)


def test_two_halves_cannot_disagree_more(drawn):
    assert divergence([drawn("##.."), drawn("..##")]) == Divergence(1.0, 0.25)


def test_too_few_members_or_other_shapes(drawn):
    with pytest.raises(UserError, match="two members"):
        divergence([drawn("#")])
    with pytest.raises(UserError, match="shape"):
        divergence([drawn("#"), drawn("##")])

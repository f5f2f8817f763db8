import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from metrics.divergence import Divergence, divergence, foretells
from metrics.errors import UserError


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


def test_scikit_learn_agrees():
    rng = np.random.default_rng(0)
    f1 = rng.random(200)
    disagreement = np.round(1 - f1 + rng.normal(0, 0.4, 200), 1)  # rounded, so that some tie
    result = foretells(disagreement, f1)
    assert result.auroc == pytest.approx(roc_auc_score(f1 < 0.5, disagreement))
    assert (result.poor, result.frames) == (int((f1 < 0.5).sum()), 200)
    assert result.spearman < 0


def test_what_cannot_be_told():
    ones = np.ones(4)
    assert math.isnan(foretells(np.arange(4.0), ones).auroc)
    assert math.isnan(foretells(ones, np.arange(4.0)).spearman)
    assert foretells(ones, np.array([0, 0, 1, 1.0])).auroc == 0.5
    with pytest.raises(UserError, match="one figure a frame"):
        foretells(ones, np.ones(3))

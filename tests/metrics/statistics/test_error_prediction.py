import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from metrics.statistics.bootstrap import draws
from metrics.statistics.bootstrap_intervals import interval
from metrics.statistics.error_prediction import predict_errors
from metrics.utils.errors import UserError

FEW = st.integers(0, 4).map(float)  # few values, so that many tie


@given(st.lists(st.tuples(FEW, FEW), min_size=3, max_size=30))
def test_scipy_and_scikit_learn_agree(frames):
    disagreement, f1 = np.array(frames).T / 4
    told = predict_errors(disagreement, f1, resamples=1)
    varied = np.ptp(disagreement) and np.ptp(f1)
    assert told.spearman.value == pytest.approx(
        spearmanr(disagreement, f1).statistic if varied else math.nan, nan_ok=True
    )
    poor = f1 < 0.5
    assert told.auroc.value == pytest.approx(
        roc_auc_score(poor, disagreement) if 0 < poor.sum() < len(poor) else math.nan, nan_ok=True
    )
    assert (told.poor, told.frames, told.clusters) == (poor.sum(), len(f1), len(f1))


def test_intervals_are_those_of_resampled_sequences():
    rng = np.random.default_rng(1)
    clusters = rng.integers(0, 12, 60)
    clusters[:12] = np.arange(12)
    f1 = rng.random(60)
    disagreement = np.round(1 - f1 + rng.normal(0, 0.4, 60), 1)
    sizes = np.bincount(clusters)

    def drawn_again(weights):
        """Spearman and AUROC of the frames as often as they were drawn."""
        frames = np.repeat(np.arange(60), weights[clusters].astype(int))
        poor = f1[frames] < 0.5
        rank_correlation = spearmanr(disagreement[frames], f1[frames]).statistic
        return rank_correlation, roc_auc_score(poor, disagreement[frames])

    resampled = np.array(
        [drawn_again(w) for part in draws(np.random.default_rng(7), 300, 12) for w in part]
    )
    left_out = np.array([drawn_again(w) for w in 1 - np.eye(12)])
    told = predict_errors(disagreement, f1, clusters, resamples=300, seed=7)
    for k, figure in enumerate((told.spearman, told.auroc)):
        expected = interval(
            figure.value,
            resampled[:, k],
            left_out[:, k],
            effective_clusters=sizes.sum() ** 2 / np.sum(sizes**2),
        )
        assert (figure.low, figure.high) == pytest.approx(expected)
        assert figure.low < figure.value < figure.high
    assert told.clusters == 12


def test_what_cannot_be_told():
    ones, rising = np.ones(4), np.arange(4.0)
    assert all(map(math.isnan, predict_errors(rising, ones).auroc))
    assert all(map(math.isnan, predict_errors(ones, rising).spearman))
    assert predict_errors(ones, np.array([0, 0, 1, 1.0])).auroc.value == 0.5
    one_video = predict_errors(rising, rising, np.zeros(4, np.int64))
    assert one_video.spearman.value == 1
    assert math.isnan(one_video.spearman.low)
    poor_video = predict_errors(rising, np.array([0.9, 0.8, 0.2, 0.1]), np.array([0, 1, 2, 2]))
    assert poor_video.auroc.value == 1
    assert math.isnan(poor_video.auroc.low)
    assert poor_video.spearman.low <= poor_video.spearman.value


def test_arrays_that_do_not_fit():
    with pytest.raises(UserError, match="of each"):
        predict_errors(np.ones(4), np.ones(3))
    with pytest.raises(UserError, match="of each"):
        predict_errors(np.ones(0), np.ones(0))


def test_frames_of_an_undefined_f1_are_left_out():
    rng = np.random.default_rng(3)
    f1, disagreement, clusters = rng.random(30), rng.random(30), np.arange(30) // 2
    undefined = np.where(np.arange(30) < 4, np.nan, f1)
    assert predict_errors(disagreement, undefined, clusters, resamples=20) == predict_errors(
        disagreement[4:], f1[4:], clusters[4:] - 2, resamples=20
    )
    with pytest.raises(UserError, match="expected a disagreement"):
        predict_errors(disagreement, np.full(30, np.nan))

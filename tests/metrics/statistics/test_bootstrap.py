from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metrics.statistics.bootstrap import estimates, resample
from metrics.statistics.bootstrap_intervals import interval, intervals
from metrics.statistics.samples import Samples, collect
from metrics.utils.errors import UserError


def test_estimates_are_the_plain_means(drawn_samples):
    samples = drawn_samples(models=3, clusters=7, size=4)
    replicates = resample(samples, resamples=10)
    assert replicates.estimates[:, 0] == pytest.approx(samples.values[..., 0].mean(axis=1))
    assert replicates.resampled.shape == (10, 3, 1)


def test_jackknife_is_the_mean_without_each_cluster(drawn_samples):
    samples = drawn_samples(clusters=5, size=3)
    replicates = resample(samples, resamples=1)
    for cluster in range(5):
        rest = samples.values[:, samples.clusters != cluster, 0].mean(axis=1)
        assert replicates.jackknife[cluster, :, 0] == pytest.approx(rest)


def test_resamples_draw_whole_clusters():
    # Two clusters of 1 and 3 frames: the mean can only be that of one, of the other or of both.
    samples = Samples(
        models=("a",),
        figures=("f1",),
        values=np.array([0.0, 1.0, 1.0, 0.4])[None, :, None],
        clusters=np.array([0, 1, 1, 1]),
        frames=("p", "q", "r", "s"),
    )
    resampled = resample(samples, resamples=4000, seed=1).resampled[:, 0, 0]
    seen = Counter(np.round(resampled, 12))
    assert set(seen) == {0.0, 0.6, 0.8}
    assert seen[0.6] / 4000 == pytest.approx(0.5, abs=0.03)
    assert seen[0.0] / 4000 == pytest.approx(0.25, abs=0.03)


def test_the_seed_fixes_the_draws(drawn_samples):
    samples = drawn_samples()
    one, same = (resample(samples, resamples=50, seed=3).resampled for _ in range(2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, resample(samples, resamples=50, seed=4).resampled)


def test_all_models_are_resampled_together(drawn_samples):
    samples = drawn_samples(models=2)
    shifted = Samples(
        models=("a", "b"),
        figures=samples.figures,
        values=np.concatenate([samples.values[:1], samples.values[:1] + 0.1]),
        clusters=samples.clusters,
        frames=samples.frames,
    )
    resampled = resample(shifted, resamples=100).resampled
    assert resampled[:, 1] - resampled[:, 0] == pytest.approx(np.full((100, 1), 0.1))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_scipy_agrees_on_single_frames(method):
    values = np.random.default_rng(8).beta(5, 1.5, 120)
    samples = Samples(
        models=("a",),
        figures=("f1",),
        values=values[None, :, None],
        clusters=np.arange(120),
        frames=tuple(map(str, range(120))),
    )
    ours = intervals(resample(samples, resamples=20_000), method=method, widen=False).iloc[0]
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(1)
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert ours["low"] == pytest.approx(theirs.low, abs=0.03 * spread)
    assert ours["high"] == pytest.approx(theirs.high, abs=0.03 * spread)
    # The two methods differ by more than that here, so each is told from the other.
    if method == "bca":
        plain = intervals(resample(samples, resamples=20_000), method="percentile", widen=False)
        assert abs(plain["low"].item() - theirs.low) > 0.03 * spread


def test_bca_is_scipys_formula_on_given_resamples():
    rng = np.random.default_rng(2)
    values = rng.exponential(size=40)
    drawn = values[rng.integers(0, 40, (5000, 40))].mean(axis=1)
    left_out = (values.sum() - values) / 39
    low, high = interval(values.mean(), drawn, left_out, effective_clusters=None)
    bias = stats.norm.ppf(
        (np.sum(drawn < values.mean()) + np.sum(drawn == values.mean()) / 2) / 5000
    )
    acceleration = stats.skew(values) / 6 / np.sqrt(40)
    for end, tail in ((low, 0.025), (high, 0.975)):
        z = bias + stats.norm.ppf(tail)
        share = stats.norm.cdf(bias + z / (1 - acceleration * z))
        assert end == pytest.approx(np.quantile(drawn, share), abs=1e-9)


def test_resamples_that_differ_from_the_estimate_by_rounding_are_ties():
    # Two models that differ in one frame of 20: a third of the resamples equals the estimate.
    changes = np.random.default_rng(0).multinomial(20, np.full(20, 0.05), size=2000)[:, 0]
    left_out = np.append(0.0, np.full(19, 1.0))
    exact, rounded = (
        interval(1.0, changes + error, left_out, effective_clusters=None) for error in (0, 1e-15)
    )
    assert rounded == pytest.approx(exact)


def test_clustered_intervals_are_wider_than_those_over_frames(drawn_samples):
    clustered = drawn_samples(clusters=12, size=20)
    alone = Samples(
        models=clustered.models,
        figures=clustered.figures,
        values=clustered.values,
        clusters=np.arange(240),
        frames=clustered.frames,
    )
    wide, narrow = (intervals(resample(s, resamples=2000)).iloc[0] for s in (clustered, alone))
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def test_few_clusters_widen_the_interval_as_t_does(drawn_samples):
    samples = drawn_samples(models=1, clusters=8)
    row = intervals(resample(samples, resamples=20_000), method="percentile").iloc[0]
    values = samples.values[0, :, 0]
    half = stats.t.ppf(0.975, 7) * values.std(ddof=1) / np.sqrt(8)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.15)
    plain = intervals(resample(samples, resamples=20_000), method="percentile", widen=False).iloc[0]
    assert row["high"] - row["low"] > 1.2 * (plain["high"] - plain["low"])


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_hold_their_estimate_and_grow_with_the_level(drawn_samples, method):
    replicates = resample(drawn_samples(models=3), resamples=500)
    narrow = intervals(replicates, level=0.5, method=method)
    wide = intervals(replicates, level=0.99, method=method)
    assert (narrow["low"] <= narrow["estimate"]).all()
    assert (narrow["estimate"] <= narrow["high"]).all()
    assert (wide["low"] < narrow["low"]).all()
    assert (wide["high"] > narrow["high"]).all()


def test_a_single_cluster_has_no_interval(drawn_samples):
    row = intervals(resample(drawn_samples(models=1, clusters=1, size=5), resamples=20)).iloc[0]
    assert np.isnan(row["low"])
    assert np.isnan(row["high"])
    assert not np.isnan(row["estimate"])


def test_values_that_do_not_vary_have_an_interval_of_no_width():
    samples = Samples(
        models=("a",),
        figures=("f1",),
        values=np.full((1, 20, 1), 0.25),
        clusters=np.arange(20),
        frames=tuple(map(str, range(20))),
    )
    row = intervals(resample(samples, resamples=50)).iloc[0]
    assert row["low"] == row["high"] == row["estimate"] == 0.25


def test_undefined_values_are_left_out_of_every_mean(table):
    samples = collect(
        table([(6, 2, 4, 8), (0, 0, 5, 5), (2, 2, 0, 6)] * 5, frame=[f"f{i}" for i in range(15)]),
        protocol="strict",
    )
    replicates = resample(samples, resamples=200)
    ppv, score = samples.figures.index("ppv"), samples.figures.index("score")
    assert replicates.estimates[0, ppv] == pytest.approx((6 / 8 + 2 / 4) / 2)
    four = [samples.figures.index(name) for name in ("f1", "f2", "ppv", "recall")]
    assert replicates.resampled[..., score] == pytest.approx(
        replicates.resampled[..., four].mean(axis=-1)
    )
    assert replicates.resampled[..., ppv].max() <= 6 / 8
    assert replicates.resampled[..., ppv].min() >= 2 / 4


@given(st.integers(0, 1000))
def test_order_of_frames_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    codes, values = np.repeat(np.arange(6), 3), rng.random(18)
    order = np.concatenate([np.flatnonzero(codes == c)[rng.permutation(3)] for c in range(6)])
    one, other = (
        Samples(
            models=("a",),
            figures=("f1",),
            values=v[None, :, None],
            clusters=codes,
            frames=tuple(map(str, range(18))),
        )
        for v in (values, values[order])
    )
    a, b = resample(one, resamples=20), resample(other, resamples=20)
    assert a.resampled == pytest.approx(b.resampled, abs=1e-12)


def test_settings_are_told(drawn_samples):
    settings = resample(drawn_samples(clusters=4, size=5), resamples=7, seed=9).settings()
    assert settings == "bootstrap, 7 resamples of 4 clusters (20 frames), seed 9"


def test_impossible_settings_are_refused(drawn_samples):
    with pytest.raises(UserError, match="at least one resample"):
        resample(drawn_samples(), resamples=0)
    with pytest.raises(UserError, match="level between 0 and 1"):
        intervals(resample(drawn_samples(), resamples=5), level=95)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clusters", "share"),
    [
        (2, 0.48),
        (3, 0.75),
        (4, 0.85),
        (5, 0.91),
        (6, 0.93),
        (8, 0.94),
        (10, 0.93),
        (15, 0.95),
        (25, 0.95),
    ],
)
def test_coverage_on_simulated_sequences(clusters, share):
    """How often the 95 % interval holds the truth, in 1,000 sets of sequences: docs/protocol.md."""
    rng = np.random.default_rng(20210418)

    def frames(count):
        codes = np.repeat(np.arange(count), rng.integers(20, 61, count))
        logit = 1.2 + rng.normal(size=count)[codes] + rng.normal(size=len(codes))
        return stats.logistic.cdf(logit), codes

    truth = frames(200_000)[0].mean()
    held = Counter()
    for trial in range(1000):
        values, codes = frames(clusters)
        samples = Samples(
            models=("a",),
            figures=("f1",),
            values=values[None, :, None],
            clusters=codes,
            frames=("",) * len(codes),
        )
        replicates = resample(samples, resamples=1000, seed=trial)
        for method in ("percentile", "bca"):
            row = intervals(replicates, method=method).iloc[0]
            held[method] += row["low"] <= truth <= row["high"]
    assert held["percentile"] / 1000 == pytest.approx(share, abs=0.02), held
    assert held["bca"] / 1000 == pytest.approx(share, abs=0.02), held


def in_sets(*sets):
    """One model's F1 in several test sets, every frame a cluster."""
    values = np.concatenate(sets)
    return Samples(
        models=("a",),
        figures=("f1",),
        values=values[None, :, None],
        clusters=np.arange(len(values)),
        frames=tuple(map(str, range(len(values)))),
        sets=np.repeat(np.arange(len(sets)), [len(one) for one in sets]),
    )


def test_a_mean_over_sets_is_resampled_within_each():
    replicates = resample(in_sets(np.zeros(3), np.ones(9)), resamples=50)
    assert (replicates.resampled == 0.5).all()
    assert replicates.estimates.item() == 0.5
    assert "12 clusters within 2 test sets (12 frames)" in replicates.settings()


def test_one_set_is_as_no_sets(drawn_samples):
    plain = drawn_samples(clusters=20, size=2)
    one, other = resample(plain), resample(replace(plain, sets=np.zeros(40, dtype=np.int64)))
    for name in ("estimates", "resampled", "jackknife"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.effective_clusters == pytest.approx(other.effective_clusters)


def test_the_standard_error_of_a_mean_over_sets():
    rng = np.random.default_rng(3)
    sets = rng.normal(0.5, 0.05, 40), rng.normal(0.8, 0.2, 10)
    replicates = resample(in_sets(*sets))
    variances = [one.var() / (len(one) - 1) / 4 for one in sets]  # of half a mean
    left_out = replicates.jackknife[:, 0, 0]
    of_jackknife = left_out.std() * np.sqrt(len(left_out) - 1)
    assert of_jackknife == pytest.approx(np.sqrt(sum(variances)), rel=1e-6)
    plain = [one.var() / len(one) / 4 for one in sets]
    assert replicates.resampled.std() == pytest.approx(np.sqrt(sum(plain)), rel=0.03)
    # Welch and Satterthwaite, for equal variances: between the smaller set's and both together.
    assert 9 < replicates.effective_clusters - 1 < 48


def test_a_set_without_a_value_leaves_the_mean_undefined():
    samples = in_sets(np.array([0.5, 0.6]), np.array([np.nan, np.nan]))
    assert np.isnan(estimates(samples)).all()
    (row,) = intervals(resample(samples, resamples=20)).to_dict("records")
    assert np.isnan([row["estimate"], row["low"], row["high"]]).all()


def test_a_set_of_a_single_sequence_leaves_no_interval():
    replicates = resample(in_sets(np.array([0.5]), np.array([0.4, 0.6, 0.7])), resamples=50)
    (row,) = intervals(replicates).to_dict("records")
    assert not np.isnan(row["estimate"])
    assert np.isnan([row["low"], row["high"]]).all()


def test_a_figure_of_one_sequence_has_no_interval():
    # Recall is undefined in frames without a polyp, and the polyps are all in one video.
    values = np.full((2, 8, 1), np.nan)
    values[:, :3, 0] = [[0.9, 0.8, 0.7], [0.5, 0.6, 0.4]]
    one = Samples(
        models=("a", "b"),
        figures=("recall",),
        values=values,
        clusters=np.array([0, 0, 0, 1, 2, 3, 4, 5]),
        frames=tuple("abcdefgh"),
    )
    found = intervals(resample(one, resamples=100))
    assert found["estimate"].tolist() == pytest.approx([0.8, 0.5])
    assert found[["low", "high"]].isna().all(axis=None)
    values[:, 7] = 0.6
    assert intervals(resample(one, resamples=100)).notna().all(axis=None)
    of_sets = replace(one, sets=np.array([0, 0, 0, 0, 0, 1, 1, 1]))  # each set has one of the two
    assert intervals(resample(of_sets, resamples=100))["low"].isna().all()

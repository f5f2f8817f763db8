from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import stats

from metrics.statistics.permutation import permutation_test
from metrics.statistics.samples import Samples
from metrics.utils.errors import UserError


def paired(differences, clusters=None):
    differences = np.asarray(differences, dtype=float)
    base = np.linspace(0.3, 0.6, len(differences))
    return Samples(
        models=("a", "b"),
        figures=("f1",),
        values=np.stack([base + differences, base])[..., None],
        clusters=np.arange(len(base)) if clusters is None else np.asarray(clusters),
        frames=tuple(map(str, range(len(base)))),
    )


def test_every_exchange_of_three_frames_by_hand():
    # Of the eight sign patterns of 1, 2, 3 only +++ and --- reach a sum of 6.
    assert permutation_test(paired([0.1, 0.2, 0.3]), [("a", "b")]).item() == pytest.approx(2 / 8)
    # A sum of 0.4 - 0.1 = 0.3 or more in size: ++, +-, -+, --.
    assert permutation_test(paired([0.4, -0.1]), [("a", "b")]).item() == pytest.approx(4 / 4)


def test_clusters_change_owner_whole():
    # Four frames, but two clusters: only four exchanges, two of them as extreme.
    samples = paired([0.1, 0.2, 0.3, 0.1], clusters=[0, 0, 1, 1])
    assert permutation_test(samples, [("a", "b")]).item() == pytest.approx(2 / 4)


def test_scipy_agrees_on_an_exact_test():
    differences = np.random.default_rng(5).normal(0.05, 0.1, 10)
    ours = permutation_test(paired(differences), [("a", "b")], resamples=2000).item()
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_random_exchanges_come_near_the_exact_test():
    samples = paired(np.random.default_rng(6).normal(0.05, 0.1, 12))
    exact = permutation_test(samples, [("a", "b")], resamples=2**12).item()
    drawn = permutation_test(samples, [("a", "b")], resamples=4000, seed=1).item()
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=0.03)


def test_equal_models_cannot_be_told_apart(drawn_samples):
    samples = drawn_samples(models=1, clusters=40)
    twins = Samples(
        models=("a", "b"),
        figures=("f1",),
        values=np.concatenate([samples.values] * 2),
        clusters=samples.clusters,
        frames=samples.frames,
    )
    assert permutation_test(twins, [("a", "b")], resamples=200).item() == 1.0


def test_p_values_are_uniform_when_nothing_differs(drawn_samples):
    p = [
        permutation_test(drawn_samples(clusters=10, size=3, seed=s), [("a", "b")]).item()
        for s in range(200)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) < 0.05) < 0.11


def test_many_pairs_equal_one_by_one_and_order_does_not_matter(drawn_samples):
    samples = drawn_samples(models=4, clusters=30, gap=0.03)
    pairs = [("a", "b"), ("c", "a"), ("b", "d")]
    together = permutation_test(samples, pairs, resamples=300, seed=2)
    for pair, p in zip(pairs, together, strict=True):
        assert p == pytest.approx(permutation_test(samples, [pair], resamples=300, seed=2)[0])
        turned = permutation_test(samples, [pair[::-1]], resamples=300, seed=2)[0]
        assert p == pytest.approx(turned)


def test_thousands_of_clusters_are_no_trouble(drawn_samples):
    samples = drawn_samples(clusters=3000, gap=0.05)
    assert permutation_test(samples, [("a", "b")], resamples=99).item() == pytest.approx(0.01)


def test_undefined_figures_stay_undefined():
    samples = paired([0.1, 0.2])
    nothing = Samples(
        models=samples.models,
        figures=samples.figures,
        values=np.full_like(samples.values, np.nan),
        clusters=samples.clusters,
        frames=samples.frames,
    )
    assert np.isnan(permutation_test(nothing, [("a", "b")]).item())


def test_swaps_that_leave_no_value_are_hits():
    # One model has a value in the first frame, the other in the second: a swap of one takes both.
    values = np.array([[0.9, np.nan], [np.nan, 0.5]])[..., None]
    samples = replace(paired([0.0, 0.0]), values=values)
    assert permutation_test(samples, [("a", "b")]).item() == 1


def test_no_pairs_and_impossible_pairs(drawn_samples):
    assert permutation_test(drawn_samples(), []).shape == (0, 1)
    with pytest.raises(UserError, match="a twice"):
        permutation_test(drawn_samples(), [("a", "a")])
    with pytest.raises(UserError, match="no model 'z'"):
        permutation_test(drawn_samples(), [("a", "z")])


@pytest.mark.parametrize("scale", [1e-14, 1e5, 1e9])
def test_a_change_of_unit_changes_no_p_value(scale):
    # 0.1 + 0.2 and 0.3 differ in their last bit, and so does every sum in another unit.
    differences = [0.1, 0.2, 0.3, 0.1, 0.2, -0.3, 0.6]
    plain, scaled = paired(differences), paired(differences)
    scaled.values[:] *= scale
    pair = [("a", "b")]
    assert permutation_test(scaled, pair).item() == permutation_test(plain, pair).item()


def test_a_mean_over_sets_is_permuted_by_hand():
    sets = np.array([0, 0, 0, 0, 1, 1])
    differences = np.array([0.1, 0.3, -0.2, 0.1, 0.4, 0.1])

    def over_sets(signs):
        changed = differences * signs
        return abs(changed[sets == 0].mean() + changed[sets == 1].mean()) / 2

    every = [over_sets(np.array(signs)) for signs in product((1, -1), repeat=6)]
    expected = np.mean(np.array(every) >= over_sets(1) - 1e-12)
    samples = paired(differences)
    over_frames = permutation_test(samples, [("a", "b")]).item()
    found = permutation_test(replace(samples, sets=sets), [("a", "b")]).item()
    assert found == pytest.approx(expected)
    assert found != pytest.approx(over_frames)

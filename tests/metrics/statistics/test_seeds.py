import numpy as np
import pytest

from metrics.statistics.bootstrap import estimates, resample
from metrics.statistics.comparison import compare
from metrics.statistics.samples import Samples, select
from metrics.statistics.seeds import differences, pool, spread

NAN = float("nan")
SEEDS = {"a": ["a0", "a1", "a2"], "b": ["b0", "b1"]}


def samples_with_gaps(sets=None):
    """Two figures of five networks, of which each is undefined in other frames."""
    rng = np.random.default_rng(3)
    values = rng.uniform(0, 40, (5, 12, 2))
    values[rng.random(values.shape) < 0.4] = NAN
    values[:, [0, 11]] = 1.0  # defined somewhere in each set
    return Samples(
        models=("a0", "a1", "a2", "b0", "b1"),
        figures=("hd95_px", "assd_px"),
        values=values,
        clusters=np.arange(12) // 2,
        frames=tuple("abcdefghijkl"),
        sets=sets,
    )


@pytest.mark.parametrize("sets", [None, np.repeat([0, 1], [4, 8])])
def test_a_pooled_mean_is_the_mean_of_the_seeds_means(sets):
    samples = samples_with_gaps(sets)
    pooled = pool(samples, SEEDS)
    np.testing.assert_allclose(estimates(pooled)[0], estimates(samples)[:3].mean(axis=0))
    np.testing.assert_allclose(estimates(pooled)[1], estimates(samples)[3:].mean(axis=0))
    np.testing.assert_allclose(
        estimates(select(pooled, ["assd_px"]))[0], [spread(samples, SEEDS["a"])[1].mean]
    )
    for found, over in zip(
        compare(pooled, "a", "b", resamples=500),
        differences(samples, SEEDS["a"], SEEDS["b"]),
        strict=True,
    ):
        assert found.difference == pytest.approx(over.mean)
        assert found.low < found.difference < found.high


def test_pooled_frames_without_gaps_are_plain_means():
    samples = samples_with_gaps()
    values = np.nan_to_num(samples.values)
    whole = Samples(**{**vars(samples), "values": values})
    pooled = pool(whole, SEEDS)
    np.testing.assert_array_equal(pooled.values[0], values[:3].mean(axis=0))
    alone = Samples(**{**vars(pooled), "weights": None})
    np.testing.assert_array_equal(resample(pooled).resampled, resample(alone).resampled)


def test_a_figure_that_a_seed_never_has_is_undefined():
    samples = samples_with_gaps()
    samples.values[1, :, 0] = NAN
    pooled = estimates(pool(samples, SEEDS))
    assert np.isnan(pooled[0, 0])
    assert not np.isnan(pooled[0, 1])

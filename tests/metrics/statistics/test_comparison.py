import numpy as np
import pytest
from scipy import stats

from metrics.statistics.comparison import Comparison, compare
from metrics.statistics.holm import holm
from metrics.statistics.samples import Samples, from_values
from metrics.statistics.seeds import SeedSpread
from metrics.utils.errors import UserError

FEW = {"resamples": 1000, "seed": 1}


def comparison(**changes):
    given = {
        "a": "triunet", "b": "unet", "figure": "f1", "mean_a": 0.8, "mean_b": 0.779,
        "difference": 0.021, "low": 0.004, "high": 0.038, "level": 0.95, "p_permutation": 0.012,
        "p_wilcoxon": 0.02, "cohens_dz": 0.4, "rank_biserial": 0.3, "superiority": 0.6,
        "n_frames": 50, "n_clusters": 10,
    }  # fmt: skip
    return Comparison(**(given | changes))


def test_the_sentence():
    assert comparison().sentence() == (
        "triunet is better than unet by 0.021 F1, 95 % interval 0.004 to 0.038; p = 0.012."
    )


def test_the_sentence_names_the_better_one_first():
    turned = comparison(difference=-0.021, low=-0.038, high=-0.004, p_permutation=0.0004)
    assert turned.sentence() == (
        "unet is better than triunet by 0.021 F1, 95 % interval 0.004 to 0.038; p < 0.001."
    )
    further = comparison(figure="hd95_px", difference=5.0, low=2.0, high=9.5, p_permutation=0.004)
    assert further.sentence() == (
        "unet is better than triunet by 5.000 pixels of HD95, "
        "95 % interval 2.000 to 9.500; p = 0.004."
    )


def test_a_p_value_below_the_level_does_not_read_as_the_level():
    assert comparison(p_permutation=0.049).sentence().endswith("; p = 0.049.")


def test_more_false_polyps_are_not_better():
    found = comparison(figure="false_polyps", difference=0.2, low=0.1, high=0.3)
    assert found.sentence().startswith("unet is better than triunet by 0.200 false polyps a frame")


def test_the_sentence_does_not_claim_what_the_data_cannot_tell():
    assert comparison(low=-0.01, p_permutation=0.2).sentence() == (
        "The data cannot tell triunet from unet: difference in F1 0.021, "
        "95 % interval -0.010 to 0.038; p = 0.200."
    )
    assert "cannot tell" in comparison(p_holm=0.07).sentence()
    assert "cannot tell" in comparison(p_permutation=float("nan")).sentence()


def test_the_sentence_says_where_no_difference_could_be_told():
    few = comparison(p_permutation=0.25, n_clusters=3).sentence()
    assert few.endswith("With 3 sequences or single frames no p below 0.25 is possible.")
    assert "possible" not in comparison(p_permutation=0.25, n_clusters=6).sentence()


def test_the_sentence_where_nothing_can_be_resampled_or_compared():
    nan = float("nan")
    alone = comparison(low=nan, high=nan, p_permutation=1.0).sentence()
    assert "all frames with a value, or all of a test set, are of one sequence; p = 1.000" in alone
    undefined = comparison(difference=nan, low=nan, high=nan, p_permutation=nan).sentence()
    assert undefined == "Nothing to compare: F1 of triunet or unet is undefined."


def test_the_sentence_says_where_other_seeds_may_turn_it():
    def over_seeds(low):
        return SeedSpread(figure="f1", seeds=(4, 4), mean=0.02, sd=0.01, low=low, high=0.068)

    told = comparison().sentence(over_seeds(-0.022))
    assert told.startswith("triunet is better than unet")
    assert told.endswith(
        "Other seeds may turn it: over seeds triunet minus unet is -0.022 to 0.068."
    )
    alone = comparison().sentence()
    assert comparison().sentence(over_seeds(0.002)) == alone
    assert comparison().sentence(over_seeds(float("nan"))) == alone
    untold = comparison(p_permutation=0.2)
    assert untold.sentence(over_seeds(-0.022)) == untold.sentence()


def test_the_sentence_keeps_an_interval_that_spans_zero():
    assert "interval -0.002 to 0.040" in comparison(low=-0.002, high=0.04).sentence()
    turned = comparison(difference=-0.021, low=-0.04, high=0.002)
    assert "interval -0.002 to 0.040" in turned.sentence()


def test_a_clear_difference_is_found(drawn_samples):
    result = compare(drawn_samples(gap=0.1, clusters=40), "b", "a", **FEW)[0]
    assert result.low > 0
    assert result.low < result.difference < result.high
    assert result.difference == pytest.approx(result.mean_a - result.mean_b)
    assert result.p_permutation < 0.01
    assert result.p_wilcoxon < 0.01
    assert result.superiority > 0.5
    assert result.cohens_dz > 0
    assert "b is better than a" in result.sentence()


def test_turning_the_pair_turns_the_signs(drawn_samples):
    samples = drawn_samples(gap=0.03, clusters=30, size=2)
    there, back = compare(samples, "a", "b", **FEW)[0], compare(samples, "b", "a", **FEW)[0]
    assert there.difference == pytest.approx(-back.difference)
    assert there.p_permutation == pytest.approx(back.p_permutation)
    assert there.p_wilcoxon == pytest.approx(back.p_wilcoxon)
    assert there.cohens_dz == pytest.approx(-back.cohens_dz)
    assert there.rank_biserial == pytest.approx(-back.rank_biserial)
    assert there.superiority == pytest.approx(1 - back.superiority)
    assert there.low == pytest.approx(-back.high, abs=0.002)


def test_effects_worked_by_hand():
    differences = np.array([0.1, 0.2, -0.3, 0.4, 0.0])
    samples = Samples(
        models=("a", "b"),
        figures=("f1",),
        values=np.stack([0.5 + differences, np.full(5, 0.5)])[..., None],
        clusters=np.arange(5),
        frames=tuple("pqrst"),
    )
    result = compare(samples, "a", "b", **FEW)[0]
    # Ranks of the moved: 1, 2, 3 (negative), 4, so (7 - 3) / 10.
    assert result.rank_biserial == pytest.approx(0.4)
    assert result.superiority == pytest.approx((3 + 0.5) / 5)
    assert result.cohens_dz == pytest.approx(differences.mean() / differences.std(ddof=1))
    moved = differences[differences != 0]
    assert result.p_wilcoxon == pytest.approx(stats.wilcoxon(moved).pvalue)


def test_wilcoxon_and_effects_go_by_cluster_means():
    values = np.zeros((2, 6, 1))
    values[0, :, 0] = [0.1, 0.3, 0.1, -0.1, 0.5, 0.7]
    samples = Samples(
        models=("a", "b"),
        figures=("f1",),
        values=values,
        clusters=np.array([0, 0, 1, 1, 2, 2]),
        frames=tuple("pqrstu"),
    )
    result = compare(samples, "a", "b", **FEW)[0]
    means = np.array([0.2, 0.0, 0.6])
    assert result.n_clusters == 3
    assert result.cohens_dz == pytest.approx(means.mean() / means.std(ddof=1))
    assert result.rank_biserial == 1.0


def test_equal_models_differ_in_nothing(drawn_samples):
    values = drawn_samples(models=1).values
    twins = Samples(
        models=("a", "b"),
        figures=("f1",),
        values=np.concatenate([values] * 2),
        clusters=np.arange(30),
        frames=tuple(map(str, range(30))),
    )
    result = compare(twins, "a", "b", **FEW)[0]
    assert result.difference == result.low == result.high == result.rank_biserial == 0
    assert result.p_permutation == result.p_wilcoxon == 1
    assert result.superiority == 0.5
    assert np.isnan(result.cohens_dz)
    assert "cannot tell" in result.sentence()


def test_fewer_pixels_apart_is_better(drawn_samples):
    given = drawn_samples(gap=0.3, clusters=40)
    samples = Samples(
        models=given.models,
        figures=("hd95_px",),
        values=given.values,
        clusters=given.clusters,
        frames=given.frames,
    )
    result = compare(samples, "a", "b", **FEW)[0]
    assert result.difference < 0
    assert result.superiority > 0.5
    assert result.sentence().startswith("a is better than b")


def test_one_against_all_is_corrected(drawn_samples):
    samples = drawn_samples(models=4, gap=0.02, clusters=40)
    results = compare(samples, "a", **FEW)
    assert [result.b for result in results] == ["b", "c", "d"]
    plain = [result.p_permutation for result in results]
    assert [result.p_holm for result in results] == pytest.approx(holm(plain))
    assert [result.p for result in results] == [result.p_holm for result in results]
    alone = compare(samples, "a", "c", **FEW)[0]
    assert np.isnan(alone.p_holm)
    assert alone.p_permutation == pytest.approx(plain[1])


def test_an_unknown_model_is_told(drawn_samples):
    with pytest.raises(UserError, match="no model 'z'"):
        compare(drawn_samples(), "a", "z", **FEW)
    with pytest.raises(UserError, match="no model 'z'"):
        compare(drawn_samples(), "z", **FEW)


@pytest.mark.parametrize("scale", [1e-14, 1e9])
def test_a_change_of_unit_changes_no_effect(drawn_samples, scale):
    plain, scaled = (drawn_samples(gap=0.1, clusters=12, seed=2) for _ in range(2))
    plain.values[1, :3] = plain.values[0, :3] + 1e-16  # equal but for rounding
    scaled.values[:] = plain.values * scale
    one, other = (compare(samples, "a", "b", **FEW)[0] for samples in (plain, scaled))
    for name in ("p_permutation", "p_wilcoxon", "cohens_dz", "rank_biserial", "superiority"):
        assert getattr(other, name) == pytest.approx(getattr(one, name)), name


def test_differences_that_are_equal_but_for_rounding_get_one_rank():
    a, b = [0.3, 0.8, 0.7, 0.3, 0.2], [0.1, 0.6, 0.9, 0.9, 0.5]
    assert len({round(abs(x - y), 9) for x, y in zip(a, b, strict=True)}) == 3
    assert len({abs(x - y) for x, y in zip(a, b, strict=True)}) > 3

    (result,) = compare(from_values({"a": a, "b": b}), "a", "b", resamples=100)

    assert result.p_wilcoxon == stats.wilcoxon([2, 2, -2, -6, -3]).pvalue
    assert result.rank_biserial == pytest.approx((2 + 2 - 2 - 5 - 4) / 15)

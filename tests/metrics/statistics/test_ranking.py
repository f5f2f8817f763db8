from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from metrics.statistics.consensus import consensus
from metrics.statistics.ranking import rank, rank_columns
from metrics.statistics.samples import Samples, collect, from_values
from metrics.utils.errors import UserError

FEW = {"resamples": 1000, "seed": 1}


def of(values, figure="f1"):
    values = np.asarray(values, dtype=float)
    return Samples(
        models=tuple("abcdefgh"[: len(values)]),
        figures=(figure,),
        values=values[..., None],
        clusters=np.arange(values.shape[1]),
        frames=tuple(map(str, range(values.shape[1]))),
    )


def test_ranks_worked_by_hand():
    ranks = rank_columns(np.array([[0.3, 0.1, 0.3, 0.9], [1.0, 1.0, np.nan, 0.0]]))
    assert ranks.tolist() == [[2, 1, 2, 4], [2, 2, 4, 1]]


def test_a_clear_order(drawn_samples):
    ranking = rank(drawn_samples(models=3, gap=0.2, clusters=60), "f1", **FEW)
    table = ranking.table
    assert table["model"].tolist() == ["c", "b", "a"]
    assert table["rank"].tolist() == table["tied_rank"].tolist() == [1, 2, 3]
    assert table["rank_low"].tolist() == table["rank_high"].tolist() == [1, 2, 3]
    assert table["p_first"].tolist() == [1, 0, 0]
    assert table["tied_with"].tolist() == [(), (), ()]
    assert ranking.kendall_tau == pytest.approx(1)
    assert "1,000 resamples of 60 clusters" in ranking.settings


def test_what_the_data_cannot_tell_is_a_tie(drawn_samples):
    table = rank(drawn_samples(models=3, gap=0.0, clusters=30, seed=4), "f1", **FEW).table
    assert table["tied_rank"].tolist() == [1, 1, 1]
    assert sorted(table["rank"]) == [1, 2, 3]
    assert (table["rank_low"] <= table["rank"]).all()
    assert (table["rank"] <= table["rank_high"]).all()
    assert (table["rank_high"] - table["rank_low"]).max() > 0
    assert table["p_first"].sum() == pytest.approx(1)
    first = table.iloc[0]
    assert set(first["tied_with"]) == set("abc") - {first["model"]}


def test_two_tie_and_one_lags(drawn_samples):
    values = drawn_samples(models=3, clusters=60).values[..., 0]
    values[2] -= 0.3
    table = rank(of(values), "f1", **FEW).table.set_index("model")
    assert table["tied_rank"].to_dict() == {"a": 1, "b": 1, "c": 3}
    assert table.loc["c", "tied_with"] == ()


def test_equal_models_share_their_rank_and_the_first_place():
    values = np.random.default_rng(1).random((1, 20))
    table = rank(of(np.concatenate([values] * 2)), "f1", **FEW).table
    assert table["rank"].tolist() == [1, 1]
    assert table["p_first"].tolist() == [0.5, 0.5]
    assert table["mean_rank"].tolist() == [1.5, 1.5]


def test_mean_then_rank_and_rank_then_mean_can_disagree():
    # a wins narrowly in four frames of five and fails in the last: first by frames, last by mean.
    a = [0.81, 0.81, 0.81, 0.81, 0.0]
    b = [0.80, 0.80, 0.80, 0.80, 0.8]
    ranking = rank(of([a, b]), "f1", **FEW)
    table = ranking.table.set_index("model")
    assert table["rank"].to_dict() == {"b": 1, "a": 2}
    assert table["rank_by_frames"].to_dict() == {"b": 2, "a": 1}
    assert table["mean_rank"].to_dict() == {"b": pytest.approx(1.8), "a": pytest.approx(1.2)}
    assert ranking.kendall_tau == pytest.approx(-1)


def test_smaller_distances_rank_first():
    values = np.random.default_rng(3).random((2, 30)) + np.array([[5.0], [1.0]])
    table = rank(of(values, "hd95_px"), "hd95_px", **FEW).table
    assert table["model"].tolist() == ["b", "a"]
    assert table["rank_by_frames"].tolist() == [1, 2]


def test_the_score_ranks_by_default(table):
    good = table([(9, 1, 1, 9)] * 12, model="good", frame=[f"f{i}" for i in range(12)])
    bad = table([(2, 5, 5, 8)] * 12, model="bad", frame=[f"f{i}" for i in range(12)])
    ranking = rank(collect(pd.concat([bad, good])), **FEW)
    assert ranking.figure == "score"
    assert ranking.table["model"].tolist() == ["good", "bad"]
    assert ranking.table.loc[0, "estimate"] == pytest.approx(0.9)


def test_a_single_model_leads_and_has_no_tau():
    ranking = rank(of(np.random.default_rng(0).random((1, 10))), "f1", **FEW)
    assert ranking.table[["rank", "rank_low", "rank_high", "tied_rank"]].to_numpy().tolist() == [
        [1, 1, 1, 1]
    ]
    assert ranking.table["p_first"].tolist() == [1.0]
    assert np.isnan(ranking.kendall_tau)


def test_undefined_frames_do_not_rank_a_model():
    values = np.array([[0.9, np.nan, 0.9, 0.9], [0.5, 0.5, 0.5, 0.5]])
    table = rank(of(values), "f1", **FEW).table.set_index("model")
    assert table.loc["a", "mean_rank"] == 1.0
    assert table.loc["b", "mean_rank"] == pytest.approx((2 + 1 + 2 + 2) / 4)


def test_an_unknown_figure_is_told(drawn_samples):
    with pytest.raises(UserError, match="no figure 'score'"):
        rank(drawn_samples(), **FEW)


@pytest.mark.parametrize("scale", [1e-14, 1e9])
def test_a_change_of_unit_changes_no_rank(scale):
    values = np.array([[0.1 + 0.2, 0.5, 0.7], [0.3, 0.5, 0.7], [0.2, 0.4, 0.8]])
    plain, scaled = (rank(of(values * unit), **FEW, figure="f1").table for unit in (1, scale))
    names = ["model", "rank", "tied_rank", "mean_rank", "rank_by_frames", "p_first"]
    pd.testing.assert_frame_equal(scaled[names], plain[names])


def test_means_over_sets_can_rank_otherwise(table):
    # a is better in the three frames of one set, b by far in the only frame of the other.
    test_set = ["big", "big", "big", "small"]
    a = table([(9, 0, 1, 0)] * 3 + [(3, 0, 7, 0)], test_set=test_set).assign(model="a")
    b = table([(7, 0, 3, 0)] * 3 + [(8, 0, 2, 0)], test_set=test_set).assign(model="b")
    both = pd.concat([a, b])
    over_frames, over_sets = (
        rank(collect(both, average=average), "recall", **FEW).table
        for average in ("frames", "sets")
    )
    assert over_frames["model"].tolist() == ["a", "b"]
    assert over_frames["estimate"].tolist() == pytest.approx([0.75, 0.725])
    assert over_frames["mean_rank"].tolist() == pytest.approx([1.25, 1.75])
    assert over_sets["model"].tolist() == ["b", "a"]
    assert over_sets["estimate"].tolist() == pytest.approx([0.75, 0.6])
    assert over_sets["mean_rank"].tolist() == pytest.approx([1.5, 1.5])


def test_many_models_that_clearly_differ_are_told_apart() -> None:
    # With 10,000 swaps Holm's correction could call none of these 780 pairs different.
    noise = np.random.default_rng(0).normal(0, 0.01, (40, 50))
    values = np.linspace(0.2, 0.9, 40)[:, None] + noise
    samples = Samples(
        models=tuple(f"m{n}" for n in range(40)), figures=("f1",), values=values[..., None],
        clusters=np.arange(50), frames=tuple(map(str, range(50))),
    )  # fmt: skip
    assert rank(samples, "f1").table["tied_rank"].tolist() == list(range(1, 41))


def test_a_single_sequence_tells_nothing_of_the_ranks() -> None:
    samples = replace(of([[0.9, 0.8], [0.5, 0.6]]), clusters=np.zeros(2, dtype=np.int64))
    table = rank(samples, "f1", **FEW).table
    assert table[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1, 2], [2, 1, 2]]
    assert table["p_first"].isna().all()
    agreed = consensus({"one": samples}, resamples=5).table
    assert agreed[["rank_low", "rank_high", "kemeny_low"]].to_numpy().tolist() == [[1, 2, 1]] * 2


def test_a_figure_of_one_sequence_tells_nothing_of_the_ranks() -> None:
    samples = of([[0.9, np.nan, np.nan], [0.5, np.nan, np.nan]])
    table = rank(samples, "f1", **FEW).table
    assert table[["rank", "rank_low", "rank_high"]].to_numpy().tolist() == [[1, 1, 2], [2, 1, 2]]
    assert table["p_first"].isna().all()
    both = {"one": samples, "two": of([[0.9, 0.8, 0.7], [0.5, 0.6, 0.4]])}
    assert consensus(both, resamples=5).table["rank_high"].tolist() == [2, 2]
    both["one"].values[:] = np.nan  # which no model has, so that the other set decides
    assert consensus(both, resamples=5).table["rank_high"].tolist() == [1, 2]


def test_resamples_without_a_value_rank_no_model_first() -> None:
    # A third of the resamples draws none of the first two frames; in all others a is better.
    values = np.full((2, 10), np.nan)
    values[:, :2] = [[0.9, 0.8], [0.5, 0.4]]
    table = rank(of(values), "f1", **FEW).table
    assert table[["rank_low", "rank_high", "p_first"]].to_numpy().tolist() == [[1, 1, 1], [2, 2, 0]]


def test_samples_that_were_changed_are_ranked_anew():
    samples = from_values({"a": [0.9, 0.8, 0.7], "b": [0.5, 0.4, 0.6]})
    assert rank(samples, "f1").table["model"].tolist() == ["a", "b"]
    samples.values[0] = 0.1
    assert rank(samples, "f1").table["model"].tolist() == ["b", "a"]

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from metrics.statistics.consensus import _average_ranks, consensus, contradictions, kemeny
from metrics.statistics.samples import Samples
from metrics.utils.errors import UserError

# The means of challengeR's example data (its data_matrix.csv): three tasks, algorithms A1 to A5.
CHALLENGER = {
    "c_ideal": [0.951676, 0.844967, 0.741689, 0.644750, 0.542361],
    "c_random": [0.804680, 0.797521, 0.761481, 0.788407, 0.769741],
    "c_worstcase": [0.9, 0.9, 0.9, 0.9, 0.9],
}


def of(values: object, figures: tuple[str, ...] = ("f1",)) -> Samples:
    """Samples of values (M, N) or (M, N, K)."""
    values = np.asarray(values, dtype=float)
    values = values[..., None] if values.ndim == 2 else values
    frames = tuple(map(str, range(values.shape[1])))
    models = tuple("abcdefgh"[: len(values)])
    return Samples(
        models=models,
        figures=figures,
        values=values,
        clusters=np.arange(len(frames)),
        frames=frames,
    )


def test_the_consensus_of_challengers_example_is_that_of_the_mean_ranks() -> None:
    by_set = {task: of(np.repeat([means], 2, axis=0).T) for task, means in CHALLENGER.items()}
    found = consensus(by_set, resamples=20)
    table = found.table.set_index("model")
    # By hand: ranks 1 to 5; 1, 2, 5, 3, 4; and five times 3, where all are equal.
    expected = {"a": 5 / 3, "b": 7 / 3, "c": 11 / 3, "d": 10 / 3, "e": 4.0}
    assert table["mean_rank"].to_dict() == pytest.approx(expected)
    assert table["rank"].to_dict() == {"a": 1, "b": 2, "c": 4, "d": 3, "e": 5}
    assert table["f1 c_worstcase"].tolist() == [3.0] * 5
    assert found.exact


def test_challengers_tests_of_two_tasks_where_small_is_good() -> None:
    # test-aggregateThenRank.R: 0.6 and 0.8 rank 1 and 2, 0.5 and 0.4 rank 2 and 1.
    by_set = {
        name: of([[a], [b]], ("hd95_px",))
        for name, (a, b) in {"T1": (0.6, 0.8), "T2": (0.5, 0.4)}.items()
    }
    table = consensus(by_set, resamples=10).table
    assert table[["hd95_px T1", "hd95_px T2"]].to_numpy().tolist() == [[1, 2], [2, 1]]
    assert table["mean_rank"].tolist() == [1.5, 1.5]
    assert table["rank"].tolist() == [1, 1]


def test_kemenys_order_is_the_best_of_all() -> None:
    generator = np.random.default_rng(3)
    for _ in range(20):
        ranks = _average_ranks(generator.integers(0, 4, size=(7, 5)).astype(float))
        least = min(contradictions(ranks, list(order)) for order in permutations(range(5)))
        assert contradictions(ranks, kemeny(ranks)) == least
        searched = contradictions(ranks, kemeny(ranks, exact=0))
        assert least <= searched <= 1.1 * least


def test_kemeny_and_mean_rank_differ_where_they_should() -> None:
    # Young's kind of example: three of five put a first, two put it last.
    ranks = np.array([[1, 2, 3]] * 3 + [[3, 1, 2]] * 2, dtype=float)
    by_set = {str(n): of((4 - row)[:, None]) for n, row in enumerate(ranks)}
    table = consensus(by_set, resamples=5).table.set_index("model")
    assert table["kemeny"].to_dict() == {"a": 1, "b": 2, "c": 3}
    assert table["rank"].to_dict() == {"a": 2, "b": 1, "c": 3}
    assert table["borda"].to_dict() == {"a": 6, "b": 7, "c": 2}


def test_a_local_search_orders_many_models() -> None:
    generator = np.random.default_rng(0)
    true = np.arange(50, dtype=float)
    ranks = _average_ranks(true + generator.normal(0, 3, size=(12, 50)))
    order = kemeny(ranks)
    assert sorted(order) == list(range(50))
    assert contradictions(ranks, order) <= contradictions(ranks, list(range(50)))


def test_stability_tells_a_clear_order_from_a_draw() -> None:
    generator = np.random.default_rng(1)
    noise = generator.normal(0, 0.1, size=(3, 60))
    clear = consensus({"x": of(noise + np.array([[0.9], [0.6], [0.3]]))}, resamples=200).table
    assert clear[["rank_low", "rank_high", "kemeny_low"]].to_numpy().tolist() == [
        [1, 1, 1], [2, 2, 2], [3, 3, 3],
    ]  # fmt: skip
    draw = consensus({"x": of(noise)}, resamples=200).table
    assert (draw["rank_low"] < draw["rank_high"]).any()
    undefined = consensus({"x": of([[np.nan], [0.1]])}, resamples=5).table
    assert undefined["model"].tolist() == ["b", "a"]


def test_models_are_matched_by_name_and_none_may_be_missing() -> None:
    one, other = of([[0.9, 0.8], [0.5, 0.6]]), of([[0.9, 0.8], [0.5, 0.6]])
    turned = replace(other, models=other.models[::-1], values=other.values[::-1])
    found = consensus({"x": one, "y": turned}, resamples=20)
    expected = consensus({"x": one, "y": other}, resamples=20)
    assert found.table["model"].tolist() == ["a", "b"]
    assert found.table["mean_rank"].tolist() == expected.table["mean_rank"].tolist() == [1.0, 2.0]
    with pytest.raises(UserError, match="the same models in every test set; in y there are b"):
        consensus({"x": one, "y": replace(other, models=("b",), values=other.values[:1])})

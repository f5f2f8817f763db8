from __future__ import annotations

import pandas as pd
import pytest

from metrics.utils.errors import UserError
from submissions.leaderboard import averaged, rank, with_paper


def rows(*values: tuple[str, str, float], **columns) -> pd.DataFrame:
    table = pd.DataFrame(values, columns=["round", "model", "score"])
    defaults = {"team": "", "protocol": "official", "truth_sha256": "t", "sd_frames": 0.2}
    return table.assign(**defaults | {"n": 10, "f1": 0.5, "latency_ms": 8.0} | columns)


def test_models_are_ranked_by_score_within_each_round() -> None:
    ranking = rank(rows(("1", "a", 0.3), ("2", "b", 0.2), ("1", "c", 0.7), ("2", "a", 0.4)))
    assert ranking[["round", "rank", "model"]].to_numpy().tolist() == [
        ["1", 1, "c"],
        ["1", 2, "a"],
        ["2", 1, "a"],
        ["2", 2, "b"],
    ]
    assert set(ranking["source"]) == {"scored"}


def test_the_best_score_of_a_model_stands_for_it_and_teams_stay_apart() -> None:
    scored = rows(("1", "a", 0.3), ("1", "a", 0.6), ("1", "a", 0.5))
    assert rank(scored)["score"].tolist() == [0.6]
    assert len(rank(scored.assign(team=["x", "y", "x"]))) == 2


def test_equal_scores_share_a_rank() -> None:
    ranking = rank(rows(("1", "a", 0.5), ("1", "b", 0.5), ("1", "c", 0.4)))
    assert ranking["rank"].tolist() == [1, 1, 3]


def test_scores_of_different_truths_are_ranked_apart() -> None:
    scored = rows(("1", "a", 0.5), ("1", "b", 0.9)).assign(truth_sha256=["s", "t"])
    assert rank(scored)["rank"].tolist() == [1, 1]


def test_the_truth_of_the_newest_score_comes_first() -> None:
    scored = rows(("1", "a", 0.5), ("1", "b", 0.9)).assign(truth_sha256=["t", "s"])
    assert rank(scored)["truth_sha256"].tolist() == ["t", "s"]


def test_protocols_are_never_mixed() -> None:
    scored = rows(("1", "a", 0.5), ("1", "b", 0.9)).assign(protocol=["official", "strict"])
    with pytest.raises(UserError, match="--protocol"):
        rank(scored)


def test_the_sd_is_named() -> None:
    scored = rows(("1", "a", 0.5), sd_frames=0.2, sd_sets=0.03)
    assert rank(scored)[["sd", "sd_name"]].to_numpy().tolist() == [[0.2, "sd_frames"]]
    assert rank(scored, sd="sd_sets")[["sd", "sd_name"]].to_numpy().tolist() == [[0.03, "sd_sets"]]
    with pytest.raises(UserError, match="sd_frames, sd_sets, sd_metrics"):
        rank(scored, sd="deviation")


def test_the_leader_changes_with_the_average() -> None:
    scored = rows(("1", "a", 0.9), ("1", "b", 0.8), score_sets=[0.5, 0.7], f1_sets=[0.2, 0.3])
    by_sets, by_frames = (rank(averaged(scored, average)) for average in ("sets", "frames"))
    assert by_sets["model"].tolist() == ["b", "a"]
    assert by_frames["model"].tolist() == ["a", "b"]
    shown = ["average", "score", "score_sets", "score_frames", "f1"]
    assert by_sets[shown].iloc[0].tolist() == ["sets", 0.7, 0.7, 0.8, 0.3]
    assert by_frames[shown].iloc[0].tolist() == ["frames", 0.9, 0.5, 0.9, 0.5]


def test_evaluations_of_a_split_are_ranked_by_the_same_function() -> None:
    evaluations = pd.DataFrame(
        {"split": ["val", "val"], "model": ["a", "b"], "score": [0.2, 0.4], "sd_frames": [0.1, 0.1]}
    )
    ranking = rank(evaluations, source="evaluated")
    assert ranking["model"].tolist() == ["b", "a"]
    assert set(ranking["source"]) == {"evaluated"}
    assert "round" not in ranking


@pytest.mark.parametrize("nothing", [float("nan"), None])
def test_a_model_without_a_score_comes_last_and_has_no_rank(nothing: float | None) -> None:
    scores = rows(("1", "a", nothing), ("1", "b", 0.1), ("1", "b", nothing), ("2", "c", nothing))
    ranking = rank(scores)
    assert ranking["model"].tolist() == ["b", "a", "c"]
    assert ranking["rank"].fillna(0).tolist() == [1, 0, 0]


def test_no_rows_rank_nothing() -> None:
    assert rank(rows()).empty
    assert with_paper(rank(rows())).empty


def test_the_papers_rows_follow_their_round_and_carry_no_rank() -> None:
    ranking = with_paper(rank(rows(("1", "a", 0.3), ("2", "b", 0.2))))
    assert ranking["source"].tolist() == ["scored", "paper", "paper", "scored", "paper", "paper"]
    paper = ranking[ranking["source"] == "paper"]
    assert paper["rank"].isna().all()
    assert set(paper["sd_name"]) == {"as printed"}
    best = paper[paper["round"] == "2"].iloc[0]
    assert (best["model"], best["score"], best["sd"]) == ("divergentnets", 0.823, 0.043)
    assert ranking[ranking["source"] == "scored"]["rank"].tolist() == [1, 1]


def test_the_papers_rows_never_enter_the_ranks() -> None:
    low = rank(rows(("2", "a", 0.001)))
    assert with_paper(low).iloc[0]["rank"] == 1

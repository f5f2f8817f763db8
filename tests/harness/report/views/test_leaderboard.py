from __future__ import annotations

import pandas as pd

from harness.report.views.leaderboard import standings_view
from submissions.leaderboard import rank


def ranking(*truths: str, rounds: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        {"round": name, "rank": 1, "source": "scored", "team": "", "model": f"m{n}", "score": 0.5,
         "sd": 0.1, "sd_name": "sd_frames", "n": 3, "truth_sha256": truth}
        for n, (name, truth) in enumerate(zip(rounds, truths, strict=True))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def titles(frame: pd.DataFrame) -> list[str]:
    view = standings_view(frame, protocol="official", group="round")
    return [column if isinstance(column, str) else column.heading for column in view.columns]


def test_truths_are_told_apart_where_a_round_has_several() -> None:
    assert "Truth" not in titles(ranking("a" * 64, "b" * 64, rounds=("1", "2")))
    assert "Truth" in titles(ranking("a" * 64, "b" * 64, rounds=("1", "1")))


def test_teams_are_shown_where_there_are_any() -> None:
    frame = ranking("a" * 64, rounds=("1",))
    assert "Team" not in titles(frame)
    assert "Team" in titles(frame.assign(team="us"))


def test_a_digest_is_shortened_and_a_class_before_it_is_not() -> None:
    frame = ranking(f"instrument {'a' * 64}", f"polyp {'b' * 64}", rounds=("1", "1"))
    view = standings_view(frame, protocol="official", group="round")
    assert view.frame["truth"].tolist() == ["instrument aaaaaaaa", "polyp bbbbbbbb"]


def test_further_columns_are_for_programs() -> None:
    view = standings_view(ranking("a" * 64, rounds=("1",)), protocol="official", group="round")
    assert "truth_sha256" in view.data_only_columns


def test_evaluations_of_different_frames_are_ranked_separately() -> None:
    rows = [
        {"split": "val", "model": model, "protocol": "paper", "score": score, "data": data}
        for model, score, data in (("a", 0.5, "d1"), ("b", 0.9, "d2"), ("c", 0.4, "d1"))
    ]
    ranked = rank(pd.DataFrame(rows), source="evaluated")
    assert ranked.set_index("model")["rank"].to_dict() == {"a": 1, "c": 2, "b": 1}
    view = standings_view(ranked, protocol="paper", group="split")
    table = view.table()
    assert table.columns[-1].heading == "Data"
    assert [line.starts_group for line in table.lines] == [False, False, True]
    assert "ranked separately" in view.caption

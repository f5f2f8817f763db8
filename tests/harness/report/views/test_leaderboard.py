from __future__ import annotations

import pandas as pd

from harness.report.views.leaderboard import standings_view


def ranking(*truths: str, rounds: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        {"round": name, "rank": 1, "source": "scored", "team": "", "model": f"m{n}", "score": 0.5,
         "sd": 0.1, "sd_name": "sd_frames", "n": 3, "truth_sha256": truth}
        for n, (name, truth) in enumerate(zip(rounds, truths, strict=True))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def titles(frame: pd.DataFrame) -> list[str]:
    view = standings_view(frame, sd="sd_frames", protocol="official", group="round")
    return [column if isinstance(column, str) else column.heading for column in view.columns]


def test_truths_are_told_apart_where_a_round_has_several() -> None:
    assert "Truth" not in titles(ranking("a" * 64, "b" * 64, rounds=("1", "2")))
    assert "Truth" in titles(ranking("a" * 64, "b" * 64, rounds=("1", "1")))


def test_teams_are_shown_where_there_are_any() -> None:
    frame = ranking("a" * 64, rounds=("1",))
    assert "Team" not in titles(frame)
    assert "Team" in titles(frame.assign(team="us"))


def test_further_columns_are_for_programs() -> None:
    view = standings_view(
        ranking("a" * 64, rounds=("1",)), sd="sd_frames", protocol="official", group="round"
    )
    assert "truth_sha256" in view.data_only_columns

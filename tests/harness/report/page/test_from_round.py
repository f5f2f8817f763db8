from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.config.settings import Settings
from harness.report.page import from_round
from harness.report.page.from_round import best_scores, left_out
from harness.report.tables.view import title_of
from metrics.utils.errors import UserError
from submissions.leaderboard import of_models
from submissions.rounds import load_rounds
from tests.harness.report.views.test_by_class import table


def test_a_package_called_as_a_model_is_titled_is_told_from_it() -> None:
    rows = [("", "unet", 0.7), ("U-Net", "U-Net", 0.6), ("", "fpn", 0.5), ("", "unet", 0.4)]
    scores = pd.DataFrame(rows, columns=["team", "model", "score"]).assign(truth_sha256="a")

    best = best_scores(scores)

    assert [title_of(name) for name in best] == ["U-Net", "U-Net (package)", "FPN"]
    assert [row["score"] for row in best.values()] == [0.7, 0.6, 0.5]


def test_a_model_is_of_every_team_or_of_one() -> None:
    rows = [("red", "sub"), ("blue", "sub"), ("", "unet"), ("red", "other")]
    scores = pd.DataFrame(rows, columns=["team", "model"])

    def chosen(*names: str) -> list[str]:
        return of_models(scores, names, "1")["team"].tolist()

    assert chosen("sub") == ["red", "blue"]
    assert chosen("blue sub", "unet") == ["blue", ""]
    with pytest.raises(UserError, match=r"no scored package of red in round 1; .*red other, red s"):
        chosen("red", "sub")


def test_what_was_scored_against_an_older_truth_alone_is_named() -> None:
    rows = [("red", "a", 0.5, "new"), ("red", "a", 0.4, "old"), ("blue", "b", 0.9, "old")]
    scores = pd.DataFrame(rows, columns=["team", "model", "score", "truth_sha256"])
    (note,) = left_out(scores, best_scores(scores))
    assert "newest score: blue b; score" in note


def test_the_provenance_is_of_the_packages_that_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("red", "a", 0.7), ("blue", "b", 0.6)]
    scores = pd.DataFrame(rows, columns=["team", "model", "score"]).assign(
        truth_sha256="a",
        average="sets",
        package="p.zip",
        package_sha256="b",
        settings="",
        round="1",
    )
    there = {"blue b": table("a")}, ["red a: its frame table is missing"]
    monkeypatch.setattr(from_round, "_frame_tables", lambda *_: there)
    content = from_round.gather(Settings(workspace=tmp_path), load_rounds()["1"], scores)
    assert content.models == ["blue b"]
    assert "blue b" in content.facts
    assert "red a" not in content.facts

"""Evaluations of a split of several test sets are ranked by either average."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.evaluation import standings
from harness.evaluation.stored import CURRENT, SUMMARY, TABLE
from harness.report.views.leaderboard import standings_view
from harness.runs.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def evaluate(
    workspace: Workspace,
    model: str,
    found: dict[str, int],
    split: str = "test",
    *,
    tuned: str = "",
    data: str = "",
    class_: str = "polyp",
) -> str:
    """A run whose every frame has ten true pixels, of which some are found."""
    settings: dict[str, Any] = {"classes": {"chosen": class_}}
    settings |= {"tuned": {"split": tuned, "tta": False}} if tuned else {}
    run = workspace.new_run(model, settings=settings, versions={}, data=data).run
    workspace.finish_run(run)
    folder = workspace.run(run).evaluation(split)
    folder.mkdir(parents=True)
    rows = [
        {"frame": frame, "test_set": frame[:-1] if split == "test" else "", "class": class_,
         "tp": pixels, "fp": 0, "fn": 10 - pixels, "tn": 0}
        for frame, pixels in found.items()
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / TABLE)
    (folder / SUMMARY).write_text('{"summary": {}}')
    workspace.enter_evaluation(
        run=run, model=model, split=split, protocol="paper", frames=len(rows), data="d",
        settings=CURRENT, summary={},
    )  # fmt: skip
    return run


def test_the_leader_can_change_with_the_average(workspace: Workspace) -> None:
    evaluate(workspace, "unet", {"large1": 9, "large2": 9, "large3": 9, "small1": 3})
    evaluate(workspace, "fpn", {"large1": 7, "large2": 7, "large3": 7, "small1": 8})
    evaluate(workspace, "fpn", {"a1": 7, "b1": 9}, "val")
    found, outdated = standings.find(workspace)
    assert outdated == []

    ranked = standings.ranked(found)
    test = ranked[ranked["split"] == "test"]
    assert test["model"].tolist() == ["fpn", "unet"]
    assert test["score"].round(3).tolist() == [0.849, 0.735]  # as in docs/protocol.md
    assert test["score_frames"].round(3).tolist() == [0.833, 0.838]
    assert set(test["sd_name"]) == {"sd_sets"}
    assert set(ranked[ranked["split"] == "val"]["sd_name"]) == {"sd_frames"}

    by_frames = standings.ranked(found, "frames")
    assert by_frames["model"].tolist()[-2:] == ["unet", "fpn"]
    assert by_frames["score"].round(3).tolist()[-2:] == [0.838, 0.833]


def test_what_was_tuned_stands_beside_its_model_and_says_so(workspace: Workspace) -> None:
    evaluate(workspace, "unet", {"large1": 7}, "val")
    tuned = evaluate(workspace, "unet", {"large1": 9}, "val", tuned="val")

    ranked = standings.ranked(standings.find(workspace)[0])

    assert ranked["model"].tolist() == [f"{tuned} (tuned on val)", "unet"]


def test_the_leaderboard_of_a_split_says_which_average_it_ranks_by(workspace: Workspace) -> None:
    evaluate(workspace, "unet", {"large1": 9, "small1": 3})
    view = standings_view(
        standings.ranked(standings.find(workspace, "test")[0]), protocol="paper", group="split"
    )
    assert "Ranked by the average over sets" in view.caption
    assert "Score (frames)" in [column.heading for column in view.table().columns]


def test_runs_of_different_classes_are_not_ranked_together(workspace: Workspace) -> None:
    for model, found in (("unet", 9), ("fpn", 7)):
        evaluate(workspace, model, {"large1": found, "small1": 3})
    evaluate(workspace, "unet", {"large1": 1, "small1": 1}, class_="instrument")

    view = standings_view(
        standings.ranked(standings.find(workspace)[0]), protocol="paper", group="split"
    )
    arguments = ["leaderboard", "--table", "ranks", "--workspace", str(workspace.root)]
    ranks = CliRunner().invoke(cli, arguments, catch_exceptions=False)

    assert "of different classes (see Data)" in view.caption
    assert view.frame["truth"].tolist() == ["instrument d", "polyp d", "polyp d"]
    assert "Ranks on the test split, polyp, by" in ranks.stdout
    assert "0.735" in ranks.stdout  # as above, of polyp
    assert "test, instrument: only unet was evaluated" in ranks.stderr


def test_an_evaluation_whose_files_are_gone_is_named(workspace: Workspace) -> None:
    kept = evaluate(workspace, "unet", {"large1": 9})
    lost = evaluate(workspace, "fpn", {"large1": 7})
    (workspace.run(lost).evaluation("test") / TABLE).unlink()
    (found,), outdated = standings.find(workspace)
    assert [run.run for run in found.runs] == [kept]
    assert outdated == [f"test: {lost}"]


def test_runs_that_were_trained_on_other_frames_are_warned_of(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    older = evaluate(workspace, "unet", {"large1": 9}, data="divided otherwise+v")
    for data in ("", "today+v", "today+w"):  # where it is unknown, nothing is said
        evaluate(workspace, "fpn", {"large1": 7}, data=data)
    found, _ = standings.find(workspace)
    assert standings.other_training(found) == [older]
    standings.warn_of_mixed_training(found)
    assert f"trained on other frames than the newest run: {older}." in " ".join(
        capsys.readouterr().err.split()
    )

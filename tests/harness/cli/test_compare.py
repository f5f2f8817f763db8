"""Only evaluations of the same frames are compared."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import pandas as pd
import pytest

from harness.cli.compare import command
from harness.evaluation.stored import CURRENT, SUMMARY, TABLE
from harness.runs.run import Run
from harness.runs.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path / "workspace")


def evaluated(workspace: Workspace, model: str, data: str, **settings: str) -> Run:
    run = workspace.new_run(model, settings=settings, versions={})
    workspace.finish_run(run.run)
    run.evaluation("test").mkdir(parents=True)
    pd.DataFrame({"frame": ["1"]}).to_parquet(run.evaluation("test") / TABLE)
    (run.evaluation("test") / SUMMARY).write_text('{"summary": {}}')
    workspace.enter_evaluation(
        run=run.run, model=model, split="test", protocol="paper", frames=1, data=data,
        settings=CURRENT, summary={},
    )  # fmt: skip
    return run


def compare(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, arguments)


def test_runs_evaluated_on_different_frames_are_refused(workspace: Workspace) -> None:
    unet, _ = evaluated(workspace, "unet", "0123"), evaluated(workspace, "fpn", "4567")
    refused = compare("unet", "fpn")
    assert refused.exit_code == 1
    assert "on different frames of the test split" in refused.output
    assert f"--run {unet.run}" in refused.output


def test_runs_of_different_divisions_are_refused(workspace: Workspace) -> None:
    evaluated(workspace, "unet", "0123")
    without = evaluated(workspace, "fpn", "4567", leave_out="C3")
    refused = compare(without.run, "unet")
    assert refused.exit_code == 1
    assert f"{without.run}: without C3" in refused.output
    assert "harness evaluate" not in refused.output


def test_models_on_other_frames_are_not_among_the_others(workspace: Workspace) -> None:
    evaluated(workspace, "unet", "0123")
    evaluated(workspace, "fpn", "4567")
    refused = compare("unet")
    assert refused.exit_code == 1
    assert "nothing to compare unet with" in refused.output


def test_one_run_twice_and_a_name_that_nothing_has_are_refused(workspace: Workspace) -> None:
    run = evaluated(workspace, "unet", "0123")
    assert f"unet and {run.run} are one run" in compare("unet", run.run).output
    assert "No run or model has that name" in compare("unet", "nuet").output


def seed(workspace: Workspace, model: str, number: int, found: list[int]) -> Run:
    """A seed's evaluation on frames of ten polyp pixels, of which it has found so many."""
    settings = {"model": model, "seed": number, "size": 64}
    run = workspace.new_run(model, settings=settings, versions={}, seed=number, data="a+b")
    workspace.finish_run(run.run)
    run.evaluation("test").mkdir(parents=True)
    rows = [
        {"frame": str(at), "class": "polyp", "chosen_class": "polyp", "sequence": "", "centre": "",
         "dataset": "", "test_set": "", "tp": tp, "fp": 0, "fn": 10 - tp, "tn": 90}
        for at, tp in enumerate(found)
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(run.evaluation("test") / TABLE)
    (run.evaluation("test") / SUMMARY).write_text('{"summary": {}}')
    workspace.enter_evaluation(
        run=run.run, model=model, split="test", protocol="paper", frames=len(found), data="0123",
        settings=CURRENT, summary={},
    )  # fmt: skip
    return run


def test_seeds_are_compared_by_their_means_and_the_wider_interval_decides(
    workspace: Workspace,
) -> None:
    for number, offset in enumerate((-3, 0, 3)):
        seed(workspace, "unet", number, [6 + offset] * 8)  # recall 0.3, 0.6 and 0.9
        run = seed(workspace, "fpn", number, [4, 5] * 4)  # recall 0.45, whichever seed
    assert "seed2" in run.run

    found = compare("unet", "fpn", "--figure", "recall", "--format", "json", "--resamples", "100")

    assert found.exit_code == 0, found.output
    (row,) = json.loads(found.output)["rows"]
    assert (row["mean_a"], row["seeds"], row["decides"]) == (
        pytest.approx(0.6), "3 and 3", "seeds",
    )  # fmt: skip
    # Welch: standard error 0.3 / sqrt(3), two degrees of freedom, t = 4.303.
    assert row["seeds_high"] == pytest.approx(0.15 + 4.303 * 0.3 / 3**0.5, abs=1e-3)
    score = compare("unet", "fpn", "--figure", "score", "--format", "json", "--resamples", "100")
    every = compare("unet", "fpn", "--format", "json", "--resamples", "100")
    assert json.loads(score.output)["rows"] == json.loads(every.output)["rows"][:1]
    alone = compare("unet", run.run, "--figure", "recall", "--format", "json", "--resamples", "100")
    assert json.loads(alone.output)["rows"][0]["decides"] == ""  # one seed tells no spread


def test_a_model_that_was_evaluated_before_a_figure_was_added_is_named(
    workspace: Workspace,
) -> None:
    run, _ = seed(workspace, "unet", 0, [6] * 8), seed(workspace, "fpn", 0, [5] * 8)
    file = run.evaluation("test") / TABLE
    pd.read_parquet(file).assign(area_error=0.5).to_parquet(file)
    found = compare("unet", "fpn", "--figure", "area_error", "--resamples", "100")
    assert "area_error is undefined in every frame of fpn, or was not measured" in found.stderr
    assert "harness evaluate --split test" in found.stderr

"""Only evaluations of the same frames are compared."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pandas as pd
import pytest

from harness.cli.compare import command
from harness.evaluation.evaluate_run import CURRENT, SUMMARY, TABLE
from harness.runs.workspace import Run, Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path / "workspace")


def evaluated(workspace: Workspace, model: str, data: str) -> Run:
    run = workspace.new_run(model, settings={}, versions={})
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


def test_models_on_other_frames_are_not_among_the_others(workspace: Workspace) -> None:
    evaluated(workspace, "unet", "0123")
    evaluated(workspace, "fpn", "4567")
    refused = compare("unet")
    assert refused.exit_code == 1
    assert "nothing to compare unet with" in refused.output

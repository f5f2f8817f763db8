"""Runs are removed together or not at all, and never while they are trained."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest

from harness.cli.runs import command
from harness.runs.lock import lock_run
from harness.runs.run import Run
from harness.runs.workspace import Workspace


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(tmp_path / "workspace")
    settings = {"settings": {}, "versions": {}, "seed": 0}
    return [workspace.new_run(model, **settings) for model in ("unet", "fpn", "unet++")]


def remove(*arguments: str, say: str = "") -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, ["rm", *arguments], input=say)


def left() -> set[str]:
    registered = {run.model for run in Workspace(Path("workspace")).runs()}
    assert {path.name.split("-")[0] for path in Path("workspace/runs").iterdir()} == registered
    return registered


def test_several_go_at_once(runs: list[Run]) -> None:
    asked = remove(runs[0].run, runs[1].run, say="y\n")
    assert asked.exit_code == 0
    assert str(runs[1].folder) in asked.output
    assert left() == {"unet++"}


def test_none_goes_if_one_is_not_there_or_is_not_agreed_to(runs: list[Run]) -> None:
    unknown = remove(runs[0].run, "unet-1", "--yes")
    assert unknown.exit_code == 1
    assert "no run 'unet-1'" in unknown.output
    assert remove(runs[0].run, say="n\n").exit_code == 1
    assert left() == {"unet", "fpn", "unet++"}


def test_a_run_that_is_trained_stays(runs: list[Run]) -> None:
    with lock_run(runs[0]):
        refused = remove(runs[1].run, runs[0].run, "--yes")
    assert refused.exit_code == 1
    assert "is being trained by another process" in refused.output
    assert left() == {"unet", "fpn", "unet++"}


@pytest.mark.usefixtures("runs")
def test_a_folder_of_no_run_is_named() -> None:
    assert "of no run" not in click.testing.CliRunner().invoke(command).output
    Path("workspace/runs/fpn-killed").mkdir()
    assert "of no run" in click.testing.CliRunner().invoke(command).output

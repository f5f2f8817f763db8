"""An ensemble is registered whole, or as failed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.config.settings import Settings
from harness.config.training import TrainConfig
from harness.runs import ensemble
from harness.runs.workspace import Run, Workspace
from harness.training.run import TrainingSetup
from harness.training.run_all import resume


def member(workspace: Workspace, model: str) -> Run:
    settings = TrainConfig(model=model).to_dict()
    run = workspace.new_run(model, settings=settings, versions={}, checkpoint=model)
    run.best.write_bytes(model.encode())
    workspace.finish_run(run.run)
    return workspace.run(run.run)


def test_an_ensemble_that_is_interrupted_is_no_run_to_use_or_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    members = {name: member(workspace, name) for name in ("fpn", "unet")}

    def interrupted(_source: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "_link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensemble.register(workspace, members)

    (run,) = workspace.runs(status="failed")
    assert run.members == {name: one.run for name, one in members.items()}
    workspace.update_run(run.run, status="running")  # as a kill leaves it
    settings = Settings(workspace=workspace.root)
    resume(settings, None, TrainingSetup(device=torch.device("cpu")))
    assert "Nothing to go on with" in caplog.text

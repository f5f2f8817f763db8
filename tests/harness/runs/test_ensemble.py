"""An ensemble is registered once it is whole."""

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


def test_an_interrupted_ensemble_is_not_registered_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    members = {name: member(workspace, name) for name in ("fpn", "unet")}
    before = workspace.runs()

    def interrupted(_source: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "_link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensemble.register(workspace, members)

    assert workspace.runs() == before
    assert {path.name for path in (workspace.root / "runs").iterdir()} == {r.run for r in before}


def test_resume_leaves_an_ensemble_of_an_earlier_version_that_was_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    workspace.new_run("divergentnets", settings={}, versions={}, members={"fpn": "fpn-1"})
    settings = Settings(workspace=workspace.root)
    resume(settings, None, TrainingSetup(device=torch.device("cpu")))
    assert "Nothing to go on with" in caplog.text


def test_members_are_known_by_their_weights_and_settings(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    members = {name: member(workspace, name) for name in ("fpn", "unet", "unet++")}
    whole = ensemble.register(workspace, members)
    assert ensemble.members_among(whole, members.values()) == {
        place: members[name] for place, name in enumerate(members)
    }
    members["fpn"].best.unlink()  # it may be one file with the ensemble's
    members["fpn"].best.write_bytes(b"fpq")  # trained on
    settings = {**members["unet"].settings, "size": 64}
    workspace.update_run(members["unet"].run, settings=settings)
    again = [workspace.run(one.run) for one in members.values()]
    assert list(ensemble.members_among(whole, again)) == [2]
    assert ensemble.members_among(again[0], again) == {}

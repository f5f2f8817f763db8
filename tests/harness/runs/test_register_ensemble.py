"""An ensemble is registered once it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from harness.config.settings import Settings
from harness.config.training import TrainConfig
from harness.data.catalogue import of_split
from harness.data.cross_validation import SplitVariant
from harness.runs import register_ensemble as ensemble
from harness.runs.run import Run
from harness.runs.seen import refuse_seen
from harness.runs.workspace import Workspace
from harness.training.train_all import resume
from harness.training.train_run import TrainingSetup
from metrics.utils.errors import FaultsError, UserError


def member(workspace: Workspace, model: str, **values: Any) -> Run:
    settings = TrainConfig(model=model, **values).to_dict()
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

    monkeypatch.setattr(ensemble, "link", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensemble.register(workspace, members)

    assert workspace.runs() == before
    assert {path.name for path in (workspace.root / "runs").iterdir()} == {r.run for r in before}


def test_only_models_can_be_trained_to_be_members(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    removed = "fpn-20260726-101500"
    for names, advice in (
        (["unet", removed], r"in the same command: --model unet$"),
        ([removed], f"{removed}\\.$"),
    ):
        with pytest.raises(UserError, match=f"none of .*{advice}"):
            ensemble.members_for(workspace, names)


def test_a_member_whose_weights_are_gone_is_said(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    members = {name: member(workspace, name) for name in ("fpn", "unet")}
    members["unet"].best.unlink()
    with pytest.raises(UserError, match=r"the weights of unet .* are gone"):
        ensemble.register(workspace, members)


def test_resume_leaves_an_ensemble_of_an_earlier_version_that_was_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    workspace.new_run("divergentnets", settings={}, versions={}, members={"fpn": "fpn-1"})
    settings = Settings(workspace=workspace.root)
    resume(settings, None, TrainingSetup(device=torch.device("cpu")))
    assert "Nothing to go on with" in caplog.text


def test_seeds_and_folds_of_one_model_are_members_under_their_runs(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    fpn, first = member(workspace, "fpn"), member(workspace, "unet", fold="1/2", size=128)
    second = member(workspace, "unet", fold="2/2")

    names = ["fpn", first.run, second.run]
    ensemble.check_members(workspace, names)
    run = ensemble.register(workspace, ensemble.members_for(workspace, names), seed=3)

    assert run.members == {"fpn": fpn.run, first.run: first.run, second.run: second.run}
    assert (run.row["seed"], "seed3" in run.run) == (3, True)
    assert run.settings["members"][first.run]["size"] == 128
    assert run.variant == SplitVariant()
    assert len(run.variants) == 3


def test_all_that_cannot_be_members_are_said(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    whole = ensemble.register(workspace, {"fpn": member(workspace, "fpn")})
    begun = workspace.new_run("unet", settings={}, versions={})

    with pytest.raises(FaultsError) as error:
        ensemble.check_members(workspace, ["fpn", "fpn", whole.run, begun.run, "unett"])

    reasons = {fault.path: fault.message for fault in error.value.faults}
    assert "named twice" in reasons["fpn"]
    assert "is an ensemble" in reasons[whole.run]
    assert "not finished" in reasons[begun.run]
    assert "no run 'unett'" in reasons["unett"]


def test_an_ensemble_is_not_measured_on_frames_that_a_member_was_trained_on(
    tmp_path: Path,
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    frames = pd.DataFrame(
        {
            "frame": [f"f{number}" for number in range(6)],
            "sequence": "",
            "centre": "C1",
            "dataset": "d",
            "truth": "mask",
            "split": ["train"] * 4 + ["val", "test"],
        }
    )
    plain = ensemble.register(workspace, {"unet": member(workspace, "unet")})
    folds = [member(workspace, "unet", fold=fold) for fold in ("1/2", "2/2")]
    mixed = ensemble.register(workspace, {run.run: run for run in folds})

    refuse_seen(plain, frames, of_split(frames, "val"), "val")
    refuse_seen(mixed, frames, of_split(frames, "test"), "test")
    with pytest.raises(UserError, match="were trained on 1 of the 1 frames of val, such as f4"):
        refuse_seen(mixed, frames, of_split(frames, "val"), "val")


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

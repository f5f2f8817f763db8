"""What was chosen becomes a run that predicts so, and is taken by its name only."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from harness.config.training import TrainConfig
from harness.data.catalogue import of_split
from harness.evaluation.run_labels import label_of
from harness.evaluation.tables import labels
from harness.evaluation.tuning.register import register
from harness.evaluation.tuning.search import Choice
from harness.inference.clean_up import CleanUp
from harness.inference.prediction import Inference
from harness.runs import register_ensemble as ensemble
from harness.runs.network import FUSION, member_weights
from harness.runs.run import Run
from harness.runs.seen import refuse_seen
from harness.runs.select import select
from harness.runs.workspace import Workspace
from metrics.utils.errors import UserError

CHOICE = Choice(
    members=("unet",), threshold=0.3, clean_up=CleanUp(smallest=0.002, fill=True), tta=True
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def trained(workspace: Workspace, model: str) -> Run:
    settings = TrainConfig(model=model).to_dict()
    run = workspace.new_run(model, settings=settings, versions={}, checkpoint=model, seed=0)
    run.best.write_bytes(model.encode())
    workspace.finish_run(run.run)
    return workspace.run(run.run)


def test_an_ensembles_choice_is_a_run_of_the_chosen_members(workspace: Workspace) -> None:
    members = {name: trained(workspace, name) for name in ("fpn", "unet")}
    whole = ensemble.register(workspace, members)
    members["unet"].best.unlink()  # the ensemble keeps the weights

    run = register(workspace, whole, CHOICE, split="val")

    assert run.run.startswith("divergentnets-tuned-")
    assert run.members == {"unet": members["unet"].run}
    assert member_weights(run.folder, "unet").read_bytes() == b"unet"
    how = Inference(device=torch.device("cpu")).of(run)
    assert (how.cut, how.clean_up, how.tta) == (0.3, CHOICE.clean_up, True)
    asked = Inference(device=torch.device("cpu"), threshold=0.6, tta=False).of(run)
    assert (asked.cut, asked.tta) == (0.6, False)
    assert how.settings != asked.settings
    plain = Inference(device=torch.device("cpu")).of(whole)
    assert plain.settings == {"precision": "fp32", "tta": False, "rounding": "full-size"}


def test_one_network_is_its_own_only_member(workspace: Workspace) -> None:
    run = register(workspace, trained(workspace, "unet"), CHOICE, split="val")

    assert run.model == "unet"
    assert member_weights(run.folder, "unet").read_bytes() == b"unet"


def test_a_tuned_run_is_taken_by_its_name_and_says_where_it_was_tuned(
    workspace: Workspace,
) -> None:
    plain = trained(workspace, "unet")
    run = register(workspace, plain, CHOICE, split="val")

    assert [one.run for one in select(workspace, ["unet"])] == [plain.run]
    assert [one.run for one in select(workspace, default="best")] == [plain.run]
    assert [one.run for one in select(workspace, runs=[run.run])] == [run.run]
    assert labels([run], "val") == {run.run: f"{run.run} (tuned on val)"}
    # In a table from split to split it has one name in both.
    assert label_of(run, [run], "val and test") == f"{run.run} (tuned on val)"
    assert labels([plain, run], "test") == {plain.run: "unet", run.run: run.run}
    other = trained(workspace, "unet")
    assert labels([plain, other], "test") == {one.run: one.run for one in (plain, other)}


def test_a_fusion_is_not_measured_on_the_frames_that_it_was_fitted_on(
    workspace: Workspace, tmp_path: Path
) -> None:
    whole = ensemble.register(
        workspace, {name: trained(workspace, name) for name in ("fpn", "unet")}
    )
    weights = tmp_path / "fusion.safetensors"
    weights.write_bytes(b"weights")
    frames = pd.DataFrame({"frame": ["a", "b", "c"], "split": ["train", "val", "test"]})
    fitted = {"kind": "weighted", "frames": ["b"]}
    run = register(
        workspace, whole, Choice(members=("fpn", "unet")),
        weights_of_fusion=weights, split="val", fusion=fitted,
    )  # fmt: skip

    assert "-fused-" in run.run
    assert member_weights(run.folder, FUSION).read_bytes() == b"weights"
    refuse_seen(run, frames, of_split(frames, "test"), "test")
    with pytest.raises(UserError, match="was fitted on 1 of the 1 frames of val, such as b"):
        refuse_seen(run, frames, of_split(frames, "val"), "val")

"""A split's content: which runs are shown, and which are the ensemble's members."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.config.training import TrainConfig
from harness.data.fingerprint import data_fingerprint
from harness.data.frames import truth_of
from harness.evaluation.frame_table import rows_of
from harness.evaluation.stored import CURRENT, SUMMARY, TABLE
from harness.report.page import from_split
from harness.runs.run import MASKS, Run
from harness.runs.workspace import Workspace
from metrics.masks.class_indices import write_mask
from metrics.utils.errors import UserError


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def finished(workspace: Workspace, model: str, members: Mapping[str, str] | None = None) -> Run:
    recipe = TrainConfig(model="unet").to_dict()
    settings = {"members": dict.fromkeys(members, recipe)} if members else recipe
    run = workspace.new_run(model, settings=settings, versions={}, members=members or {})
    weights = [f"weights of {own}" for own in members.values()] if members else []
    workspace.update_run(run.run, checkpoint="+".join(weights) or f"weights of {run.run}")
    workspace.finish_run(run.run)
    return workspace.run(run.run)


def evaluate(
    workspace: Workspace, run: Run, frames: pd.DataFrame, shift: int, split: str = "val"
) -> None:
    """Enter an evaluation whose masks lie some columns beside the truth."""
    rows: list[dict[str, object]] = []
    for record in frames.to_dict("records"):
        truth = truth_of(record)
        mask = np.roll(truth, shift, axis=1)
        write_mask(run.evaluation(split) / MASKS / f"{record['frame']}.png", mask)
        rows += rows_of(record, truth, mask, latency_ms=1.0)
    pd.DataFrame(rows).to_parquet(run.evaluation(split) / TABLE)
    (run.evaluation(split) / SUMMARY).write_text('{"summary": {}}')
    workspace.enter_evaluation(
        run=run.run, model=run.model, split=split, protocol="paper", frames=len(frames),
        checkpoint=run.row["checkpoint"],
        data=data_fingerprint(frames), settings=CURRENT, summary={},
    )  # fmt: skip


def test_the_other_split_shows_each_run_under_its_name_on_this_one(
    workspace: Workspace, catalogue: pd.DataFrame
) -> None:
    runs = [finished(workspace, "fpn"), finished(workspace, "fpn")]
    both = pd.concat([catalogue, catalogue.assign(split="test")], ignore_index=True)
    for run in runs:
        evaluate(workspace, run, catalogue, 1)
    evaluate(workspace, runs[1], catalogue.assign(split="test"), 1, "test")

    content = from_split.gather(workspace, runs, both, "val")

    assert content.models == [run.run for run in runs]
    assert content.elsewhere["test split"]["model"].unique().tolist() == [runs[1].run]


def test_disagreement_is_of_the_runs_in_the_ensemble(
    workspace: Workspace, catalogue: pd.DataFrame
) -> None:
    old_fpn, old_triunet = finished(workspace, "fpn"), finished(workspace, "triunet")
    own = {"fpn": old_fpn.run, "triunet": old_triunet.run}
    ensemble = finished(workspace, "divergentnets", own)
    new_fpn = finished(workspace, "fpn")
    for run, shift in ((old_fpn, 2), (old_triunet, 2), (ensemble, 1), (new_fpn, 9)):
        evaluate(workspace, run, catalogue, shift)

    content = from_split.gather(workspace, [new_fpn, old_triunet, ensemble], catalogue, "val")

    assert content.models == ["fpn", "triunet", "divergentnets"]
    assert content.members is not None
    assert list(content.members.names) == ["fpn", "triunet"]
    # The ensemble's two members say the same; the new FPN, which is shown, does not.
    assert content.members.divergence["disagreement"].tolist() == [0.0] * len(catalogue)
    shown = content.polyp.set_index(["model", "frame"])["f1"]
    assert content.members.f1["C1/1"] == shown["triunet", "C1/1"] > shown["fpn", "C1/1"]
    note, several = content.notes
    assert "fpn" in note
    assert ensemble.run in note
    assert "newest is shown: fpn (2)" in several


def test_members_without_an_evaluation_are_named(
    workspace: Workspace, catalogue: pd.DataFrame
) -> None:
    fpn, triunet = finished(workspace, "fpn"), finished(workspace, "triunet")
    ensemble = finished(workspace, "divergentnets", {"fpn": fpn.run, "triunet": triunet.run})
    for run in (fpn, ensemble):
        evaluate(workspace, run, catalogue, 1)

    content = from_split.gather(workspace, [fpn, ensemble], catalogue, "val")

    assert content.members is None
    (note,) = content.notes
    assert f"harness evaluate --split val --run {triunet.run}" in note


def test_evaluations_of_other_frames_are_left_out(
    workspace: Workspace, catalogue: pd.DataFrame
) -> None:
    unet, fpn = finished(workspace, "unet"), finished(workspace, "fpn")
    evaluate(workspace, unet, catalogue, 1)
    evaluate(workspace, fpn, catalogue.iloc[:-1], 1)

    content = from_split.gather(workspace, [unet, fpn], catalogue, "val")

    assert content.models == ["unet"]


def test_several_runs_of_a_model_are_shown_by_their_own_names(
    workspace: Workspace, catalogue: pd.DataFrame
) -> None:
    runs = [finished(workspace, model) for model in ("unet", "unet", "fpn")]
    for run in runs:
        evaluate(workspace, run, catalogue, 1)

    content = from_split.gather(workspace, runs, catalogue, "val")

    assert content.models == [runs[0].run, runs[1].run, "fpn"]
    assert content.notes == []
    assert {card.frame for card in content.cards} == set(catalogue["frame"])


def test_runs_left_out_are_named_with_the_command_that_measures_them(
    workspace: Workspace, catalogue: pd.DataFrame
) -> None:
    measured, new = finished(workspace, "unet"), finished(workspace, "unet")
    evaluate(workspace, measured, catalogue, 1)

    content = from_split.gather(workspace, [measured, new], catalogue, "val")

    assert f"harness evaluate --split val --run {new.run}" in content.notes[-1]
    with pytest.raises(UserError, match=f"evaluate --split val --run {new.run}"):
        from_split.gather(workspace, [new], catalogue, "val")

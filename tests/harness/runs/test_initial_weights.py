"""Weights that have seen the frames that are held out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.config.training import TrainConfig
from harness.data.catalogue import of_split
from harness.data.cross_validation import SplitVariant, every_fold
from harness.data.fingerprint import data_fingerprint
from harness.data.layouts import list_frames, read_headers
from harness.runs.initial_weights import seen_frames, settings_of, warning
from harness.runs.workspace import Workspace
from tests.harness.conftest import Drawer


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def catalogue(draw: Drawer) -> pd.DataFrame:
    """Frames of two centres; those of seq2 validate."""
    frames = read_headers(list_frames(draw.endocv()))
    return frames.assign(split=(frames["sequence"] == "seq2").map({True: "val", False: "train"}))


def trained(
    workspace: Workspace, catalogue: pd.DataFrame, variant: SplitVariant, init: str = ""
) -> str:
    config = TrainConfig(model="fpn", init=init, leave_out=variant.leave_out, fold=variant.fold)
    parts = (of_split(variant.apply(catalogue), split) for split in ("train", "val"))
    data = "+".join(map(data_fingerprint, parts))
    run = workspace.new_run("fpn", settings=config.to_dict(), versions={}, data=data)
    workspace.finish_run(run.run)
    return run.run


def test_a_run_that_saw_what_a_fold_holds_out_is_said(
    workspace: Workspace, catalogue: pd.DataFrame
) -> None:
    whole = trained(workspace, catalogue, SplitVariant())
    said = warning(workspace, whole, catalogue, every_fold(3))
    assert f"{whole} was trained on frames that are held out here (fold 1/3: " in said
    assert warning(workspace, whole, catalogue, [SplitVariant()]) == ""
    assert "(without C1: 3)" in warning(workspace, whole, catalogue, [SplitVariant(leave_out="C1")])


def test_a_run_without_the_centre_has_not_seen_it_but_what_it_started_from_may_have(
    workspace: Workspace, catalogue: pd.DataFrame
) -> None:
    without = SplitVariant(leave_out="C1")
    clean = trained(workspace, catalogue, without)
    assert warning(workspace, clean, catalogue, [without]) == ""

    whole = trained(workspace, catalogue, SplitVariant())
    later = trained(workspace, catalogue, without, init=whole)
    assert "(without C1: 3)" in warning(workspace, later, catalogue, [without])


def test_other_frames_and_files_cannot_be_told(
    workspace: Workspace, catalogue: pd.DataFrame, tmp_path: Path
) -> None:
    run = trained(workspace, catalogue.head(8), SplitVariant())
    (file := tmp_path / "best.pth").touch()
    for init in (run, str(file)):
        assert seen_frames(workspace, init, catalogue) is None
        assert f"cannot be told which frames {init}" in warning(
            workspace, init, catalogue, every_fold(2)
        )
        assert warning(workspace, init, catalogue, [SplitVariant()]) == ""


def test_what_a_run_started_from_may_be_gone(workspace: Workspace, catalogue: pd.DataFrame) -> None:
    for gone in ("fpn-20260726-101500", "/gone/best.pth"):
        run = trained(workspace, catalogue, SplitVariant(), init=gone)
        assert seen_frames(workspace, run, catalogue) is None


def test_a_run_whose_name_has_a_dot_is_a_run(workspace: Workspace) -> None:
    settings = TrainConfig(model="fpn").to_dict()
    run = workspace.new_run("colonkit.fpn", settings=settings, versions={})  # a plug-in's
    assert settings_of(workspace, run.run)["model"] == "fpn"

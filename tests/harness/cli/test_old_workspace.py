"""A workspace whose register was made before the register had versions (commit 554d276)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from harness.cli import cli
from harness.config.training import TrainConfig
from harness.runs import checkpoints
from harness.runs.network import build, member_weights
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from tests.harness.conftest import Drawer

DUMP = Path(__file__).with_name("register_554d276.sql")
"""Runs of an FPN and a U-Net++, their ensemble, a fold, a run without a centre, one interrupted;
an evaluation, a submission and its score. Written by ``sqlite3``'s ``iterdump``."""

ENSEMBLE = "divergentnets-20260302-091400"
RUNS = {
    ENSEMBLE: "",
    "unet-20260302-091200": "",
    "fpn-20260302-090900": "C3",
    "fpn-20260302-090600": "1/3",
    "unet++-20260302-090300": "",
    "fpn-20260302-090000": "",
}

Call = Callable[..., str]


def old_register(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(DUMP.read_text(encoding="utf-8"))


def add_weights(run: Run) -> None:
    """The members' weights, which are too large to keep with the tests."""
    for member, recipe in run.settings["members"].items():
        torch.manual_seed(0)
        config = replace(TrainConfig.from_dict(recipe), encoder_weights="none")
        network = build(config)
        path = member_weights(run.folder, member)
        path.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.save_weights(path, network.state_dict())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    old_register(tmp_path / "workspace" / "register.sqlite")
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)

    def called(*arguments: object) -> str:
        result = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return called


def test_its_runs_load_with_their_recipes_and_splits(workspace: Workspace) -> None:
    found = {run.run: run for run in workspace.runs()}

    variants = {name: run.variant.fold or run.variant.leave_out for name, run in found.items()}
    assert variants == RUNS
    recipe = TrainConfig.from_dict(found["unet++-20260302-090300"].settings)
    assert (recipe.encoder, recipe.size, recipe.fold) == ("resnet18", 64, "")
    assert found[ENSEMBLE].members == {
        "fpn": "fpn-20260302-090000",
        "unet++": "unet++-20260302-090300",
    }
    assert found["fpn-20260302-090000"].validation_frames == "2e" * 8


def test_listing_leaves_its_register_as_it_is(workspace: Workspace, call: Call) -> None:
    register = workspace.root / "register.sqlite"
    before = register.read_bytes()

    runs = json.loads(call("runs", "--format", "json"))["rows"]
    submissions = json.loads(call("submissions", "--format", "json"))["rows"]
    ranking = json.loads(call("leaderboard", "--format", "json"))["rows"]

    assert [row["run"] for row in runs] == list(RUNS)
    # It has no row of a test set, from which the average over sets would follow.
    shown = [(row["run"], row["score"], row["score_frames"]) for row in submissions]
    assert shown == [(ENSEMBLE, None, 0.7)]
    ours = [row for row in ranking if row["source"] == "scored"]
    assert [(row["rank"], row["score"], row["score_frames"]) for row in ours] == [(None, None, 0.7)]
    over_frames = json.loads(call("leaderboard", "--average", "frames", "--format", "json"))["rows"]
    assert [row["score"] for row in over_frames if row["source"] == "scored"] == [0.7]
    assert register.read_bytes() == before


def test_it_evaluates_and_submits(workspace: Workspace, call: Call, draw: Drawer) -> None:
    add_weights(workspace.run(ENSEMBLE))

    call("evaluate", "--split", "val", "--model", "divergentnets", "--endocv", draw.endocv())
    call("submit", "--round", 2, "--test-frames", draw.test_frames())

    evaluations = workspace.evaluations()
    assert evaluations["split"].tolist() == ["val", "test"]
    submissions = json.loads(call("submissions", "--format", "json"))["rows"]
    assert [row["run"] for row in submissions] == [ENSEMBLE, ENSEMBLE]
    assert Path(submissions[0]["package"]).exists()
    with closing(sqlite3.connect(workspace.root / "register.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)

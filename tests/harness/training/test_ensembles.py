"""Ensembles of a queue are registered once their networks are finished, and once only."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest

from harness.cli.runs import command
from harness.config.training import TrainConfig
from harness.runs.run import Run, write_run_json
from harness.runs.workspace import Workspace
from harness.training.ensembles import finish_queues
from harness.training.queue import EnsembleStep, RunQueue


def begun(workspace: Workspace, tasks: RunQueue, position: int) -> Run:
    config = tasks.steps[position]
    assert isinstance(config, TrainConfig)
    run = workspace.new_run(
        config.model,
        settings=config.to_dict(),
        versions={},
        seed=config.seed,
        data="a+b",
        before=lambda name: tasks.begin(position, name),
    )
    run.best.write_bytes(config.model.encode())
    return run


def test_an_ensemble_follows_once_its_jobs_are_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    models = ("fpn", "unet")
    steps = [
        step
        for seed in (0, 1)
        for step in (
            *(TrainConfig(model=model, seed=seed) for model in models),
            EnsembleStep(members=models, seed=seed),
        )
    ]
    tasks = RunQueue.new(workspace, steps)
    runs = [begun(workspace, tasks, position) for position in (0, 1, 3, 4)]
    monkeypatch.chdir(tmp_path)

    def sync() -> tuple[click.testing.Result, list[int]]:
        result = click.testing.CliRunner().invoke(command, ["sync"])
        assert result.exit_code == 0, result.output
        ensembles = [run for run in workspace.runs() if run.members]
        return result, sorted(run.row["seed"] for run in ensembles)

    for run in runs[:3]:
        write_run_json(run, status="finished", checkpoint=run.run)
    said, seeds = sync()
    assert "brought up to date: 3" in said.output
    assert "not finished: 1" in said.output
    assert seeds == [0]

    write_run_json(runs[3], status="finished", checkpoint="sha")
    assert sync()[1] == [0, 1]
    assert not tasks.path.exists()
    assert finish_queues(workspace) == 0
    assert sync()[1] == [0, 1]


def test_an_ensemble_waits_for_its_members_alone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    networks = [TrainConfig(model=model, seed=7) for model in ("fpn", "unet", "triunet")]
    tasks = RunQueue.new(workspace, [*networks, EnsembleStep(members=("fpn", "unet"), seed=7)])
    for position in (0, 1):
        write_run_json(begun(workspace, tasks, position), status="finished", checkpoint="sha")
    workspace.sync()

    assert finish_queues(workspace) == 1  # the triunet
    (ensemble,) = (run for run in workspace.runs() if run.members)
    assert ensemble.row["seed"] == 7


def test_an_ensemble_of_runs_has_their_seed(tmp_path: Path) -> None:
    """Also where a network is trained beside it, which is no member."""
    workspace = Workspace(tmp_path / "workspace")
    other = TrainConfig(model="unet", seed=7)
    first = RunQueue.new(workspace, [TrainConfig(model=model) for model in ("fpn", "pspnet")])
    members = [begun(workspace, first, position) for position in (0, 1)]
    names = tuple(run.run for run in members)
    tasks = RunQueue.new(workspace, [other, EnsembleStep(members=names, seed=7)])
    for run in (*members, begun(workspace, tasks, 0)):
        write_run_json(run, status="finished", checkpoint="sha")
    workspace.sync()

    assert finish_queues(workspace) == 0
    (ensemble,) = (run for run in workspace.runs() if run.members)
    assert ensemble.row["seed"] == 0

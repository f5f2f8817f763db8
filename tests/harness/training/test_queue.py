"""A plan comes back from its file as it was, and is found by the runs it led to."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

import models
from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.data.cross_validation import SplitVariant
from harness.runs.workspace import Workspace
from harness.training import queue
from harness.training.queue import EnsembleStep, RunQueue, networks_for, steps_for
from metrics.utils.errors import FaultsError, UserError

STEPS = [
    resolve("unet", "quick", fold="1/2"),
    resolve("fpn", "demo"),
    EnsembleStep(leave_out="C3", members=("unet", "fpn-20260726-101500"), seed=2),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def test_a_plan_comes_back_as_it_was(workspace: Workspace) -> None:
    plan = RunQueue.new(workspace, STEPS)
    run = workspace.new_run("unet", settings={}, versions={})
    plan.begin(0, run.run)

    found = queue.unfinished(workspace)

    assert found == plan
    assert found is not None
    assert list(found.steps) == STEPS
    assert found.runs == {0: run.run}
    assert found.networks == 2


def test_a_plan_is_found_by_a_run_of_it(workspace: Workspace) -> None:
    older, newer = RunQueue.new(workspace, STEPS), RunQueue.new(workspace, STEPS[:1])
    run = workspace.new_run("unet", settings={}, versions={})
    older.begin(1, run.run)

    assert queue.unfinished(workspace) == newer
    assert queue.unfinished(workspace, run.run) == older
    assert queue.unfinished(workspace, "unet-of-another-plan") is None


def test_a_plan_that_is_done_is_gone(workspace: Workspace) -> None:
    RunQueue.new(workspace, STEPS).finish()
    assert queue.unfinished(workspace) is None


def test_a_removed_run_is_not_trained_again(workspace: Workspace) -> None:
    networks = [resolve(name, "demo", seed=seed) for seed in (0, 1) for name in ("fpn", "unet")]
    ensembles = [EnsembleStep(members=("fpn", "unet"), seed=seed) for seed in (0, 1)]
    plan = RunQueue.new(workspace, [*networks, *ensembles])
    first, other = (workspace.new_run("fpn", settings={}, versions={}).run for _ in range(2))
    plan.begin(0, first)
    plan.begin(2, other)

    assert queue.strike(workspace, first)

    left = queue.unfinished(workspace)
    assert left is not None
    assert left.steps == [None, *networks[1:], None, ensembles[1]]
    assert left.runs == {2: other}
    assert left.networks == 3


def test_a_training_under_way_does_not_bring_back_what_was_struck(workspace: Workspace) -> None:
    plan = RunQueue.new(workspace, STEPS[:2])
    removed, other = (workspace.new_run("unet", settings={}, versions={}).run for _ in range(2))
    plan.begin(0, removed)
    queue.strike(workspace, removed)

    plan.begin(1, other)

    found = queue.unfinished(workspace)
    assert found is not None
    assert plan.steps == found.steps == [None, STEPS[1]]
    queue.strike(workspace, other)
    plan.refresh()
    assert plan.steps == [None, None]
    assert queue.unfinished(workspace) is None


def test_a_plan_of_which_every_run_is_removed_or_finished_is_gone(workspace: Workspace) -> None:
    plan = RunQueue.new(workspace, STEPS[:2])
    finished = workspace.new_finished_run("unet", lambda _: {}, settings={}, versions={})
    begun = workspace.new_run("fpn", settings={}, versions={})
    plan.begin(0, finished.run)
    plan.begin(1, begun.run)

    assert not queue.strike(workspace, "of no plan")
    assert not queue.strike(workspace, begun.run)

    assert queue.unfinished(workspace) is None


def test_a_restart_goes_on_with_the_plan_of_its_steps(workspace: Workspace) -> None:
    begun = RunQueue.new(workspace, STEPS)
    RunQueue.new(workspace, STEPS[:1])
    hour_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)

    assert queue.queue_of(workspace, STEPS, restarted=hour_ago) == begun
    assert queue.queue_of(workspace, STEPS, restarted=None) != begun
    other = queue.queue_of(workspace, STEPS[1:], restarted=hour_ago)
    assert other is not None
    assert other.steps == STEPS[1:]


def test_a_restart_finds_what_was_trained_since_the_start_alone(workspace: Workspace) -> None:
    recipe = next(step for step in STEPS if isinstance(step, TrainConfig))
    workspace.new_finished_run(recipe.model, lambda _: {}, settings=recipe.to_dict(), versions={})
    now, hour = dt.datetime.now(dt.UTC), dt.timedelta(hours=1)

    assert queue.queue_of(workspace, [recipe], restarted=now - hour) is None
    assert queue.queue_of(workspace, [recipe], restarted=now + hour) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"steps": [{}], "runs": {}}',
        '{"steps": [], "runs": []}',
        '{"steps": [{"train": {"model": "unet", "newer": 1}}], "runs": {}}',
        "[1]",
    ],
)
def test_a_file_that_is_no_plan_is_said(workspace: Workspace, text: str) -> None:
    plan = RunQueue.new(workspace, STEPS)
    plan.path.write_text(text)
    with pytest.raises(UserError, match=f"{plan.path} cannot be read"):
        queue.unfinished(workspace)


def test_models_among_the_members_are_trained_and_runs_are_not() -> None:
    members = ("unet++", "segformer", "unet-20260726-101500")

    assert networks_for((), members) == (["unet++", "segformer"], True)
    assert networks_for(("fpn", "divergentnets"), members)[0] == ["fpn", "unet++", "segformer"]
    assert networks_for(("all", "manet"))[0] == [*models.PAPER_NETWORKS, "manet"]
    with pytest.raises(UserError, match="add --model divergentnets"):
        networks_for(("fpn",), members)


def test_each_seed_is_trained_in_each_fold_and_makes_an_ensemble() -> None:
    variants = [SplitVariant(fold="1/2"), SplitVariant(fold="2/2")]

    steps = steps_for([resolve("unet", "quick", seed=3)], variants, True, seeds=2)

    found = [(type(step).__name__, step.fold, step.seed) for step in steps]
    assert found == [
        (kind, fold, seed)
        for fold in ("1/2", "2/2")
        for seed in (3, 4)
        for kind in ("TrainConfig", "EnsembleStep")
    ]


def test_a_seed_that_is_too_large_is_said() -> None:
    with pytest.raises(FaultsError, match="seed: expected a whole number from 0"):
        steps_for([resolve("unet", "quick", seed=2**32 - 1)], [SplitVariant()], False, seeds=2)


def test_a_plan_that_is_done_goes_beside_one_that_cannot_be_read(workspace: Workspace) -> None:
    damaged, done, newest = (RunQueue.new(workspace, [step]) for step in STEPS)
    damaged.path.write_text("")
    run = workspace.new_run("fpn", settings={}, versions={})
    workspace.finish_run(run.run)
    done.begin(0, run.run)

    queue.finish_done(workspace)

    assert (damaged.path.exists(), done.path.exists()) == (True, False)
    assert queue.unfinished(workspace) == newest


def test_a_plan_of_an_earlier_version_makes_the_papers_ensemble(workspace: Workspace) -> None:
    plan = RunQueue.new(workspace, [])
    plan.path.write_text('{"steps": [{"ensemble": {"leave_out": "", "fold": "1/2"}}], "runs": {}}')

    found = queue.unfinished(workspace)

    assert found is not None
    assert list(found.steps) == [EnsembleStep(fold="1/2")]

"""Register the ensembles of a queue once their networks are trained."""

from __future__ import annotations

from harness.runs import register_ensemble as ensemble
from harness.runs.workspace import Workspace
from harness.training import queue
from harness.training.queue import EnsembleStep, RunQueue, variant_of
from harness.utils import console
from models import ENSEMBLE


def register_ensemble(
    workspace: Workspace, tasks: RunQueue, position: int, step: EnsembleStep
) -> None:
    """Register the ensemble at a position of a queue, once its members are trained."""
    if tasks.is_finished(workspace, position):
        return
    networks = [at for at, other in enumerate(tasks.steps) if step.takes(other)]
    runs = [tasks.run(workspace, at) for at in networks if tasks.is_finished(workspace, at)]
    if len(runs) < len(networks):
        return
    trained = {run.model: run for run in runs if run is not None}
    members = ensemble.members_for(workspace, step.members, trained, variant_of(step))
    # Members that are named by their runs may be of other folds; evaluate refuses what they saw.
    if not step.members and len({run.row["data"] for run in members.values()}) > 1:
        console.warn(
            f"The members of {ENSEMBLE} were trained or validated on different frames, so "
            "that some may have learnt from frames that the ensemble is measured on: "
            + ", ".join(run.run for run in members.values())
        )
    run = ensemble.register(workspace, members, step.seed if trained else None)
    tasks.begin(position, run.run)
    console.success(f"{run.run}: registered from the best checkpoints of {', '.join(members)}")


def finish_queues(workspace: Workspace) -> int:
    """Register the ensembles that every queue still lacks and whose networks are finished.

    Returns:
        int: The networks of all queues that are not finished.
    """
    left = 0
    for tasks in queue.all_queues(workspace):
        for position, step in enumerate(tasks.steps):
            if isinstance(step, EnsembleStep):
                register_ensemble(workspace, tasks, position, step)
            elif step is not None:
                left += not tasks.is_finished(workspace, position)
    queue.finish_done(workspace)
    return left

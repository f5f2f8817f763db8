"""Have jobs trained, on this machine or on a cluster, shown as they go and entered as they end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.training import local_jobs, reporter, slurm_jobs
from harness.training.cost import Cost
from harness.training.history import Epoch
from harness.training.job import Job, WorkerCallbacks
from harness.training.side_by_side import networks_that_fit
from harness.training.slurm_jobs import Cluster
from harness.training.train_run import TrainingSetup
from harness.utils import console
from harness.utils.command_line import command_line
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError
from metrics.utils.names import counted


def side_by_side(
    workspace: Workspace,
    jobs: Sequence[Job],
    costs: Sequence[Cost],
    setup: TrainingSetup,
    at_once: int,
    asked: int | None,
) -> None:
    """Train on this machine; one that fails does not stop the others.

    Each has its share of the cores where ``at_once`` train at a time. So many do where the user
    ``asked`` for a number; else as many as memory holds, by the ``costs``, which are in any order.

    Raises:
        Interrupted: On a signal to stop.
        UserError: If some could not be trained to their end.
    """
    if not jobs:
        return
    count = min(len(jobs), at_once if asked else networks_that_fit(at_once, costs))
    waiting = (job for job in jobs if job.run.folder.is_dir())  # 'runs rm' may have removed it
    with console.progress(f"Training {counted(len(jobs), 'network')}, {count} at once") as bar:
        shown = reporter.SideBySide(bar, workspace, jobs)
        slots = local_jobs.device_slots(setup.device, count, at_once)
        number = local_jobs.train_all(waiting, slots, _entering(workspace, shown.callbacks()))
    go_on = command_line(f"train --resume{f' --jobs {asked}' if asked else ''}")
    if number:
        raise Interrupted(f"stopped; nothing is lost. Go on with: {go_on}", number)
    _report(shown.faults, len(jobs), go_on)


def on_cluster(workspace: Workspace, jobs: Sequence[Job], cluster: Cluster) -> None:
    """Have a cluster train, and wait for it; one that fails does not stop the others.

    Raises:
        Interrupted: On a signal to stop; the jobs go on.
        UserError: If there is no cluster, or some could not be trained to their end.
    """
    if not jobs:
        return
    with console.progress(f"Training {counted(len(jobs), 'network')} on SLURM") as bar:
        shown = reporter.SideBySide(bar, workspace, jobs)
        told = _entering(workspace, shown.callbacks())
        number = slurm_jobs.train_all(jobs, cluster, workspace.root / "slurm", told)
    go_on = command_line("train --resume --launcher slurm")
    if number:
        raise Interrupted(
            "no longer waiting; the jobs go on in the cluster ('squeue --me' shows them, 'scancel "
            f"JOB' ends one). '{command_line('runs sync')}' enters what they have written by then, "
            f"and '{go_on}' waits for them again and submits what has been lost.",
            number,
        )
    _report(shown.faults, len(jobs), go_on)


def _report(faults: Mapping[str, str], count: int, go_on: str) -> None:
    """Say which networks could not be trained, where there are any."""
    if faults:
        failed = "\n".join(f"  {run}: {fault}" for run, fault in faults.items())
        others = "The others are finished. " if len(faults) < count else ""
        raise UserError(
            f"{len(faults)} of {counted(count, 'network')} could not be trained to their end:\n"
            f"{failed}\n{others}Once that is mended, go on with: {go_on}"
        )


def _entering(workspace: Workspace, shown: WorkerCallbacks) -> WorkerCallbacks:
    """Callbacks that enter what a job has written in its run's folder before it is shown."""

    def epoch(run: Run, done: Epoch) -> None:
        workspace.sync_run(run.run)
        shown.epoch(run, done)

    def ended(run: Run, fault: str) -> None:
        workspace.sync_run(run.run)
        shown.ended(run, fault)

    return dataclasses.replace(shown, epoch=epoch, ended=ended)

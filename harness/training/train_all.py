"""Train what a queue has left, one network after another or several at a time; resume it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING

from harness.config.settings import Settings
from harness.config.training import TrainConfig
from harness.data.catalogue import catalogue, of_split
from harness.data.fingerprint import data_fingerprint
from harness.runs.lock import lock_run
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.training import queue, reporter, slurm_jobs
from harness.training import train_run as training_run
from harness.training.checks import check_batches, check_polyps
from harness.training.cost import Cost, estimate
from harness.training.ensembles import register_ensemble
from harness.training.history import Epoch
from harness.training.job import Job
from harness.training.launch import on_cluster, side_by_side
from harness.training.lengthen import lengthen, lengthened
from harness.training.local_jobs import start_server
from harness.training.queue import EnsembleStep, RunQueue, variant_of
from harness.training.side_by_side import longest_first, networks_at_once
from harness.training.slurm_jobs import Cluster
from harness.training.train_run import TrainingFrames, TrainingSetup
from harness.utils import console
from harness.utils.command_line import command_line
from harness.utils.versions import versions
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def run_all(
    workspace: Workspace,
    tasks: RunQueue,
    frames: pd.DataFrame,
    setup: TrainingSetup,
    jobs: int | None = None,
    cluster: Cluster | None = None,
) -> None:
    """Do what a queue has left: steps that have a finished run are passed over.

    The queue's file is gone once all is done. ``frames`` is a catalogue with its splits, ``jobs``
    the networks that train side by side, by default see :func:`networks_at_once`. They train on the
    nodes of the ``cluster``; without one, on this machine.

    Raises:
        Interrupted: On a signal to stop.
        UserError: If frames cannot be read, are others than those that a run began on, the loss is
            no number, or memory or disk are full.
    """
    if cluster is None:
        runs = (tasks.run(workspace, position) for position, _ in _left(workspace, tasks))
        _refuse_queued(run for run in runs if run is not None)
    with _noting_interrupted(workspace, tasks):
        if cluster is not None:
            on_cluster(workspace, _jobs(workspace, tasks, frames, setup)[0], cluster)
        elif (at_once := networks_at_once(setup, tasks.networks, jobs)) > 1:
            start_server()  # which imports what the processes need while frames are decoded here
            side_by_side(workspace, *_jobs(workspace, tasks, frames, setup), setup, at_once, jobs)
        # Of what trained side by side or on a cluster, only the ensembles are left.
        _one_by_one(workspace, tasks, frames, setup)
    tasks.finish()


@contextmanager
def _noting_interrupted(workspace: Workspace, tasks: RunQueue) -> Iterator[None]:
    """Note that runs ended which could not do so themselves: not begun yet, or killed."""
    try:
        yield
    except BaseException:
        runs = workspace.runs(status="running")
        begun = [run for run in runs if run.run in tasks.runs.values()]
        queued = slurm_jobs.still_queued(begun)  # those go on without this process
        for run in begun:
            if run.run not in queued:
                with suppress(UserError), lock_run(run):  # another process may train it
                    workspace.finish_run(run.run, "interrupted")
        raise


def _one_by_one(
    workspace: Workspace, tasks: RunQueue, frames: pd.DataFrame, setup: TrainingSetup
) -> None:
    """Do what is left in the order of the queue."""
    networks, trained = tasks.networks, 0
    for position in range(len(tasks.steps)):
        tasks.refresh()  # 'runs rm' may have struck steps
        step = tasks.steps[position]
        if isinstance(step, EnsembleStep):
            register_ensemble(workspace, tasks, position, step)
        elif step is not None:
            trained += 1
            if not tasks.is_finished(workspace, position):
                run, ready = _begin(workspace, tasks, position, step, frames)
                title = f"{step.model} ({trained} of {networks})"
                try:
                    _train(workspace, run, ready, title, setup)
                except UserError:
                    _say_left(workspace, tasks, run)
                    raise


def resume(
    settings: Settings,
    name: str | None,
    setup: TrainingSetup,
    jobs: int | None = None,
    cluster: Cluster | None = None,
    *,
    epochs: int | None = None,
    patience: int | None = None,
) -> None:
    """Go on with a run, by default what was begun last, and with what was still to do after it.

    ``epochs``, in all, and ``patience`` are new ones of the named run; the rest is as for
    :func:`run_all`.

    Raises:
        UserError: As for :func:`run_all`, or if there is no such run.
    """
    workspace = Workspace(settings.workspace.absolute() if cluster else settings.workspace)
    workspace.check_writable()
    workspace.sync()  # a job may have gone on without the process that started it
    queue.finish_done(workspace)
    named = workspace.run(name) if name else None
    every = cache(partial(catalogue, settings, needs=["train"]))
    if named is not None and (epochs is not None or patience is not None):
        longer = lengthened(named, epochs, patience)
        _refuse_changed_frames(workspace, named, every())
        check_batches([longer], every(), device=setup.device, group=setup.group)
        if cluster is None:
            _refuse_queued([named])
        named = lengthen(workspace, named, longer)
    if named is not None and named.status == "finished":
        console.note(f"{named.run} is finished already.")
        return
    tasks = queue.unfinished(workspace, named.run if named else None) or _one(workspace, named)
    if tasks is None:
        there = "every run is finished" if workspace.runs() else f"no run in {settings.workspace}"
        console.note(f"Nothing to go on with: {there}.")
        return
    # The device or the number of processes may be others than when these were begun.
    left = [step for _, step in _left(workspace, tasks)]
    check_batches(left, every(), device=setup.device, group=setup.group)
    run_all(workspace, tasks, every(), setup, jobs, cluster)


def _one(workspace: Workspace, run: Run | None) -> RunQueue | None:
    """A queue of one run that is in none, by default the newest that is not finished."""
    # An ensemble has nothing to train: one that a kill left unfinished is registered anew.
    unfinished = (r for r in workspace.runs() if r.status != "finished" and not r.members)
    run = run or next(unfinished, None)
    if run is None:
        return None
    tasks = RunQueue.new(workspace, [TrainConfig.from_dict(run.settings)])
    tasks.begin(0, run.run)
    return tasks


def _jobs(
    workspace: Workspace, tasks: RunQueue, frames: pd.DataFrame, setup: TrainingSetup
) -> tuple[list[Job], list[Cost]]:
    """The networks that a queue has left as jobs, the longest first, and their costs."""
    left = _left(workspace, tasks)
    costs = estimate([step for _, step in left])
    # All are registered first, in the order of the queue, whichever begins first.
    begun = [_begin(workspace, tasks, *step, frames) for step in left]
    jobs = [
        Job(workspace=workspace.root, run=run, frames=ready, setup=setup, work=cost.flops)
        for (run, ready), cost in zip(begun, costs, strict=True)
    ]
    return [jobs[at] for at in longest_first(costs)], costs


def _refuse_queued(runs: Iterable[Run]) -> None:
    """Refuse to train here what waits or runs in a cluster."""
    if found := slurm_jobs.still_queued(runs):
        named = ", ".join(f"{run} (job {job})" for run, job in found.items())
        raise UserError(
            f"SLURM has jobs that train {named}. Wait for them by --launcher slurm, or end them "
            "first: scancel JOB"
        )


def _begin(
    workspace: Workspace,
    tasks: RunQueue,
    position: int,
    step: TrainConfig,
    frames: pd.DataFrame,
) -> tuple[Run, TrainingFrames]:
    """The run of a step, a new one where there is none yet, and its decoded frames."""
    ready = _decode(workspace, variant_of(step).apply(frames), step)
    run = tasks.run(workspace, position)
    if run is None:
        run = workspace.new_run(
            step.model,
            before=lambda run: tasks.begin(position, run),
            settings=step.to_dict(),
            versions=versions(),
            seed=step.seed,
            data=ready.data,
        )
    _refuse_other_frames(run, ready.data)
    return run, ready


def _left(workspace: Workspace, tasks: RunQueue) -> list[tuple[int, TrainConfig]]:
    """The networks that are not trained yet, with their positions in the queue."""
    return [
        (position, step)
        for position, step in enumerate(tasks.steps)
        if isinstance(step, TrainConfig) and not tasks.is_finished(workspace, position)
    ]


def _say_left(workspace: Workspace, tasks: RunQueue, run: Run) -> None:
    """Say how to train what comes after a run that failed, perhaps for good."""
    if left := len(_left(workspace, tasks)) - 1:
        resume, remove = map(command_line, ("train --resume", f"runs rm {run.run}"))
        console.note(
            f"Networks after it that are not trained yet: {left}. "
            f"'{resume}' goes on with {run.run}; to go on without it, first: {remove}"
        )


def _refuse_changed_frames(workspace: Workspace, run: Run, every: pd.DataFrame) -> None:
    """Refuse to go on with a run whose frames are no longer those that it began on."""
    frames = variant_of(TrainConfig.from_dict(run.settings)).apply(every)
    parts = (of_split(frames, split) for split in ("train", "val"))
    folder = workspace.root / "cache"
    _refuse_other_frames(run, "+".join(data_fingerprint(part, folder) for part in parts))


def _refuse_other_frames(run: Run, data: str) -> None:
    if data != run.row["data"]:
        raise UserError(
            f"{run.run} began on other training and validation frames than are there now; going "
            "on with these would not reach the same result. Start it anew without --resume."
        )


def _decode(workspace: Workspace, frames: pd.DataFrame, config: TrainConfig) -> TrainingFrames:
    with console.progress(f"Decoding frames at {config.size} pixels") as bar:
        ready = training_run.prepare(
            workspace, frames, config.size, classes=config.classes, progress=bar.update
        )
    if warning := check_polyps(ready.train, ready.val, config.classes):
        console.warn(warning)
    return ready


def _train(
    workspace: Workspace, run: Run, ready: TrainingFrames, title: str, setup: TrainingSetup
) -> None:
    try:
        with reporter.one_run(run, ready, title, str(setup.device)) as shown:

            def epoch(done: Epoch) -> None:
                workspace.sync_run(run.run)
                shown.epoch(done)

            callbacks = dataclasses.replace(shown, epoch=epoch)
            training_run.train(workspace, run, ready, setup, callbacks=callbacks)
    except BaseException:
        with suppress(UserError):  # what ended the training says more
            workspace.sync_run(run.run)
        raise
    reporter.finished(workspace.sync_run(run.run), ready)

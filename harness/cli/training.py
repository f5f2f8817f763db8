"""What ``harness train`` does once it knows what to do, and what the user sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import models
from harness import console, ensemble, jobs, plans
from harness.config import TrainConfig
from harness.data.catalogue import catalogue
from harness.division import Division
from harness.epochs import Epoch, Watcher
from harness.jobs import Frames, Machine
from harness.plans import Plan
from harness.settings import Settings
from harness.workspace import Run, Workspace
from metrics.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def work_off(workspace: Workspace, plan: Plan, frames: pd.DataFrame, machine: Machine) -> None:
    """Do what a plan has left: steps that have a finished run are passed over.

    Args:
        workspace: Where runs are registered.
        plan: What to do; its file is gone once all is done.
        frames: A catalogue with its splits.
        machine: Where to train.

    Raises:
        Interrupted: On SIGINT or SIGTERM.
        UserError: If frames cannot be read, are others than those that a run began on, the loss is
            no number, or memory or disk are full.
    """
    finished: dict[Division, dict[str, Run]] = {}
    trained = 0
    for position, step in enumerate(plan.steps):
        if not isinstance(step, TrainConfig):
            _register_ensemble(workspace, finished.get(step, {}), step)
            continue
        trained += 1
        division = Division(leave_out=step.leave_out, fold=step.fold)
        run = _begun(workspace, plan.runs.get(position))
        if run is None or run.status != "finished":
            ready = _prepare(workspace, division.apply(frames), step)
            if run is None:
                run = jobs.start(workspace, step, ready, machine)
                plan.begin(position, run)
            _refuse_other_frames(run, ready)
            title = f"{step.model} ({trained} of {plan.networks})"
            run = _train(workspace, run, ready, title, machine)
        finished.setdefault(division, {})[step.model] = run
    plan.finish()


def _begun(workspace: Workspace, name: str | None) -> Run | None:
    """The run that a step became, if it was not removed since."""
    return next((run for run in workspace.runs() if run.run == name), None)


def _refuse_other_frames(run: Run, ready: Frames) -> None:
    if ready.data != run.row["data"]:
        raise UserError(
            f"{run.run} began on other training and validation frames than are there now; going "
            "on with these would not reach the same result. Start it anew without --resume."
        )


def _prepare(workspace: Workspace, frames: pd.DataFrame, config: TrainConfig) -> Frames:

    with console.progress(f"Decoding frames at {config.size} pixels") as bar:
        return jobs.prepare(workspace, frames, config.size, progress=bar.update)


def _train(workspace: Workspace, run: Run, ready: Frames, title: str, machine: Machine) -> Run:

    config = TrainConfig.from_dict(run.settings)
    console.note(
        f"{title}: {len(ready.train)} training and {len(ready.val)} validation frames, "
        f"{config.epochs} epochs, {config.encoder}, seed {config.seed}, "
        f"on {machine.device} -> {run.run}"
    )
    with console.progress(title) as bar:

        def tell(epoch: Epoch) -> None:
            bar.update(detail=f"loss {epoch.loss:.3f}, IoU {epoch.iou:.3f}, F1 {epoch.f1:.3f}")
            console.note(_line(epoch, config.epochs))

        run = jobs.train(
            workspace, run, ready, machine, watcher=Watcher(step=bar.update, epoch=tell)
        )
    console.success(
        f"{run.run}: best in epoch {run.row['best_epoch']}, validation IoU "
        f"{run.row['best_iou']:.3f}, F1 {run.row['best_f1']:.3f} (polyp, {config.size} pixels, "
        f"n = {len(ready.val)})"
    )
    return run


def _line(epoch: Epoch, epochs: int) -> str:
    return (
        f"  epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}  {epoch.size} px  "
        f"loss {epoch.loss:.3f}  IoU {epoch.iou:.3f}  F1 {epoch.f1:.3f}  "
        f"{epoch.images_per_second:.0f} images/s  {epoch.waiting:.0%} waiting for data  "
        f"{console.duration(epoch.seconds)}{'  best' if epoch.best else ''}"
    )


def resume(settings: Settings, name: str | None, machine: Machine) -> None:
    """Go on with a run, and with what was still to do after it.

    Args:
        settings: Where the workspace and the frames are.
        name: The run; ``None`` for what was begun last.
        machine: Where to train.

    Raises:
        UserError: As for :func:`work_off`, or if there is no such run.
    """
    workspace = Workspace(settings.workspace)
    named = workspace.run(name) if name else None
    if named is not None and named.status == "finished":
        console.note(f"{named.run} is finished already.")
        return
    plan = plans.unfinished(workspace, named.run if named else None)
    if plan is not None:
        work_off(workspace, plan, catalogue(settings, needs=["endocv"]), machine)
        return
    run = named or next((run for run in workspace.runs() if run.status != "finished"), None)
    if run is None:
        console.note("Nothing to go on with: every run is finished.")
        return
    config = TrainConfig.from_dict(run.settings)
    ready = _prepare(
        workspace, Division.of(run).apply(catalogue(settings, needs=["endocv"])), config
    )
    _refuse_other_frames(run, ready)
    _train(workspace, run, ready, f"{config.model} (resumed)", machine)


def _register_ensemble(
    workspace: Workspace, finished: Mapping[str, Run], division: Division
) -> None:

    names = models.get(ensemble.NAME).members
    members = ensemble.members_for(workspace, names, finished, division)
    run = ensemble.register(workspace, members)
    console.success(f"{run.run}: registered from the best checkpoints of {', '.join(members)}")

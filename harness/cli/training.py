"""What ``harness train`` does once it knows what to do, and what the user sees of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import models
from harness.config.settings import Settings
from harness.config.training import TrainConfig
from harness.data.catalogue import catalogue
from harness.data.cross_validation import SplitVariant
from harness.runs import ensemble
from harness.runs.workspace import Run, Workspace
from harness.training import queue
from harness.training import run as training_run
from harness.training.history import Callbacks, Epoch
from harness.training.queue import RunQueue
from harness.training.run import TrainingFrames, TrainingSetup
from harness.training.workers import Job, Listener, slots, train_all
from harness.utils import console
from harness.utils.progress import Bar, duration
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def run_all(
    workspace: Workspace,
    plan: RunQueue,
    frames: pd.DataFrame,
    setup: TrainingSetup,
    at_once: int = 1,
) -> None:
    """Do what a plan has left: steps that have a finished run are passed over.

    Args:
        workspace: Where runs are registered.
        plan: What to do; its file is gone once all is done.
        frames: A catalogue with its splits.
        setup: Where to train.
        at_once: Networks that train side by side.

    Raises:
        Interrupted: On SIGINT or SIGTERM.
        UserError: If frames cannot be read, are others than those that a run began on, the loss is
            no number, or memory or disk are full.
    """
    if at_once > 1:
        _train_side_by_side(workspace, plan, frames, setup, at_once)
    finished: dict[SplitVariant, dict[str, Run]] = {}
    trained = 0
    for position, step in enumerate(plan.steps):
        if not isinstance(step, TrainConfig):
            _register_ensemble(workspace, finished.get(step, {}), step)
            continue
        trained += 1
        run = _begun(workspace, plan.runs.get(position))
        if run is None or run.status != "finished":
            run, ready = _entered(workspace, plan, position, step, frames, setup)
            title = f"{step.model} ({trained} of {plan.networks})"
            run = _train(workspace, run, ready, title, setup)
        finished.setdefault(_division(step), {})[step.model] = run
    plan.finish()


def _division(step: TrainConfig) -> SplitVariant:
    return SplitVariant(leave_out=step.leave_out, fold=step.fold)


def _entered(
    workspace: Workspace,
    plan: RunQueue,
    position: int,
    step: TrainConfig,
    frames: pd.DataFrame,
    setup: TrainingSetup,
) -> tuple[Run, TrainingFrames]:
    """The run of a step, a new one where it was not begun, and its frames."""
    ready = _prepare(workspace, _division(step).apply(frames), step)
    run = _begun(workspace, plan.runs.get(position))
    if run is None:
        run = training_run.start(workspace, step, ready, setup)
        plan.begin(position, run)
    _refuse_other_frames(run, ready)
    return run, ready


def _train_side_by_side(
    workspace: Workspace, plan: RunQueue, frames: pd.DataFrame, setup: TrainingSetup, at_once: int
) -> None:
    """Train the networks that a plan has left; one that fails does not stop the others."""
    left = [
        (position, step)
        for position, step in enumerate(plan.steps)
        if isinstance(step, TrainConfig)
        and getattr(_begun(workspace, plan.runs.get(position)), "status", "") != "finished"
    ]

    def begin() -> Iterator[Job]:
        for position, step in left:
            run, ready = _entered(workspace, plan, position, step, frames, setup)
            yield Job(
                workspace=workspace.root,
                run=run,
                frames=ready,
                save_every_s=setup.save_every_s,
                tracker=setup.tracker,
                graphs=setup.graphs,
            )

    go_on = f"harness train --resume --jobs {at_once}"
    with console.progress(f"{len(left)} networks, {at_once} at once") as bar:
        account = _Account(bar, len(left))
        number = train_all(begin(), slots(setup.device, at_once), account.listener())
    if number:
        raise Interrupted(f"stopped; nothing is lost. Go on with: {go_on}", number)
    if account.faults:
        failed = "\n".join(f"  {run}: {fault}" for run, fault in account.faults.items())
        raise UserError(
            f"{len(account.faults)} of {len(left)} networks could not be trained to their end:\n"
            f"{failed}\nThe others are finished. Once that is mended, go on with: {go_on}"
        )


class _Account:
    """What is shown of networks that train side by side.

    Args:
        bar: Counts the steps of all of them.
        networks: How many they are.

    Attributes:
        faults: What went wrong, by run.
    """

    def __init__(self, bar: Bar, networks: int) -> None:
        self.faults: dict[str, str] = {}
        self._bar, self._networks = bar, networks
        self._steps: dict[str, tuple[int, int]] = {}

    def listener(self) -> Listener:
        return Listener(
            begun=self._begun,
            step=self._step,
            epoch=self._epoch,
            warned=lambda run, message: console.warn(f"{run.model}: {message}"),
            ended=self._ended,
        )

    def _begun(self, run: Run, device: str) -> None:
        console.note(f"{run.model}: {run.settings['epochs']} epochs on {device} -> {run.run}")

    def _step(self, run: Run, done: int, total: int) -> None:
        self._steps[run.run] = done, total
        known = list(self._steps.values())
        # One that has not begun is taken to be as long as the longest.
        unknown = (self._networks - len(known)) * max(steps for _, steps in known)
        self._bar.update(sum(d for d, _ in known), sum(steps for _, steps in known) + unknown)

    def _epoch(self, run: Run, epoch: Epoch) -> None:
        console.note(f"{run.model}: {_line(epoch, run.settings['epochs']).strip()}")

    def _ended(self, run: Run, fault: str) -> None:
        if fault:
            self.faults[run.run] = fault
            console.warn(f"{run.model}: {fault}")
        else:
            console.success(f"{run.run}: finished")


def _begun(workspace: Workspace, name: str | None) -> Run | None:
    """The run that a step became, if it was not removed since."""
    return next((run for run in workspace.runs() if run.run == name), None)


def _refuse_other_frames(run: Run, ready: TrainingFrames) -> None:
    if ready.data != run.row["data"]:
        raise UserError(
            f"{run.run} began on other training and validation frames than are there now; going "
            "on with these would not reach the same result. Start it anew without --resume."
        )


def _prepare(workspace: Workspace, frames: pd.DataFrame, config: TrainConfig) -> TrainingFrames:
    with console.progress(f"Decoding frames at {config.size} pixels") as bar:
        return training_run.prepare(
            workspace, frames, config.size, classes=config.classes, progress=bar.update
        )


def _train(
    workspace: Workspace, run: Run, ready: TrainingFrames, title: str, setup: TrainingSetup
) -> Run:
    config = TrainConfig.from_dict(run.settings)
    console.note(
        f"{title}: {len(ready.train)} training and {len(ready.val)} validation frames, "
        f"{config.epochs} epochs, {config.encoder}, seed {config.seed}, "
        f"on {setup.device} -> {run.run}"
    )
    with console.progress(title) as bar:

        def tell(epoch: Epoch) -> None:
            bar.update(detail=f"loss {epoch.loss:.3f}, IoU {epoch.iou:.3f}, F1 {epoch.f1:.3f}")
            console.note(_line(epoch, config.epochs))

        run = training_run.train(
            workspace, run, ready, setup, callbacks=Callbacks(step=bar.update, epoch=tell)
        )
    console.success(
        f"{run.run}: best in epoch {run.row['best_epoch']}, validation IoU "
        f"{run.row['best_iou']:.3f}, F1 {run.row['best_f1']:.3f} (polyp, {config.size} pixels, "
        f"n = {len(ready.val)})"
    )
    return run


def _line(epoch: Epoch, epochs: int) -> str:
    return (
        f"  epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}  "
        f"loss {epoch.loss:.3f}  IoU {epoch.iou:.3f}  F1 {epoch.f1:.3f}  "
        f"{epoch.images_per_second:.0f} images/s  {epoch.waiting:.0%} waiting for data  "
        f"{duration(epoch.seconds)}{'  best' if epoch.best else ''}"
    )


def resume(settings: Settings, name: str | None, setup: TrainingSetup, at_once: int = 1) -> None:
    """Go on with a run, and with what was still to do after it.

    Args:
        settings: Where the workspace and the frames are.
        name: The run; ``None`` for what was begun last.
        setup: Where to train.
        at_once: Networks that train side by side, where several are left.

    Raises:
        UserError: As for :func:`run_all`, or if there is no such run.
    """
    workspace = Workspace(settings.workspace)
    workspace.check_writable()
    named = workspace.run(name) if name else None
    if named is not None and named.status == "finished":
        console.note(f"{named.run} is finished already.")
        return
    plan = queue.unfinished(workspace, named.run if named else None)
    if plan is not None:
        run_all(workspace, plan, catalogue(settings, needs=["train"]), setup, at_once)
        return
    run = named or next((run for run in workspace.runs() if run.status != "finished"), None)
    if run is None:
        console.note("Nothing to go on with: every run is finished.")
        return
    config = TrainConfig.from_dict(run.settings)
    ready = _prepare(workspace, run.variant.apply(catalogue(settings, needs=["train"])), config)
    _refuse_other_frames(run, ready)
    _train(workspace, run, ready, f"{config.model} (resumed)", setup)


def _register_ensemble(
    workspace: Workspace, finished: Mapping[str, Run], division: SplitVariant
) -> None:
    names = models.get(models.ENSEMBLE).members
    members = ensemble.members_for(workspace, names, finished, division)
    run = ensemble.register(workspace, members)
    console.success(f"{run.run}: registered from the best checkpoints of {', '.join(members)}")

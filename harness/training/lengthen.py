"""Train a run for more epochs than its recipe had."""

from __future__ import annotations

from harness.config.training import TrainConfig
from harness.runs.lock import lock_run
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.utils import console
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError
from metrics.utils.names import counted


def lengthened(run: Run, epochs: int | None, patience: int | None) -> TrainConfig:
    """A run's recipe with a new number of epochs or another patience; nothing is written.

    ``epochs`` is their number in all; ``None`` leaves a value as the recipe has it.

    Raises:
        UserError: If the run cannot be trained longer.
        FaultsError: If a value cannot be.
    """
    if run.members:
        raise UserError(f"{run.run} is an ensemble, which is not trained itself; name a member")
    if not run.last.exists():
        raise UserError(
            f"{run.run} has no training state ({run.last.name}), which runs of earlier versions "
            "and imported ones lack. Start a new run from its best weights: "
            + command_line(f"train --init {run.run}")
        )
    earlier = TrainConfig.from_dict(run.settings)
    given = {"epochs": epochs, "patience": patience}
    changes = {name: value for name, value in given.items() if value is not None}
    after = TrainConfig.from_dict({**earlier.to_dict(), **changes})
    done = int(run.row["epochs"] or 0)
    if after.epochs <= done:
        raise UserError(
            f"{run.run} has trained {counted(done, 'epoch')} already; --epochs is the number in "
            f"all, and has to be larger than {done}"
        )
    if done < earlier.epochs and run.status == "finished" and patience is None:
        raise UserError(
            f"{run.run} ended after {counted(done, 'epoch')}, without a better one for "
            f"{earlier.patience}. Give another --patience too; 0 trains to the last epoch."
        )
    return after


def lengthen(workspace: Workspace, run: Run, after: TrainConfig) -> Run:
    """Give a run the recipe of :func:`lengthened`; it is registered as interrupted, to go on."""
    earlier, done = TrainConfig.from_dict(run.settings), int(run.row["epochs"] or 0)
    stretched = [f"the schedule {after.schedule}"] if after.schedule != "step" else []
    if after.input_size(0) < after.size:
        stretched.append(f"the growth of images from {after.input_size(0)} pixels")
    if stretched and after.epochs != earlier.epochs:
        what = " and ".join(stretched)
        console.warn(
            f"{what[0].upper()}{what[1:]}: stretched over {after.epochs} epochs, of which epoch "
            f"{done + 1} is next. A run of {after.epochs} epochs from its beginning would have had "
            "others before; with the step schedule and images of one size there is no difference."
        )
    with lock_run(run):
        return workspace.update_run(run.run, settings=after.to_dict(), status="interrupted")

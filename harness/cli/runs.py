"""``harness runs``: the trained models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.cli.command import Group, examples
from harness.cli.options import format_option, with_settings
from harness.cli.paths import UserPath
from harness.utils import console
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError
from metrics.utils.files import UnwritableError
from metrics.utils.names import counted

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.report.tables.choices import Format
    from harness.runs.run import Run

EPILOG = """\b
Examples:
  harness runs
  harness runs show unet-20261124-031500
  harness runs rm unet-20261124-031500 fpn-20261124-040200
  harness runs sync
  harness runs import ../colleague/workspace
"""


@click.group(cls=Group, invoke_without_command=True, epilog=EPILOG)
@format_option()
@with_settings("workspace")
@click.pass_context
def command(context: click.Context, settings: Settings, format_: Format) -> None:
    """List the trained models, newest first."""
    if context.invoked_subcommand is None:
        _list(settings, format_)
    elif context.get_parameter_source("format_") is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--format before a subcommand is of the list of runs; 'show' has one of its own"
        )


def _list(settings: Settings, format_: Format) -> None:
    import pandas as pd

    from harness.report.tables.columns import Column
    from harness.report.tables.view import View
    from harness.runs.workspace import Workspace

    runs = Workspace(settings.workspace).runs()
    _name_unregistered(settings.workspace / "runs", {run.run for run in runs})
    if not runs:
        console.note(f"No runs in {settings.workspace}. Train with '{command_line('train')}'.")
        return
    names = ("run", "model", "status", "epochs", "best_epoch", "best_iou", "best_f1", "parameters",
             "seed", "created", "finished", "data", "checkpoint")  # fmt: skip
    rows = pd.DataFrame([{name: run.row[name] for name in names} for run in runs])
    rows["splits"] = [" and ".join(str(one) for one in run.variants if one) for run in runs]
    # Imported runs have no seed, which would make all seeds floats.
    counts = ("epochs", "best_epoch", "parameters", "seed")
    rows = rows.astype(dict.fromkeys(counts, "Int64"))
    columns: list[Column | str] = [
        Column(key="run", title="Run"),
        Column(key="status", title="Status"),
        Column(key="epochs", title="Epochs"),
        Column(key="best_iou", title="IoU", decimals=3),
        Column(key="best_f1", title="F1", decimals=3),
        Column(key="parameters", title="M param.", decimals=1, scale=1e-6),
        Column(key="seed", title="Seed"),
        *([Column(key="splits", title="Splits")] if rows["splits"].any() else []),
    ]
    if format_ in ("csv", "json"):
        columns = [*names, "splits"]
    View(
        frame=rows,
        columns=columns,
        title="Runs",
        caption="IoU and F1: of the chosen class, by default the first, on the validation split, "
        "at network size, in the best epoch.",
    ).show(format_)


def _name_unregistered(folder: Path, known: set[str]) -> None:
    """Name the folders of runs that a command was killed before it registered, or makes now."""
    found = folder.iterdir() if folder.is_dir() else ()
    names = sorted(path.name for path in found if path.is_dir() and path.name not in known)
    if names:
        console.note(
            f"{folder}: of no run, left by a command that was killed, or made by one at work now: "
            f"{', '.join(names)}. Delete what no command is making."
        )


@command.command(epilog=examples("harness runs show unet-20261124-031500"))
@click.argument("run")
@format_option("table", "json")
@with_settings("workspace")
def show(settings: Settings, run: str, format_: str) -> None:
    """Show a run: results, settings, curves and history."""
    import pandas as pd

    from harness.runs.workspace import Workspace

    found = Workspace(settings.workspace).run(run)
    file = found.folder / "history.csv"
    history = pd.read_csv(file) if file.exists() else pd.DataFrame()
    if format_ == "json":
        row = {**found.row}
        row |= {name: json.loads(found.row[name]) for name in ("versions", "encoder_weights")}
        row |= {"settings": found.settings, "members": found.members}
        console.show(json.dumps({**row, "history": history.to_dict("records")}, indent=2))
        return
    _show_run(found, history)


def _show_run(run: Run, history: pd.DataFrame) -> None:
    """A few lines, then the table of epochs."""
    from harness.report.tables.columns import Column
    from harness.report.tables.sparkline import sparkline
    from harness.report.tables.view import View

    lines = [f"{run.run}: {run.status}, {run.folder}"]
    if run.row["best_iou"] is not None:
        lines += [
            f"best in epoch {run.row['best_epoch']}: validation IoU {run.row['best_iou']:.3f}, "
            f"F1 {run.row['best_f1']:.3f} ({run.chosen_class}, at network size)"
        ]
    if run.members:
        lines += [f"  {name}: {member}" for name, member in run.members.items()]
        lines += [f"  {name}: {value}" for name, value in _how_tuned(run.tuned).items()]
    else:
        lines += [f"  {name}: {value}" for name, value in run.settings.items() if value != ""]
    if origin := json.loads(run.row["encoder_weights"]):
        lines += [f"  encoder weights from: {', '.join(f'{k} {v}' for k, v in origin.items())}"]
    for name, title in (("loss", "loss"), ("iou", "IoU"), ("f1", "F1")):
        if not history.empty:
            values = history[name].tolist()
            lines += [f"{title:>4}  {sparkline(values)}  {values[0]:.3f} to {values[-1]:.3f}"]
    console.show("\n".join(lines))
    if history.empty:
        return
    columns = [
        Column(key="epoch", title="Epoch"),
        Column(key="loss", title="Loss", decimals=3, best="min"),
        Column(key="iou", title="IoU", decimals=3, best="max"),
        Column(key="f1", title="F1", decimals=3, best="max"),
        Column(key="learning_rate", title="Learning rate", decimals=6),
        Column(key="images_per_second", title="Images/s", decimals=0),
        Column(key="waiting", title="Waiting %", decimals=0, scale=100),
        Column(key="seconds", title="Seconds", decimals=0),
    ]
    View(frame=history, columns=columns, title="Epochs").show()


def _how_tuned(tuned: Mapping[str, Any]) -> dict[str, Any]:
    """What 'harness tune' chose or fitted, in words; empty for a run that was not tuned."""
    from harness.inference.clean_up import CleanUp

    if not tuned:
        return {}
    fusion = tuned.get("fusion")
    return {
        "tuned": f"{tuned['run']}, on {tuned['split']}",
        **(
            {"fusion": f"{fusion['kind']}, fitted to {counted(len(fusion['frames']), 'frame')}"}
            if fusion
            else {}
        ),
        "threshold": tuned["threshold"],
        "clean-up": CleanUp(**tuned["clean_up"]),
        "test-time augmentation": "flips and scales" if tuned["tta"] else "no",
    }


@command.command(epilog=examples("harness runs rm unet-20261124-031500 fpn-20261124-040200"))
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings("workspace")
def rm(settings: Settings, runs: tuple[str, ...], yes: bool) -> None:
    """Remove runs with their weights and evaluations.

    Submissions stay. 'train --resume' does not train a removed run again.
    """
    from harness.runs.lock import lock_run
    from harness.runs.workspace import Workspace
    from harness.training.queue import strike
    from models import ENSEMBLE

    workspace = Workspace(settings.workspace)
    found = [workspace.run(name) for name in dict.fromkeys(runs)]
    if not yes:
        folders = "\n".join(str(run.folder) for run in found)
        if not click.confirm(f"{folders}\nRemove with everything in it?", err=True):
            raise UserError("nothing was removed")
    with ExitStack() as holds:
        for run in found:
            holds.enter_context(lock_run(run))
        for run in found:
            try:
                if strike(workspace, run.run):
                    console.note(f"No {ENSEMBLE} will be made that {run.run} was to be part of.")
                workspace.remove_run(run.run)
            except UnwritableError as error:
                raise UserError(
                    f"{error.message} Where the disk is full, delete {run.folder} yourself, and "
                    "then repeat this command."
                ) from error
            shutil.rmtree(run.folder, ignore_errors=True)
            console.success(f"removed {run.run}")
            if run.folder.exists():
                console.warn(f"{run.folder} cannot be deleted whole; delete what is left of it")


@command.command(epilog=examples("harness runs sync"))
@with_settings("workspace")
def sync(settings: Settings) -> None:
    """Enter into the register what jobs on other machines wrote.

    A training on this machine does so itself. Jobs on others write only their run's folder. An
    ensemble is registered once all its networks are finished.
    """
    from harness.runs.workspace import Workspace
    from harness.training.ensembles import finish_queues

    workspace = Workspace(settings.workspace)
    changed = workspace.sync()
    if not workspace.runs():
        console.note(f"No runs in {settings.workspace}. Train with '{command_line('train')}'.")
        return
    for run in changed:
        best = run.row["best_iou"]
        figures = "" if best is None else f", validation IoU {best:.3f} in the best"
        console.note(f"{run.run}: {run.status}, {counted(run.row['epochs'], 'epoch')}{figures}")
    left = finish_queues(workspace)
    console.success(f"runs brought up to date: {len(changed)}")
    if left:
        console.note(f"Networks not finished: {left}. Go on with: {command_line('train --resume')}")


@command.command("import", epilog=examples("harness runs import ../colleague/workspace"))
@click.argument("other", metavar="WORKSPACE", type=UserPath(file_okay=False))
@with_settings("workspace")
def import_(settings: Settings, other: Path) -> None:
    """Take over the results of another workspace.

    Runs, evaluations, submissions and scores with their files. Where something of the same
    identifier differs here, all of it is named and nothing is written. What is here already is
    passed over.
    """
    from harness.runs.import_workspace import import_workspace
    from harness.runs.workspace import Workspace

    new = import_workspace(Workspace(settings.workspace), other)
    if any(new.values()):
        taken = [counted(count, name.removesuffix("s")) for name, count in new.items() if count]
        console.success(f"taken over from {other}: {', '.join(taken)}")
    else:
        console.note(f"Nothing to do: everything of {other} is here already.")

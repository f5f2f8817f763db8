"""``harness runs``: the trained models."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from harness import console
from harness.cli.options import format_option, with_settings

if TYPE_CHECKING:
    from harness.report.tables import Format
    from harness.settings import Settings

EPILOG = """\b
Examples:
  harness runs
  harness runs show unet-20261124-031500
  harness runs rm unet-20261124-031500
"""


@click.group(invoke_without_command=True, epilog=EPILOG)
@format_option()
@with_settings("workspace")
@click.pass_context
def command(context: click.Context, settings: Settings, format_: Format) -> None:
    """List the trained models, newest first."""
    context.obj = settings
    if context.invoked_subcommand is not None:
        return
    import pandas as pd

    from harness.report.columns import Column
    from harness.report.tables import show
    from harness.workspace import Workspace

    runs = Workspace(settings.workspace).runs()
    if not runs:
        console.note(f"No runs in {settings.workspace}. Train with 'harness train'.")
        return
    names = ("run", "model", "status", "epochs", "best_epoch", "best_iou", "best_f1", "parameters",
             "seed", "created", "finished", "data", "checkpoint")  # fmt: skip
    rows = pd.DataFrame([{name: run.row[name] for name in names} for run in runs])
    columns: list[Column | str] = [
        Column(key="run", title="Run"),
        Column(key="status", title="Status"),
        Column(key="epochs", title="Epochs"),
        Column(key="best_iou", title="IoU", decimals=3),
        Column(key="best_f1", title="F1", decimals=3),
        Column(key="parameters", title="M param.", decimals=1, scale=1e-6),
        Column(key="seed", title="Seed"),
    ]
    if format_ in ("csv", "json"):
        columns = list(names)
    show(
        rows,
        format=format_,
        columns=columns,
        title="Runs",
        caption="IoU and F1: polyp, validation split, at network size, in the best epoch.",
    )


@command.command()
@click.argument("run")
@click.pass_obj
def show(settings: Settings, run: str) -> None:
    """Show a run: its recipe, its versions, its history."""
    import json

    import pandas as pd

    from harness.report import tables
    from harness.workspace import Workspace

    found = Workspace(settings.workspace).run(run)
    console.show(json.dumps({**found.row, "settings": found.settings}, indent=2, default=str))
    history = found.folder / "history.csv"
    if history.exists():
        tables.show(pd.read_csv(history), title=f"History of {run}")


@command.command()
@click.argument("run")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(settings: Settings, run: str, yes: bool) -> None:
    """Remove a run with its weights and evaluations; submissions stay."""
    from harness.workspace import Workspace

    workspace = Workspace(settings.workspace)
    found = workspace.run(run)
    if not yes:
        click.confirm(f"Remove {found.folder} with everything in it?", abort=True)
    workspace.remove_run(found.run)
    shutil.rmtree(found.folder, ignore_errors=True)
    console.success(f"removed {found.run}")

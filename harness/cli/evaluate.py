"""``harness evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from harness import console
from harness.cli.options import device_option, format_option, with_settings

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.tables import Format
    from harness.settings import Settings
    from harness.workspace import Run, Workspace
    from metrics.masks import Protocol

EPILOG = """\b
Examples:
  harness evaluate --split test
  harness evaluate --split val --model unet --model triunet
  harness evaluate --split test --format csv > test.csv
"""


@click.command(epilog=EPILOG)
@click.option("--split", type=click.Choice(["val", "test"]), required=True, help="What to predict.")
@click.option(
    "--model",
    "names",
    multiple=True,
    metavar="NAME",
    help="Models, of which the newest finished run is measured; repeatable. By default all.",
)
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Runs in place of models.")
@click.option("--again", is_flag=True, help="Predict anew what was evaluated before.")
@click.option("--leave-out", metavar="CENTRE", help="Of the models trained without a centre.")
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Of the models of a cross-validation, all folds together.",
)
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@device_option()
@format_option()
@with_settings("endocv", "hyperkvasir", "workspace", "splits")
def command(
    settings: Settings,
    split: str,
    names: Sequence[str],
    runs: Sequence[str],
    leave_out: str | None,
    folds: int | None,
    format_: Format,
    **options: Any,
) -> None:
    """Measure trained models on a split, per class and per centre.

    Every frame is predicted at its own size and compared with its truth. The frame table, the
    predicted masks and a summary stay in the run's folder; a second call reads them.
    """
    from harness import device as devices

    devices.keep_memory()
    import pandas as pd

    from harness import assess
    from harness.data.catalogue import catalogue, of_split
    from harness.division import Division
    from harness.division import folds as divisions
    from harness.workspace import Workspace

    workspace = Workspace(settings.workspace)
    wanted = [Division(leave_out=leave_out)] if leave_out else divisions(folds)
    chosen = [run for one in wanted for run in assess.chosen_runs(workspace, names, runs, one)]
    own_test = split == "test" and not any(Division.of(run).leave_out for run in chosen)
    frames = catalogue(settings, needs=["hyperkvasir" if own_test else "endocv"])
    tables = []
    for run in {run.run: run for run in chosen}.values():
        of_run = of_split(Division.of(run).apply(frames), split)
        tables.append(_table(workspace, run, of_run, split, **options))
    plain = not any(Division.of(run) for run in chosen)
    _show(pd.concat(tables, ignore_index=True), split, format_, paper=plain)


def _table(
    workspace: Workspace,
    run: Run,
    frames: pd.DataFrame,
    split: str,
    *,
    again: bool,
    device: str,
    precision: str,
    batch_size: int,
) -> pd.DataFrame:
    """The frame table of a run, kept or made now, under its model's name."""
    from harness import assess
    from harness import device as devices

    kept = assess.kept_table(workspace, run, frames, split, assess.settings_of(precision))
    if kept is not None and not again:
        console.note(f"{run.run}: evaluated before; --again predicts anew")
        return kept.assign(model=run.model)
    with console.progress(f"{run.model} on {split}", len(frames)) as bar:
        table = assess.assess(
            workspace,
            run,
            frames,
            split,
            device=devices.choose(device),
            precision=precision,
            batch_size=batch_size,
            progress=bar.advance,
        )
    console.note(f"{run.run}: {len(frames)} frames -> {run.evaluation(split)}")
    return table.assign(model=run.model)


def _show(
    frames: pd.DataFrame,
    split: str,
    format_: Format,
    *,
    paper: bool,
    protocol: Protocol = "official",
) -> None:
    from harness.report import results
    from metrics.paper import results as paper_results

    reference = paper_results() if paper else None
    summary = results.figures(frames, protocol)
    if format_ in ("csv", "json"):
        view = results.long_view(summary, split=split, protocol=protocol, paper=reference)
        view.show(format_, {"split": split, "protocol": protocol})
        return
    for class_ in results.CLASSES:
        results.class_view(summary, class_, split=split, protocol=protocol, paper=reference).show(
            format_
        )
    places = results.by_place(frames, protocol)
    results.place_view(places, split=split, protocol=protocol).show(format_)

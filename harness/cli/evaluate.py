"""``harness evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from harness import console
from harness.cli.options import format_option, inference_options, with_settings

if TYPE_CHECKING:
    import pandas as pd

    from harness.prediction import Inference
    from harness.report.tables import Format
    from harness.settings import Settings
    from harness.workspace import Run, Workspace

EPILOG = """\b
Examples:
  harness evaluate --split test
  harness evaluate --split val --model unet --model triunet
  harness evaluate --split test --format csv > test.csv
  harness evaluate --split test --table paper --format latex
  harness evaluate --split val --table more --protocol strict
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
@click.option(
    "--protocol",
    type=click.Choice(["paper", "official", "strict"]),
    default="paper",
    show_default=True,
    help="paper: truth above 127, the organisers' formulas. official: the organisers' evaluator, "
    "truth above 0. strict: truth above 127, undefined figures left out of the means.",
)
@click.option(
    "--table",
    "kind",
    type=click.Choice(["classes", "paper", "more", "frames"]),
    default="classes",
    show_default=True,
    help="classes: one a class, and by centre. paper: the paper's Table 2 or 3. more: contours, "
    "polyps found, sizes of polyps, generalisation. frames: a row a frame and class.",
)
@inference_options()
@format_option()
@with_settings("endocv", "hyperkvasir", "workspace", "splits")
def command(
    settings: Settings,
    split: str,
    names: Sequence[str],
    runs: Sequence[str],
    leave_out: str | None,
    folds: int | None,
    protocol: str,
    kind: str,
    format_: Format,
    **options: Any,
) -> None:
    """Measure trained models on a split, per class and per centre.

    Every frame is predicted at its own size and compared with its truth. The frame table, the
    predicted masks and a summary stay in the run's folder; a second call reads them.
    """
    import pandas as pd

    from harness import assess
    from harness.data.catalogue import catalogue, of_split
    from harness.division import Division
    from harness.division import folds as divisions
    from harness.workspace import Workspace

    if not runs:
        settings.require("hyperkvasir" if split == "test" and not leave_out else "endocv")
    workspace = Workspace(settings.workspace)
    wanted = [Division(leave_out=leave_out)] if leave_out else divisions(folds)
    chosen = [run for one in wanted for run in assess.chosen_runs(workspace, names, runs, one)]
    own_test = split == "test" and not any(Division.of(run).leave_out for run in chosen)
    frames = catalogue(settings, needs=["hyperkvasir" if own_test else "endocv"])
    tables = []
    for run in {run.run: run for run in chosen}.values():
        of_run = of_split(Division.of(run).apply(frames), split)
        table = _table(workspace, run, of_run, split, **options)
        if assess.PROTOCOLS[protocol].decoding == "official":
            with console.progress(f"{run.model}, truth above 0", len(of_run)) as bar:
                table = assess.read_officially(run, of_run, split, table, progress=bar.advance)
        tables.append(table.assign(model=_label(run, chosen)))
    plain = not any(Division.of(run) for run in chosen)
    show = _SHOWN[kind]
    show(pd.concat(tables, ignore_index=True), split, protocol, format_, plain)


def _label(run: Run, chosen: Sequence[Run]) -> str:
    """The model's name, or the run's where two runs of the model are measured side by side."""
    from harness.division import Division

    alike = [r for r in chosen if r.model == run.model and Division.of(r) == Division.of(run)]
    return run.model if len({r.run for r in alike}) == 1 else run.run


def _table(
    workspace: Workspace,
    run: Run,
    frames: pd.DataFrame,
    split: str,
    *,
    again: bool,
    inference: Inference,
) -> pd.DataFrame:
    """The frame table of a run, kept or made now."""
    from harness import assess

    settings = assess.settings_of(inference.settings)
    kept = assess.kept_table(workspace, run, frames, split, settings)
    if kept is not None and not again:
        console.note(f"{run.run}: evaluated before; --again predicts anew")
        return kept
    with console.progress(f"{run.model} on {split}", len(frames)) as bar:
        table = assess.assess(
            workspace,
            run,
            frames,
            split,
            inference=inference,
            progress=bar.advance,
            say=console.note,
        )
    console.note(f"{run.run}: {len(frames)} frames -> {run.evaluation(split)}")
    return table


def _classes(frames: pd.DataFrame, split: str, protocol: str, format_: Format, plain: bool) -> None:
    from harness.assess import PROTOCOLS
    from harness.report import results
    from metrics.paper import results as paper_results

    formulas = PROTOCOLS[protocol].formulas
    reference = paper_results() if plain else None
    summary = results.figures(frames, formulas)
    if format_ in ("csv", "json"):
        view = results.long_view(summary, split=split, protocol=protocol, paper=reference)
        view.show(format_, {"split": split, "protocol": protocol})
        return
    for class_ in results.CLASSES:
        results.class_view(summary, class_, split=split, protocol=protocol, paper=reference).show(
            format_
        )
    places = results.by_place(frames, formulas)
    results.place_view(places, split=split, protocol=protocol).show(format_)


def _paper(frames: pd.DataFrame, split: str, protocol: str, format_: Format, plain: bool) -> None:
    from harness.assess import PROTOCOLS
    from harness.report import papertable, results
    from metrics.errors import UserError
    from metrics.paper import results as paper_results

    if not plain:
        raise UserError("--table paper is for the paper's splits, not for --leave-out or --folds")
    summary = results.figures(frames, PROTOCOLS[protocol].formulas)
    view = papertable.table_view(summary, split, paper_results())
    view.show(format_, {"split": split, "protocol": protocol})


def _more(frames: pd.DataFrame, split: str, protocol: str, format_: Format, plain: bool) -> None:
    from harness.assess import PROTOCOLS
    from harness.report import detail, results

    del plain
    formulas = PROTOCOLS[protocol].formulas
    summary = results.figures(frames, formulas)
    views = [
        detail.contour_view(summary, split=split),
        detail.detection_view(frames, split=split),
        detail.stratum_view(frames, split=split, formulas=formulas),
    ]
    place = "centre" if frames["centre"].nunique() > 1 else "sequence"
    if frames.loc[frames[place] != "", place].nunique() > 1:
        views.append(
            detail.generalisation_view(
                frames,
                place,
                title=f"{split} split, generalisation from {place} to {place}",
                formulas=formulas,
            )
        )
    for view in views:
        view.show(format_, {"split": split, "protocol": protocol})


def _frames(frames: pd.DataFrame, split: str, protocol: str, format_: Format, plain: bool) -> None:
    from harness.assess import PROTOCOLS
    from harness.report.tables import show
    from metrics.endocv import add_figures

    del plain
    table = add_figures(frames, PROTOCOLS[protocol].formulas)
    front = ["model", "frame", "class"]
    columns = [*front, *(name for name in table.columns if name not in front)]
    show(
        table,
        format=format_,
        columns=columns,
        title=f"{split} split, by frame ({protocol} protocol)",
        metadata={"split": split, "protocol": protocol},
    )


_SHOWN: Final = {"classes": _classes, "paper": _paper, "more": _more, "frames": _frames}

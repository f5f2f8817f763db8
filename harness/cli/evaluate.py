"""``harness evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli.command import Command
from harness.cli.options import (
    FRAMES,
    average_option,
    format_option,
    inference_options,
    map_options,
    models_option,
    protocol_option,
    shard_options,
    with_settings,
)
from harness.report.tables.choices import EVALUATION_TABLES, OF_MAPS, SETS, WITHOUT_AVERAGE

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.evaluation.chosen_runs import ChosenRuns
    from harness.report.tables.choices import Format
    from harness.report.tables.view import View
    from harness.report.views.evaluation import Measured
    from harness.utils.parts import Shard
    from metrics.averages import Average

EPILOG = """\b
Examples:
  harness evaluate --split test
  harness evaluate --split val --model unet --model triunet
  harness evaluate --split test --model unet --seeds
  harness evaluate --split test --format csv > test.csv
  harness evaluate --split test --table paper --format latex
  harness evaluate --split test --average frames
  harness evaluate --split val --table more --protocol strict
  harness evaluate --split test --table pranet
  harness evaluate --split test --probabilities --maps full
  harness evaluate --split val --split test --table generalisation
  harness evaluate --split val --table generalisation --by centre --from C1 --to C4
  harness evaluate --split test --shard 2/4  # and 1/4, 3/4, 4/4, on any machines
  harness evaluate --split test --gather
"""


@click.command(cls=Command, epilog=EPILOG, headings={"protocol": "Figures", "shard": "Prediction"})
@click.option(
    "--split",
    "wanted",
    type=click.Choice(["val", "test"]),
    multiple=True,
    required=True,
    help="The split to predict; repeatable.",
)
@models_option("Models, of which the newest finished run is taken; repeatable. By default all.")
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Runs instead of models.")
@click.option(
    "--seeds",
    is_flag=True,
    help="Evaluate every seed of each model's recipe, see train --seeds, and show their spread.",
)
@click.option("--again", is_flag=True, help="Predict again what was evaluated before.")
@click.option("--leave-out", metavar="CENTRE", help="Evaluate models trained without a centre.")
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Evaluate the models of a cross-validation, all folds together.",
)
@protocol_option
@click.option(
    "--table",
    "kind",
    type=click.Choice(list(EVALUATION_TABLES)),
    metavar="NAME",
    default="classes",
    show_default=True,
    help="; ".join(f"{name}: {meaning}" for name, meaning in EVALUATION_TABLES.items()) + ".",
)
@click.option(
    "--by",
    type=click.Choice(SETS),
    help="How --table generalisation groups the frames; by default the first of these that gives "
    "two groups or more.",
)
@click.option("--from", "reference", metavar="SET", help="Generalisation from this set only.")
@click.option("--to", "other", metavar="SET", help="Generalisation to this set only.")
@average_option("How figures over several test sets are averaged")
@format_option()
@shard_options()
@map_options()
@inference_options()
@with_settings(*FRAMES, "workspace", "splits")
def command(
    settings: Settings,
    wanted: Sequence[str],
    protocol: str,
    kind: str,
    by: str | None,
    reference: str | None,
    other: str | None,
    average: Average | None,
    format_: Format,
    shard: Shard | None,
    gather: bool,
    **options: Any,
) -> None:
    """Evaluate trained models on a split, per class and per centre.

    Every frame is predicted at its own size and compared with its true mask. The frame table, the
    predicted masks and a summary are kept in the run's folder; a second call reads them. Members of
    an ensemble are evaluated in the same pass as the ensemble. With --shard each of several
    processes predicts its part of the frames, and --gather joins the parts.
    """
    import pandas as pd

    from harness.evaluation.chosen_runs import ChosenRuns
    from harness.report.tables.view import show_views
    from harness.report.views.evaluation import Measured

    if kind != "generalisation" and (by or reference or other):
        raise click.UsageError("--by, --from and --to are for --table generalisation")
    if kind in OF_MAPS and protocol != "paper":
        raise click.UsageError(f"--table {kind} has figures of its own; leave out --protocol")
    if average and kind in WITHOUT_AVERAGE:
        raise click.UsageError(f"--table {kind} averages over no test sets; leave out --average")
    splits = tuple(dict.fromkeys(wanted))
    chosen = ChosenRuns(settings, protocol, map_table=kind in OF_MAPS, gather=gather, **options)
    if shard:
        for split in splits:
            chosen.write_parts(split, shard)
        return
    joint = " and ".join(splits) if kind == "generalisation" else ""
    tables = {split: chosen.measure(split, joint) for split in splits}
    if joint:
        tables = {joint: pd.concat(tables.values(), ignore_index=True)}
    views = []
    for split, frames in tables.items():
        measured = Measured(
            frames=frames, split=split, protocol=protocol, by=by, reference=reference, other=other,
            average=average, is_paper_split=chosen.are_of_the_paper_split(split),
        )  # fmt: skip
        views += _views(chosen, measured, kind, format_)
    metadata = {"split": " and ".join(splits), "protocol": protocol, "average": average or "sets"}
    show_views(views, format_, metadata)


def _views(chosen: ChosenRuns, measured: Measured, kind: str, format_: Format) -> list[View]:
    """The tables of one kind, and below them how far seeds spread, where there are several."""
    from harness.report.views.evaluation import KINDS
    from harness.report.views.seeds import seed_view

    split = measured.split
    if kind in OF_MAPS:
        maps, temperatures = chosen.map_tables(split), chosen.temperatures(split)
        measured = replace(measured, maps=maps, temperatures=temperatures)
    views = KINDS[kind](measured, format_)
    spread = seed_view(
        measured.frames, chosen.seeds(split), split=split, formulas=measured.formulas,
        average=measured.average,
    )  # fmt: skip
    return [*views, spread] if spread else views

"""``harness compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli.command import Command
from harness.cli.options import (
    average_option,
    format_option,
    protocol_option,
    seed_option,
    with_settings,
)
from harness.utils import console
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.report.tables.choices import Format
    from harness.runs.run import Run
    from harness.runs.workspace import Workspace
    from metrics.averages import Average
    from metrics.statistics.comparison import Comparison
    from metrics.statistics.samples import Samples
    from metrics.statistics.seeds import SeedSpread

EPILOG = """\b
Examples:
  harness compare divergentnets unet++
  harness compare divergentnets --split val
  harness compare triunet unet --figure f1 --figure iou --format json
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("a")
@click.argument("b", required=False)
@click.option(
    "--split", type=click.Choice(["val", "test"]), default="test", show_default=True,
    help="The evaluations compared.",
)  # fmt: skip
@click.option(
    "--figure",
    "figures",
    multiple=True,
    metavar="NAME",
    default=("score", "f1", "iou", "f2", "ppv", "recall"),
    show_default=True,
    help="A metric to compare, such as iou or hd95_px; repeatable. The last line is of the first.",
)
@protocol_option
@click.option(
    "--method",
    type=click.Choice(["bca", "percentile"]),
    default="bca",
    show_default=True,
    help="How intervals come from the resamples: their percentiles, or bca, which corrects these "
    "for bias and skew.",
)
@click.option(
    "--resamples",
    type=click.IntRange(100),
    default=10_000,
    show_default=True,
    help="Resamples of the bootstrap, and permutations of the test.",
)
@seed_option("The same seed gives the same resamples, and so the same figures.")
@average_option("How figures over several test sets are averaged")
@format_option()
@with_settings("workspace")
def command(
    settings: Settings,
    a: str,
    b: str | None,
    split: str,
    figures: tuple[str, ...],
    protocol: str,
    average: Average | None,
    format_: Format,
    **options: Any,
) -> None:
    """Test whether model A is better than B, or than every other model, with Holm's correction.

    A and B are runs, or models, of which the newest evaluated run is taken, with the evaluated runs
    of its recipe and frames from other seeds, whose mean is compared. They are compared on the same
    frames; the bootstrap resamples whole sequences.
    """
    from harness.evaluation.stored import PROTOCOLS
    from harness.report.views.ranks import comparison_view
    from harness.runs.workspace import Workspace
    from metrics.averages import average_of
    from metrics.masks.classes import chosen_class
    from metrics.statistics.clusters import few_clusters_note
    from metrics.statistics.comparison import compare
    from metrics.statistics.samples import collect, select, with_parts
    from metrics.statistics.seeds import pool

    table, seeds, second = _tables(Workspace(settings.workspace), split, protocol, a, b)
    first = next(iter(seeds))
    average = average_of(table, average)
    formulas = PROTOCOLS[protocol].formulas
    samples = collect(table, figures=figures, protocol=formulas, average=average)
    _warn_of_no_values(table, figures, split)
    samples = select(samples, with_parts(figures))
    every = compare(pool(samples, seeds), first, second or None, **options)
    found = [row for row in every if row.figure in figures]
    over_seeds = _over_seeds(found, samples, seeds)
    view = comparison_view(
        found,
        over_seeds,
        title=f"{first} compared on the {split} split, {chosen_class(table)} ({protocol} protocol)",
        settings=f"Figures: {samples.averaged}. "
        "Interval: {method}, {resamples} resamples, seed {seed}.".format(**options)
        + few_clusters_note(samples.effective_clusters),
    )
    view.show(format_, {"split": split, "protocol": protocol, "average": average, **options})
    if format_ == "table":
        pairs = zip(found, over_seeds, strict=True)
        console.show("\n".join(c.sentence(seeds) for c, seeds in pairs if c.figure == figures[0]))


def _warn_of_no_values(table: pd.DataFrame, figures: Sequence[str], split: str) -> None:
    """Name the models whose frame tables lack a figure, such as that of a plug-in added since."""
    names = [name for name in figures if name in table]
    lacks = table[names].isna().groupby(table["model"], sort=False).all()
    for name in names:
        if models := [str(model) for model in lacks.index[lacks[name]]]:
            measure = command_line(f"evaluate --split {split}")
            console.warn(
                f"{name} is undefined in every frame of {', '.join(models)}, or was not measured "
                f"there; '{measure}' measures what is missing."
            )


def _over_seeds(
    found: Sequence[Comparison], samples: Samples, seeds: Mapping[str, Sequence[str]]
) -> list[SeedSpread]:
    """The differences over seeds, in the same order."""
    from metrics.statistics.seeds import differences

    figures = {row.figure for row in found}
    return [
        one
        for a, b in dict.fromkeys((row.a, row.b) for row in found)
        for one in differences(samples, seeds[a], seeds[b])
        if one.figure in figures
    ]


def _tables(
    workspace: Workspace, split: str, protocol: str, a: str, b: str | None
) -> tuple[pd.DataFrame, dict[str, list[str]], str]:
    """The frame tables of the runs compared.

    Returns:
        tuple: The tables, the label of each one compared to the names of its seeds in the tables,
        and the label of B, empty without.
    """
    from harness.evaluation import tables
    from harness.runs.seeds import seeds_of
    from harness.runs.select import newest_by_model

    evaluated = tables.evaluated(workspace, workspace.runs(), split, protocol)
    by_official = " --protocol official" if protocol == "official" else ""
    measure = command_line(f"evaluate --split {split}{by_official}")
    chosen = [_find(workspace, name, evaluated, split, measure) for name in (a, b) if name]
    data = workspace.evaluations(split).set_index("run")["data"].to_dict()
    if b is None:
        same = [run for run in evaluated if data.get(run.run) == data.get(chosen[0].run)]
        newest = newest_by_model(same, chosen[0].variant)
        chosen += [run for run in newest.values() if run.model != chosen[0].model]
    chosen = list({run.run: run for run in chosen}.values())
    _refuse_unlike(chosen, (a, b), data, split, measure)
    alike = [run for run in evaluated if data.get(run.run) == data.get(chosen[0].run)]
    groups = {
        label: [run] if run.run in (a, b) else seeds_of(alike, run)
        for label, run in zip(tables.labels(chosen, split).values(), chosen, strict=True)
    }
    every = list({run.run: run for group in groups.values() for run in group}.values())
    names = tables.labels(every, split)
    seeds = {label: [names[run.run] for run in group] for label, group in groups.items()}
    return tables.load(every, split, protocol), seeds, list(seeds)[1] if b else ""


def _refuse_unlike(
    chosen: Sequence[Run],
    names: tuple[str, str | None],
    data: Mapping[Any, Any],
    split: str,
    measure: str,
) -> None:
    """Refuse runs that cannot be paired frame by frame, by the fingerprint of their frames.

    Raises:
        UserError: There are fewer than two, or they were measured on different frames.
    """
    from harness.runs.select import variant_of_all

    a, b = names
    if len(chosen) < 2 and b is not None:
        raise UserError(f"{a} and {b} are one run, {chosen[0].run}: expected two runs or models")
    if len(chosen) < 2:
        raise UserError(
            f"nothing to compare {a} with: expected two runs evaluated on the {split} split. "
            f"Measure more with: {measure}"
        )
    variant_of_all(chosen)
    if len({data.get(run.run) for run in chosen}) > 1:
        raise UserError(
            f"{a} and {b} were evaluated on different frames of the {split} split. Evaluate both "
            f"on today's frames: {measure} {' '.join(f'--run {run.run}' for run in chosen)}"
        )


def _find(workspace: Workspace, name: str, evaluated: list[Run], split: str, measure: str) -> Run:
    for run in evaluated:
        if name == run.run or (name == run.model and not run.variant and not run.tuned):
            return run
    there = ", ".join(dict.fromkeys(run.model for run in evaluated)) or "none"
    known = workspace.runs()
    option = "--run" if any(run.run == name for run in known) else "--model"
    hint = f" Measure it with: {measure} {option} {name}"
    if not any(name in (run.run, run.model) for run in known):
        hint = (
            f" No run or model has that name ('{command_line('runs')}'); scored packages are "
            f"compared by '{command_line('leaderboard --table ranks')}'."
        )
    raise UserError(f"no evaluation of {name!r} on the {split} split; there are: {there}.{hint}")

"""``harness tune``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.cli.command import Command
from harness.cli.options import FRAMES, format_option, inference_options, names_of, with_settings
from harness.evaluation.tuning import OF_ONE_CLASS, STEPS
from harness.utils import console
from harness.utils.command_line import command_line

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.inference.prediction import Inference
    from harness.report.tables.choices import Format
    from harness.runs.run import Run
    from harness.runs.workspace import Workspace

EPILOG = """\b
Examples:
  harness tune divergentnets --split val
  harness tune divergentnets --split val --steps threshold,clean-up
  harness tune divergentnets --split val --fusion weighted
  harness tune fpn-20260726-101500 --split val --figure f1 --only-certain
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("run")
@click.option(
    "--split",
    type=click.Choice(["val"]),
    required=True,
    help="The split that is tuned on; its figures are too good from then on.",
)
@click.option(
    "--steps",
    callback=names_of,
    metavar="A,B,...",
    help=f"Which of {','.join(STEPS)} are chosen, always in this order; by default all. Several "
    f"classes have no {' and no '.join(OF_ONE_CLASS)}.",
)
@click.option(
    "--figure",
    type=click.Choice(["score", "iou", "f1", "f2", "ppv", "recall"]),
    default="score",
    show_default=True,
    help="What is to become better.",
)
@click.option(
    "--only-certain",
    is_flag=True,
    help="Take a change only where its interval over sequences leaves out 0, not wherever the mean "
    "is higher.",
)
@click.option(
    "--fusion",
    type=click.Choice(["mean", "weighted", "network"]),
    default="mean",
    show_default=True,
    help="In place of all this, fit what makes one map of the members': a weight each, or a small "
    "network over their maps. It is fitted on the split, whose figures are refused from then on.",
)
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Fit the fusion on the validation frames of the ensembles of train --folds, by maps of "
    "members that have not seen these frames.",
)
@inference_options("batch_size", "device")
@format_option()
@with_settings(*FRAMES, "workspace", "splits")
def command(
    settings: Settings,
    run: str,
    split: str,
    steps: Sequence[str] | None,
    figure: str,
    only_certain: bool,
    fusion: str,
    folds: int | None,
    inference: Inference,
    format_: Format,
) -> None:
    """Choose members, threshold, clean-up of masks and test-time augmentation for RUN on a split.

    RUN is a run, or a model, of which the newest run is taken. What is chosen becomes a new run,
    which evaluate, predict, submit and export take by its name. Tables of the split that it was
    tuned on say so.
    """
    from harness.data.catalogue import catalogue
    from harness.runs.seen import warn_of_other_training
    from harness.runs.select import select_one
    from harness.runs.workspace import Workspace

    if unknown := [name for name in steps or () if name not in STEPS]:
        raise click.UsageError(f"no step {', '.join(unknown)}; there are {', '.join(STEPS)}")
    _refuse_mixed(fusion, steps, folds)
    workspace = Workspace(settings.workspace)
    chosen = select_one(workspace, run)
    frames = catalogue(settings, needs=["train"])
    warn_of_other_training([chosen], frames, split, workspace.root / "cache")
    if fusion == "mean":
        made = _tuned(
            workspace, chosen, frames, split, format_,
            inference=inference, steps=steps or (), figure=figure, only_certain=only_certain,
        )  # fmt: skip
    else:
        made = _fused(workspace, chosen, frames, split, folds, fusion, inference)
    measure = command_line(f"evaluate --split test --run {made.run}")
    console.success(f"{made.run}: measure it with: {measure}")


def _refuse_mixed(fusion: str, steps: Sequence[str] | None, folds: int | None) -> None:
    """Refuse options of the steps beside a fusion, and the other way round."""
    if fusion == "mean":
        if folds:
            raise click.UsageError("--folds is for --fusion weighted or network")
        return
    if steps:
        raise click.UsageError("--fusion and --steps are two commands; fit the fusion by itself")
    source_of = click.get_current_context().get_parameter_source
    of_steps = {"figure": "--figure", "only_certain": "--only-certain", "format_": "--format"}
    for name, option in of_steps.items():
        if source_of(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option} is of --steps: a fusion is fitted to the truth and has no table"
            )


def _tuned(
    workspace: Workspace,
    run: Run,
    frames: pd.DataFrame,
    split: str,
    format_: Format,
    *,
    figure: str,
    **options: Any,
) -> Run:
    from harness.data.catalogue import of_split
    from harness.evaluation.tuning.tune import tune
    from harness.report.views.tuned import tuned_view
    from harness.runs.classes import shared_classes
    from harness.runs.seen import refuse_seen

    measured = of_split(run.variant.apply(frames), split)
    refuse_seen(run, frames, measured, split)
    made, tried = tune(workspace, run, measured, split, figure=figure, **options)
    title = f"{run.run}, tuned on {split} for {shared_classes([run]).chosen}"
    tuned_view(tried, figure, title=title).show(format_)
    return made


def _fused(
    workspace: Workspace,
    run: Run,
    frames: pd.DataFrame,
    split: str,
    folds: int | None,
    kind: str,
    inference: Inference,
) -> Run:
    from harness.data.catalogue import of_split
    from harness.data.cross_validation import every_fold
    from harness.evaluation.tuning.tune import fuse
    from harness.runs.seen import refuse_seen
    from harness.runs.select import select

    parts = [(run, of_split(run.variant.apply(frames), split))]
    if folds:
        parts = [
            (select(workspace, [run.model], variant=one)[0], of_split(one.apply(frames), split))
            for one in every_fold(folds)
        ]
    for one, measured in parts:
        refuse_seen(one, frames, measured, split)
    return fuse(workspace, run, parts, split, kind=kind, inference=inference)

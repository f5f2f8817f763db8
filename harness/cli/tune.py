"""``harness tune``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from harness.cli.options import FRAMES, device_option, format_option, names_of, with_settings
from harness.utils import console

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.report.tables.formats import Format

STEPS: Final = ("members", "threshold", "clean-up", "tta")

EPILOG = """\b
Examples:
  harness tune divergentnets --split val
  harness tune divergentnets --split val --steps threshold,clean-up
  harness tune fpn-20260726-101500 --split val --figure f1 --only-certain
"""


@click.command(epilog=EPILOG)
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
    help=f"What is chosen, in this order; by default {','.join(STEPS)}.",
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
@click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True)
@device_option()
@format_option()
@with_settings(*FRAMES, "workspace", "splits")
def command(
    settings: Settings,
    run: str,
    split: str,
    steps: Sequence[str] | None,
    figure: str,
    only_certain: bool,
    batch_size: int,
    device: str,
    format_: Format,
) -> None:
    """Choose members, threshold, clean-up of masks and test-time augmentation for RUN on a split.

    RUN is a run, or a model, of which the newest run is taken. What is chosen becomes a new run,
    which evaluate, predict, submit and export take by its name. Tables of the split that it was
    tuned on say so.
    """
    from harness.cli.export import chosen_run
    from harness.data.catalogue import catalogue, of_split
    from harness.inference.prediction import Inference
    from harness.report.views.tuned import tuned_view
    from harness.runs.seen import refuse_seen
    from harness.runs.workspace import Workspace
    from harness.tuning.tune import tune
    from harness.utils import device as devices

    unknown = [name for name in steps or () if name not in STEPS]
    if unknown:
        raise click.UsageError(f"no step {', '.join(unknown)}; there are {', '.join(STEPS)}")
    devices.keep_memory()
    workspace = Workspace(settings.workspace)
    chosen = chosen_run(settings, run)
    frames = catalogue(settings, needs=["train"])
    measured = of_split(chosen.variant.apply(frames), split)
    refuse_seen(chosen, frames, measured, split)
    made, tried = tune(
        workspace,
        chosen,
        measured,
        split,
        inference=Inference(device=devices.choose(device), batch_size=batch_size, tta=False),
        steps=[name for name in STEPS if name in (steps or STEPS)],
        figure=figure,
        only_certain=only_certain,
    )
    tuned_view(tried, figure, title=f"{chosen.run}, tuned on {split}").show(format_)
    console.success(f"{made.run}: measure it with: harness evaluate --split test --run {made.run}")

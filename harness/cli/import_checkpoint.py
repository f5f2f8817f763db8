"""``harness import-checkpoint``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.command import Command
from harness.cli.options import encoder_option, nodes_option, with_settings
from harness.cli.paths import UserPath
from harness.utils import console
from harness.utils.command_line import command_line

if TYPE_CHECKING:
    from harness.config.settings import Settings

EPILOG = """\b
Examples:
  harness import-checkpoint best_checkpoint.pth --model triunet
  harness import-checkpoint unet.pt --model unet --encoder resnet34 --size 352 --inputs normalised
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("file", type=UserPath(exists=True, dir_okay=False))
@click.option("--model", required=True, metavar="NAME", help="A network of 'harness models'.")
@encoder_option(default="se_resnext50_32x4d", show_default=True)
@nodes_option()
@click.option(
    "--size", type=int, default=256, show_default=True, help="Side of the network input, in pixels."
)
@click.option(
    "--inputs",
    type=click.Choice(["0-255", "normalised"]),
    default="0-255",
    show_default=True,
    help="The values of the images it was trained on: 0-255, as the paper's authors did, or "
    "normalised by the encoder's mean and standard deviation. The file does not say.",
)
@with_settings("workspace")
def command(
    settings: Settings, file: Path, model: str, nodes: tuple[str, ...] | None, **options: Any
) -> None:
    """Register a checkpoint that was trained elsewhere, also one pickled whole by old versions.

    No code in the file is run. Every tensor has to fit the network; differences are named. A
    network of one output channel (sigmoid) becomes one of two with the same probabilities. The run
    can then be evaluated, submitted, and used in DivergentNets like one trained here.
    """
    import models
    from harness.config.training import TrainConfig
    from harness.runs.import_checkpoint import register
    from harness.runs.workspace import Workspace

    models.get(model)
    models.check_weights(options["encoder"])
    config = TrainConfig.from_dict(
        {
            "model": model,
            "preset": "imported",
            "encoder_weights": "none",
            "nodes": nodes or (),
            "classes": settings.classes,
            **options,
        }
    )
    run, imported = register(Workspace(settings.workspace), file, config)
    if imported.ignored:
        parts = sorted({name.split(".")[0] for name in imported.ignored})
        console.note(
            f"{len(imported.ignored)} tensors of {', '.join(parts)} are in the file and not used: "
            "the network's forward pass has no part of that name."
        )
    if imported.one_channel:
        console.note(
            "The file's network has one output channel, for a sigmoid. A channel of zeros was "
            "added for the background, by which the softmax gives the sigmoid's probabilities."
        )
    console.success(
        f"{run.run}: {len(imported.weights)} tensors of {file}, {run.row['parameters'] / 1e6:.1f} "
        f"million parameters, images {config.inputs} at {config.size} pixels."
    )
    console.note(f"Measure it with: {command_line(f'evaluate --split val --run {run.run}')}")

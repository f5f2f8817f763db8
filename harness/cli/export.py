"""``harness export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import with_settings
from harness.utils import console

if TYPE_CHECKING:
    from harness.config.settings import Settings

FRAMES = 50

EPILOG = """\b
Examples:
  harness export divergentnets --format onnx --out divergentnets.onnx --frames frames/
  harness export fpn --format grand-challenge --out container/
"""


@click.command(epilog=EPILOG)
@click.argument("run")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["onnx", "grand-challenge"]),
    required=True,
    help="onnx: one file for onnxruntime. grand-challenge: a folder to build a container from.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file or folder; by default RUN.onnx or RUN-container.",
)
@click.option(
    "--frames",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help=f"Images, at most {FRAMES} of which both predict; masks must be the same.",
)
@click.option(
    "--input-slug",
    metavar="SLUG",
    help="The input socket on grand-challenge.org.  [default: colonoscopy-frame]",
)
@click.option(
    "--output-slug",
    metavar="SLUG",
    help="The output socket on grand-challenge.org.  [default: polyp-segmentation]",
)
@with_settings("workspace")
def command(
    settings: Settings,
    run: str,
    format_: str,
    out: Path | None,
    frames: Path | None,
    input_slug: str | None,
    output_slug: str | None,
) -> None:
    """Carry a model out: RUN is a run, or a model of which the newest run is taken.

    The ONNX file takes frames at the network's size, RGB in bytes, and gives probabilities;
    normalisation, all members of an ensemble, softmax and mean are inside. A JSON file beside it
    says so. The container reads one case and writes its mask; the weights lie apart.
    """
    import models
    from harness.data.listing import images_in
    from harness.export import grand_challenge, onnx
    from harness.runs.network import load
    from harness.runs.select import select
    from harness.runs.workspace import Workspace
    from harness.utils.allocation import keep_memory

    if format_ == "onnx" and (input_slug or output_slug):
        raise click.UsageError("--input-slug and --output-slug go with --format grand-challenge")
    onnx.require()
    keep_memory()
    workspace = Workspace(settings.workspace)
    by_name = run in models.names()
    (chosen,) = select(workspace, [run] if by_name else [], [] if by_name else [run])
    images = images_in(frames)[:FRAMES] if frames else []
    loaded = load(chosen)
    with console.progress(f"{chosen.model} as {format_}", len(images) or None) as bar:
        if format_ == "onnx":
            target = out or Path(f"{chosen.run}.onnx")
            difference = onnx.export_onnx(loaded, target, frames=images, done=bar.advance)
        else:
            target = out or Path(f"{chosen.run}-container")
            difference = grand_challenge.export_container(
                loaded,
                target,
                input_slug=input_slug or grand_challenge.INPUT_SLUG,
                output_slug=output_slug or grand_challenge.OUTPUT_SLUG,
                frames=images,
                done=bar.advance,
            )
    if difference is None:
        console.note("Nothing was compared; --frames DIR checks the masks by onnxruntime.")
    else:
        console.note(f"By onnxruntime {difference}.")
    console.success(f"{target}: {chosen.run}")

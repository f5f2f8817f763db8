"""``harness export``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.command import Command
from harness.cli.options import with_settings
from harness.cli.paths import UserPath
from harness.utils import console
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.export.onnx import Difference
    from harness.runs.run import Run

FRAMES = 50

EPILOG = """\b
Examples:
  harness export divergentnets --format onnx --out divergentnets.onnx --frames frames/
  harness export unet --format onnx --int8 --frames frames/
  harness export fpn --format grand-challenge --out container/
"""


@click.command(cls=Command, epilog=EPILOG)
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
    type=UserPath(),
    help="The file or folder; by default RUN.onnx or RUN-container.",
)
@click.option(
    "--frames",
    type=UserPath(exists=True, file_okay=False),
    metavar="DIR",
    help=f"Images on which the masks are compared, at most {FRAMES}; they must be the same.",
)
@click.option(
    "--int8",
    is_flag=True,
    help="Round the weights of the ONNX file to 8 bits, a quarter of its size; at most 0.1 % of "
    "the pixels of --frames may get another class.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace files of these names that the harness did not write; never those of --frames.",
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
    int8: bool,
    overwrite: bool,
    **slugs: str | None,
) -> None:
    """Export RUN: a run, or a model, of which the newest run is taken.

    The ONNX file takes RGB frames (uint8) at the network's size and gives probabilities;
    normalisation, all members of an ensemble, softmax and mean are part of it. A JSON file beside
    it describes it. The container reads one case and writes its mask; its weights are apart.
    """
    from harness.export.onnx import require
    from harness.runs.select import select_one
    from harness.runs.workspace import Workspace
    from harness.utils.device import keep_memory

    given = {name: slug for name, slug in slugs.items() if slug}
    if format_ == "onnx" and given:
        raise click.UsageError("--input-slug and --output-slug go with --format grand-challenge")
    if format_ != "onnx" and overwrite:
        raise click.UsageError("--overwrite goes with --format onnx; a container's folder is new")
    if int8 and (format_ != "onnx" or frames is None):
        raise click.UsageError("--int8 goes with --format onnx, and needs --frames to compare on")
    require()
    keep_memory()
    chosen = select_one(Workspace(settings.workspace), run)
    if chosen.tta:
        console.warn(
            f"{chosen.run} predicts with test-time augmentation, which is not part of the file: "
            "its masks are those of --no-tta."
        )
    images = _images(frames) if frames else []
    if format_ == "onnx":
        target = out or Path(f"{chosen.run}.onnx")
        difference = _to_onnx(chosen, target, images, int8=int8, overwrite=overwrite)
    else:
        target = out or Path(f"{chosen.run}-container")
        difference = _to_container(chosen, target, images, given)
    if difference is None:
        console.note("No masks were compared; --frames DIR compares them with onnxruntime's.")
    else:
        console.note(f"By onnxruntime {difference}.")
    console.success(f"{target}: {chosen.run}")


def _images(folder: Path) -> list[Path]:
    from harness.data.listing import images_in

    if found := images_in(folder)[:FRAMES]:
        return found
    raise UserError(f"--frames {folder} holds no images; those of its sub-folders do not count")


def _to_onnx(
    run: Run, target: Path, images: list[Path], *, int8: bool, overwrite: bool
) -> Difference | None:
    from harness.export.onnx import export_onnx
    from harness.runs.network import load
    from harness.utils.outputs import Outputs

    if target.suffix == ".json":
        raise click.UsageError("--out ends in .json, the ending of the file that describes it")
    outputs, names = Outputs(target.parent), [target.name, target.with_suffix(".json").name]
    outputs.check(names, overwrite=overwrite, sources=images)
    loaded = load(run)
    with (
        console.progress(f"{run.model} as onnx", len(images) or None) as bar,
        outputs.staged(last=target.name) as folder,
    ):
        file = folder / target.name
        return export_onnx(loaded, file, frames=images, int8=int8, done=bar.advance)


def _to_container(
    run: Run, target: Path, images: list[Path], slugs: Mapping[str, str]
) -> Difference | None:
    from harness.export.grand_challenge import export_container
    from harness.runs.network import load

    loaded = load(run)
    with console.progress(f"{run.model} as grand-challenge", len(images) or None) as bar:
        return export_container(loaded, target, **slugs, frames=images, done=bar.advance)

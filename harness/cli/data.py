"""``harness data``: what dataset folders hold, and what is wrong with them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import format_option, with_settings
from harness.config.settings import Settings
from harness.utils import console
from harness.utils.device import cores
from metrics.utils.errors import FaultsError, UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.data.check.check import DataReport
    from harness.data.check.inspect_frame import FrameReport
    from harness.data.listing import Listing
    from harness.report.tables.render import Format, TableSettings


EPILOG = """\b
Examples:
  harness data check
  harness data check some/folder --format json
  harness data synth drawn --frames 300
  harness data cache --size 256
"""


@click.group(epilog=EPILOG)
def command() -> None:
    """Check, draw and decode datasets."""


@command.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="[FOLDER]...")
@with_settings("endocv", "hyperkvasir", "test_frames", "splits")
@format_option()
@click.pass_context
def check(
    context: click.Context, folders: tuple[Path, ...], settings: Settings, format_: Format
) -> None:
    """Decode every frame and mask, count them as the paper's Table 1 does, and name every fault.

    Looks at the datasets of the settings, or at the FOLDERs given, in any layout that is known:
    EndoCV 2021 (PolypGen), HyperKvasir, Kvasir-SEG, CVC-ClinicDB, test frames, or images/ with
    masks/.

    Faults are files that cannot be read or are truncated, masks that are missing, of another size
    than their frame or not black and white, frames that stand in two splits (the same pixels, or
    nearly the same picture), and empty folders. With faults the exit status is 1.
    """
    from harness.data.check.check import check as check_data
    from harness.data.splits import load_splits

    splits = load_splits(settings.splits)
    listings = _listings(folders, settings)
    report = check_data(listings, splits, classes=settings.classes, workers=cores(), track=_track)
    _show(report, splits.name, settings.classes.chosen, format_)
    if report.faults:
        context.exit(1)


def _listings(folders: tuple[Path, ...], settings: Settings) -> list[Listing]:
    """The datasets of the folders, or else of the settings."""
    from harness.data.catalogue import listings_of
    from harness.data.layouts import list_frames

    if folders:
        return [list_frames(folder) for folder in folders]
    names = ("endocv", "hyperkvasir", "test_frames")
    paths = {name: path for name in names if (path := getattr(settings, name)) is not None}
    if not paths:
        settings.require(*names)
    listings, faults = listings_of(paths)
    if faults:
        raise FaultsError(faults, "the folders cannot be checked")
    return list(listings.values())


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--frames", default=300, show_default=True, help="About how many, in all.")
@click.option("--height", default=256, show_default=True, help="Of most frames, in pixels.")
@click.option("--seed", default=0, show_default=True, help="Everything drawn follows from it.")
def synth(folder: Path, frames: int, height: int, seed: int) -> None:
    """Draw a dataset into FOLDER, laid out as the real ones are.

    It has centres, sequences with and without polyps, segmented images and test sets, whose truth
    lies apart.
    """
    from harness.data.synthetic.dataset import write_dataset

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"{folder} is there already and not an empty folder; give the name of a new one, so "
            "that drawn frames do not mix with others"
        )
    console.note(f"Drawing about {frames} frames ...")
    drawn = write_dataset(folder, frames=frames, seed=seed, height=height)
    console.success(f"Drew {drawn.frames:,} frames in {folder}.")
    parts = {
        "--endocv": drawn.endocv,
        "--hyperkvasir": drawn.hyperkvasir,
        "--test-frames": drawn.test_frames,
    }
    flags = [word for flag, path in parts.items() for word in (flag, str(path))]
    console.note(
        f"Next:\n  harness init {shlex.join(flags)}\n"
        f"The truth of the test frames lies in {drawn.truth}."
    )


@command.command()
@with_settings("endocv", "workspace", "splits")
@click.option(
    "--size",
    "sizes",
    type=click.IntRange(min=32),
    multiple=True,
    default=(256,),
    show_default=True,
    help="Side of the square network input, in pixels; repeatable.",
)
def cache(settings: Settings, sizes: tuple[int, ...]) -> None:
    """Decode the training and validation frames once, for fast training.

    'harness train' does so itself where it has not been done. The result lies in the workspace; a
    frame that changes is decoded anew.
    """
    from harness.data.catalogue import catalogue
    from harness.runs.workspace import Workspace
    from harness.training.run import prepare

    frames = catalogue(settings, needs=("endocv",))
    workspace = Workspace(settings.workspace)
    for size in dict.fromkeys(sizes):
        with console.progress(f"Decoding frames at {size} x {size}") as bar:
            ready = prepare(workspace, frames, size, classes=settings.classes, progress=bar.update)
        counts = f"{len(ready.train):,} training and {len(ready.val):,} validation frames"
        console.success(f"{counts} at {size} x {size} in {ready.train.folder.parent}.")


def _settings_of(
    report: DataReport, splits: str, chosen: str
) -> tuple[pd.DataFrame, TableSettings]:
    """The counts of a check, and how they are shown; the paper's rows are marked as such."""
    from harness.data.check.summary import PAPER
    from harness.report.tables.render import Column

    frame = report.table.assign(paper=report.table["source"] == PAPER)
    return frame, {
        "columns": (
            Column(key="split", title="Split"),
            Column(key="source", title="Source"),
            Column(key="frames", title="Frames", justify="right"),
            Column(key="polyp", title=chosen.capitalize(), justify="right"),
            Column(key="non_polyp", title=f"Non-{chosen}", justify="right"),
            Column(key="sizes", title="Width x height"),
        ),
        "title": f"Frames by split ({splits})",
        "group": "split",
        "reference": "paper",
        "reference_note": "Table 1 of the DivergentNets paper, for comparison",
        "metadata": {"splits": splits},
    }


def _show(report: DataReport, splits: str, chosen: str, format_: Format) -> None:
    from harness.report.tables import render

    frame, settings = _settings_of(report, splits, chosen)
    if format_ == "json":
        values = json.loads(render.render(frame, format="json", **settings))
        faults = [{"path": fault.path, "message": fault.message} for fault in report.faults]
        values |= {"faults": faults, "notes": report.notes}
        console.show(json.dumps(values, indent=2, ensure_ascii=False))
        return
    render.show(frame, format=format_, **settings)
    for note in report.notes:
        console.note(note)
    if report.faults:
        count = len(report.faults)
        lines = [f"{count} fault{'s' if count > 1 else ''}:", *(f"  - {f}" for f in report.faults)]
        console.fail("\n".join(lines))
    else:
        console.success("No faults.")


def _track(stream: Iterable[FrameReport], total: int) -> Iterable[FrameReport]:
    return console.track(stream, "Looking at frames", total)

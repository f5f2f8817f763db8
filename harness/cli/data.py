"""``harness data``: check, draw and decode datasets."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.command import Group, examples
from harness.cli.options import FRAMES, format_option, seed_option, with_settings
from harness.cli.paths import UserPath
from harness.config.settings import Settings
from harness.utils import console
from harness.utils.device import cores
from metrics.utils.errors import Fault, FaultsError, or_fault
from metrics.utils.names import counted

if TYPE_CHECKING:
    from harness.data.check.check import DataReport
    from harness.data.check.inspect_frame import FrameReport
    from harness.data.listing import Listing
    from harness.data.splits import Splits
    from harness.report.tables.choices import Format
    from harness.report.tables.view import View
    from metrics.masks.classes import Classes


EPILOG = """\b
Examples:
  harness data check
  harness data check some/folder --format json
  harness data synth drawn --frames 300
  harness data cache --size 256
"""


@click.group(cls=Group, epilog=EPILOG)
def command() -> None:
    """Check, draw and decode datasets."""


@command.command(
    epilog=examples("harness data check", "harness data check some/folder --format json")
)
@click.argument("folders", nargs=-1, type=UserPath(), metavar="[FOLDER]...")
@with_settings(*FRAMES, "test_frames", "splits")
@format_option()
@click.pass_context
def check(
    context: click.Context, folders: tuple[Path, ...], settings: Settings, format_: Format
) -> None:
    """Decode every frame and mask, and name every fault.

    Prints the paper's Table 1 for the frames found. Checks the datasets of the settings, or the
    FOLDERs given, in any known layout: EndoCV 2021 (PolypGen), HyperKvasir, Kvasir-SEG,
    CVC-ClinicDB, PraNet's sets, BKAI-IGH, SUN-SEG, PolypDB, ISIC, nnU-Net, test frames, or images/
    with masks/.

    Faults are files that cannot be read or are truncated, masks that are missing, of another size
    than their frame or not black and white, frames that are in two splits (the same pixels, or
    nearly the same picture), and empty folders. With faults the exit status is 1.
    """
    from harness.data.catalogue import splits_of
    from harness.data.check.check import check as check_data

    if folders and any(context.params[name] for name in (*FRAMES, "test_frames")):
        raise click.UsageError("give FOLDERs, or options that name datasets, not both")
    if folders and context.params["splits"] is None:
        settings = replace(settings, splits=None)  # harness.toml's names frames of other folders
    listings = _listings(folders, settings)
    splits = _splits(listings, settings) if folders else splits_of(settings)

    def track(stream: Iterable[FrameReport], total: int) -> Iterable[FrameReport]:
        return console.track(stream, "Looking at frames", total)

    report = check_data(listings, splits, classes=settings.classes, workers=cores(), track=track)
    _show(report, splits.name, settings.classes, format_)
    if report.faults:
        context.exit(1)


def _splits(listings: list[Listing], settings: Settings) -> Splits:
    """The splits of folders given: a file's, or the paper's where a folder has its frames."""
    from harness.data.splits import OWN, load_splits

    papers = {"endocv2021", "hyperkvasir"}
    has_papers = any(frame.dataset in papers for one in listings for frame in one.frames)
    return load_splits(settings.splits) if settings.splits or has_papers else OWN


def _listings(folders: tuple[Path, ...], settings: Settings) -> list[Listing]:
    """The datasets of the folders, or else of the settings."""
    from harness.data.catalogue import listings_of_settings
    from harness.data.layouts import list_frames

    if folders:
        results = [or_fault(list_frames)(folder) for folder in folders]
        if missing := [result for result in results if isinstance(result, Fault)]:
            raise FaultsError(missing, "the folders cannot be checked")
        listings = [result for result in results if not isinstance(result, Fault)]
        if settings.splits is not None:
            for listing in listings:
                listing.frames = [replace(frame, split="") for frame in listing.frames]
        return listings
    found, faults = listings_of_settings(settings)
    if not found and not faults:
        settings.require("endocv", "hyperkvasir", "test_frames")
    if faults:
        raise FaultsError(faults, "the folders cannot be checked")
    return list(found.values())


@command.command(epilog=examples("harness data synth drawn --frames 300"))
@click.argument("folder", type=UserPath())
@click.option("--frames", default=300, show_default=True, help="About how many in total.")
@click.option("--height", default=256, show_default=True, help="Height of most frames, in pixels.")
@seed_option("The same seed draws the same frames.")
def synth(folder: Path, frames: int, height: int, seed: int) -> None:
    """Draw a dataset in the layout of the real ones.

    FOLDER is new or empty. It gets centres, sequences with and without polyps, segmented images,
    and test sets, whose true masks are in a folder of their own.
    """
    from harness.data.synthetic.dataset import write_dataset

    with console.progress("Drawing frames", frames) as bar:
        drawn = write_dataset(folder, frames=frames, seed=seed, height=height, progress=bar.update)
    console.success(f"Drew {drawn.frames:,} frames in {folder}.")
    parts = {
        "--endocv": drawn.endocv,
        "--hyperkvasir": drawn.hyperkvasir,
        "--test-frames": drawn.test_frames,
    }
    flags = [word for flag, path in parts.items() for word in (flag, str(path))]
    console.note(
        f"Next:\n  harness init {shlex.join(flags)}\n"
        f"The true masks of the test frames are in {drawn.truth}."
    )


def _multiples(
    _ctx: click.Context, _param: click.Parameter, sizes: tuple[int, ...]
) -> tuple[int, ...]:
    """Sizes that 'harness train' takes, too."""
    from harness.config.training import SMALLEST_SIZE

    if any(size < SMALLEST_SIZE or size % SMALLEST_SIZE for size in sizes):
        raise click.BadParameter(f"expected a multiple of {SMALLEST_SIZE}, as networks take it")
    return sizes


@command.command(epilog=examples("harness data cache --size 256"))
@with_settings(*FRAMES, "workspace", "splits")
@click.option(
    "--size",
    "sizes",
    type=int,
    callback=_multiples,
    multiple=True,
    default=(256,),
    show_default=True,
    help="Side of the square network input, in pixels; repeatable.",
)
def cache(settings: Settings, sizes: tuple[int, ...]) -> None:
    """Decode the frames once, for fast training.

    Those for training and validation; 'harness train' does this itself where needed. The result is
    kept in the workspace; frames that change are decoded again.
    """
    from harness.data.catalogue import catalogue
    from harness.runs.workspace import Workspace
    from harness.training.train_run import prepare

    frames = catalogue(settings, needs=["train"])
    workspace = Workspace(settings.workspace)
    for size in dict.fromkeys(sizes):
        with console.progress(f"Decoding frames at {size} x {size}") as bar:
            ready = prepare(workspace, frames, size, classes=settings.classes, progress=bar.update)
        counts = f"{len(ready.train):,} training and {len(ready.val):,} validation frames"
        console.success(f"{counts} at {size} x {size} in {ready.train.folder.parent}.")


def _view(report: DataReport, splits: str, classes: Classes) -> View:
    """The counts of a check, with the paper's rows marked."""
    from harness.data.check.summary import PAPER, titles
    from harness.report.tables.columns import Column
    from harness.report.tables.view import View

    return View(
        frame=report.table.assign(paper=report.table["source"] == PAPER),
        columns=(
            Column(key="split", title="Split"),
            Column(key="source", title="Source"),
            Column(key="frames", title="Frames", justify="right"),
            *(Column(key, title, justify="right") for key, title in titles(classes).items()),
            Column(key="sizes", title="Width x height"),
        ),
        title=f"Frames by split ({splits})",
        group="split",
        reference_note="Table 1 of the DivergentNets paper, for comparison",
    )


def _show(report: DataReport, splits: str, classes: Classes, format_: Format) -> None:
    view, metadata = _view(report, splits, classes), {"splits": splits}
    if format_ == "json":
        values = json.loads(view.render("json", metadata))
        faults = [{"path": fault.path, "message": fault.message} for fault in report.faults]
        values |= {"faults": faults, "notes": report.notes}
        console.show(json.dumps(values, indent=2, ensure_ascii=False))
        return
    view.show(format_, metadata)
    for note in report.notes:
        console.note(note)
    if report.faults:
        title = f"{counted(len(report.faults), 'fault')}:"
        lines = [title, *(fault.item for fault in report.faults)]
        console.fail("\n".join(lines))
    else:
        console.success("No faults.")

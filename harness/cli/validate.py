"""``harness validate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.command import Command
from harness.cli.options import format_option, with_settings
from harness.cli.paths import UserPath
from harness.utils import console
from metrics.utils.errors import UserError
from metrics.utils.names import counted

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.report.tables.choices import Format
    from harness.report.tables.view import View
    from submissions.reading.validate import PackageReport
    from submissions.rounds import Round

_MOST_ROWS: Final = 5000

EPILOG = """\b
Examples:
  harness validate package.zip --round 2
  harness validate package.zip --frames FOLDER
  harness validate package.zip --format json
  harness validate FOLDER_OF_ZIPS --round 2
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("paths", nargs=-1, required=True, metavar="PACKAGE...", type=UserPath())
@click.option(
    "--frames",
    "folder",
    type=UserPath(),
    metavar="DIR",
    help="The test frames, to check that every mask is there and has its frame's size.",
)
@click.option(
    "--round",
    "round_name",
    metavar="NAME",
    help="The round whose test sets are required; its frames are then those of --test-frames.",
)
@format_option("table", "json")
@with_settings("test_frames", "workspace", "rounds")
@click.pass_context
def command(
    context: click.Context,
    settings: Settings,
    paths: tuple[Path, ...],
    folder: Path | None,
    round_name: str | None,
    format_: Format,
) -> None:
    """Show every fault of packages at once: zips, unpacked folders, or folders of zips.

    What is valid but odd is noted: a test set that is all black or inverted, or the same bytes as a
    submission of the workspace. Nothing is unpacked, and a hostile package does no harm. With
    faults in any package the exit status is 1.
    """
    from harness.report.tables.view import show_views
    from submissions.layout import PackageLayout
    from submissions.rounds import BUILT_IN, find_frames, frame_sizes, get_round, load_rounds

    rounds = load_rounds(settings.rounds)
    chosen = get_round(round_name, rounds) if round_name is not None else None
    if folder is None and chosen is not None:
        folder = settings.test_frames
    expected = None
    if folder is not None:
        expected = frame_sizes(find_frames(chosen or BUILT_IN[1], folder))
    else:
        console.note(
            "Without the frames, missing masks and wrong sizes are not found; give --frames DIR, "
            "or --round NAME after 'harness init'."
        )
    found = _packages(paths, [chosen] if chosen else [*rounds.values()])
    known = {
        "expected": expected,
        "test_sets": chosen.test_sets if chosen else None,
        "layout": chosen.layout if chosen else PackageLayout(),
    }
    views = []
    refused = 0
    for package in found:
        inspection = _inspect(settings, package, alone=len(found) == 1, **known)
        refused += bool(inspection.findings)
        if inspection.findings or format_ == "json":
            views.append(_view(package, inspection, format_))
    show_views(views, format_)
    if refused and len(found) > 1:
        console.warn(f"Faults in {refused} of {counted(len(found), 'package')}.")
    if refused:
        context.exit(1)


def _packages(paths: Sequence[Path], rounds: Sequence[Round]) -> list[Path]:
    """The packages, and those in folders that are none themselves."""
    from submissions.reading.find_packages import find_packages

    found: dict[Path, None] = {}
    for path in paths:
        try:
            inside = find_packages(path, rounds)
        except UserError:  # a broken package, whose faults are to be listed
            found[path] = None
            continue
        found |= dict.fromkeys(package for package, _ in inside.packages)
        if inside.others:
            console.note(f"{path}: no packages, passed over: {', '.join(inside.others)}")
    return list(found)


def _inspect(settings: Settings, package: Path, *, alone: bool, **known: Any) -> PackageReport:
    """Inspect a package, and say what is odd; what cannot be opened is a fault among several."""
    from submissions.reading.findings import Finding
    from submissions.reading.validate import PackageReport, inspect_package

    try:
        inspection = inspect_package(package, **known)
        notes = (*inspection.notes, *_same_bytes(settings, package))
    except UserError as error:
        if alone:
            raise
        return PackageReport(findings=(Finding("unreadable", "", error.message),))
    for note in notes:
        console.note(f"{package}: {note}")
    if not inspection.findings:
        masks = sum(map(len, inspection.frames.values()))
        console.success(f"{package}: no faults in {counted(masks, 'mask')}.")
    return replace(inspection, notes=notes)


def _same_bytes(settings: Settings, package: Path) -> list[str]:
    """A note where the workspace's ledger has a submission of a zip's very bytes."""
    from submissions.digest import package_sha256
    from submissions.ledger import Ledger

    if not package.is_file():
        return []
    ledger = Ledger(settings.workspace)
    same = ledger.submitted_before(package_sha256(package), package=package)
    return [f"the same bytes as {', '.join(same)} of {settings.workspace}"] if same else []


def _view(package: Path, inspection: PackageReport, format_: Format) -> View:
    import pandas as pd

    from harness.report.tables.view import View

    faults = inspection.findings
    listed = faults if format_ == "json" else faults[:_MOST_ROWS]
    if len(listed) < len(faults):
        more = len(faults) - len(listed)
        console.note(
            f"{package}: {counted(more, 'more fault')} than are shown; --format json lists them "
            "all."
        )
    return View(
        frame=pd.DataFrame(
            [(fault.kind, fault.path, fault.message) for fault in listed],
            columns=["kind", "path", "fault"],
        ),
        title=f"{package}: {counted(len(faults), 'fault')}",
        metadata={
            "package": str(package),
            "masks": sum(map(len, inspection.frames.values())),
            "notes": list(inspection.notes),
        },
    )

"""``harness validate``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness.cli.options import format_option, with_settings
from harness.cli.paths import UserPath
from harness.utils import console
from metrics.utils.errors import UserError
from metrics.utils.names import counted

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.report.tables.formats import Format
    from submissions.reading.validate import PackageReport
    from submissions.rounds import Round

_MOST_ROWS: Final = 5000

EPILOG = """\b
Examples:
  harness validate package.zip --round 2
  harness validate package.zip --frames FOLDER
  harness validate package.zip --format json
"""


@click.command(epilog=EPILOG)
@click.argument("package", type=UserPath())
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
    package: Path,
    folder: Path | None,
    round_name: str | None,
    format_: Format,
) -> None:
    """Show every fault of PACKAGE (a zip, or an unpacked folder) at once.

    What is valid but odd is noted: a test set that is all black or inverted, or the same bytes as a
    submission of the workspace. Nothing is unpacked, and a hostile package does no harm. With
    faults the exit status is 1.
    """
    from submissions.layout import PackageLayout
    from submissions.reading.validate import inspect_package
    from submissions.rounds import BUILT_IN, find_frames, frame_sizes, get_round, load_rounds

    rounds = load_rounds(settings.rounds)
    chosen = get_round(round_name, rounds) if round_name is not None else None
    if folder is None and chosen is not None:
        folder = settings.test_frames
    _refuse_several(package, [chosen] if chosen else [*rounds.values()])
    expected = None
    if folder is not None:
        expected = frame_sizes(find_frames(chosen or BUILT_IN[1], folder))
    inspection = inspect_package(
        package,
        expected,
        test_sets=chosen.test_sets if chosen else None,
        layout=chosen.layout if chosen else PackageLayout(),
    )
    inspection = replace(inspection, notes=(*inspection.notes, *_same_bytes(settings, package)))
    _show(package, inspection, format_, complete=expected is not None)
    if inspection.findings:
        context.exit(1)


def _refuse_several(package: Path, rounds: Sequence[Round]) -> None:
    """Refuse a folder of packages, in which everything would be out of place."""
    from submissions.reading.find_packages import find_packages

    if not package.is_dir():
        return
    with contextlib.suppress(UserError):  # a broken package, whose faults are to be listed
        found = [path for path, _ in find_packages(package, rounds).packages]
        if found[0].resolve() != package.resolve():
            raise click.UsageError(
                f"{package} is a folder of packages, such as {found[0]}: validate one at a time, "
                "or all with 'harness score'"
            )


def _same_bytes(settings: Settings, package: Path) -> list[str]:
    """A note where the workspace's ledger has a submission of a zip's very bytes."""
    from submissions.digest import package_sha256
    from submissions.ledger import Ledger

    if not package.is_file():
        return []
    ledger = Ledger(settings.workspace)
    same = ledger.submitted_before(package_sha256(package), package=package)
    return [f"the same bytes as {', '.join(same)} of {settings.workspace}"] if same else []


def _show(package: Path, inspection: PackageReport, format_: Format, *, complete: bool) -> None:
    import pandas as pd

    from harness.report.tables.view import View

    faults = inspection.findings
    masks = sum(map(len, inspection.frames.values()))
    for note in inspection.notes:
        console.note(note)
    if not complete:
        console.note(
            "Without the frames, missing masks and wrong sizes are not found; give --frames DIR, "
            "or --round NAME after 'harness init'."
        )
    if faults or format_ == "json":
        listed = faults if format_ == "json" else faults[:_MOST_ROWS]
        view = View(
            frame=pd.DataFrame(
                [(fault.kind, fault.path, fault.message) for fault in listed],
                columns=["kind", "path", "fault"],
            ),
            title=f"{package}: {counted(len(faults), 'fault')}",
        )
        notes = list(inspection.notes)
        view.show(format_, {"package": str(package), "masks": masks, "notes": notes})
        if len(listed) < len(faults):
            more = len(faults) - len(listed)
            console.note(f"... and {counted(more, 'more fault')}; --format json lists them all.")
    if not faults:
        console.success(f"{package}: no faults in {masks:,} masks.")

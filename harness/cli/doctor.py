"""``harness doctor``: devices, versions, memory, disk, network, settings."""

from __future__ import annotations

import click

from harness.cli.options import format_option
from harness.report.tables.formats import Format

EPILOG = """\b
Examples:
  harness doctor
  harness doctor --format json > machine.json
"""


@click.command(epilog=EPILOG)
@format_option("table", "json")
def command(format_: Format) -> None:
    """Show what this machine has, and what to do about each fault.

    Devices, versions, memory, disk, caches, the hub of the encoders' weights, and the settings. The
    exit status is 1 if anything stops the harness.
    """
    import pandas as pd

    from harness.cli import health
    from harness.report.tables.columns import Column
    from harness.report.tables.view import View
    from harness.utils import console

    checks = health.examine()
    frame = pd.DataFrame([vars(check) for check in checks])
    columns = [
        Column(key="area", title="Area"),
        Column(key="name", title="What"),
        Column(key="status", title="Status"),
        Column(key="found", title="Found"),
        Column(key="advice", title="What to do"),
    ]
    View(frame=frame, columns=columns, group="area").show(format_)
    faults = sum(check.status == "fault" for check in checks)
    warnings = sum(check.status == "warning" for check in checks)
    if faults:
        raise click.ClickException(f"{faults} fault{'s' if faults > 1 else ''} to mend first")
    if warnings:
        console.note(f"usable; {warnings} warning{'s' if warnings > 1 else ''}")
    else:
        console.success("all is well")

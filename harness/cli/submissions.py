"""``harness submissions``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.command import Command
from harness.cli.options import format_option, with_settings
from harness.utils import console
from harness.utils.command_line import command_line

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.report.tables.choices import Format
    from harness.report.tables.columns import Column
    from submissions.ledger import Ledger


_ELSEWHERE: Final = frozenset({"run", "model", "checkpoint_sha256", "members", "versions"})

EPILOG = """\b
Examples:
  harness submissions
  harness submissions --round 2 --format csv
"""


@click.command(cls=Command, epilog=EPILOG)
@click.option("--round", "round_name", metavar="NAME", help="One round only.")
@format_option()
@with_settings("workspace", "rounds")
def command(settings: Settings, round_name: str | None, format_: Format) -> None:
    """List what was submitted, newest first, and how much of today's limit is left.

    A score is the mean over the round's test sets; beside it stands the mean over all frames.
    """
    from harness.report.tables.view import View
    from submissions.ledger import Ledger
    from submissions.rounds import get_round, load_rounds

    rounds = load_rounds(settings.rounds)
    if round_name is not None:
        rounds = {round_name: get_round(round_name, rounds)}
    ledger = Ledger(settings.workspace)
    rows = ledger.submissions(round_name)
    if rows.empty and format_ == "table":
        submit = command_line("submit --round 2")
        console.note(f"Nothing was submitted yet. '{submit}' makes a package.")
    else:
        if format_ not in ("csv", "json"):
            rows = _short(rows)
        View(frame=rows, title="Submissions", columns=_columns(format_)).show(format_)
    for round_ in rounds.values():
        left = ledger.left(round_)
        console.note(
            f"Round {round_.name}: {left} of {round_.daily_limit} left today ({round_.time_zone})."
        )
    _name_not_entered(settings, ledger)


def _columns(format_: Format) -> list[Column]:
    """The columns shown; CSV and JSON also have the time and the run."""
    from harness.report.tables.columns import Column

    columns = [
        Column(key="number", title="No."),
        Column(key="round", title="Round"),
        Column(key="day", title="Day"),
        Column(key="model", title="Model"),
        Column(key="score", title="Score (sets)", decimals=3),
        Column(key="score_frames", title="Score (frames)", decimals=3),
        Column(key="frames", title="Frames"),
        Column(key="latency_ms", title="ms/frame", decimals=1),
        Column(key="package", title="Package"),
        Column(key="package_sha256", title="SHA-256"),
        Column(key="checkpoint_sha256", title="Weights"),
        Column(key="settings", title="Settings"),
    ]
    if format_ in ("csv", "json"):
        columns += [Column(key=key) for key in ("created", "run")]
    return columns


def _short(rows: pd.DataFrame) -> pd.DataFrame:
    """Shortened paths and hashes, and the settings of the prediction."""
    rows = rows.copy()
    rows["package"] = [min(path, os.path.relpath(path), key=len) for path in rows["package"]]
    rows["package_sha256"] = rows["package_sha256"].str[:8]
    rows["checkpoint_sha256"] = rows["checkpoint_sha256"].map(_short_digests)
    rows["settings"] = [_listed(json.loads(settings)) for settings in rows["settings"]]
    return rows


def _short_digests(digests: str) -> str:
    """The first of the weights' digests, and how many more an ensemble has."""
    first, *others = digests.split("+")
    return f"{first[:8]} +{len(others)}" if others else first[:8]


def _listed(settings: dict[str, Any]) -> str:
    shown = {key: value for key, value in settings.items() if key not in _ELSEWHERE}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def _name_not_entered(settings: Settings, ledger: Ledger) -> None:
    folder = settings.workspace / "submissions"
    folders = sorted(path for path in folder.glob("*") if path.is_dir())
    for package in [path for each in folders for path in ledger.not_entered(each)]:
        console.warn(
            f"{package}: is not entered. Its submission was interrupted at the last moment and "
            "costs nothing of the limit; submit again, and delete it."
        )

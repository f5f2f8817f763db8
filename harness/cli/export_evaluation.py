"""``harness export-evaluation``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.command import Command
from harness.cli.options import with_settings
from harness.cli.paths import UserPath
from harness.utils import console

if TYPE_CHECKING:
    from harness.config.settings import Settings

EPILOG = """\b
Examples:
  harness export-evaluation --format codabench --round 2 --truth truth/ --out codabench/
  harness export-evaluation --format grand-challenge --round 2 --truth truth/ --out evaluation/
  harness export-evaluation --format evalai --round 2 --truth truth/ --out evalai/ --wheels wheels/
"""


@click.command(cls=Command, epilog=EPILOG)
@click.option(
    "--format",
    "platform",
    type=click.Choice(["codabench", "grand-challenge", "evalai"]),
    required=True,
    help="The platform: codabench.org, grand-challenge.org or eval.ai.",
)
@click.option("--round", "round_name", required=True, metavar="NAME", help="The round.")
@click.option(
    "--truth",
    type=UserPath(),
    required=True,
    metavar="DIR",
    help="Folders EndoCV_DATAk with the true masks, NAME_mask.*.",
)
@click.option("--out", type=UserPath(), required=True, metavar="DIR", help="A new folder.")
@click.option(
    "--protocol",
    type=click.Choice(["official", "strict"]),
    default="official",
    show_default=True,
    help="How masks are read, and which faults are tolerated.",
)
@click.option(
    "--frames",
    type=UserPath(exists=True, file_okay=False),
    metavar="DIR",
    help="Frames (SET/NAME.*) that participants may see with the outlines of truth and mask; "
    "codabench only.",
)
@click.option(
    "--wheels",
    type=UserPath(exists=True, file_okay=False),
    metavar="DIR",
    help="Wheels of the packages that scoring needs, for a platform without a network.",
)
@click.option(
    "--image",
    metavar="NAME",
    help="The Docker image that codabench runs the program in.  [default: python:VERSION-slim]",
)
@with_settings("rounds")
def command(
    settings: Settings, round_name: str, out: Path, image: str | None, **request: Any
) -> None:
    """Export a round's evaluation as a bundle for a challenge platform.

    What runs there are the lines of 'harness score'; no torch. The bundle's README.md says how to
    upload it, and its run_locally.sh tries it on drawn masks without Docker.
    """
    from harness.export.evaluation import IMAGE, Request, export_evaluation
    from submissions.rounds import get_round, load_rounds

    for option, value in {"--frames": request["frames"], "--image": image}.items():
        if value and request["platform"] != "codabench":
            raise click.UsageError(f"{option} goes with --format codabench")
    round_ = get_round(round_name, load_rounds(settings.rounds))
    made = Request(round=round_, classes=settings.classes, image=image or IMAGE, **request)
    digest = export_evaluation(made, out)
    console.note(f"Program {digest}. Try it: {out / 'run_locally.sh'}")
    console.success(f"{out}: the evaluation of round {round_name} for {made.platform}")

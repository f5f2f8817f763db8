"""``harness report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import console
from harness.cli.options import with_settings

if TYPE_CHECKING:
    from harness.report.results import View
    from harness.settings import Settings

EPILOG = """\b
Examples:
  harness report
  harness report --split val --out val.html
  harness report --model unet --model divergentnets --open
"""


@click.command(epilog=EPILOG)
@click.option(
    "--split",
    type=click.Choice(["val", "test"]),
    default="test",
    show_default=True,
    help="The evaluations shown.",
)
@click.option(
    "--model",
    "names",
    multiple=True,
    metavar="NAME",
    help="Models, of which the newest finished run is shown; repeatable. By default all.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; by default report-SPLIT.html in the workspace.",
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@with_settings("endocv", "hyperkvasir", "workspace", "splits", "rounds")
def command(
    settings: Settings, split: str, names: tuple[str, ...], out: Path | None, show: bool
) -> None:
    """Write one HTML page of all that was measured on a split, with the frames to look at.

    The page needs no network and no other file. It embeds frames of the dataset: treat it like
    them.
    """
    from harness import assess, reporting
    from harness.data.catalogue import catalogue, of_split
    from harness.files import atomic_path
    from harness.report import page
    from harness.workspace import Workspace

    needed = "hyperkvasir" if split == "test" else "endocv"
    settings.require(needed)
    workspace = Workspace(settings.workspace)
    runs = assess.chosen_runs(workspace, names)
    frames = catalogue(settings, needs=[needed])
    console.note(f"Gathering what was measured on the {split} split ...")
    source = reporting.gather(
        workspace, runs, of_split(frames, split), split, leaderboard=_leaderboard(settings)
    )
    file = out or settings.workspace / f"report-{split}.html"
    with atomic_path(file) as temporary:
        temporary.write_text(page.render(source), encoding="utf-8")
    left_out = [run.model for run in runs if run.model not in set(source.frames["model"])]
    if left_out:
        console.warn(
            f"not measured on these frames, and so not shown: {', '.join(left_out)}. Measure them "
            f"with: harness evaluate --split {split}"
        )
    megabytes = file.stat().st_size / 1e6
    console.success(f"{file}: {len(source.cards)} frames in the gallery, {megabytes:.1f} MB")
    if show:
        click.launch(str(file))


def _leaderboard(settings: Settings) -> View | None:
    """Of the scored submissions, if there are any."""
    from harness.report.standings import standings_view
    from submissions.leaderboard import rank, with_paper
    from submissions.ledger import Ledger

    scores = Ledger(settings.workspace / "register.sqlite").scores(None, protocol="official")
    if scores.empty:
        return None
    ranking = with_paper(rank(scores))
    return standings_view(ranking, sd="sd_frames", protocol="official", group="round")

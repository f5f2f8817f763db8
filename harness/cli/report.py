"""``harness report``."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.command import Command
from harness.cli.options import FRAMES, average_option, models_option, with_settings, without_option
from harness.cli.paths import UserPath
from harness.utils import console
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError
from metrics.utils.names import counted

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.report.page.content import PageContent
    from harness.report.tables.view import View
    from metrics.averages import Average
    from submissions.rounds import Round

EPILOG = """\b
Examples:
  harness report
  harness report --split val --out val.html
  harness report --model unet --model divergentnets --open
  harness report --run divergentnets-20261124-031500 --run unet-tuned-20261124-040200
  harness report --round 2
  harness report --round 2 --team-pages --test-frames frames/
"""


@click.command(cls=Command, epilog=EPILOG)
@click.option(
    "--split", type=click.Choice(["val", "test"]), help="Show the evaluations of this split."
)
@click.option(
    "--round", "round_name", metavar="NAME", help="Show a round's scored packages instead."
)
@models_option(
    "Models, of which the newest finished run, or the best package, is shown; repeatable. By "
    "default all. With --round MODEL is every team's, 'TEAM MODEL' one team's."
)
@without_option()
@click.option("--run", "chosen", multiple=True, metavar="RUN", help="Runs instead of models.")
@average_option("How figures over several test sets are averaged")
@click.option(
    "--truth",
    type=UserPath(),
    metavar="DIR",
    help="With --round: the true masks, by default where they were when the packages were scored.",
)
@click.option(
    "--team-pages",
    is_flag=True,
    help="With --round: a page for each model, too, in a folder beside the file.",
)
@click.option(
    "--out",
    type=UserPath(dir_okay=False),
    help="The file; by default report-test.html, report-round-2.html and so on in the workspace.",
)
@click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the file of --out where the harness did not write it.",
)
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@with_settings(*FRAMES, "test_frames", "workspace", "splits", "rounds")
def command(
    settings: Settings,
    split: str | None,
    round_name: str | None,
    names: tuple[str, ...],
    without: tuple[str, ...],
    chosen: tuple[str, ...],
    average: Average | None,
    truth: Path | None,
    team_pages: bool,
    out: Path | None,
    overwrite: bool,
    open_it: bool,
) -> None:
    """Write an HTML page of all results on a split, by default test, with its frames.

    The page needs no network and no other file. It embeds frames of the dataset, so the dataset's
    terms apply to it.
    """
    from harness.utils.outputs import Outputs
    from submissions.rounds import get_round, load_rounds

    if split and round_name is not None:
        raise click.UsageError("--split and --round are two pages; give one of them.")
    if (team_pages or without) and round_name is None:
        raise click.UsageError(
            f"{'--team-pages' if team_pages else '--without'} goes with --round."
        )
    if truth is not None and round_name is None:
        raise click.UsageError("--truth goes with --round; a split has its truth in its dataset.")
    if chosen and round_name is not None:
        raise click.UsageError("--run goes with --split; a round shows packages, by --model.")
    if out is not None:
        Outputs(out.parent).check([out.name], overwrite=overwrite)
    if round_name is not None:
        round_ = get_round(round_name, load_rounds(settings.rounds))
        scores = _scores_of_round(settings, round_name, names, without, average)
        content = _of_round(settings, round_, scores, truth, team_pages=team_pages)
    else:
        content = _of_split(settings, split or "test", names, chosen, average)
    shown = f"round-{round_name}" if round_name is not None else split or "test"
    file = out or settings.workspace / f"report-{shown.replace(' ', '-')}.html"
    if team_pages:
        content = _with_team_pages(content, file, overwrite)
    _write(content, file)
    if out is not None:
        Outputs(out.parent).record([out.name])
    if open_it:
        click.launch(file.resolve().as_uri())


def _write(content: PageContent, file: Path) -> None:
    from harness.report.page import page
    from metrics.utils.files import atomic_path

    with atomic_path(file) as temporary:
        temporary.write_text(page.render(content), encoding="utf-8")
    for note in content.notes:
        console.warn(note)
    megabytes = file.stat().st_size / 1e6
    console.success(
        f"{file}: {counted(len(content.cards), 'frame')} in the gallery, {megabytes:.1f} MB"
    )


def _with_team_pages(content: PageContent, file: Path, overwrite: bool) -> PageContent:
    """Write a page for each model into a folder beside a file; the content with links to them.

    Pages of earlier calls go, unless they were changed since.
    """
    from urllib.parse import quote

    from harness.report.page import team_pages
    from harness.utils.outputs import Outputs

    names = team_pages.names_of(content)
    folder = file.with_name(f"{file.stem}-models")
    outputs = Outputs(folder)
    outputs.check(names.values(), overwrite=overwrite)
    with outputs.staged(last=max(names.values())) as staging:
        team_pages.write(content, staging, f"../{quote(file.name)}")
    outputs.remove_left(team_pages.PATTERN)  # of models that are gone, or had another rank
    if left := outputs.left():
        console.warn(left)
    console.note(f"{folder}: {counted(len(names), 'page')}, one a model")
    return replace(
        content,
        team_pages={model: f"{quote(folder.name)}/{name}" for model, name in names.items()},
    )


def _of_split(
    settings: Settings,
    split: str,
    names: tuple[str, ...],
    chosen: tuple[str, ...],
    average: Average | None,
) -> PageContent:
    from harness.data.catalogue import catalogue, is_paper_split, require_frames
    from harness.report.page import from_split
    from harness.runs.select import select, variant_of_all
    from harness.runs.workspace import Workspace

    console.note(f"Gathering the results on the {split} split ...")
    require_frames(settings, [split])
    workspace = Workspace(settings.workspace)
    runs = select(workspace, names, chosen)
    variant = variant_of_all(runs)
    every = variant.apply(catalogue(settings, needs=["train" if variant.leave_out else split]))
    content = from_split.gather(workspace, runs, every, split, average)
    of_the_paper = is_paper_split(settings, split) and not variant
    leaderboard = _leaderboard(_scores(settings, average))
    return replace(content, is_paper_split=of_the_paper, leaderboard=leaderboard)


def _scores_of_round(
    settings: Settings,
    name: str,
    models: tuple[str, ...],
    without: tuple[str, ...],
    average: Average | None,
) -> pd.DataFrame:
    """The scores that a round's page is of.

    Raises:
        UserError: There are none, or none of a name.
    """
    from submissions import leaderboard
    from submissions.ledger import Ledger

    scores = _scores(settings, average, name)
    if scores.empty:
        score = command_line(f"score PACKAGE --round {shlex.quote(name)} --truth DIR")
        raise UserError(
            f"no package of round {name} is scored yet by the official protocol"
            f"{Ledger(settings.workspace).scored()}. Do it with: {score}"
        )
    scores = leaderboard.without(scores, without)
    return leaderboard.of_models(scores, models, name) if models else scores


def _of_round(
    settings: Settings, round_: Round, scores: pd.DataFrame, truth: Path | None, *, team_pages: bool
) -> PageContent:
    from harness.report.page import from_round

    console.note(f"Gathering the results in round {round_.name} ...")
    content = from_round.gather(settings, round_, scores, truth, team_pages=team_pages)
    return replace(content, leaderboard=_leaderboard(scores))


def _scores(
    settings: Settings, average: Average | None, round_name: str | None = None
) -> pd.DataFrame:
    from submissions.leaderboard import averaged
    from submissions.ledger import Ledger

    scores = Ledger(settings.workspace).scores(round_name, protocol="official")
    return averaged(scores, average or "sets")


def _leaderboard(scores: pd.DataFrame) -> View | None:
    """Of the scored submissions, if there are any."""
    from harness.report.views.leaderboard import standings_view
    from metrics.averages import SD_OF
    from submissions.leaderboard import rank, with_paper

    if scores.empty:
        return None
    ranking = with_paper(rank(scores, sd=SD_OF[scores["average"].iloc[0]]))
    return standings_view(ranking, protocol="official", group="round")

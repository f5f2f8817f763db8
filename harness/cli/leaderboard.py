"""``harness leaderboard``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from harness.cli.command import Command
from harness.cli.options import average_option, format_option, with_settings, without_option
from harness.report.tables.choices import FORMATS, SD_MEANINGS, Format
from harness.utils import console
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.evaluation.standings import Evaluated
    from harness.report.tables.view import View
    from metrics.averages import Average
    from metrics.masks.read import Protocol

EPILOG = """\b
Examples:
  harness leaderboard --round 2 --format markdown
  harness leaderboard --table paper --format latex
  harness leaderboard --table ranks --average frames
  harness leaderboard --round 2 --table consensus --figure f1 --figure recall
  harness leaderboard --split val --table ranks
  harness leaderboard --round 2 --without "TEAM MODEL" --format svg > leaderboard.svg
"""


@click.command(cls=Command, epilog=EPILOG)
@click.option("--round", "round_name", metavar="NAME", help="One round only.")
@click.option(
    "--split",
    type=click.Choice(["val", "test"]),
    help="Rank evaluations of a split instead of scored submissions.",
)
@click.option(
    "--protocol",
    type=click.Choice(["official", "strict"]),
    default="official",
    show_default=True,
    help="Scores by this protocol; the two are never mixed.",
)
@average_option("What the leaderboard ranks by")
@click.option(
    "--sd",
    type=click.Choice(list(SD_MEANINGS)),
    help="The standard deviation shown; by default that of the average, sd_sets or sd_frames. "
    + "; ".join(f"{name}: {meaning}" for name, meaning in SD_MEANINGS.items())
    + ".",
)
@click.option(
    "--paper/--no-paper",
    default=True,
    show_default=True,
    help="Show the paper's Table 4 for reference; it is of other frames.",
)
@click.option(
    "--table",
    "kind",
    type=click.Choice(["full", "paper", "ranks", "consensus"]),
    default="full",
    show_default=True,
    help="paper: the columns of the paper's Table 4. ranks: how certain the ranks are. consensus: "
    "one ranking from the ranks by each figure on each test set.",
)
@click.option(
    "--figure",
    "figures",
    multiple=True,
    metavar="NAME",
    help="With --table consensus: a figure to rank by, such as iou; repeatable.  [default: f1, f2, "
    "ppv and recall]",
)
@click.option(
    "--test-set",
    "test_sets",
    multiple=True,
    metavar="NAME",
    help="With --table consensus: a test set to rank on; repeatable.  [default: all]",
)
@without_option()
@format_option(*FORMATS, "svg")
@with_settings("workspace", "rounds")
def command(
    settings: Settings,
    round_name: str | None,
    split: str | None,
    protocol: str,
    average: Average | None,
    sd: str | None,
    paper: bool,
    kind: str,
    without: tuple[str, ...],
    format_: Format,
    **chosen: tuple[str, ...],
) -> None:
    """Rank scored submissions by round: the best of each model, with its SD and speed.

    A round's score is the mean over its test sets; the mean over all frames stands beside it.
    Without scored submissions, evaluations of a split are ranked instead.
    """
    from harness.report.tables.view import show_views
    from submissions import leaderboard
    from submissions.ledger import Ledger
    from submissions.rounds import get_round, load_rounds

    if any(chosen.values()) and kind != "consensus":
        raise click.UsageError("--figure and --test-set go with --table consensus")
    if sd is not None and kind in ("ranks", "consensus"):
        raise click.UsageError(f"--table {kind} shows no standard deviation; leave out --sd")
    if split is not None and (round_name is not None or protocol != "official" or without):
        raise click.UsageError(
            "--round, --protocol and --without are of scored submissions, --split of evaluations; "
            "give one"
        )
    if round_name is not None:
        get_round(round_name, load_rounds(settings.rounds))
    ledger = Ledger(settings.workspace)
    scores = ledger.scores(round_name, protocol=protocol)
    if split is not None or scores.empty:
        elsewhere = ledger.scored() if split is None else ""
        evaluated = _evaluations(settings, split, elsewhere)
        if split is None:
            _warn_of_no_scores(round_name, protocol, elsewhere)
        _show_evaluations(evaluated, average, sd, kind, format_)
        return
    scores = leaderboard.averaged(leaderboard.without(scores, without), average or "sets")
    if kind in ("ranks", "consensus"):
        views = _round_views(settings, scores, chosen if kind == "consensus" else None)
        show_views(views, format_, {"protocol": protocol, "average": average or "sets", **chosen})
    else:
        _show_scores(scores, sd, kind, format_, paper=paper)


def _warn_of_no_scores(round_name: str | None, protocol: str, elsewhere: str) -> None:
    of_round = f" in round {round_name}" if round_name is not None else ""
    score = command_line(f"score ZIP --truth DIR --protocol {protocol}")
    console.warn(
        f"No submission is scored{of_round} yet by the {protocol} protocol ('{score}' does it)"
        f"{elsewhere}. Ranking evaluations of a split instead."
    )


def _show_scores(
    scores: pd.DataFrame, sd: str | None, kind: str, format_: Format, *, paper: bool
) -> None:
    from harness.report.views.leaderboard import standings_view
    from harness.report.views.paper import official_view
    from metrics.averages import SD_OF
    from submissions.leaderboard import rank, with_paper

    average, protocol = scores[["average", "protocol"]].iloc[0]
    sd = sd or SD_OF[average]
    ranking = rank(scores, sd=sd)
    if paper and protocol == "official":
        ranking = with_paper(ranking)
    metadata = {"protocol": protocol, "sd": sd, "average": average}
    if kind == "paper":
        official_view(ranking).show(format_, metadata)
        return
    view = standings_view(ranking, protocol=protocol, group="round")
    view.show(format_, metadata | {"sd_meaning": SD_MEANINGS[sd]})


def _show_evaluations(
    evaluated: Sequence[Evaluated],
    average: Average | None,
    sd: str | None,
    kind: str,
    format_: Format,
) -> None:
    """Rank evaluations, each split by itself, by the paper protocol."""
    from harness.evaluation import standings
    from harness.report.views.leaderboard import standings_view

    if kind in ("consensus", "paper"):
        raise UserError(
            f"--table {kind} is of scored submissions: score packages with 'harness score'. The "
            "paper's tables of the splits are printed by 'harness evaluate --table paper'."
        )
    if kind == "ranks":
        _show_ranks_of_splits(evaluated, average, format_)
        return
    ranking = standings.ranked(evaluated, average, sd)
    view = standings_view(ranking, protocol="paper", group="split")
    view.show(format_, {"protocol": "paper", "sd": sd, "average": average or "sets"})


def _round_views(
    settings: Settings, scores: pd.DataFrame, chosen: Mapping[str, Sequence[str]] | None
) -> list[View]:
    """A table of each round, from the frames of its best packages."""
    from harness.evaluation import tables
    from harness.report.views.leaderboard import HASH_SHOWN
    from harness.runs.workspace import Workspace
    from submissions.leaderboard import best_first, by_name

    workspace = Workspace(settings.workspace)
    views = []
    best = tables.best_scored(workspace, scores).sort_index()
    truths = best[best["current"]].groupby("round")["truth_sha256"].nunique().to_dict()
    for (round_name, truth), group in best.groupby(["round", "truth_sha256"], sort=False):
        current = best_first(group[group["current"]])
        if current.empty:
            continue
        where = f"round {round_name}" if round_name else "no round"
        where += f", truth {str(truth)[:HASH_SHOWN]}" if truths[round_name] > 1 else ""
        if left_out := list(by_name(group[~group["current"]])):
            console.note(
                f"Left out in {where}: {', '.join(left_out)}, scored against another truth since."
            )
        rows = by_name(current)
        found, missing = tables.load_scored(workspace, rows)
        for name in missing:
            again = f"score {rows[name]['package']} again, without --out"
            console.warn(f"{name} is left out: its frame table is missing; {again}.")
        if len(found) < 2:
            console.note(f"Fewer than two scored models in {where}, nothing to compare.")
            continue
        average, protocol = group[["average", "protocol"]].iloc[0]
        views.append(_round_view(tables.join(found), where, protocol, average, chosen))
    return views


def _round_view(
    table: pd.DataFrame,
    where: str,
    protocol: Protocol,
    average: Average,
    chosen: Mapping[str, Sequence[str]] | None,
) -> View:
    """How certain the ranks are, or the consensus of the figures and test sets ``chosen``."""
    from harness.report.views.consensus import consensus_view, samples_by_set
    from harness.report.views.ranks import rank_view
    from metrics.statistics.consensus import consensus
    from metrics.statistics.samples import collect

    if chosen is None:
        samples = collect(table, protocol=protocol, average=average)
        return rank_view(samples, title=f"Ranks in {where}")
    by_set = samples_by_set(table, protocol, **chosen)
    found = consensus(by_set, figures=chosen["figures"])
    return consensus_view(found, title=f"Consensus in {where}")


def _show_ranks_of_splits(
    evaluations: Sequence[Evaluated], average: Average | None, format_: Format
) -> None:
    """How certain the ranks of evaluated models are, by the paper protocol."""
    from harness.evaluation import standings, tables
    from harness.report.tables.view import show_views
    from harness.report.views.leaderboard import HASH_SHOWN
    from harness.report.views.ranks import rank_view
    from metrics.averages import average_of
    from metrics.statistics.samples import collect

    views, parts = [], standings.by_class(evaluations)
    for class_, (split, data, runs) in parts:
        newest = {run.contender(split): run for run in reversed(runs)}
        beside = [(name, other.data) for name, other in parts if other.split == split]
        classes, frames = map(set, zip(*beside, strict=True))
        which = f", {class_}" if len(classes) > 1 else ""
        which += f", data {data[:HASH_SHOWN]}" if len(frames) > 1 else ""
        if len(newest) < 2:
            console.note(f"{split}{which}: only {next(iter(newest))} was evaluated, no comparison.")
            continue
        table = tables.load(list(newest.values()), split)
        samples = collect(table, average=average_of(table, average))
        title = f"Ranks on the {split} split{which}, by each model's newest run"
        views.append(rank_view(samples, title=title))
    show_views(views, format_, {"protocol": "paper", "average": average or "sets"})


def _evaluations(settings: Settings, split: str | None, elsewhere: str) -> list[Evaluated]:
    """The evaluations that can be ranked; those that cannot are named, and none is a fault."""
    from harness.evaluation import standings
    from harness.runs.workspace import Workspace

    found, outdated = standings.find(Workspace(settings.workspace), split)
    if outdated:
        console.warn(
            f"not ranked, since their files are gone, or weights or the reading of masks have "
            f"changed since: {'; '.join(outdated)}. Measure them again with 'harness evaluate'."
        )
    if not found:
        raise UserError(
            f"{settings.workspace}: nothing to rank{elsewhere}. Score packages: "
            f"'{command_line('score')}', measure models: '{command_line('evaluate --split test')}' "
            "(in a new folder 'harness init' comes first), or try everything with 'harness demo'."
        )
    standings.warn_of_mixed_training(found)
    return found

"""Evaluations of the splits, as they are ranked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.evaluation import tables
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.utils import console
from metrics.averages import SD_OF, Average, average_of, summarise_by
from metrics.masks.classes import chosen_class, chosen_rows
from metrics.utils.names import few
from submissions.leaderboard import rank

if TYPE_CHECKING:
    import pandas as pd


class Evaluated(NamedTuple):
    """Runs that were evaluated on the same frames of a split, newest first.

    Attributes:
        split: The split.
        data: Fingerprint of the frames.
        runs: The runs.
    """

    split: str
    data: str
    runs: list[Run]


def find(workspace: Workspace, split: str | None = None) -> tuple[list[Evaluated], list[str]]:
    """The evaluations that can be ranked, by split and frames.

    A model trained without a centre, or on one fold, was measured on other frames, and is no part.
    With ``split`` only evaluations of that one are found.

    Returns:
        tuple: The evaluations, and the ``SPLIT: RUN`` of those that do not count any more: their
        files are gone or of other weights, or masks are read by other rules today.
    """
    registered = workspace.evaluations(split)
    whole = [run for run in workspace.runs() if not run.variant]
    found: dict[tuple[str, str], Evaluated] = {}
    outdated = []
    for name, rows in registered.groupby("split", sort=False):
        data = rows.set_index("run")["data"].to_dict()
        there = [run for run in whole if run.run in data]
        counted = tables.evaluated(workspace, there, str(name))
        outdated += [f"{name}: {run.run}" for run in there if run not in counted]
        for run in counted:
            frames = str(data[run.run])
            key = str(name), frames
            found.setdefault(key, Evaluated(str(name), frames, [])).runs.append(run)
    return list(found.values()), outdated


def by_class(evaluations: Sequence[Evaluated]) -> list[tuple[str, Evaluated]]:
    """Each evaluation once for each class that figures of its runs are of, with the runs of it."""
    return [
        (name, one._replace(runs=[run for run in one.runs if run.chosen_class == name]))
        for one in evaluations
        for name in dict.fromkeys(run.chosen_class for run in one.runs)
    ]


def other_training(evaluations: Sequence[Evaluated]) -> list[str]:
    """The runs that were trained on other frames than the newest of the same frames of a split."""
    others = []
    for _, _, runs in evaluations:
        known = [run for run in runs if run.training_frames]
        others += [run.run for run in known if run.training_frames != known[0].training_frames]
    return list(dict.fromkeys(others))


def warn_of_mixed_training(evaluations: Sequence[Evaluated]) -> None:
    """Warn of the runs of :func:`other_training`, as from before the frames were divided anew."""
    if others := other_training(evaluations):
        console.warn(
            f"trained on other frames than the newest run: {few(others)}. Where frames of the "
            "split are among them, its figures are too good; 'harness runs rm' removes a run."
        )


def ranked(
    evaluations: Sequence[Evaluated], average: Average | None = None, sd: str | None = None
) -> pd.DataFrame:
    """Rank evaluations that :func:`find` gives by the paper protocol, each split by itself.

    ``average`` is how several test sets are averaged, by default over sets; ``sd`` is the SD shown,
    by default that of the average.

    Returns:
        DataFrame: As ``submissions.leaderboard.rank`` gives it, one split after another.
    """
    import pandas as pd

    parts: dict[str, list[pd.DataFrame]] = {}
    sds: dict[str, str] = {}
    for split, data, runs in evaluations:
        measured = [chosen_rows(tables.load([run], split)) for run in runs]
        several_classes = len(set(map(chosen_class, measured))) > 1
        for run, table in zip(runs, measured, strict=True):
            over = average_of(table, average)
            figures = summarise_by(over, table, ("class",))
            # Figures of different classes cannot be compared, no more than those of other frames.
            frames = f"{chosen_class(table)} {data}" if several_classes else data
            name = run.contender(split)
            identity = {"split": split, "data": frames, "model": name, "protocol": "paper"}
            parts.setdefault(split, []).append(figures.assign(**identity))
            sds[split] = sd or SD_OF[over]
    rankings = [
        rank(pd.concat(rows), sd=sds[split], source="evaluated") for split, rows in parts.items()
    ]
    return pd.concat(rankings, ignore_index=True)

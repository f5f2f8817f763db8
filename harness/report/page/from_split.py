"""The content of a split's page, gathered from a workspace."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from harness.data.catalogue import of_split
from harness.data.cross_validation import SplitVariant
from harness.data.fingerprint import data_fingerprint, rows_of
from harness.evaluation import tables
from harness.evaluation.calibration import calibration_of
from harness.evaluation.curves import curves_of
from harness.evaluation.map_table import TABLE
from harness.report.page import gallery
from harness.report.page.content import Members, PageContent
from harness.report.views.by_class import with_place
from harness.runs.calibration import kept_temperature
from harness.runs.classes import shared_classes
from harness.runs.run import MASKS, Run
from harness.runs.select import newest_by_model
from harness.runs.workspace import Workspace, now
from harness.utils.command_line import command_line
from harness.utils.versions import versions
from metrics.averages import Average
from metrics.endocv import add_figures
from metrics.masks.classes import ONE, Classes, chosen_rows
from metrics.utils.errors import UserError
from metrics.utils.names import counted

if TYPE_CHECKING:
    from pathlib import Path

ENSEMBLE: Final = "divergentnets"
_OTHER: Final = {"test": "val", "val": "test"}


def gather(
    workspace: Workspace,
    runs: Sequence[Run],
    catalogue: pd.DataFrame,
    split: str,
    average: Average | None = None,
) -> PageContent:
    """The frame tables, histories and gallery of the runs that were evaluated on a split.

    Runs not evaluated on these frames are left out, with a note. ``catalogue`` holds the frames of
    the other split too, as far as they are at hand. ``average`` is that over several test sets, by
    default over sets.

    Raises:
        UserError: If no run was evaluated on the split, the runs have different classes, or a
            frame or mask cannot be read.
    """
    frames = of_split(catalogue, split)
    chosen = _evaluated(workspace, runs, frames, split)
    shown = list(chosen.values())
    classes = shared_classes(shown)
    table = with_place(tables.load(shown, split))
    maps = {
        name: pd.read_parquet(run.evaluation(split) / TABLE)
        for name, run in chosen.items()
        if (run.evaluation(split) / TABLE).exists()
    }
    masks = {name: run.evaluation(split) / MASKS for name, run in chosen.items()}
    ensemble = next((name for name, run in chosen.items() if run.model == ENSEMBLE), "")
    members, notes = _members(workspace, chosen.get(ensemble), shown, frames, split, classes)
    notes += _of_several(workspace, chosen, frames, split)
    elsewhere = _elsewhere(workspace, chosen, catalogue, _OTHER[split])
    tuned = [name for name, run in chosen.items() if run.tuned.get("split") == _OTHER[split]]
    if elsewhere and tuned:
        notes.append(
            f"tuned on the {_OTHER[split]} split, where figures are too good: {', '.join(tuned)}"
        )
    notes += _not_measured(split, [run for run in runs if run not in shown])
    return PageContent(
        name=f"{split} split",
        split=split,
        protocol="paper",
        frames=table,
        histories={name: _history(run) for name, run in chosen.items() if not run.members},
        cards=cards_of(table, frames, masks, ensemble, members, classes=classes),
        facts=_facts(workspace, chosen, frames, split, classes),
        ensemble=ensemble,
        members=members,
        average=average or "sets",
        curves={name: curves_of(own) for name, own in maps.items()},
        calibrations={
            name: calibration_of(own, _temperature(workspace, chosen[name], split))
            for name, own in maps.items()
        },
        elsewhere=elsewhere,
        notes=notes,
    )


def _not_measured(split: str, left_out: Sequence[Run]) -> list[str]:
    if not left_out:
        return []
    names = ", ".join(run.run for run in left_out)
    hint = f"Measure them with: {_measure(split, left_out)}"
    return [f"not measured on these frames, and so not shown: {names}. {hint}"]


def _temperature(workspace: Workspace, run: Run, split: str) -> float | None:
    """The temperature that was fitted for a run as it was evaluated on the split."""
    rows = workspace.evaluations(split)
    settings = json.loads(rows.loc[rows["run"] == run.run, "settings"].iloc[0])
    return kept_temperature(run, settings)


def _evaluated(
    workspace: Workspace, runs: Sequence[Run], frames: pd.DataFrame, split: str
) -> dict[str, Run]:
    """Label to its run, of those that were evaluated on these frames."""
    shown = tables.evaluated_on(workspace, runs, frames, split)
    if not shown:
        raise UserError(
            f"no model was measured on these frames of the {split} split yet. Do it with: "
            f"{_measure(split, runs)}"
        )
    labels = tables.labels(shown, split)
    return {labels[run.run]: run for run in shown}


def _measure(split: str, runs: Sequence[Run]) -> str:
    """The command that evaluates runs on a split."""
    named = " ".join(f"--run {run.run}" for run in runs)
    return command_line(f"evaluate --split {split} {named}")


def _of_several(
    workspace: Workspace, chosen: Mapping[str, Run], frames: pd.DataFrame, split: str
) -> list[str]:
    """A note on the models of which the newest of several runs, such as seeds, stands for all."""
    alike = [run for run in workspace.runs() if not run.variant and not run.tuned]
    measured = tables.evaluated_on(workspace, alike, frames, split)
    counts = Counter(run.model for run in measured)
    newest = newest_by_model(measured, SplitVariant())
    several = [
        f"{model} ({counts[model]})"
        for model, run in newest.items()
        if chosen.get(model) == run and counts[model] > 1
    ]
    if not several:
        return []
    return [
        f"of the models with several measured runs the newest is shown: {', '.join(several)}. "
        "'harness compare' takes the mean over seeds"
    ]


def _members(
    workspace: Workspace,
    ensemble: Run | None,
    shown: Sequence[Run],
    frames: pd.DataFrame,
    split: str,
    classes: Classes,
) -> tuple[Members | None, list[str]]:
    """The runs that the ensemble is made of, whichever runs of these models the page shows."""
    if ensemble is None:
        return None, []
    registered = {run.run: run for run in workspace.runs()}
    # Of their names only the weights tell whether a run was removed and made anew since.
    weights = str(ensemble.row["checkpoint"]).split("+")
    own = {
        name: registered[run]
        for name, run in ensemble.members.items()
        if run in registered and str(registered[run].row["checkpoint"]) in weights
    }
    measured = tables.evaluated_on(workspace, list(own.values()), frames, split)
    notes = []
    if unmeasured := [run for run in own.values() if run not in measured]:
        notes.append(
            f"disagreement and gain are of {len(measured)} of the {len(ensemble.members)} members "
            f"of {ensemble.run}. Measure the others with: {_measure(split, unmeasured)}"
        )
    other = {run.model for run in shown} & {run.model for run in measured if run not in shown}
    if other:
        notes.append(
            f"{', '.join(sorted(other))}: the run shown is not the one in {ensemble.run}; "
            "disagreement and gain are of the ensemble's own members"
        )
    if len(measured) < 2:
        return None, notes
    table = tables.load(measured, split)
    folders = {name: run.evaluation(split) / MASKS for name, run in own.items() if run in measured}
    return members_of(table, frames, folders, classes), notes


def members_of(
    table: pd.DataFrame, frames: pd.DataFrame, masks: Mapping[str, Path], classes: Classes = ONE
) -> Members | None:
    """What the members of an ensemble predict; ``None`` for fewer than two of them.

    ``masks`` maps each member to the folder of its masks.
    """
    if len(masks) < 2:
        return None
    means = add_figures(chosen_rows(table)).groupby("frame")["f1"].mean()
    return Members(
        names=list(masks),
        f1=dict(zip(means.index.astype(str), means.tolist(), strict=True)),
        divergence=gallery.divergences(frames["frame"].tolist(), list(masks.values()), classes),
    )


def chosen_frames(
    table: pd.DataFrame, frames: pd.DataFrame, ensemble: str, members: Members | None
) -> set[str]:
    """The frames that the gallery shows; arguments as for :func:`cards_of`."""
    polyp = add_figures(chosen_rows(table))
    f1 = polyp.pivot(index="frame", columns="model", values="f1")
    leading = f1[ensemble] if ensemble else f1.mean(axis=1)
    orders = [leading, -leading]
    if members is not None:
        orders.append(leading.index.to_series().map(members.f1) - leading)
        orders.append(-members.divergence.set_index("frame")["disagreement"])
    figures = [dict(zip(order.index.astype(str), order.tolist(), strict=True)) for order in orders]
    return set(gallery.choose_frames(frames["frame"].tolist(), figures))


def cards_of(
    table: pd.DataFrame,
    frames: pd.DataFrame,
    masks: Mapping[str, Path],
    ensemble: str,
    members: Members | None,
    classes: Classes = ONE,
) -> list[gallery.Card]:
    """The gallery: every frame, or a choice of them where they are too many for a page.

    ``masks`` maps each model to the folder of its masks; ``ensemble`` is its name, empty without
    one. The chosen class is drawn.
    """
    shown = chosen_frames(table, frames, ensemble, members)
    rows = rows_of(frames[frames["frame"].isin(shown)])
    return gallery.cards(rows, gallery.outlines_of_files(masks, classes))


def _elsewhere(
    workspace: Workspace, chosen: Mapping[str, Run], catalogue: pd.DataFrame, split: str
) -> dict[str, pd.DataFrame]:
    """What the same models reach on the other split, where that was measured."""
    frames = catalogue[catalogue["split"] == split].reset_index(drop=True)
    runs = list(chosen.values())
    measured = tables.evaluated_on(workspace, runs, frames, split) if len(frames) else []
    found = {name: tables.load([run], split) for name, run in chosen.items() if run in measured}
    return {f"{split} split": tables.join(found)} if found else {}


def _history(run: Run) -> pd.DataFrame:
    file = run.folder / "history.csv"
    return pd.read_csv(file) if file.exists() else pd.DataFrame()


def _facts(
    workspace: Workspace,
    runs: Mapping[str, Run],
    frames: pd.DataFrame,
    split: str,
    classes: Classes,
) -> dict[str, str]:
    values = [f"{name} {value}" for name, value in classes.table.items()]
    read = ", ".join(values) or "a pixel above 127 is polyp"
    data = data_fingerprint(frames, workspace.root / "cache")
    facts = {
        "frames": f"{split} split, {counted(len(frames), 'frame')}, data {data}",
        "truth": f"{read}; the organisers' smoothed formulas (protocol 'paper')",
        **made(),
    }
    for name, run in runs.items():
        recipe = "of " + ", ".join(run.members.values()) if run.members else _recipe(run)
        facts[name] = f"{run.run}; {recipe}; checkpoint {str(run.row['checkpoint'])[:12]}"
    return facts


def made() -> dict[str, str]:
    """When and with which versions the page was made."""
    return {
        "written": f"{now():%Y-%m-%d %H:%M} UTC",
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }


def _recipe(run: Run) -> str:
    settings = run.settings
    return (
        f"preset {settings['preset']}, {settings['encoder']}, {settings['size']} pixels, "
        f"{counted(settings['epochs'], 'epoch')}, seed {settings['seed']}"
    )

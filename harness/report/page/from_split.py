"""Everything that a workspace knows of a split, gathered for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from harness.data.catalogue import of_split
from harness.data.fingerprint import data_fingerprint
from harness.evaluation import evaluate_run
from harness.report.page import gallery
from harness.report.page.content import PageContent
from harness.report.tables.view import View
from harness.report.views.by_class import with_place
from harness.runs.network import shared_classes
from harness.runs.workspace import Run, Workspace, masks_folder, now
from harness.utils.versions import versions
from metrics.endocv import add_figures
from metrics.masks.classes import ONE, Classes, chosen_rows
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from metrics.masks.read import Protocol

ENSEMBLE: Final = "divergentnets"
_OTHER: Final = {"test": "val", "val": "test"}


def gather(
    workspace: Workspace,
    runs: Sequence[Run],
    catalogue: pd.DataFrame,
    split: str,
    *,
    leaderboard: View | None = None,
    is_paper_split: bool = True,
) -> PageContent:
    """The page's source: frame tables, histories and a gallery of the models that were measured.

    Args:
        workspace: Where evaluations are registered.
        runs: Runs to show, of which those that are not evaluated on the split are left out.
        catalogue: The frames of the split, and of the others as far as they are at hand.
        split: Its name.
        leaderboard: The leaderboard of scored submissions, if there is one.
        is_paper_split: Whether the split is the paper's.

    Raises:
        UserError: If no run was evaluated on the split, runs tell different classes apart, or a
            frame or mask cannot be read.
    """
    frames = of_split(catalogue, split)
    measured = _tables(workspace, runs, frames, split)
    if not measured:
        raise UserError(
            f"no model was measured on these frames of the {split} split yet. Do it with: harness "
            f"evaluate --split {split}"
        )
    chosen = {run.model: run for run in runs if run.model in measured}
    classes = shared_classes(chosen.values())
    table = with_place(joined(measured))
    masks = {name: masks_folder(run, split) for name, run in chosen.items()}
    ensemble = ENSEMBLE if ENSEMBLE in chosen else ""
    members = [name for name in chosen[ensemble].members if name in chosen] if ensemble else []
    divergence = divergence_of(frames, masks, members, classes)
    return PageContent(
        name=f"{split} split",
        split=split,
        protocol="paper",
        formulas="official",
        frames=table,
        histories={name: _history(run) for name, run in chosen.items() if not run.members},
        cards=cards_of(table, frames, masks, ensemble, divergence, classes=classes),
        facts=_facts(chosen, frames, split, classes),
        divergence=divergence,
        ensemble=ensemble,
        members=members if divergence is not None else [],
        elsewhere=_elsewhere(workspace, list(chosen.values()), catalogue, _OTHER[split]),
        leaderboard=leaderboard,
        is_paper_split=is_paper_split,
    )


def divergence_of(
    frames: pd.DataFrame,
    masks: Mapping[str, Path],
    members: Sequence[str],
    classes: Classes = ONE,
) -> pd.DataFrame | None:
    """Each frame's disagreement among the members; ``None`` for fewer than two of them."""
    folders = [masks[name] for name in members if name in masks]
    if len(folders) < 2:
        return None
    return gallery.divergences(frames["frame"].tolist(), folders, classes)


def cards_of(
    table: pd.DataFrame,
    frames: pd.DataFrame,
    masks: Mapping[str, Path],
    ensemble: str,
    divergence: pd.DataFrame | None,
    decoding: Protocol = "strict",
    classes: Classes = ONE,
) -> list[gallery.Card]:
    """The gallery: every frame, or the most telling ones where they are too many for a page.

    Args:
        table: The frame tables of all models.
        frames: The frames' rows of a catalogue.
        masks: Model to the folder of its masks.
        ensemble: The ensemble's name; empty without one.
        divergence: What :func:`divergence_of` gives.
        decoding: How the truth is binarised.
        classes: What the masks' values mean; the chosen class is drawn.
    """
    polyp = add_figures(chosen_rows(table))
    f1 = polyp.pivot(index="frame", columns="model", values="f1")
    leading = f1[ensemble] if ensemble else f1.mean(axis=1)
    gained = leading - f1.drop(columns=ensemble, errors="ignore").mean(axis=1)
    orders = [leading, -leading, -gained.fillna(0.0)]
    if divergence is not None:
        orders.append(-divergence.set_index("frame")["disagreement"])
    figures = [dict(zip(order.index.astype(str), order.tolist(), strict=True)) for order in orders]
    shown = set(gallery.most_telling(frames["frame"].tolist(), figures))
    records = frames[frames["frame"].isin(shown)].to_dict("records")
    rows = [{str(key): value for key, value in record.items()} for record in records]
    return gallery.cards(rows, masks, decoding=decoding, classes=classes)


def _tables(
    workspace: Workspace, runs: Sequence[Run], frames: pd.DataFrame, split: str
) -> dict[str, pd.DataFrame]:
    """The frame table of each model that was evaluated on these frames, by whatever versions."""
    import json

    import pandas as pd

    rows = workspace.evaluations(split)
    rows = rows[rows["data"] == data_fingerprint(frames)].set_index("run")
    found = {}
    for run in runs:
        path = run.evaluation(split) / evaluate_run.TABLE
        if run.run not in rows.index or not path.exists():
            continue
        if (
            json.loads(str(rows.loc[run.run, "settings"])).get("table")
            == evaluate_run.TABLE_VERSION
        ):
            found[run.model] = pd.read_parquet(path)
    return found


def joined(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Frame tables one after another, with ``model``."""
    import pandas as pd

    return pd.concat(
        [table.assign(model=name) for name, table in tables.items()], ignore_index=True
    )


def _elsewhere(
    workspace: Workspace, runs: Sequence[Run], catalogue: pd.DataFrame, split: str
) -> dict[str, pd.DataFrame]:
    """What the same models reach on the other split, where that was measured."""
    frames = catalogue[catalogue["split"] == split].reset_index(drop=True)
    tables = _tables(workspace, runs, frames, split) if len(frames) else {}
    return {f"{split} split": joined(tables)} if tables else {}


def _history(run: Run) -> pd.DataFrame:
    import pandas as pd

    file = run.folder / "history.csv"
    return pd.read_csv(file) if file.exists() else pd.DataFrame()


def _facts(
    runs: Mapping[str, Run], frames: pd.DataFrame, split: str, classes: Classes
) -> dict[str, str]:
    values = zip(classes.names, classes.values, strict=False)
    read = ", ".join(f"{name} {value}" for name, value in values) or "a pixel above 127 is polyp"
    facts = {
        "frames": f"{split} split, {len(frames)} frames, data {data_fingerprint(frames)}",
        "truth": f"{read}; the organisers' smoothed formulas (protocol 'paper')",
        **made(),
    }
    for name, run in runs.items():
        recipe = "of " + ", ".join(run.members) if run.members else _recipe(run)
        facts[name] = f"{run.run}; {recipe}; checkpoint {str(run.row['checkpoint'])[:12]}"
    return facts


def made() -> dict[str, str]:
    """When and by what the page was made."""
    return {
        "written": f"{now():%Y-%m-%d %H:%M} UTC",
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }


def _recipe(run: Run) -> str:
    settings = run.settings
    return (
        f"preset {settings['preset']}, {settings['encoder']}, {settings['size']} pixels, "
        f"{settings['epochs']} epochs, seed {settings['seed']}"
    )

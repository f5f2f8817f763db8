"""Everything that a workspace knows of a split, gathered for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from harness import assess
from harness.report import gallery
from harness.report.page import ENSEMBLE, Source
from harness.report.results import View, with_place
from harness.versions import versions
from harness.workspace import Run, Workspace, now
from metrics.endocv import add_figures
from metrics.errors import UserError
from metrics.strata import add_stratum


def gather(
    workspace: Workspace,
    runs: Sequence[Run],
    frames: pd.DataFrame,
    split: str,
    *,
    leaderboard: View | None = None,
    plain: bool = True,
) -> Source:
    """The page's source: frame tables, histories and a gallery of the models that were measured.

    Args:
        workspace: Where evaluations are registered.
        runs: Runs to show, of which those that are not evaluated on the split are left out.
        frames: The frames of the split.
        split: Its name.
        leaderboard: The leaderboard of scored submissions, if there is one.
        plain: Whether the split is the paper's.

    Raises:
        UserError: If no run was evaluated on the split, or a frame or mask cannot be read.
    """
    tables = {run.model: _table(workspace, run, frames, split) for run in runs}
    measured = {name: table for name, table in tables.items() if table is not None}
    if not measured:
        raise UserError(
            f"no model was measured on these frames of the {split} split yet. Do it with: harness "
            f"evaluate --split {split}"
        )
    chosen = {run.model: run for run in runs if run.model in measured}
    joined = pd.concat(
        [table.assign(model=name) for name, table in measured.items()], ignore_index=True
    )
    joined = with_place(joined)
    return Source(
        split=split,
        frames=joined,
        histories={name: _history(run) for name, run in chosen.items() if not run.members},
        cards=_cards(joined, chosen, frames, split),
        facts=_facts(chosen, frames, split),
        leaderboard=leaderboard,
        plain=plain,
    )


def _table(workspace: Workspace, run: Run, frames: pd.DataFrame, split: str) -> pd.DataFrame | None:
    ways = product(("fp32", "bf16"), (False, True))
    settings = [assess.settings_of({"precision": p, "tta": tta}) for p, tta in ways]
    found = (assess.kept_table(workspace, run, frames, split, one) for one in settings)
    return next((table for table in found if table is not None), None)


def _history(run: Run) -> pd.DataFrame:
    file = run.folder / "history.csv"
    return pd.read_csv(file) if file.exists() else pd.DataFrame()


def _cards(
    table: pd.DataFrame, runs: Mapping[str, Run], frames: pd.DataFrame, split: str
) -> list[gallery.Card]:
    polyp = add_stratum(add_figures(table))
    polyp = polyp[polyp["class"] == "polyp"]
    f1 = {
        str(name): dict(zip(rows["frame"], rows["f1"], strict=True))
        for name, rows in polyp.groupby("model", sort=False)
    }
    leader = ENSEMBLE if ENSEMBLE in f1 else next(iter(f1))
    members = [name for name in runs[ENSEMBLE].members if name in f1] if ENSEMBLE in f1 else []
    spread = polyp[polyp["model"].isin(members)].groupby("frame")["f1"].std().fillna(0.0)
    disagreement = {str(frame): float(value) for frame, value in spread.items()}
    shown = gallery.most_telling(frames["frame"].tolist(), f1[leader], disagreement)
    strata = polyp.drop_duplicates("frame").set_index("frame")["stratum"].to_dict()
    wanted = with_place(frames[frames["frame"].isin(shown)])
    records = wanted.assign(stratum=wanted["frame"].map(strata)).to_dict("records")
    return gallery.cards(
        [{str(key): value for key, value in record.items()} for record in records],
        {name: assess.masks_folder(run, split) for name, run in runs.items()},
        f1,
        members=members if len(members) > 1 else [],
    )


def _facts(runs: Mapping[str, Run], frames: pd.DataFrame, split: str) -> dict[str, str]:
    facts = {
        "split": f"{split}, {len(frames)} frames",
        "truth": "a pixel above 127 is polyp; the organisers' smoothed formulas (protocol 'paper')",
        "written": f"{now():%Y-%m-%d %H:%M} UTC",
        "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }
    for name, run in runs.items():
        recipe = "of " + ", ".join(run.members) if run.members else _recipe(run)
        facts[name] = f"{run.run}; {recipe}; checkpoint {str(run.row['checkpoint'])[:12]}"
    return facts


def _recipe(run: Run) -> str:
    settings = run.settings
    return (
        f"preset {settings['preset']}, {settings['encoder']}, {settings['size']} pixels, "
        f"{settings['epochs']} epochs, seed {settings['seed']}"
    )

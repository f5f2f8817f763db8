"""Frame tables of several runs or packages as one, with a column ``model``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from harness.data.fingerprint import data_fingerprint
from harness.evaluation.stored import is_of_row, table_file
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from metrics.endocv import COUNTS, MEASURED
from metrics.masks.classes import chosen_class
from metrics.utils.text import without_quote

if TYPE_CHECKING:
    import pandas as pd


_SAME_SCORE: Final = 1e-9
_NUMBERS: Final = (*MEASURED, "polyps", "polyps_found", "false_polyps", "hausdorff_rows")
"""Columns of a package's frame table that are empty where a figure is undefined."""


def join(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Frame tables one after another, with their names in a column ``model``."""
    import pandas as pd

    return pd.concat(
        [table.assign(model=name) for name, table in tables.items()], ignore_index=True
    )


def labels(runs: Sequence[Run], split: str) -> dict[str, str]:
    """Identifier of each run to its label in tables of a split.

    That is the model; of tuned runs, and where others share a model, ``Run.label``.
    """
    models = [run.model for run in runs if not run.tuned]
    return {
        run.run: run.model if not run.tuned and models.count(run.model) == 1 else run.label(split)
        for run in runs
    }


def load(runs: Sequence[Run], split: str, protocol: str = "paper") -> pd.DataFrame:
    """The frame tables of evaluated runs as one, with the runs' :func:`labels` as ``model``.

    Raises:
        ValueError: If a run was not evaluated; see :func:`evaluated`.
    """
    import pandas as pd

    named = labels(runs, split)
    tables = {}
    for run in runs:
        if (file := table_file(run, split, protocol)) is None:
            raise ValueError(f"{run.run} was not evaluated on the {split} split ({protocol})")
        tables[named[run.run]] = pd.read_parquet(file)
    return join(tables)


def evaluated(
    workspace: Workspace, runs: Sequence[Run], split: str, protocol: str = "paper"
) -> list[Run]:
    """Those of the runs that were evaluated on a split, on whatever frames, with their weights."""
    rows = workspace.evaluations(split).set_index("run").to_dict("index")
    return [
        run
        for run in runs
        if run.run in rows
        and is_of_row(run, split, rows[run.run])
        and table_file(run, split, protocol) is not None
    ]


def evaluated_on(
    workspace: Workspace, runs: Sequence[Run], frames: pd.DataFrame, split: str
) -> list[Run]:
    """Those of the runs whose evaluation is of exactly these frames, by today's rules."""
    rows = workspace.evaluations(split)
    data = data_fingerprint(frames, workspace.root / "cache")
    of_these = set(rows.loc[rows["data"] == data, "run"])
    return [run for run in evaluated(workspace, runs, split) if run.run in of_these]


def best_scored(workspace: Workspace, scores: pd.DataFrame) -> pd.DataFrame:
    """The best score of each model by round and truth.

    A package that was scored against several truths has the frame table of the newest alone: it is
    ``current``.
    """
    from submissions.leaderboard import best_first

    named = zip(scores["package"], scores["package_sha256"], scores["protocol"], strict=True)
    folders = [str(workspace.score_folder(*one)) for one in named]
    newest = scores["truth_sha256"].groupby(folders).transform("first")
    best = scores.assign(current=scores["truth_sha256"] == newest)
    return best_first(best).drop_duplicates(["round", "team", "model", "truth_sha256"])


def load_scored(
    workspace: Workspace, scores: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The frame table of each scored package.

    A table that gives another score than the register has is of another truth, or was left by a
    scoring that was interrupted: it counts as missing.

    ``scores`` maps each name to the package's row of ``Ledger.scores``.

    Returns:
        tuple: The tables by name, and the names of those whose table is missing.
    """
    import pandas as pd

    from submissions.leaderboard import averaged
    from submissions.scoring import figures_of

    tables: dict[str, pd.DataFrame] = {}
    missing = []
    for name, row in scores.items():
        folder = workspace.score_folder(row["package"], row["package_sha256"], row["protocol"])
        file = folder / "frames.csv"
        if not file.exists():
            missing.append(name)
            continue
        table = pd.read_csv(
            file,
            keep_default_na=False,
            na_values={name: [""] for name in _NUMBERS},
            converters=dict.fromkeys(("frame", "test_set"), without_quote),
        )
        counted = table[["test_set", "class", *COUNTS]]
        overall = figures_of(counted, row["protocol"]).tail(1)  # over all test sets
        found = averaged(overall, row.get("average", "frames")).iloc[0]
        both = pd.Series([found["score"], row["score"]], dtype=float)  # an undefined one is NULL
        same = both.isna().all() or abs(both[0] - both[1]) < _SAME_SCORE
        # One that calls the class otherwise is of an earlier version, and would be passed over.
        first = next(iter(tables.values()), table)
        if same and found["n"] == row["n"] and chosen_class(table) == chosen_class(first):
            tables[name] = table
        else:
            missing.append(name)
    return tables, missing


def with_package(workspace: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a score, with the place of its package now.

    A workspace that was renamed or moved still holds its submissions, at other paths than recorded.
    """
    package = Path(row["package"])
    moved = workspace / "submissions" / f"round-{row['round']}" / package.name
    return {**row, "package": str(moved if moved.exists() and not package.exists() else package)}

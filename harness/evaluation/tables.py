"""Frame tables of several runs or packages as one, with a column ``model``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.data.fingerprint import data_fingerprint
from harness.evaluation.evaluate_run import TABLE, TABLE_VERSION, table_file
from harness.runs.workspace import Run, Workspace

if TYPE_CHECKING:
    import pandas as pd


def join(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Frame tables one after another, with their names in a column ``model``."""
    import pandas as pd

    return pd.concat(
        [table.assign(model=name) for name, table in tables.items()], ignore_index=True
    )


def labels(runs: Sequence[Run]) -> dict[str, str]:
    """Identifier of each run to its label: the model, or the run where two runs share a model."""
    models = [run.model for run in runs]
    return {run.run: run.model if models.count(run.model) == 1 else run.run for run in runs}


def load(runs: Sequence[Run], split: str, protocol: str = "paper") -> pd.DataFrame:
    """The frame tables of evaluated runs as one, with the runs' :func:`labels` as ``model``.

    Args:
        runs: Runs that were evaluated on the split by the protocol.
        split: Name of the split.
        protocol: One of ``evaluate_run.PROTOCOLS``.

    Raises:
        ValueError: If a run was not evaluated; see :func:`evaluated`.
    """
    import pandas as pd

    named = labels(runs)
    tables = {}
    for run in runs:
        if (file := table_file(run, split, protocol)) is None:
            raise ValueError(f"{run.run} was not evaluated on the {split} split ({protocol})")
        tables[named[run.run]] = pd.read_parquet(file)
    return join(tables)


def evaluated(runs: Sequence[Run], split: str, protocol: str = "paper") -> list[Run]:
    """Those of the runs that were evaluated on a split, on whatever frames."""
    return [run for run in runs if table_file(run, split, protocol) is not None]


def evaluated_on(
    workspace: Workspace, runs: Sequence[Run], frames: pd.DataFrame, split: str
) -> list[Run]:
    """Those of the runs whose evaluation is of exactly these frames, with today's columns.

    Args:
        workspace: Where evaluations are registered.
        runs: The runs.
        frames: Rows of a catalogue.
        split: Name of the split.
    """
    rows = workspace.evaluations(split)
    rows = rows[rows["data"] == data_fingerprint(frames, workspace.root / "cache")].set_index("run")
    current = {
        str(run)
        for run, settings in rows["settings"].items()
        if json.loads(settings).get("table") == TABLE_VERSION
    }
    return [run for run in runs if run.run in current and (run.evaluation(split) / TABLE).exists()]


def load_scored(
    workspace: Workspace, scores: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The frame table of each scored package.

    Args:
        workspace: Where the scores lie.
        scores: Name to the package's row of ``Ledger.scores``.

    Returns:
        tuple: The tables by name, and the names of those whose table is missing.
    """
    import pandas as pd

    tables, missing = {}, []
    for name, row in scores.items():
        folder = workspace.score_folder(row["package"], row["package_sha256"], row["protocol"])
        file = folder / "frames.csv"
        if file.exists():
            tables[name] = pd.read_csv(file, keep_default_na=False, na_values={"latency_ms": [""]})
        else:
            missing.append(name)
    return tables, missing

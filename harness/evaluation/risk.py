"""The threshold of a run that keeps the share of missed pixels of its class below a risk."""

from __future__ import annotations

import json

import numpy as np

from harness.evaluation.calibration import threshold_at
from harness.evaluation.map_table import TABLE
from harness.evaluation.tables import evaluated
from harness.inference.prediction import Inference
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.utils.command_line import command_line
from metrics.risk import conformal_place, missed_shares
from metrics.statistics.clusters import clusters_of
from metrics.utils.errors import UserError


def risk_threshold(
    workspace: Workspace, run: Run, inference: Inference, risk: float
) -> tuple[float, int]:
    """The threshold and from how many validation sequences it is.

    Raises:
        UserError: If the run's probability maps were not measured on validation, or were predicted
            in another way, or there are too few sequences for the risk.
    """
    import pandas as pd

    file = run.evaluation("val") / TABLE
    measure = command_line(f"evaluate --split val --table calibration --run {run.run}")
    hint = f"Measure them with: {measure}"
    if not evaluated(workspace, [run], "val") or not file.exists():
        raise UserError(
            f"{run.run}: --risk needs its probability maps of the validation frames. {hint}"
        )
    rows = workspace.evaluations("val")
    found = rows.loc[rows["run"] == run.run, "settings"].iloc[0]
    theirs, ours = json.loads(found), inference.settings
    if other := [name for name in ("precision", "tta") if theirs.get(name) != ours[name]]:
        raise UserError(
            f"{run.run}: its validation frames were predicted with another {' and '.join(other)} "
            f"than asked for now, so --risk cannot take them. {hint}"
        )
    if inference.rounding != "full-size":
        raise UserError("--risk is for probabilities at the frame's own size: --round-at full-size")
    table = pd.read_parquet(file)
    losses = missed_shares(np.stack(table["polyp_levels"].tolist()), clusters_of(table))
    place = conformal_place(losses, risk)
    if place is None:
        needed = int(np.ceil(1 / risk)) - 1
        raise UserError(
            f"{run.run}: no threshold keeps a risk of {risk:g}. That needs at least {needed} "
            f"sequences or single frames with {run.chosen_class} in validation (there are "
            f"{len(losses)}), and a network that gives what it misses some probability; ask for a "
            "larger --risk."
        )
    return threshold_at(place), len(losses)

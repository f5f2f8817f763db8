"""Which runs a command means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from harness.data.cross_validation import SplitVariant
from harness.runs.workspace import Run, Workspace
from metrics.utils.errors import UserError

ORDER: Final = ("unet", "unet++", "fpn", "deeplabv3", "deeplabv3+", "triunet", "divergentnets")
"""The paper's order of models in its tables."""


def chosen_runs(
    workspace: Workspace,
    names: Sequence[str] = (),
    runs: Sequence[str] = (),
    division: SplitVariant | None = None,
) -> list[Run]:
    """The runs to measure.

    Args:
        workspace: Where runs are registered.
        names: Models, of which the newest finished run is taken; empty for every model.
        runs: Runs by identifier, in place of models.
        division: Of which division of the frames; by default runs on the splits as they are.

    Returns:
        list[Run]: In the paper's order, other models after them.

    Raises:
        UserError: If a model has no finished run, or there is none at all.
    """
    if runs:
        found = [workspace.run(name) for name in runs]
        unfinished = [run.run for run in found if run.status != "finished"]
        if unfinished:
            raise UserError(
                f"not finished: {', '.join(unfinished)}. Go on with: harness train --resume "
                f"{unfinished[0]}"
            )
        return found
    wanted_division = division or SplitVariant()
    finished = {
        run.model: run
        for run in reversed(workspace.runs(status="finished"))
        if SplitVariant.of(run) == wanted_division
    }
    missing = [name for name in names if name not in finished]
    if missing or not finished:
        what = f"no finished run of {', '.join(missing)}" if missing else "no trained model"
        there = f" There are: {', '.join(finished)}." if finished else ""
        train = f"harness train{''.join(f' --model {name}' for name in missing)}"
        what += f" ({division})" if division else ""
        raise UserError(
            f"{what} in {workspace.root}.{there} Train with '{train}', or try everything with "
            "'harness demo'."
        )
    wanted = names or sorted(finished, key=lambda n: (ORDER.index(n) if n in ORDER else 99, n))
    return [finished[name] for name in dict.fromkeys(wanted)]


def default_run(workspace: Workspace) -> Run:
    """What is submitted when no model is named: DivergentNets, else the best on validation.

    Raises:
        UserError: If no run is finished.
    """
    ensemble = workspace.newest(ORDER[-1])
    if ensemble is not None:
        return ensemble
    finished = workspace.runs(status="finished")
    if not finished:
        raise UserError(
            f"no trained model in {workspace.root}. Train with 'harness train', or try everything "
            "with 'harness demo'."
        )
    return max(finished, key=lambda run: run.row["best_iou"] or 0.0)

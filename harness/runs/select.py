"""Choose the runs that a command takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import models
from harness.data.cross_validation import SplitVariant
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError
from metrics.utils.names import few


def select(
    workspace: Workspace,
    names: Sequence[str] = (),
    runs: Sequence[str] = (),
    variant: SplitVariant | None = None,
    *,
    default: Literal["all", "best"] = "all",
) -> list[Run]:
    """The finished runs that a command takes.

    A run named by its identifier may be of any splits. Models are looked for among the runs of
    one variant of the splits, so that a cross-validation's fold is never taken by accident.

    ``names`` are models, of which the newest finished run is taken, ``runs`` identifiers in place
    of models. Where neither is given, ``default`` takes the newest run of every model, or the one
    that represents the workspace best (see :func:`_best`).

    Returns:
        list[Run]: As they were named; every model in the paper's order, other models after them.

    Raises:
        UserError: If a run is not finished, a model has no finished run or is the name of a run, or
            there is none at all.
    """
    if runs:
        return _named(workspace, runs)
    variant = variant or SplitVariant()
    finished = [run for run in workspace.runs(status="finished") if not run.tuned]
    newest = newest_by_model(finished, variant)
    missing = [name for name in names if name not in newest]
    if found := [run for run in workspace.runs() if run.run in missing]:
        raise _no_models(found)
    if missing or not newest:
        others = [one for one in finished if not missing or one.model in missing]
        raise _nothing(workspace, missing, newest, variant, others)
    if names:
        return [newest[name] for name in dict.fromkeys(names)]
    if default == "best":
        return [_best([run for run in finished if run.variant == variant])]
    return [newest[name] for name in sorted(newest, key=models.paper_order)]


def select_one(workspace: Workspace, name: str) -> Run:
    """The finished run of that name, or the newest of that model; raises as :func:`select`."""
    names, runs = ([name], []) if name in models.names() else ([], [name])
    return select(workspace, names, runs)[0]


def newest_by_model(runs: Iterable[Run], variant: SplitVariant) -> dict[str, Run]:
    """The newest run of each model in a variant of the splits; ``runs`` are newest first."""
    untuned = [run for run in runs if not run.tuned]  # what was tuned is taken by name only
    return {run.model: run for run in reversed(untuned) if run.variant == variant}


def variant_of_all(runs: Sequence[Run]) -> SplitVariant:
    """The splits that runs were trained on, so that their figures are of the same frames.

    Raises:
        UserError: They were trained on different splits.
    """
    variant, *others = {run.variant for run in runs}
    if others:
        of = ", ".join(f"{run.run}: {run.variant}" for run in runs)
        raise UserError(f"measured on different frames ({of}); take runs of the same splits")
    return variant


def _named(workspace: Workspace, runs: Sequence[str]) -> list[Run]:
    found = [workspace.run(name) for name in dict.fromkeys(runs)]
    unfinished = [run.run for run in found if run.status != "finished"]
    if unfinished:
        raise UserError(
            f"not finished: {', '.join(unfinished)}. Go on with: "
            f"{command_line(f'train --resume {unfinished[0]}')}"
        )
    return found


def _best(runs: Sequence[Run]) -> Run:
    """The newest DivergentNets; without one, the run of the best IoU on validation.

    IoUs are compared among runs of the same validation frames only: those of the newest run that
    has an IoU. Where none has (imported checkpoints), the newest run is taken.
    """
    ensembles = [run for run in runs if run.model == models.ENSEMBLE]
    if ensembles:
        return ensembles[0]
    measured = [run for run in runs if run.row["best_iou"] is not None]
    if not measured:
        return runs[0]
    frames = measured[0].validation_frames
    alike = [run for run in measured if run.validation_frames == frames]
    return max(alike, key=lambda run: float(run.row["best_iou"]))


def _no_models(runs: Sequence[Run]) -> UserError:
    of = ", ".join(f"{run.run} is a run of {run.model}" for run in runs)
    return UserError(
        f"expected models, of which the newest run is taken, tuned ones apart, but {of}. evaluate, "
        "predict, submit and report take a run by --run, compare by its name."
    )


def _nothing(
    workspace: Workspace,
    missing: Sequence[str],
    newest: dict[str, Run],
    variant: SplitVariant,
    others: Sequence[Run],
) -> UserError:
    what = f"no finished run of {', '.join(missing)}" if missing else "no trained model"
    what += f" ({variant})" if variant else ""
    there = f" There are: {', '.join(newest)}." if newest else ""
    if not set(missing) <= set(models.names()):
        return UserError(
            f"{what} in {workspace.root}.{there} '{command_line('models')}' lists what can be "
            "trained."
        )
    of_models = "".join(f" --model {name}" for name in missing)
    train = command_line(f"train{of_models}{variant.option}")
    if others and not variant:
        of = few([f"{run.run} ({run.variant})" for run in others], 3)
        there += f" Of other splits, and taken by their names only (--run), are: {of}."
    return UserError(
        f"{what} in {workspace.root}.{there} Train with '{train}', or try everything with "
        "'harness demo'."
    )

"""Register DivergentNets as a run: the best checkpoints of its members."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import models
from harness.config.training import TrainConfig
from harness.data.cross_validation import SplitVariant
from harness.runs.classes import shared_classes
from harness.runs.network import member_weights
from harness.runs.run import Run
from harness.runs.select import newest_by_model
from harness.runs.workspace import Workspace
from harness.utils.folders import link
from harness.utils.versions import versions
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.files import unwritable
from models import ENSEMBLE


def check_members(workspace: Workspace, members: Sequence[str]) -> None:
    """Refuse members that are neither models to train nor finished runs of one network.

    Raises:
        FaultsError: If any cannot be a member, all of them.
    """
    faults = []
    for name in members:
        try:
            fault = _fault(workspace, name)
        except UserError as error:
            fault = error.message
        if members.count(name) > 1:
            fault = "named twice; several seeds of one model are named by their runs"
        faults += [Fault(path=name, message=fault)] if fault else []
    if faults:
        raise FaultsError(list(dict.fromkeys(faults)), "these cannot be members")


def _fault(workspace: Workspace, name: str) -> str:
    if name in models.names():
        return "it is an ensemble" if models.get(name).members else ""
    run = workspace.run(name)
    if run.members:
        return "it is an ensemble; name its members instead"
    return "" if run.status == "finished" else f"it is {run.status}, not finished"


def members_for(
    workspace: Workspace,
    names: Sequence[str],
    trained: Mapping[str, Run] | None = None,
    variant: SplitVariant | None = None,
) -> dict[str, Run]:
    """A finished run of each member: of models the one ``trained``, else the newest of a variant.

    ``names`` are models and runs; empty for the members of DivergentNets.

    Raises:
        UserError: If a model has no finished run; all missing ones are named.
    """
    names = names or models.get(ENSEMBLE).members
    finished = workspace.runs(status="finished")
    newest = newest_by_model(finished, variant or SplitVariant()) | dict(trained or {})
    newest |= {run.run: run for run in finished if run.run in names}
    found = {name: newest.get(name) for name in names}
    missing = [name for name, run in found.items() if run is None]
    if missing:
        wanted = " ".join(f"--model {name}" for name in missing if name in models.names())
        # Not a whole command, which would lack the preset that was asked for.
        train = f" Train them first, or in the same command: {wanted}" if wanted else ""
        raise UserError(
            f"{ENSEMBLE} needs a finished run of each member; there is none of "
            f"{', '.join(missing)}.{train}"
        )
    return {name: run for name, run in found.items() if run is not None}


def members_among(ensemble: Run, runs: Iterable[Run]) -> dict[int, Run]:
    """Those of some runs that are members of an ensemble with the very weights that it has.

    A member may have been trained on since, or its run replaced; and one whose images are smaller
    than the ensemble's sees other pixels when it predicts by itself.

    Returns:
        dict: The runs by their place among the ensemble's networks.
    """
    by_name = {run.run: run for run in runs}
    settings = ensemble.settings.get("members", {})
    largest = max((one["size"] for one in settings.values()), default=0)
    found = {}
    for place, name in enumerate(settings):
        run = by_name.get(str(ensemble.members.get(name)))
        if (
            run is None
            or settings[name]["size"] < largest
            or TrainConfig.from_dict(run.settings) != TrainConfig.from_dict(settings[name])
        ):
            continue
        files = run.best, member_weights(ensemble.folder, name)
        if all(file.exists() for file in files) and filecmp.cmp(*files, shallow=False):
            found[place] = run
    return found


def register(workspace: Workspace, members: Mapping[str, Run], seed: int | None = None) -> Run:
    """Register an ensemble of finished runs, by the members' names, as a run of its own.

    Its seed is by default the smallest of the members.

    Raises:
        UserError: If the members have different classes, or the disk is full.
    """
    configs = {name: TrainConfig.from_dict(run.settings) for name, run in members.items()}
    shared_classes(members.values())
    return enter(
        workspace,
        ENSEMBLE,
        {name: run.best for name, run in members.items()},
        settings={"members": {name: config.to_dict() for name, config in configs.items()}},
        seed=min(c.seed for c in configs.values()) if seed is None else seed,
        parameters=sum(int(run.row["parameters"] or 0) for run in members.values()),
        data=_shared({run.row["data"] for run in members.values()}),
        checkpoint=_shared({str(run.row["checkpoint"]) for run in members.values()}),
        members={name: run.run for name, run in members.items()},
    )


def enter(
    workspace: Workspace,
    model: str,
    weights: Mapping[str, Path],
    *,
    label: str = "",
    **columns: Any,
) -> Run:
    """Register a finished run that is made of members.

    Their weights are hard links (copies where the file system has none), so that it stays whole
    when a member's run is removed.

    ``weights`` are files by member, ``label`` is what the run's name tells besides, and ``columns``
    are further ones of the register.

    Raises:
        UserError: If a file of weights is gone, or the disk is full.
    """

    def write(folder: Path) -> dict[str, Any]:
        try:
            for name, file in weights.items():
                link(file, member_weights(folder, name))
        except FileNotFoundError as error:
            raise UserError(
                f"the weights of {name} ({error.filename}) are gone; train it again, or name "
                "another member"
            ) from error
        except OSError as error:
            raise unwritable(folder, error) from error
        return {}

    return workspace.new_finished_run(model, write, label=label, versions=versions(), **columns)


def _shared(values: set[str | None]) -> str:
    """The members' common value, or all of their values joined by '+'."""
    return "+".join(sorted(str(value) for value in values))

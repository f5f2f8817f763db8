"""Register DivergentNets as a run: the best checkpoints of its members."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config.training import TrainConfig
from harness.data.cross_validation import SplitVariant
from harness.runs.network import member_weights, shared_classes
from harness.runs.select import newest_by_model
from harness.runs.workspace import Run, Workspace, write_run_json
from harness.utils.versions import versions
from metrics.utils.errors import UserError
from metrics.utils.files import unwritable
from models import ENSEMBLE


def members_for(
    workspace: Workspace,
    names: Sequence[str],
    trained: Mapping[str, Run] | None = None,
    variant: SplitVariant | None = None,
) -> dict[str, Run]:
    """A finished run of each member: the given one, or else the newest.

    Raises:
        UserError: If a member has no finished run; all missing ones are named.
    """
    finished = workspace.runs(status="finished")
    newest = newest_by_model(finished, variant or SplitVariant()) | dict(trained or {})
    found = {name: newest.get(name) for name in names}
    missing = [name for name, run in found.items() if run is None]
    if missing:
        models = " ".join(f"--model {name}" for name in missing)
        raise UserError(
            f"{ENSEMBLE} needs a trained run of each member; there is none of "
            f"{', '.join(missing)}. Train them with: harness train {models}"
        )
    return {name: run for name, run in found.items() if run is not None}


def members_among(ensemble: Run, runs: Iterable[Run]) -> dict[int, Run]:
    """Those of some runs that are members of an ensemble with the very weights that it has.

    A member may have been trained on since, or its run replaced.

    Returns:
        dict: The runs by their place among the ensemble's networks.
    """
    by_name = {run.run: run for run in runs}
    settings = ensemble.settings.get("members", {})
    found = {}
    for place, name in enumerate(settings):
        run = by_name.get(str(ensemble.members.get(name)))
        if run is None or TrainConfig.from_dict(run.settings) != TrainConfig.from_dict(
            settings[name]
        ):
            continue
        files = run.best, member_weights(ensemble.folder, name)
        if all(file.exists() for file in files) and filecmp.cmp(*files, shallow=False):
            found[place] = run
    return found


def register(workspace: Workspace, members: Mapping[str, Run]) -> Run:
    """Register an ensemble of finished runs as a run of its own.

    The members' weights are hard links (copies where the file system has none), so the ensemble
    stays whole when a member's run is removed.

    Raises:
        UserError: If the members have different image sizes or classes, or the disk is full.
    """
    configs = {name: TrainConfig.from_dict(run.settings) for name, run in members.items()}
    sizes = {name: config.size for name, config in configs.items()}
    if len(set(sizes.values())) > 1:
        raise UserError(
            f"the members of {ENSEMBLE} take images of different sizes ({sizes}); train all of "
            "them at one --size"
        )
    shared_classes(members.values())

    def link(folder: Path) -> dict[str, Any]:
        try:
            for name, member in members.items():
                _link(member.best, member_weights(folder, name))
        except OSError as error:
            raise unwritable(folder, error) from error
        return {}

    run = workspace.new_finished_run(
        ENSEMBLE,
        link,
        settings={"members": {name: config.to_dict() for name, config in configs.items()}},
        versions=versions(),
        seed=min(config.seed for config in configs.values()),
        parameters=sum(int(run.row["parameters"] or 0) for run in members.values()),
        data=_shared({run.row["data"] for run in members.values()}),
        checkpoint=_shared({str(run.row["checkpoint"]) for run in members.values()}),
        members={name: run.run for name, run in members.items()},
    )
    write_run_json(run, members=dict(run.members))
    return run


def _shared(values: set[str | None]) -> str:
    """The members' common value, or all of their values joined by '+'."""
    return "+".join(sorted(str(value) for value in values))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)

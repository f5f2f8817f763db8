"""Weights that a training starts from: those of a run or of a checkpoint file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from harness.config.training import TrainConfig
from harness.data.catalogue import of_split
from harness.data.cross_validation import SplitVariant
from harness.data.fingerprint import data_fingerprint
from harness.runs.checkpoints import check_finite
from harness.runs.network import build
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.utils.command_line import command_line
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.files import file_sha256
from models.foreign_checkpoint import import_checkpoint

if TYPE_CHECKING:
    import pandas as pd

_DETERMINED: Final = ("model", "encoder", "nodes", "inputs")
"""Settings of a recipe that the weights of a run determine."""


def settings_of(workspace: Workspace, init: str) -> Mapping[str, Any]:
    """The settings that a run's weights determine; none for a file.

    Returns:
        Mapping: ``model``, ``encoder``, ``nodes`` and ``inputs`` of the run.

    Raises:
        UserError: If it is neither a file nor a run with weights of one network.
    """
    if Path(init).is_file():
        return {}
    run = _run(workspace, init)
    config = TrainConfig.from_dict(run.settings)
    return {name: getattr(config, name) for name in _DETERMINED}


def checked(workspace: Workspace, init: str, config: TrainConfig) -> TrainConfig:
    """A recipe that starts from given weights, which are read and compared with its network.

    Returns:
        TrainConfig: The recipe with ``init`` and ``init_sha256``, and no encoder weights.

    Raises:
        UserError: If there is no such run or file, or its weights are no numbers.
        FaultsError: If the run's model, encoder, nodes, inputs or classes differ, all of them.
        ModelError: If the file's network differs, with its tensors.
    """
    path = Path(init)
    if not path.is_file():
        run = _run(workspace, init)
        _refuse_differences(run, config)
        path = run.best
    else:
        init = str(path.absolute())
    imported = import_checkpoint(path, build(config, weights=False))
    check_finite(path, imported.weights)
    return dataclasses.replace(
        config, init=init, init_sha256=file_sha256(path), encoder_weights="none"
    )


def load(workspace: Workspace, config: TrainConfig, network: nn.Module) -> None:
    """Load the weights that a recipe starts from.

    Raises:
        UserError: If they are gone or have changed since the recipe was checked.
    """
    path = Path(config.init)
    path = path if path.is_file() else _run(workspace, config.init).best
    if not path.is_file() or file_sha256(path) != config.init_sha256:
        raise UserError(
            f"the weights of {config.init} ({path}) are gone or have changed since this training "
            "was asked for; start it anew"
        )
    network.load_state_dict(import_checkpoint(path, network).weights)


def seen_frames(workspace: Workspace, init: str, catalogue: pd.DataFrame) -> set[str] | None:
    """The frames that weights were trained on, by the run and by those that it started from.

    ``init`` is a run or a file, ``catalogue`` has today's frames with their splits as they are.

    Returns:
        set | None: Identifiers of frames; ``None`` where it cannot be told: for a file, for a run
        that is gone, and for one whose training frames, known by their fingerprint, are not among
        today's.
    """
    seen: set[str] = set()
    while init:
        if Path(init).is_file():
            return None
        try:
            run = _run(workspace, init)
            train = of_split(run.variant.apply(catalogue), "train")
        except UserError:  # the run or the file is gone; or the centre or the fold is
            return None
        if data_fingerprint(train, workspace.root / "cache") != run.training_frames:
            return None
        seen |= set(train["frame"])
        init = str(run.settings.get("init", ""))
    return seen


def warning(
    workspace: Workspace, init: str, catalogue: pd.DataFrame, variants: Sequence[SplitVariant]
) -> str:
    """A warning where weights have seen frames that are held out; empty where they have not.

    ``variants`` are those of the splits that are trained; the rest is as for :func:`seen_frames`.
    """
    seen = seen_frames(workspace, init, catalogue)
    if seen is None:
        if not any(variants):
            return ""
        return (
            f"it cannot be told which frames {init} was trained on. Where the held-out frames are "
            "among them, figures on these say nothing about frames that are new to the network."
        )
    known = {}
    for variant in variants:
        frames = variant.apply(catalogue)
        held_out = frames.loc[frames["split"].isin(["val", "test"]), "frame"]
        known[str(variant)] = int(held_out.isin(seen).sum())
    if not any(known.values()):
        return ""
    counted = "; ".join(f"{name}: {count}" for name, count in known.items() if count)
    return (
        f"{init} was trained on frames that are held out here ({counted}): figures on these say "
        "nothing about frames that are new to the network. Start from weights that have not seen "
        "them, such as those of a run with the same --leave-out, or train without --init."
    )


def _run(workspace: Workspace, name: str) -> Run:
    # Names of plug-ins' models, and so of their runs, may have dots.
    is_run = Path(name).name == name and (workspace.root / "runs" / name).is_dir()
    if not is_run and (Path(name).suffix or Path(name).name != name):
        runs = command_line("runs")
        raise UserError(f"no file {name}; --init takes a run of '{runs}' or a checkpoint")
    run = workspace.described(name)
    if run.members:
        raise UserError(f"{name} is an ensemble; --init takes the weights of one network")
    return run


def _refuse_differences(run: Run, config: TrainConfig) -> None:
    theirs = TrainConfig.from_dict(run.settings)
    pairs = {name: (getattr(theirs, name), getattr(config, name)) for name in _DETERMINED}
    names, wanted = (", ".join(one.classes.names) for one in (theirs, config))
    pairs["classes"] = (names, wanted)
    faults = [
        Fault(path=name, message=f"{before!r} in {run.run}, {now!r} in the recipe")
        for name, (before, now) in pairs.items()
        if before != now
    ]
    if faults:
        raise FaultsError(faults, f"training cannot start from the weights of {run.run}")

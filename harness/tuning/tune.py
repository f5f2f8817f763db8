"""Tune a run: predict its members' maps once, then choose."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.fingerprint import data_fingerprint
from harness.inference.prediction import Inference
from harness.runs.network import Loaded, load
from harness.runs.workspace import Run, Workspace
from harness.tuning.member_maps import Truths, member_names, predict_maps
from harness.tuning.register import register
from harness.tuning.search import Candidate, Choice, Maps, Search
from harness.utils import console
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def tune(
    workspace: Workspace,
    run: Run,
    frames: pd.DataFrame,
    split: str,
    *,
    inference: Inference,
    steps: Sequence[str],
    figure: str,
    only_certain: bool,
) -> tuple[Run, list[Candidate]]:
    """Choose how a run predicts, and register the choice as a run.

    Args:
        workspace: Where runs are registered.
        run: A finished run that was not tuned.
        frames: The frames of the split.
        split: Its name.
        inference: How the network predicts, without test-time augmentation.
        steps: Of ``members``, ``threshold``, ``clean-up`` and ``tta``, in this order.
        figure: What is to become better.
        only_certain: Whether only changes that are certain are taken.

    Returns:
        tuple: The new run, and all that was tried.

    Raises:
        UserError: If the run was tuned before, a frame or mask cannot be read, threshold or
            clean-up are asked for several classes, or the disk is full.
    """
    if run.tuned:
        raise UserError(f"{run.run} was tuned before; tune {run.tuned['run']}, which it came from")
    loaded = load(run)
    if len(loaded.classes) > 1 and {"threshold", "clean-up"} & set(steps):
        raise UserError(
            f"{run.run} tells {len(loaded.classes)} classes apart, and threshold and clean-up are "
            "for one; leave them out: --steps members,tta"
        )
    truths = Truths.read(frames, loaded)
    search = Search(truths, figure=figure, only_certain=only_certain)
    choice = Choice(members=member_names(loaded))
    with tempfile.TemporaryDirectory(dir=_scratch(workspace), prefix="maps-") as folder:
        maps = _predict(loaded, frames, inference, Path(folder) / "plain.npy")
        if "members" in steps:
            choice = search.members(choice, maps)
        if "threshold" in steps:
            choice = search.threshold(choice, maps)
        if "clean-up" in steps:
            choice = search.clean_up(choice, maps)
        if "tta" in steps:
            views = dataclasses.replace(inference, tta=True)
            file = Path(folder) / "augmented.npy"
            choice = search.tta(choice, maps, _predict(loaded, frames, views, file, choice.members))
    data = data_fingerprint(frames, workspace.root / "cache")
    made = register(workspace, run, choice, split=split, data=data, figure=figure)
    return made, search.tried


def _scratch(workspace: Workspace) -> Path:
    folder = workspace.root / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _predict(
    loaded: Loaded,
    frames: pd.DataFrame,
    inference: Inference,
    file: Path,
    members: Sequence[str] = (),
) -> Maps:
    names = members or member_names(loaded)
    title = f"{loaded.run.model}, {len(names)} members{', augmented' if inference.tta else ''}"
    with console.progress(title, len(names) * len(frames)) as bar:
        return predict_maps(loaded, frames, inference, file, members=members, done=bar.advance)

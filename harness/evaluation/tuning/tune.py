"""Tune a run: predict its members' maps once, then choose."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.fingerprint import data_fingerprint
from harness.evaluation.tuning import OF_ONE_CLASS, STEPS, fit_fusion
from harness.evaluation.tuning.fit_fusion import Part, fit
from harness.evaluation.tuning.member_maps import Truths, member_names, predict_maps
from harness.evaluation.tuning.register import register
from harness.evaluation.tuning.search import Candidate, Choice, Maps, Search
from harness.inference.prediction import Inference
from harness.runs import checkpoints
from harness.runs.classes import shared_classes
from harness.runs.network import Loaded, load, with_members
from harness.runs.run import Run
from harness.runs.workspace import Workspace
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

    The run is finished and was not tuned; ``frames`` are those of the split. ``inference`` is how
    the network predicts, except for test-time augmentation, which is chosen here. ``steps`` are
    some of ``STEPS``; without any, all that the run's classes have. The ``figure`` of the chosen
    class is to become better; with ``only_certain`` only changes that are certain are taken.

    Returns:
        tuple: The new run, and all that was tried.

    Raises:
        UserError: If the run was tuned before or has no members to choose among, a frame or mask
            cannot be read, threshold or clean-up are asked for several classes, or the disk is
            full.
    """
    loaded = _load_for(run, steps)
    several = len(loaded.classes) > 1
    steps = steps or [name for name in STEPS if not (several and name in OF_ONE_CLASS)]
    search = Search(Truths.read(frames, loaded), figure=figure, only_certain=only_certain)
    # Without the step for it, test-time augmentation stays as the run's recipe has it.
    inference = dataclasses.replace(inference, tta=run.tta and "tta" not in steps)
    choice = Choice(members=member_names(loaded), tta=bool(inference.tta))
    with tempfile.TemporaryDirectory(dir=_scratch(workspace), prefix="maps-") as folder:
        maps = _predict(loaded, frames, inference, Path(folder) / "plain.npy")
        if "members" in steps:
            choice = search.members(choice, maps)
            chosen = with_members(loaded, choice.members)
            if chosen.size < loaded.size:
                # Without its largest member the run will predict smaller images: so must these be.
                loaded = chosen
                maps = _predict(loaded, frames, inference, Path(folder) / "smaller.npy")
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


def _load_for(run: Run, steps: Sequence[str]) -> Loaded:
    """The network of a run that can be tuned in these steps."""
    if run.tuned:
        raise UserError(f"{run.run} was tuned before; tune {run.tuned['run']}, which it came from")
    if [*steps] == ["members"] and not run.members:
        raise UserError(f"{run.run} has no members to choose among; take an ensemble")
    loaded = load(run)
    if len(loaded.classes) > 1 and (unfit := [name for name in steps if name in OF_ONE_CLASS]):
        raise UserError(
            f"{run.run} tells {len(loaded.classes)} classes apart, of which each pixel gets the "
            f"most probable; {' and '.join(unfit)} cannot be tuned, only members and tta"
        )
    return loaded


def fuse(
    workspace: Workspace,
    run: Run,
    parts: Sequence[tuple[Run, pd.DataFrame]],
    split: str,
    *,
    kind: str,
    inference: Inference,
) -> Run:
    """Fit a fusion of an ensemble's members, and register the ensemble with it.

    ``parts`` are frames of the split, each with a run of the ensemble's members that has not seen
    them in training: the ensemble itself with its validation frames, or the ensembles of all folds.
    ``kind`` is ``weighted`` or ``network``. ``inference`` is how the networks predict, except
    for test-time augmentation, which is the ensemble's.

    Raises:
        UserError: If the run has one member, the members or classes of the parts are others, they
            take images of different sizes, or the disk is full.
    """
    names = tuple(run.settings.get("members", ()))
    if len(names) < 2:
        raise UserError(f"{run.run} has no members to fuse; take an ensemble")
    if run.tuned:
        raise UserError(f"{run.run} was tuned before; take {run.tuned['run']}, which it came from")
    shared_classes(one for one, _ in parts)
    fitted: list[Part] = []
    with tempfile.TemporaryDirectory(dir=_scratch(workspace), prefix="maps-") as folder:
        for number, (one, frames) in enumerate(parts):
            loaded = load(one)
            if member_names(loaded) != names:
                raise UserError(
                    f"a fusion is for the members {', '.join(names)}; {one.run} has "
                    f"{', '.join(member_names(loaded))}"
                )
            if fitted and loaded.size != (first := fitted[0].maps[0].shape[-1]):
                raise UserError(
                    f"a fusion is fitted to maps of one size; {one.run} takes images of "
                    f"{loaded.size} pixels, {parts[0][0].run} of {first}. Train all folds alike."
                )
            # As the run predicts that is made: the recipes say whether with augmentation.
            how = dataclasses.replace(inference, tta=run.tta)
            maps = _predict(loaded, frames, how, Path(folder) / f"{number}.npy")
            fitted.append(Part(maps=list(maps.values()), truths=Truths.read(frames, loaded)))
        with console.progress(f"Fitting: {kind}", fit_fusion.OPTIMISER_STEPS) as bar:
            network = fit(kind, fitted, done=bar.advance)
        file = Path(folder) / "fusion.safetensors"
        checkpoints.save_weights(file, network.state_dict())
        frames_fitted = [str(row["frame"]) for part in fitted for row in part.truths.rows]
        return register(
            workspace,
            run,
            Choice(members=names, tta=run.tta),
            weights_of_fusion=file,
            split=split,
            fusion={"kind": kind, "frames": frames_fitted},
        )


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

"""Which frames runs, and the members of ensembles, were trained on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.fingerprint import data_fingerprint
from harness.runs.run import Run
from harness.utils import console
from metrics.utils.errors import UserError
from metrics.utils.names import few

if TYPE_CHECKING:
    import pandas as pd


def refuse_seen(run: Run, frames: pd.DataFrame, measured: pd.DataFrame, split: str) -> None:
    """Refuse to measure an ensemble on frames that a member, or its fusion, was trained on.

    The first happens where members are of different folds: what one of them was validated on,
    another was trained on.

    ``frames`` is a catalogue with its splits as they are; ``measured`` are those of ``split``, on
    which the run is to be measured.

    Raises:
        UserError: If there are such frames.
    """
    names = {str(frame) for frame in measured["frame"]}
    if fitted := names & set(run.tuned.get("fusion", {}).get("frames", ())):
        raise UserError(
            f"the fusion of {run.run} was fitted on {len(fitted)} of the {len(measured)} frames of "
            f"{split}, such as {min(fitted)}, so its figures there would tell nothing. Measure it "
            "on other frames, as with --split test."
        )
    if len(run.variants) < 2:
        return
    divided = [variant.apply(frames) for variant in run.variants]
    trained = {str(frame) for one in divided for frame in one.loc[one["split"] == "train", "frame"]}
    if seen := trained & names:
        raise UserError(
            f"{run.run} has members that were trained on {len(seen)} of the {len(measured)} frames "
            f"of {split}, such as {min(seen)}, so its figures there would tell nothing. Measure it "
            "on frames that none of them has seen, as with --split test."
        )


def warn_of_other_training(
    runs: Iterable[Run], frames: pd.DataFrame, split: str, cache: Path
) -> None:
    """Warn of runs that were trained on other frames than today's splits train on.

    Where the frames were divided anew, what is measured now may be what such a run was trained on.

    ``frames`` is a catalogue with its splits as they are; ``cache`` remembers digests of files.
    """
    today: dict[str, str] = {}
    others = []
    for run in runs:
        variant = str(run.variant)
        if run.training_frames and variant not in today:
            divided = run.variant.apply(frames)
            train = divided[divided["split"] == "train"]
            today[variant] = "" if train.empty else data_fingerprint(train, cache)
        if run.training_frames and today[variant] not in ("", run.training_frames):
            others.append(run.run)
    if others:
        console.warn(
            f"Trained on other frames than are set to train on today: {few(others)}. Where frames "
            f"of {split} are among them, its figures are too good."
        )

"""Which frames the members of an ensemble were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.runs.run import Run
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


def frames_seen(run: Run, frames: pd.DataFrame) -> set[str]:
    """Identifiers of the frames that a run, or any member of an ensemble, was trained on.

    ``frames`` is a catalogue with its splits as they are.
    """
    divided = (variant.apply(frames) for variant in run.variants)
    return {str(frame) for one in divided for frame in one.loc[one["split"] == "train", "frame"]}


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
    if len(run.variants) > 1 and (seen := frames_seen(run, frames) & names):
        raise UserError(
            f"{run.run} has members that were trained on {len(seen)} of the {len(measured)} frames "
            f"of {split}, such as {min(seen)}, so its figures there would tell nothing. Measure it "
            "on frames that none of them has seen, as with --split test."
        )

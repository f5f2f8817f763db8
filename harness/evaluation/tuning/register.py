"""Write what was chosen into a run of its own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.evaluation.tuning.search import Choice
from harness.runs import register_ensemble as ensemble
from harness.runs.network import FUSION, member_weights
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from metrics.utils.files import file_sha256


def register(
    workspace: Workspace,
    run: Run,
    choice: Choice,
    *,
    weights_of_fusion: Path | None = None,
    **further: Any,
) -> Run:
    """Register a run of the chosen members that predicts as it was chosen.

    The ``run`` that was tuned is an ensemble, or one network, which becomes the only member.
    ``weights_of_fusion`` is the file of a learned fusion, whose settings are among ``further``,
    which is kept with the choice.

    Raises:
        UserError: If the disk is full.
    """
    settings = run.settings["members"] if run.members else {run.model: run.settings}
    weights = {name: _weights(run, name) for name in choice.members}
    whole = len(weights) == len(settings)
    if weights_of_fusion is not None:
        weights[FUSION] = weights_of_fusion
    tuned = {
        "run": run.run,
        "threshold": choice.threshold,
        "clean_up": asdict(choice.clean_up),
        "tta": choice.tta,
        **further,
    }
    return ensemble.enter(
        workspace,
        run.model,
        weights,
        label="tuned" if weights_of_fusion is None else "fused",
        settings={"members": {name: settings[name] for name in choice.members}, "tuned": tuned},
        seed=run.row["seed"],
        parameters=run.row["parameters"] if whole else None,
        data=run.row["data"],
        checkpoint="+".join(sorted(file_sha256(file) for file in weights.values())),
        members={name: run.members.get(name, run.run) for name in choice.members},
    )


def _weights(run: Run, name: str) -> Path:
    return member_weights(run.folder, name) if run.members else run.best

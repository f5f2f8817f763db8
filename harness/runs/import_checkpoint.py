"""Register a checkpoint that was trained elsewhere as a run."""

from __future__ import annotations

from pathlib import Path

from harness.config.training import TrainConfig
from harness.runs import checkpoints
from harness.runs.network import build
from harness.runs.run import BEST, Run, write_run_json
from harness.runs.workspace import Workspace
from harness.utils.versions import versions
from models.foreign_checkpoint import Imported, import_checkpoint


def register(workspace: Workspace, path: Path, config: TrainConfig) -> tuple[Run, Imported]:
    """Read a checkpoint, without running code from it, and register it as a finished run.

    Raises:
        ModelError: If the file cannot be read or holds another network; nothing is registered.
        UserError: If weights are no numbers, or the disk is full; nothing is registered.
    """
    network = build(config, weights=False)
    imported = import_checkpoint(path, network)
    checkpoints.check_finite(path, imported.weights)
    run = workspace.new_finished_run(
        config.model,
        lambda folder: {"checkpoint": checkpoints.save_weights(folder / BEST, imported.weights)},
        settings=config.to_dict(),
        versions=versions(),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        epochs=imported.epoch or 0,
    )
    write_run_json(run, imported_from=str(path.absolute()))
    return run, imported

"""Register a checkpoint that was trained elsewhere as a run."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
from torch import nn

from harness.config.training import TrainConfig
from harness.runs import checkpoints
from harness.runs.network import build
from harness.runs.run import BEST, Run, write_run_json
from harness.runs.workspace import Workspace
from harness.utils.versions import versions
from metrics.utils.errors import FaultsError
from models.foreign_checkpoint import Imported, advice, import_checkpoint


def register(workspace: Workspace, path: Path, config: TrainConfig) -> tuple[Run, Imported]:
    """Read a checkpoint, without running code from it, and register it as a finished run.

    The file is of ``torch.save``, with a whole network or a state dict, or safetensors with the
    network's own names, such as those of another workspace.

    Raises:
        ModelError: If the file cannot be read or holds another network; nothing is registered.
        UserError: If weights are no numbers, or the disk is full; nothing is registered.
        FaultsError: If safetensors hold another network.
    """
    network = build(config, weights=False)
    imported = read_weights(path, network)
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


def read_weights(path: Path, network: nn.Module) -> Imported:
    """Read the weights for a network, from safetensors or from a file of ``torch.save``.

    No code in the file is run; safetensors are loaded into the network at once.

    Raises:
        ModelError: As for :func:`register`.
        FaultsError: If safetensors hold another network.
    """
    if path.suffix == ".safetensors":
        try:
            checkpoints.load_weights(path, network)
        except FaultsError as error:
            what = advice(path, [safetensors.torch.load_file(path)], network.state_dict())
            raise FaultsError(error.faults, f"{error.summary}; {what}".rstrip("; ")) from error
        return Imported(weights=dict(network.state_dict()), ignored=(), epoch=None)
    return import_checkpoint(path, network)

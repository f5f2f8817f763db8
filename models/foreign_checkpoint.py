"""Import weights of networks that others trained and pickled whole, as the paper's authors did.

The authors' networks take images on the scale 0 to 255, without the normalisation of
:func:`models.normalisation`. A file does not say so; whoever imports one has to know.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models import identify
from models.errors import ModelError, listed
from models.safe_unpickle import Inert, read
from models.weights import differences

Names = dict[str, Tensor]

_FEW: Final = 20  # one of so many tensors
_DEEPEST: Final = 50
_LARGEST: Final = 100_000
# Names of the three networks in the authors' TripleUnet, which inherits a fourth without using it.
_TRIANGLE: Final = {"in_model_1": "left", "in_model_2": "right", "out_model": "head"}
# Until segmentation-models-pytorch 0.4, DeepLabv3's decoder had numbers in place of these names.
_DEEPLAB: Final = {"0": "aspp", "1": "conv", "2": "bn"}


@dataclass(frozen=True, kw_only=True)
class Imported:
    """The weights that a checkpoint holds for a network.

    Attributes:
        weights: A state dict that fits the network, every tensor checked.
        ignored: Names in the file that the network does not need.
        epoch: The epoch that the file names; ``None`` if it names none.
        one_channel: Whether the file's network has one output channel, for a sigmoid.
    """

    weights: dict[str, Tensor]
    ignored: tuple[str, ...]
    epoch: int | None
    one_channel: bool = False


def import_checkpoint(path: Path, network: nn.Module) -> Imported:
    """Read the weights for a network from a file without running code in it.

    A file of ``torch.save`` may hold a whole network or a state dict, alone or inside dictionaries
    and lists, from any version of PyTorch; ``.safetensors`` is read too. Names of older versions of
    segmentation-models-pytorch and of the authors' TriUNet are translated.

    The network is the architecture that it should fit; it is not changed.

    Raises:
        ModelError: If the file cannot be read, holds no network, or one that does not fit, with
            the tensors that differ.
    """
    content = _safetensors(path) if path.suffix == ".safetensors" else read(path)
    found = list(_networks(content))
    if not found:
        raise ModelError(f"{path} holds no network; expected one, or a state dict")
    expected = network.state_dict()
    outcomes = [_fitted(names, expected) for names in found]
    taken, ignored, faults = min(outcomes, key=lambda outcome: len(outcome[2]))
    widened = _two_channels(taken, expected)
    one_channel = bool(faults) and not differences(widened, expected)
    if one_channel:
        taken, faults = widened, []
    if faults:
        other = len(faults) > len(expected) // _FEW  # a few are no other encoder's
        what = (
            other and advice(path, found, expected)
        ) or "is it of another model or encoder, or of other classes?"
        raise ModelError(
            f"{path} holds another network; {what}\n{len(faults)} tensors do not fit, "
            f"{len(expected)} are expected:\n{listed(faults)}"
        )
    weights = {name: tensor.clone() for name, tensor in expected.items()}
    for name, tensor in taken.items():
        # Not a view: tensors of a file may share their values.
        copied = tensor.detach().clone(memory_format=torch.contiguous_format)
        weights[name] = copied.to(expected[name].dtype)
    return Imported(
        weights=weights, ignored=ignored, epoch=_epoch(content), one_channel=one_channel
    )


def _safetensors(path: Path) -> Names:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read {path}: expected safetensors ({error})") from error


def advice(path: Path, found: Sequence[Names], expected: Mapping[str, Tensor]) -> str:
    """Which model and encoder a file's networks are of; empty where that is not found out."""

    def fits(names: Names, tensors: Mapping[str, Tensor]) -> bool:
        taken, _, faults = _fitted(names, tensors)
        return not faults or not differences(_two_channels(taken, tensors), tensors)

    for names in found:
        current = _current_names(_unwrapped(names, expected)[0])[0]
        if said := identify.advice(path, current, expected, partial(fits, names)):
            return said
    return ""


def _two_channels(names: Names, expected: Mapping[str, Tensor]) -> Names:
    """A network of one output channel as one of two, where two are expected.

    A first channel of zeros is added to the output layer: of the logits (0, z) the softmax gives
    the second channel 1 / (1 + exp(-z)), which is the sigmoid of z.
    """

    def widened(name: str, tensor: Tensor) -> Tensor:
        wanted = expected[name].shape if name in expected else tensor.shape
        if (*tensor.shape[:1], *wanted[:1]) != (1, 2) or tensor.shape[1:] != wanted[1:]:
            return tensor
        return torch.cat([torch.zeros_like(tensor), tensor])

    return {name: widened(name, tensor) for name, tensor in names.items()}


def _fitted(
    names: Names, expected: Mapping[str, Tensor]
) -> tuple[Names, tuple[str, ...], list[str]]:
    """Tensors under the network's names, names that were left out, and what does not fit."""
    own, beside = _unwrapped(names, expected)
    current, ignored = _current_names(own)
    return current, beside + ignored, differences(current, expected)


def _unwrapped(names: Names, expected: Mapping[str, Tensor]) -> tuple[Names, tuple[str, ...]]:
    """The names without the prefix that wrappers add, and those that only the wrapper has.

    ``DataParallel`` adds it to every name; a Lightning module may hold other tensors beside the
    network's.
    """
    beside: list[str] = []
    for _ in range(_DEEPEST):
        first = {name.split(".")[0] for name in names}
        if len(first) > 1:
            first = {one for one in first if any(f"{one}.{name}" in names for name in expected)}
        if len(first) != 1 or names.keys() & expected.keys():
            break
        prefix = f"{first.pop()}."
        beside += [name for name in names if not name.startswith(prefix)]
        names = {n.removeprefix(prefix): t for n, t in names.items() if n.startswith(prefix)}
    return {name.replace(".module.", "."): tensor for name, tensor in names.items()}, tuple(beside)


def _current_names(names: Names) -> tuple[Names, tuple[str, ...]]:
    parts = {name.split(".")[0] for name in names}
    triangle = parts >= _TRIANGLE.keys()
    current: Names = {}
    ignored = []
    for name, tensor in names.items():
        part, _, rest = name.partition(".")
        if triangle and part not in _TRIANGLE:
            ignored.append(name)
            continue
        renamed = f"{_TRIANGLE[part]}.{rest}" if triangle else name
        current[_deeplab_name(renamed)] = tensor
    return current, tuple(ignored)


def _deeplab_name(name: str) -> str:
    return re.sub(
        r"(^|\.)decoder\.([012])\.", lambda old: f"{old[1]}decoder.{_DEEPLAB[old[2]]}.", name
    )


def _networks(content: object) -> Iterator[Names]:
    """All networks and state dicts in a file's content, the outermost first."""
    waiting, seen = deque([content]), set()
    while waiting:
        value = waiting.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Inert) and _is_module(value):
            yield dict(_of_module(value))
        elif isinstance(value, dict):
            tensors = {str(key): inner for key, inner in value.items() if isinstance(inner, Tensor)}
            if tensors:
                yield tensors
            waiting += value.values()
        elif isinstance(value, (list, tuple)):
            waiting += value


def _is_module(value: Inert) -> bool:
    return isinstance(value.state, dict) and isinstance(value.state.get("_modules"), dict)


def _of_module(module: Inert) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a pickled network, as its ``state_dict`` would give them.

    Raises:
        ModelError: If it is deeper or larger than a network can be, or contains itself.
    """
    waiting: list[tuple[str, Inert]] = [("", module)]
    seen = 0
    while waiting:
        prefix, current = waiting.pop()
        seen += 1
        if seen > _LARGEST or prefix.count(".") > _DEEPEST:
            raise ModelError("the file's network is deeper than a network can be")
        if not _is_module(current):
            continue
        transient = current.state.get("_non_persistent_buffers_set")
        for kind in ("_parameters", "_buffers"):
            held = current.state.get(kind)
            for name, value in held.items() if isinstance(held, dict) else ():
                passing = isinstance(transient, set) and name in transient
                if isinstance(value, Tensor) and not passing:
                    yield f"{prefix}{name}", value
        waiting += [
            (f"{prefix}{name}.", child)
            for name, child in current.state["_modules"].items()
            if isinstance(child, Inert)
        ]


def _epoch(content: object) -> int | None:
    epoch = content.get("epoch") if isinstance(content, dict) else None
    return epoch if type(epoch) is int else None

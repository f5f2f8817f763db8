"""Find out of which model and encoder a checkpoint is, by names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from torch import Tensor

from models import registry
from models.encoders import encoder_names, library
from models.errors import ModelError
from models.packaged import PACKAGES
from models.skip_init import SkipInit
from models.weights import differences

Names = Mapping[str, Tensor]

_ENCODER = "encoder."
_HEAD = "segmentation_head.0.bias"


def advice(path: Path, names: Names, expected: Names, fits: Callable[[Names], bool]) -> str:
    """A clause with the command that takes a checkpoint; empty where its encoder is not found.

    ``names`` are the checkpoint's tensors under today's names, ``expected`` those of the network
    that it does not fit; ``fits`` says whether it fits the tensors of another network.
    """
    encoder = _encoder_of(names)
    if not encoder:
        return ""
    classes = next((t.shape[0] for name, t in expected.items() if name.endswith(_HEAD)), 2)
    model = _model_of(encoder, classes, fits)
    if not model:
        return f"its encoder is {encoder}, but its decoder is that of no model here."
    options = f"--model {model} --encoder {encoder}"
    return f"take {options}, as in: harness import-checkpoint {quote(str(path))} {options}"


def _encoder_of(names: Names) -> str:
    """The encoder whose tensors these are; of several encoders in a network, the first's."""
    first = next((name for name in names if _ENCODER in name), "")
    prefix = first[: first.find(_ENCODER) + len(_ENCODER)]
    found = {n.removeprefix(prefix): t for n, t in names.items() if prefix and n.startswith(prefix)}
    return next((name for name in _encoders(found) if not differences(found, _encoder(name))), "")


def _encoders(found: Names) -> Iterator[str]:
    """Encoders that these tensors may be of: those of families with the same outermost modules."""
    known = library().encoders.encoders
    families: dict[object, list[str]] = {package: [package] for package in PACKAGES}
    for name in encoder_names():
        families.setdefault(known[name]["encoder"], []).append(name)
    for names in families.values() if found else ():
        if _modules(_encoder(names[0])) == _modules(found):
            yield from names


@cache
def _encoder(name: str) -> Names:
    return _tensors(partial(library().encoders.get_encoder, name, weights=None))


def _modules(names: Names) -> set[str]:
    return {name.split(".")[0] for name in names}


def _model_of(encoder: str, classes: int, fits: Callable[[Names], bool]) -> str:
    create = partial(registry.create, encoder=encoder, encoder_weights=None, classes=classes)
    networks = [name for name in registry.names() if not registry.get(name).members]
    return next((name for name in networks if fits(_tensors(partial(create, name)))), "")


def _tensors(build: Callable[[], Any]) -> Names:
    """The tensors of a network; none where it cannot be built without content or at all."""
    try:
        with torch.device("meta"), SkipInit():
            state: Names = build().state_dict()
    except (ModelError, RuntimeError, TypeError, ValueError, KeyError, ImportError):
        return {}
    return state

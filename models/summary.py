"""What the shapes of a network tell: its number of parameters, and whether it takes a size.

Networks are built on torch's meta device, where nothing is computed and no memory is taken.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from models.errors import ModelError
from models.registry import DEFAULT_ENCODER, Architecture, create, get, names

if TYPE_CHECKING:
    from torch import nn

Family = Literal["one network", "three networks", "ensemble"]


@dataclass(frozen=True, kw_only=True)
class Description:
    """One row of ``harness models``.

    Attributes:
        name: Registered name.
        title: How tables write it.
        family: One network, three in a triangle (TriUNet), or an ensemble.
        parts: Names of its nodes or members; empty for one network.
        parameters: Number of parameters with the encoder that was asked for; ``None`` where it
            cannot be built with it.
        smallest_batch: The smallest batch it can be trained with, in frames.
        source: The publication it comes from.
        fault: Why it cannot be built, else empty.
    """

    name: str
    title: str
    family: Family
    parts: tuple[str, ...]
    parameters: int | None
    smallest_batch: int
    source: str
    fault: str = ""


def describe(*, encoder: str = DEFAULT_ENCODER) -> list[Description]:
    """Describe every registered architecture with one encoder, ensembles last.

    Returns:
        list: One description an architecture. No weights are loaded or allocated.

    Raises:
        ModelError: If the encoder is unknown.
    """
    from models.encoders import check_encoder

    check_encoder(encoder)
    sizes: dict[str, int] = {}
    return [
        _row(get(name), sizes, encoder)
        for name in sorted(names(), key=lambda name: bool(get(name).members))
    ]


def outline(name: str, **options: Any) -> nn.Module:
    """A network on torch's meta device: shapes without values; no random numbers are drawn.

    The options are those of ``models.create``, without weights; so are the errors.
    """
    import torch

    from models.skip_init import SkipInit

    build = partial(create, name, encoder_weights=None, **options)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"), SkipInit():
                return build()
        except Exception as error:  # each library raises its own kind
            if "meta" not in str(error):
                raise
            # Some networks compute with values while they are built.
            return build().to("meta")


def try_out(
    name: str, *, encoder: str = DEFAULT_ENCODER, classes: int = 2, size: int = 256, **options: Any
) -> None:
    """Build a network without weights and pass the shape of a square image through it.

    ``size`` is the image's side in pixels; the rest is as for ``models.create``.

    Raises:
        ModelError: If it cannot be built, does not take such images, or gives logits of another
            shape than (N, classes, size, size).
    """
    import torch

    network = outline(name, encoder=encoder, classes=classes, **options)
    what = f"{name} on the encoder {encoder}"
    try:
        with torch.inference_mode():
            logits = network.eval()(torch.empty(1, 3, size, size, device="meta"))
    except Exception as error:  # each library raises its own kind
        if "meta" in str(error):  # it computes with values, which only training can tell
            return
        raise ModelError(f"{what} does not take images of {size} pixels: {error}") from error
    if logits.shape != (1, classes, size, size):
        shape = " x ".join(map(str, logits.shape))
        raise ModelError(f"{what} gives logits of {shape}, not of 1 x {classes} x {size} x {size}")


def _row(architecture: Architecture, sizes: dict[str, int], encoder: str) -> Description:
    name, members, fault = architecture.name, architecture.members, ""
    if missing := [member for member in members if member not in sizes]:
        fault = f"its members {', '.join(missing)} cannot be built"
    elif members:
        sizes[name] = sum(sizes[member] for member in members)
    else:
        try:
            parameters = outline(name, encoder=encoder).parameters()
            sizes[name] = sum(parameter.numel() for parameter in parameters)
        except Exception as error:  # a plug-in's network may fail in any way
            fault = error.message if isinstance(error, ModelError) else str(error)
    single: Family = "three networks" if architecture.nodes else "one network"
    return Description(
        name=name,
        title=architecture.title,
        family="ensemble" if members else single,
        parts=architecture.nodes or members,
        parameters=sizes.get(name),
        smallest_batch=architecture.smallest_batch,
        source=architecture.source,
        fault=fault,
    )

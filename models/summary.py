"""The list of architectures, with their parts and numbers of parameters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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


def describe(*, encoder: str = DEFAULT_ENCODER, classes: int = 2) -> list[Description]:
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
        _row(get(name), sizes, encoder, classes)
        for name in sorted(names(), key=lambda name: bool(get(name).members))
    ]


def outline(
    name: str,
    *,
    encoder: str = DEFAULT_ENCODER,
    classes: int = 2,
    nodes: Sequence[str] | None = None,
    output_stride: int | None = None,
) -> nn.Module:
    """A network on torch's meta device: shapes without values; no random numbers are drawn.

    Raises:
        ModelError: As ``models.create`` does.
    """
    import torch

    def build() -> nn.Module:
        return create(
            name,
            encoder=encoder,
            encoder_weights=None,
            classes=classes,
            nodes=nodes,
            output_stride=output_stride,
        )

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with torch.device("meta"):
                return build()
        except Exception as error:  # each library raises its own kind
            if "meta" not in str(error):
                raise
            # Some networks compute with values while they are built.
            return build().to("meta")


def parameters(
    name: str,
    *,
    encoder: str = DEFAULT_ENCODER,
    classes: int = 2,
    nodes: Sequence[str] | None = None,
) -> int:
    """Count the parameters of one network without allocating its weights.

    It raises where the network could not be built, so it also serves as a check.

    Raises:
        ModelError: As ``models.create`` does.
    """
    network = outline(name, encoder=encoder, classes=classes, nodes=nodes)
    return sum(parameter.numel() for parameter in network.parameters())


def _row(
    architecture: Architecture, sizes: dict[str, int], encoder: str, classes: int
) -> Description:
    family: Family = "one network"
    fault = ""
    if architecture.members:
        family = "ensemble"
        if missing := [member for member in architecture.members if member not in sizes]:
            fault = f"its members {', '.join(missing)} cannot be built"
        else:
            sizes[architecture.name] = sum(sizes[member] for member in architecture.members)
    else:
        family = "three networks" if architecture.nodes else "one network"
        try:
            sizes[architecture.name] = parameters(
                architecture.name, encoder=encoder, classes=classes
            )
        except Exception as error:  # a plug-in's network may fail in any way
            fault = error.message if isinstance(error, ModelError) else str(error)
    return Description(
        name=architecture.name,
        title=architecture.title,
        family=family,
        parts=architecture.nodes or architecture.members,
        parameters=sizes.get(architecture.name),
        smallest_batch=architecture.smallest_batch,
        source=architecture.source,
        fault=fault,
    )

"""The table of architectures by name: the built-in ones and those of plug-ins.

A plug-in is a package with an entry point in the group ``harness.models``: the entry point's name
is the architecture's, and it loads to an :class:`Architecture`.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from models.errors import ModelError, unknown
from models.weights import source

if TYPE_CHECKING:
    from torch import nn

GROUP: Final = "harness.models"
DEFAULT_ENCODER: Final = "se_resnext50_32x4d"
PAPER_NETWORKS: Final = ("unet", "unet++", "fpn", "deeplabv3", "deeplabv3+", "triunet")
"""The networks of the paper, in the order of its tables."""
ENSEMBLE: Final = "divergentnets"
PAPER_ORDER: Final = (*PAPER_NETWORKS, ENSEMBLE)
"""The models of the paper, in the order of its tables."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """An architecture as the table holds it, before it is built.

    Attributes:
        name: What users call it.
        title: How the paper and tables write it.
        source: The publication it comes from.
        build: ``module:function`` or a function that builds it from the keywords ``encoder``,
            ``encoder_weights``, ``classes`` and ``nodes``; empty for an ensemble.
        nodes: Node names of a network made of three, else empty.
        members: Names of the members of an ensemble, else empty.
        smallest_batch: The smallest batch it can be trained with, in frames.
        has_output_stride: Whether ``build`` takes the keyword ``output_stride`` too.
    """

    name: str
    title: str
    source: str
    build: str | Callable[..., nn.Module] = ""
    nodes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    smallest_batch: int = 1
    has_output_stride: bool = False


_PAPER = "Thambawita et al., EndoCV 2021"
_DECODER = "models.decoders:build"
_TRINET = "models.triunet:build"


def _decoder(name: str, title: str, source: str, smallest_batch: int = 1) -> Architecture:
    return Architecture(
        name=name,
        title=title,
        source=source,
        build=_DECODER,
        smallest_batch=smallest_batch,
        has_output_stride=name.startswith("deeplab"),
    )


# Some pool the whole image to one pixel and normalise that. Batch norm over one pixel a channel
# needs at least two frames in training.
_REGISTERED: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        _decoder("unet", "U-Net", "Ronneberger et al., MICCAI 2015"),
        _decoder("unet++", "U-Net++", "Zhou et al., DLMIA 2018"),
        _decoder("fpn", "FPN", "Lin et al., CVPR 2017"),
        _decoder("deeplabv3", "DeepLabv3", "Chen et al., arXiv:1706.05587", 2),
        _decoder("deeplabv3+", "DeepLabv3+", "Chen et al., ECCV 2018", 2),
        Architecture(
            name="triunet",
            title="TriUNet",
            source=_PAPER,
            build=_TRINET,
            nodes=("unet", "unet", "unet"),
        ),
        Architecture(
            name="triunet++",
            title="TriUNet++",
            source=f"{_PAPER}, future work",
            build=_TRINET,
            nodes=("unet++", "unet++", "unet++"),
        ),
        Architecture(
            name="trinet",
            title="TriNet",
            source=f"{_PAPER}, future work",
            build=_TRINET,
            nodes=("unet", "fpn", "deeplabv3"),
            smallest_batch=2,
            has_output_stride=True,
        ),
        _decoder("manet", "MA-Net", "Fan et al., IEEE Access 2020"),
        _decoder("linknet", "LinkNet", "Chaurasia and Culurciello, VCIP 2017"),
        _decoder("pspnet", "PSPNet", "Zhao et al., CVPR 2017"),
        _decoder("pan", "PAN", "Li et al., BMVC 2018", 2),
        _decoder("upernet", "UPerNet", "Xiao et al., ECCV 2018", 2),
        _decoder("segformer", "SegFormer", "Xie et al., NeurIPS 2021"),
        _decoder("dpt", "DPT", "Ranftl et al., ICCV 2021"),
        Architecture(
            name=ENSEMBLE,
            title="DivergentNets",
            source=_PAPER,
            members=("unet++", "fpn", "deeplabv3", "deeplabv3+", "triunet"),
        ),
    )
}


def names() -> list[str]:
    """All names, the built-in ones first."""
    return list(_known())


def get(name: str) -> Architecture:
    """An architecture by name.

    Raises:
        ModelError: If the name is unknown; the nearest one is suggested.
    """
    known = _known()
    if name not in known:
        raise unknown("model", name, known)
    return known[name]


def nodes_known() -> list[str]:
    """Names of the networks that can be nodes of a TriNet."""
    return [name for name, architecture in _known().items() if architecture.build == _DECODER]


def paper_order(name: str) -> tuple[int, str]:
    """A sort key: the paper's models in the order of its tables, then others by name."""
    place = PAPER_ORDER.index(name) if name in PAPER_ORDER else len(PAPER_ORDER)
    return place, name


def create(
    name: str,
    *,
    encoder: str = DEFAULT_ENCODER,
    encoder_weights: str | Path | None = "imagenet",
    classes: int = 2,
    nodes: Sequence[str] | None = None,
    output_stride: int | None = None,
) -> nn.Module:
    """Build a network.

    Args:
        name: A registered name of a single network.
        encoder: An encoder of segmentation-models-pytorch.
        encoder_weights: ``imagenet`` (from an installed package, the hub's local cache or the
            hub, in that order), a file, or ``None`` (also ``none``) for random ones.
        classes: Channels of the output, background included.
        nodes: Three architectures in place of ``trinet``'s own nodes.
        output_stride: By how much the encoder of DeepLabs shrinks the image, 8 or 16; ``None`` for
            the library's own, 8 for DeepLabv3 and 16 for DeepLabv3+. Other networks leave it.

    Returns:
        nn.Module: Normalised images (N, 3, H, W) float in, logits (N, classes, H, W) out; H and W
        are multiples of 32.

    Raises:
        ModelError: If a name is unknown, the name is an ensemble's, nodes do not fit, or the
            weights are not available.
    """
    architecture = get(name)
    if architecture.members:
        raise ModelError(
            f"{name} is an ensemble of {', '.join(architecture.members)}; train these, then it is "
            "made of their best checkpoints"
        )
    if nodes and not architecture.nodes:
        raise ModelError(
            f"{name} is not made of nodes; nodes are for trinet, such as --nodes unet,fpn,deeplabv3"
        )
    build = _builder(architecture)
    chosen = {"output_stride": output_stride} if architecture.has_output_stride else {}
    network: nn.Module = build(
        architecture,
        encoder=encoder,
        encoder_weights=source(encoder_weights),
        classes=classes,
        nodes=tuple(nodes or architecture.nodes),
        **chosen,
    )
    return network


def smallest_batch(name: str, nodes: Sequence[str] = ()) -> int:
    """The smallest batch that a model can be trained with, in frames."""
    architecture = get(name)
    inner = [get(node).smallest_batch for node in nodes or ()]
    return max([architecture.smallest_batch if not inner else 1, *inner])


def _known() -> Mapping[str, Architecture]:
    return {**_REGISTERED, **_plug_ins()}


@cache
def _plug_ins() -> Mapping[str, Architecture]:
    """Architectures of installed plug-ins; one that fails is left out with a warning."""
    found: dict[str, Architecture] = {}
    for entry in metadata.entry_points(group=GROUP):
        try:
            architecture = entry.load()
            if not isinstance(architecture, Architecture):
                raise TypeError(f"expected a models.Architecture, got {architecture!r}")
            if architecture.name in _REGISTERED or architecture.name in found:
                raise ValueError(f"the name {architecture.name!r} is taken")
        except Exception as error:  # a plug-in may fail in any way
            warnings.warn(f"the model plug-in {entry.value!r} is left out: {error}", stacklevel=2)
        else:
            found[architecture.name] = architecture
    return found


def _builder(architecture: Architecture) -> Callable[..., Any]:
    if callable(architecture.build):
        return architecture.build
    module, _, function = architecture.build.partition(":")
    builder: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return builder

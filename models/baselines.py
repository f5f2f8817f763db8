"""The five baselines, as segmentation-models-pytorch builds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from torch import nn

from models.encoders import _library, check_encoder, check_weights, load_encoder
from models.errors import ModelError
from models.registry import Architecture

_CLASSES: Final = {
    "unet": "Unet",
    "unet++": "UnetPlusPlus",
    "fpn": "FPN",
    "deeplabv3": "DeepLabV3",
    "deeplabv3+": "DeepLabV3Plus",
}


def build(
    architecture: Architecture,
    *,
    encoder: str,
    encoder_weights: str | Path | None,
    classes: int,
    nodes: tuple[str, ...] = (),
) -> nn.Module:
    """Build a baseline; the arguments are those of ``models.create``."""
    del nodes
    return baseline(
        architecture.name, encoder=encoder, encoder_weights=encoder_weights, classes=classes
    )


def baseline(
    name: str,
    *,
    encoder: str,
    encoder_weights: str | Path | None,
    classes: int,
    in_channels: int = 3,
) -> nn.Module:
    """A baseline with any number of input channels.

    Args:
        name: One of the five.
        encoder: An encoder of segmentation-models-pytorch.
        encoder_weights: As for ``models.create``.
        classes: Channels of the output.
        in_channels: Channels of the input.

    Raises:
        ModelError: If the architecture or the encoder is unknown, they do not go together, or the
            weights cannot be had.
    """
    if name not in _CLASSES:
        raise ModelError(f"{name!r} cannot be a node; expected one of {', '.join(_CLASSES)}")
    check_encoder(encoder)
    check_weights(encoder, encoder_weights)
    kind: Any = getattr(_library(), _CLASSES[name])
    from_hub = encoder_weights if isinstance(encoder_weights, str) else None
    try:
        network: nn.Module = kind(
            encoder, encoder_weights=from_hub, in_channels=in_channels, classes=classes
        )
    except (ValueError, NotImplementedError) as error:
        raise ModelError(f"{name} cannot be built on the encoder {encoder}: {error}") from error
    if isinstance(encoder_weights, Path):
        inner = network.encoder
        if not isinstance(inner, nn.Module):
            raise ModelError(f"{name} has no encoder to load {encoder_weights} into")
        load_encoder(inner, encoder_weights)
    return network

"""The five baselines, built by segmentation-models-pytorch."""

from __future__ import annotations

import warnings
from typing import Any, Final

from torch import nn

from models.encoders import TIMM, library
from models.errors import ModelError
from models.registry import Architecture
from models.weights import Source, check_weights, load_encoder, own_source, unavailable

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
    encoder_weights: Source,
    classes: int,
    nodes: tuple[str, ...] = (),
    output_stride: int | None = None,
) -> nn.Module:
    """Build a baseline; the arguments are those of ``models.create``."""
    del nodes
    return baseline(
        architecture.name,
        encoder=encoder,
        encoder_weights=encoder_weights,
        classes=classes,
        output_stride=output_stride,
    )


def baseline(
    name: str,
    *,
    encoder: str,
    encoder_weights: Source,
    classes: int,
    in_channels: int = 3,
    output_stride: int | None = None,
) -> nn.Module:
    """Build a baseline with any number of input channels.

    ``name`` is unet, unet++, fpn, deeplabv3 or deeplabv3+; the rest is as for ``models.create``.

    Raises:
        ModelError: If the architecture or the encoder is unknown, they do not go together, or the
            weights are not available.
    """
    if name not in _CLASSES:
        raise ModelError(f"{name!r} cannot be a node; expected one of {', '.join(_CLASSES)}")
    check_weights(encoder, encoder_weights)
    own = own_source(encoder, encoder_weights)
    published = None if own else encoder_weights
    options = {"in_channels": in_channels, "classes": classes}
    if output_stride and name.startswith("deeplab"):
        options["encoder_output_stride"] = output_stride
    network = _built(name, encoder, published, **options)
    if own:
        inner = network.encoder
        if not isinstance(inner, nn.Module):
            raise ModelError(f"{name} has no encoder to load {encoder_weights} into")
        load_encoder(inner, own)
    return network


def _built(name: str, encoder: str, weights: Source, **options: int) -> nn.Module:
    """The network from the library, which also loads published weights."""
    kind: Any = getattr(library(), _CLASSES[name])
    published: str | bool | None = weights if isinstance(weights, str) else None
    if published and encoder.startswith(TIMM):
        published = True  # timm's encoder names include the weights' name
    try:
        with warnings.catch_warnings():
            # The library deprecates 'timm-' names, which still work in the version we require.
            warnings.simplefilter("ignore", DeprecationWarning)
            network: nn.Module = kind(encoder, encoder_weights=published, **options)
    except OSError as error:
        raise unavailable(encoder, weights, error) from error
    except (ValueError, NotImplementedError, RuntimeError, AttributeError, KeyError) as error:
        raise ModelError(f"{name} cannot be built on the encoder {encoder}: {error}") from error
    return network

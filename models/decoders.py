"""The networks of segmentation-models-pytorch, by the names of its decoders."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from torch import nn

from models import hub
from models.dilated import skip_padding
from models.encoders import TIMM, any_size, library
from models.errors import ModelError
from models.registry import Architecture, get, nodes_known
from models.weights import Source, check_weights, load_encoder, own_source, unavailable

_BUILD_ERRORS: Final = (
    ValueError,
    NotImplementedError,
    RuntimeError,
    AttributeError,
    KeyError,
    TypeError,
)

_REASONS: Final = {
    "Only Timm encoders": "dpt takes the encoders of timm only, such as tu-vit_tiny_patch16_224",
    "downsampling pattern": "its maps are all of one size, as in plain vision transformers; dpt "
    "takes such encoders",
    "dilated": "it downsamples by pooling, which cannot be dilated",
    "output_stride": "it cannot be dilated",
    "encoder_name=mit_b": "mit_b encoders give no map at half the image's size",
    "not supported for Linknet": "mit_b encoders give no map at half the image's size",
}
"""What the library's messages hold, and what they mean."""


def build(architecture: Architecture, *, nodes: tuple[str, ...] = (), **options: Any) -> nn.Module:
    """Build one network; the arguments are those of ``models.create``."""
    del nodes
    return build_one(architecture.name, **options)


def build_one(
    name: str,
    *,
    encoder: str,
    encoder_weights: Source,
    classes: int,
    in_channels: int = 3,
    output_stride: int | None = None,
) -> nn.Module:
    """Build a network with any number of input channels; the rest is as for ``models.create``.

    Raises:
        ModelError: If the network or the encoder is unknown, they do not go together, or the
            weights are not available.
    """
    if name not in nodes_known():
        raise ModelError(f"{name!r} cannot be a node; expected one of {', '.join(nodes_known())}")
    check_weights(encoder, encoder_weights)
    own = own_source(encoder, encoder_weights)
    published = None if own else encoder_weights
    options = {"in_channels": in_channels, "classes": classes}
    if output_stride and get(name).has_output_stride:
        options["encoder_output_stride"] = output_stride
    network = _built(name, encoder, published, **options)
    if own:
        inner = network.encoder
        if not isinstance(inner, nn.Module):
            raise ModelError(f"{name} has no encoder to load {encoder_weights} into")
        load_encoder(inner, own, encoder)
    return network


def _kind(name: str) -> Any:
    """The library's class of a network."""
    kinds: Mapping[str, Any] = library().MODEL_ARCHITECTURES_MAPPING
    if name == "pan":
        from models.pan import EnlargingPAN

        return EnlargingPAN
    return kinds[name.replace("+", "plus")]


def _built(name: str, encoder: str, weights: Source, **options: int) -> nn.Module:
    """The network from the library, which also loads published weights."""
    published: str | bool | None = weights if isinstance(weights, str) else None
    if published and encoder.startswith(TIMM):
        published = True  # timm's encoder names include the weights' name
    try:
        with warnings.catch_warnings():
            # The library deprecates 'timm-' names, which still work in the version we require, and
            # advises other settings for dpt's encoders.
            warnings.simplefilter("ignore")
            kind = _kind(name)
            network: nn.Module = kind(
                encoder, encoder_weights=published, **options, **any_size(encoder)
            )
    except hub.download_errors() as error:
        raise unavailable(encoder, weights, error) from error
    except _BUILD_ERRORS as error:
        said = str(error)
        reason = next((plain for part, plain in _REASONS.items() if part in said), said)
        raise ModelError(f"{name} cannot be built on the encoder {encoder}: {reason}") from error
    skip_padding(network)
    return network

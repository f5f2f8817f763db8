"""Encoders: their names, and how they want images normalised."""

from __future__ import annotations

import difflib
import warnings
from typing import Any, Final

from models.errors import ModelError

Channels = tuple[float, float, float]

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CENTRED: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
DPN: Final = ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)

# The library asks the hub for these at every call, which fails without a network; they belong to
# the published weights and do not change. What is not named here is normalised as ImageNet is.
_FAMILIES: Final = {
    "inception": CENTRED,
    "xception": CENTRED,
    "timm-tf_efficientnet_lite": CENTRED,
    "dpn": DPN,
}
_CENTRED_WEIGHTS: Final = ("advprop",)
TIMM: Final = "tu-"
"""What an encoder's name begins with that is taken from timm as it is."""


def normalisation(encoder: str, weights: str | None = "imagenet") -> tuple[Channels, Channels]:
    """Mean and standard deviation of the images an encoder was trained on; asks no network.

    Args:
        encoder: An encoder's name.
        weights: Name of its published weights; only ``advprop`` differs from the others.

    Returns:
        tuple: Three means and three deviations, RGB, on the scale 0 to 1.
    """
    if encoder.startswith(TIMM):
        settings = timm_settings(encoder)
        return (settings.mean, settings.std) if settings is not None else IMAGENET
    if weights in _CENTRED_WEIGHTS:
        return CENTRED
    families = (known for family, known in _FAMILIES.items() if encoder.startswith(family))
    return next(families, IMAGENET)


def encoder_names() -> list[str]:
    """The encoders of segmentation-models-pytorch, but for timm's own (``tu-NAME``)."""
    return sorted(library().encoders.get_encoder_names())


def published_weights(encoder: str) -> dict[str, dict[str, str]]:
    """Published weights of an encoder that is not timm's own: name to where the hub has them."""
    settings: dict[str, dict[str, str]] = library().encoders.encoders[encoder][
        "pretrained_settings"
    ]
    return settings


def check_encoder(name: str) -> None:
    """Refuse an encoder that neither segmentation-models-pytorch nor, as ``tu-``, timm has.

    Raises:
        ModelError: With the nearest names.
    """
    if name.startswith(TIMM):
        import timm

        if timm.is_model(name.removeprefix(TIMM)):
            return
        known = [TIMM + model for model in timm.list_models()]
    else:
        known = encoder_names()
        if name in known:
            return
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    raise ModelError(
        f"unknown encoder {name!r}; {hint}'harness models --encoders' lists them, and "
        f"{TIMM}NAME is any model of timm"
    )


def timm_settings(encoder: str) -> Any | None:
    """What timm knows of the published weights of ``tu-NAME``; ``None`` if there are none."""
    import timm

    return timm.get_pretrained_cfg(encoder.removeprefix(TIMM), allow_unregistered=False)


def library() -> Any:
    """segmentation-models-pytorch, without what its dependencies say when they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import segmentation_models_pytorch

    return segmentation_models_pytorch

"""Encoders: their names, and the normalisation of their input."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from typing import Any, Final

from models.errors import ModelError

Channels = tuple[float, float, float]

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CENTRED: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
DPN: Final = ((124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3)

# The library downloads these at every call, which fails without a network. They belong to the
# published weights and do not change. Encoders that are not listed use ImageNet's.
_FAMILIES: Final = {
    "inception": CENTRED,
    "xception": CENTRED,
    "timm-tf_efficientnet_lite": CENTRED,
    "dpn": DPN,
}
_ANY_SIZE: Final[Mapping[str, Mapping[str, bool]]] = {
    "vision_transformer": {"dynamic_img_size": True},
    "deit": {"dynamic_img_size": True},
    "eva": {"dynamic_img_size": True},
    "swin_transformer": {"strict_img_size": False},
    "swin_transformer_v2": {"strict_img_size": False},
}
"""By timm's module."""

TIMM: Final = "tu-"
"""Prefix of the names of timm's own encoders."""


def normalisation(encoder: str) -> tuple[Channels, Channels]:
    """Mean and standard deviation that an encoder's ImageNet weights expect; needs no network.

    Returns:
        tuple: Three means and three deviations, RGB, on the scale 0 to 1.
    """
    if encoder.startswith(TIMM):
        settings = timm_settings(encoder)
        return (settings.mean, settings.std) if settings is not None else IMAGENET
    families = (known for family, known in _FAMILIES.items() if encoder.startswith(family))
    return next(families, IMAGENET)


def encoder_names() -> list[str]:
    """The encoders of segmentation-models-pytorch, without timm's own (``tu-NAME``)."""
    return sorted(library().encoders.get_encoder_names())


def published_weights(encoder: str) -> dict[str, dict[str, str]]:
    """Published weights of an encoder that is not timm's own: name to their place in the hub."""
    settings: dict[str, dict[str, str]] = library().encoders.encoders[encoder][
        "pretrained_settings"
    ]
    return settings


def check_encoder(name: str) -> None:
    """Refuse a name that is neither an encoder of segmentation-models-pytorch nor timm's (``tu-``).

    Raises:
        ModelError: If it is unknown; the nearest names are suggested.
    """
    if name.startswith(TIMM):
        import timm

        model = name.removeprefix(TIMM)
        architecture, dot, _ = model.partition(".")
        tagged = timm.list_models(architecture, include_tags=True) if dot else []
        if model in tagged or (not dot and timm.is_model(model)):
            return
        known = [TIMM + model for model in tagged or timm.list_models()]
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
    """Settings in timm of the published weights of ``tu-NAME``; ``None`` if there are none."""
    import timm

    return timm.get_pretrained_cfg(encoder.removeprefix(TIMM))


def any_size(encoder: str) -> dict[str, Any]:
    """Settings with which a transformer of timm takes images of other sizes than its own."""
    import timm

    name = encoder.removeprefix(TIMM)
    if name == encoder or not timm.is_model(name):
        return {}
    module = timm.model_entrypoint(name).__module__.rpartition(".")[2]
    return dict(_ANY_SIZE.get(module, {}))


def library() -> Any:
    """Import segmentation-models-pytorch without its dependencies' warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import segmentation_models_pytorch

    return segmentation_models_pytorch

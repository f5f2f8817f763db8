"""Probability maps as grey PNGs, one a frame and class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from harness.inference.postprocess import resize_map
from harness.inference.prediction import Prediction
from metrics.calibration import tempered
from metrics.masks.classes import Classes
from metrics.masks.maps import to_map, write_map
from metrics.utils.files import read_mapping, write_json

FOLDER: Final = "probabilities"
MANIFEST: Final = "maps.json"


@dataclass(frozen=True, kw_only=True)
class MapOptions:
    """How maps are written.

    Attributes:
        size: The network's, or ``full``, the frame's own (resized bilinearly).
        bits: 8 or 16.
        temperature: What the logits of a single class are divided by; see ``metrics.calibration``.
    """

    size: Literal["network", "full"] = "network"
    bits: int = 8
    temperature: float = 1.0


def class_maps(prediction: Prediction) -> dict[str, NDArray[np.float32]]:
    """The probability of each class at the frame's own size, float32 (H, W)."""
    height, width = prediction.labels.shape
    return {
        name: resize_map(one, height=height, width=width)
        for name, one in zip(prediction.classes.names, prediction.probabilities, strict=True)
    }


def file_names(name: str, classes: Classes) -> list[str]:
    """The files of an image's maps: its mask's name, in a folder by class if there are several."""
    return [name] if len(classes) == 1 else [f"{one}/{name}" for one in classes.names]


def write_maps(folder: Path, name: str, prediction: Prediction, options: MapOptions) -> None:
    """Write the maps of an image into a folder, as the files of :func:`file_names`.

    ``name`` is that of the image's mask, ``NAME.png``.

    Raises:
        UserError: If they cannot be written.
    """
    full = options.size == "full"
    maps: list[NDArray[Any]] = list(
        class_maps(prediction).values() if full else prediction.probabilities
    )
    if options.temperature != 1:
        maps = [tempered(one.astype(np.float64), options.temperature) for one in maps]
    for file, one in zip(file_names(name, prediction.classes), maps, strict=True):
        write_map(folder / file, to_map(one, options.bits))


def write_manifest(folder: Path, options: MapOptions, classes: Classes) -> None:
    """Write what the maps' grey values mean.

    Raises:
        UserError: If it cannot be written.
    """
    write_json(folder / MANIFEST, manifest(options, classes))


def options_in(folder: Path, classes: Classes) -> MapOptions | None:
    """How the maps in a folder were written; ``None`` where there are none of these classes."""
    found = read_mapping(folder / MANIFEST)
    known = {name: found[name] for name in ("size", "bits", "temperature") if name in found}
    options = MapOptions(**known)
    return options if found == manifest(options, classes) else None


def manifest(options: MapOptions, classes: Classes) -> Mapping[str, Any]:
    """What the maps' grey values mean."""
    calibrated = {} if options.temperature == 1 else {"temperature": options.temperature}
    return calibrated | {
        "scale": {"0": 0.0, str(2**options.bits - 1): 1.0},
        "bits": options.bits,
        "size": options.size,
        "classes": list(classes.names),
    }

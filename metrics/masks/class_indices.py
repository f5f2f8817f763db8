"""Masks of several classes: reading, writing and counting them.

Labels are uint8 class indices (H, W), 0 for the background; of one class they are its bool mask.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from metrics.masks.classes import BACKGROUND, ONE, Classes
from metrics.masks.faults import AREA_SIDE, examine, has_area
from metrics.masks.image import read_file
from metrics.masks.png import encode_png
from metrics.masks.read import THRESHOLDS, Mask, Protocol, as_mask
from metrics.utils.errors import UserError
from metrics.utils.files import write_small
from metrics.utils.validation import look_up

Labels = npt.NDArray[np.bool_] | npt.NDArray[np.uint8]

_WHITE: Final = 255
_NAMED: Final = 8


def read_labels(
    path: str | Path, classes: Classes = ONE, *, protocol: Protocol = "strict"
) -> Labels:
    """Read a mask file, of any kind that OpenCV reads.

    The ``protocol`` (see ``metrics.masks.read``) counts where the one class has no value of its
    own; values and colours that mean classes are read alike by all protocols.

    Raises:
        UserError: The file cannot be read, see ``read_mask``, or has values of no class.
    """
    return decode_labels(read_file(path), classes, protocol=protocol, name=str(path))


def decode_labels(
    data: bytes, classes: Classes = ONE, *, protocol: Protocol = "strict", name: str = ""
) -> Labels:
    """Read an encoded mask that is already in memory; see :func:`read_labels`.

    Example:
        >>> classes = Classes.from_table({"polyp": 255, "instrument": 128})
        >>> decode_labels(encode_png(np.array([[0, 128]], dtype=np.uint8)), classes)
        array([[0, 2]], dtype=uint8)
    """
    found = examine_labels(data, classes, protocol=protocol, name=name)
    if found.problem:
        raise UserError(f"{name}: {found.problem}." if name else f"{found.problem}.")
    return found.labels


class ExaminedLabels(NamedTuple):
    """A mask that was read, and what is wrong with it.

    Attributes:
        labels: bool (H, W), or class indices; of a mask with a problem, as far as it could be read.
        problem: All that is wrong; empty where nothing is.
        has_alpha: Whether the file has an alpha channel, if only an opaque one.
    """

    labels: Labels
    problem: str
    has_alpha: bool


def examine_labels(
    data: bytes, classes: Classes = ONE, *, protocol: Protocol = "strict", name: str = ""
) -> ExaminedLabels:
    """Read an encoded mask and all that is wrong with it.

    The arguments are those of :func:`decode_labels`.

    Raises:
        UserError: It is no image, truncated, damaged or too large.

    Example:
        >>> found = examine_labels(encode_labels(np.eye(2, dtype=bool)))
        >>> found.labels.tolist(), found.problem
        ([[True, False], [False, True]], '')
    """
    name = name or "mask"
    if not classes.values:
        found = examine(data, name=name)
        labels: Labels = np.greater(found.pixels, look_up(THRESHOLDS, protocol, "protocol"))
        return ExaminedLabels(labels, found.problem, found.has_alpha)
    found = examine(data, kind="coloured" if classes.are_colours else "grey", name=name)
    if found.problem:
        nothing = np.zeros(found.pixels.shape[:2], np.uint8)
        return ExaminedLabels(nothing, found.problem, found.has_alpha)
    nearest = _nearest_colours if classes.are_colours else _nearest_values
    indices, problem = nearest(found.pixels, classes)
    labels = indices if len(classes) > 1 else indices.view(np.bool_)
    return ExaminedLabels(labels, problem, found.has_alpha)


def _nearest_values(
    grey: npt.NDArray[np.uint8], classes: Classes
) -> tuple[npt.NDArray[np.uint8], str]:
    """The index of the nearest class's value, uint8 (H, W), and which values are of no class."""
    known = classes.palette.astype(np.int64)
    # Worked out for each of 256 values, (256, classes + 1), and looked up for the pixels.
    distances = np.abs(np.arange(_WHITE + 1)[:, None] - known)
    present = np.bincount(grey.reshape(-1), minlength=_WHITE + 1)
    strays = np.flatnonzero((distances.min(axis=1) > classes.tolerance) & (present > 0))
    problem = ""
    if strays.size:
        problem = (
            f"expected the values {_named(classes)}, within "
            f"{classes.tolerance}, but {present[strays].sum()} pixels have others: "
            f"{', '.join(map(str, strays[:_NAMED]))}{' ...' if strays.size > _NAMED else ''}. "
            "Name their class with 'harness init --class NAME=VALUE', or save the mask as PNG"
        )
    return distances.argmin(axis=1).astype(np.uint8)[grey], problem


def _nearest_colours(
    pixels: npt.NDArray[np.uint8], classes: Classes
) -> tuple[npt.NDArray[np.uint8], str]:
    """The index of the nearest class's colour, uint8 (H, W), and where a colour is of no class.

    The pixels are uint8 (H, W, 3), BGR. A JPEG blurs the edge between two colours through others,
    so only an area of colours far from all classes is a problem.
    """
    indices = np.zeros(pixels.shape[:2], np.uint8)
    wide = pixels.astype(np.float32)
    least = _squared_distances(wide, classes.palette[0])
    for index, colour in enumerate(classes.palette[1:], start=1):
        distances = _squared_distances(wide, colour)
        indices[distances < least] = index
        least = np.minimum(least, distances)
    strays = least > classes.tolerance**2
    if not has_area(strays, AREA_SIDE):
        return indices, ""
    found, counts = np.unique(pixels[strays] & 0xF0, axis=0, return_counts=True)
    blue, green, red = found[counts.argmax()]
    return indices, (
        f"expected the colours {_named(classes)}, within {classes.tolerance}, but an area has "
        f"others, such as about #{red:02x}{green:02x}{blue:02x} ({int(strays.sum())} pixels). "
        "Name their class with 'harness init --class NAME=#RRGGBB', or save the mask as PNG"
    )


def _squared_distances(
    pixels: npt.NDArray[np.float32], colour: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float32]:
    """From each pixel (H, W, 3), BGR, to a colour, RGB."""
    difference = pixels - colour[::-1].astype(np.float32)
    distances: npt.NDArray[np.float32] = np.einsum("hwc,hwc->hw", difference, difference)
    return distances


def _named(classes: Classes) -> str:
    black = "#000000" if classes.are_colours else 0
    wanted = zip((BACKGROUND, *classes.names), (black, *classes.values), strict=True)
    return ", ".join(f"{value} ({class_})" for class_, value in wanted)


def to_pixels(labels: Labels, classes: Classes = ONE) -> npt.NDArray[np.uint8]:
    """What a mask file holds: each class's own value or colour, 255 where it has none.

    Returns:
        uint8 (H, W), or (H, W, 3) RGB where the classes have colours.

    Raises:
        UserError: There are other values than those of a mask, or than the classes' indices.

    Example:
        >>> to_pixels(np.array([[False, True]]))
        array([[  0, 255]], dtype=uint8)
    """
    if not classes.values:
        return as_mask(labels).astype(np.uint8) * _WHITE
    _require_indices(labels, classes)
    return classes.palette[labels.astype(np.uint8, copy=False)]


def encode_labels(labels: Labels, classes: Classes = ONE) -> bytes:
    """A PNG of :func:`to_pixels`."""
    pixels = to_pixels(labels, classes)
    if pixels.ndim == 2:
        return encode_png(pixels)
    return bytes(cv2.imencode(".png", pixels[..., ::-1])[1])


def mask_of(labels: Labels, index: int) -> Mask:
    """The mask of one class, bool (H, W), by its index: from 1 on, 0 for the background.

    Example:
        >>> mask_of(np.array([[0, 1, 2]], dtype=np.uint8), 2)
        array([[False, False,  True]])
    """
    if labels.dtype == np.bool_:
        mask: Mask = labels.view(np.bool_)
        return mask if index else ~mask
    return np.equal(labels, index)


def chosen_alone(data: bytes, classes: Classes, *, name: str = "") -> bytes:
    """An encoded mask of several values or colours as one of the chosen class: 255, the rest 0.

    Where the classes have no values, the file's bytes are returned as they are.

    Raises:
        UserError: As for :func:`read_labels`.

    Example:
        >>> classes = Classes.from_table({"polyp": 255, "tool": 128}).choosing("tool")
        >>> mask = encode_png(np.array([[255, 128]], dtype=np.uint8))
        >>> decode_labels(chosen_alone(mask, classes))
        array([[False,  True]])
    """
    if not classes.values:
        return data
    labels = decode_labels(data, classes, name=name)
    return encode_labels(mask_of(labels, classes.channel))


def class_masks(
    truth: Labels, prediction: Labels, classes: Classes
) -> dict[str, tuple[Mask, Mask]]:
    """Truth and prediction of each foreground class, the chosen one first.

    Raises:
        UserError: There are other values than the classes' indices.

    Example:
        >>> classes = Classes.from_table({"polyp": 255, "instrument": 128}).choosing("instrument")
        >>> labels = np.array([[0, 1, 2]], dtype=np.uint8)
        >>> list(class_masks(labels, labels, classes))
        ['instrument', 'polyp']
    """
    for labels in (truth, prediction):
        _require_indices(labels, classes)
    order = sorted(classes.names, key=lambda name: name != classes.chosen)
    places = {name: classes.names.index(name) + 1 for name in order}
    return {name: (mask_of(truth, at), mask_of(prediction, at)) for name, at in places.items()}


def _require_indices(labels: Labels, classes: Classes) -> None:
    if labels.dtype != np.bool_ and labels.max(initial=0) > len(classes):
        raise UserError(
            f"expected class indices 0 to {len(classes)}, but there are up to {labels.max()}."
        )


def write_mask(path: str | Path, labels: Labels, classes: Classes = ONE) -> None:
    """Write a mask as a PNG of 0 and 255, or of the classes' own values or colours.

    A missing folder is made.

    Raises:
        UserError: If it cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_mask(Path(folder, "a.png"), np.array([[False, True]]))
        ...     read_labels(Path(folder, "a.png"))
        array([[False,  True]])
    """
    write_small(Path(path), encode_labels(labels, classes))

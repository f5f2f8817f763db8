"""Masks of several classes: reading, writing and counting them.

Labels are uint8 class indices (H, W), 0 for the background; of one class they are its bool mask.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from metrics.masks.classes import BACKGROUND, ONE, Classes
from metrics.masks.image import read_file
from metrics.masks.png import encode_png
from metrics.masks.read import Mask, Protocol, decode_grey, decode_mask
from metrics.utils.errors import UserError

Labels = npt.NDArray[np.bool_] | npt.NDArray[np.uint8]

_WHITE: Final = 255
_NAMED: Final = 8


def read_labels(
    path: str | Path, classes: Classes = ONE, *, protocol: Protocol = "strict"
) -> Labels:
    """Read a mask file.

    Args:
        path: An image file of any kind that OpenCV reads.
        classes: What its values mean.
        protocol: As for ``metrics.masks.read.read_mask``, where the one class has no value of its
            own; values that mean classes are read alike by all protocols.

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
    if not classes.values:
        return decode_mask(data, protocol=protocol, name=name)
    return to_labels(decode_grey(data, name=name), classes, name=name)


def to_labels(grey: npt.NDArray[np.uint8], classes: Classes, *, name: str = "") -> Labels:
    """Each pixel's class: the nearest value's, within what JPEG does to one.

    Args:
        grey: uint8 (H, W).
        classes: With values.
        name: What to call the mask in a message.

    Raises:
        UserError: If values lie too far from those of the classes.

    Example:
        >>> classes = Classes.from_table({"polyp": 255, "instrument": 128})
        >>> to_labels(np.array([[0, 255, 130]], dtype=np.uint8), classes)
        array([[0, 1, 2]], dtype=uint8)
    """
    known = np.array((0, *classes.values))
    distances = np.abs(np.arange(_WHITE + 1)[:, None] - known)
    present = np.bincount(grey.reshape(-1), minlength=_WHITE + 1)
    strays = np.flatnonzero((distances.min(axis=1) > classes.tolerance) & (present > 0))
    if strays.size:
        wanted = zip((BACKGROUND, *classes.names), known, strict=True)
        expected = ", ".join(f"{value} ({class_})" for class_, value in wanted)
        prefix = f"{name}: " if name else ""
        raise UserError(
            f"{prefix}expected the values {expected}, within "
            f"{classes.tolerance}, but {present[strays].sum()} pixels have others: "
            f"{', '.join(map(str, strays[:_NAMED]))}{' ...' if strays.size > _NAMED else ''}. "
            "Name their class with 'harness init --class NAME=VALUE', or save the mask as PNG."
        )
    indices: npt.NDArray[np.uint8] = distances.argmin(axis=1).astype(np.uint8)[grey]
    return indices if len(classes) > 1 else indices.view(np.bool_)


def to_grey(labels: Labels, classes: Classes = ONE) -> npt.NDArray[np.uint8]:
    """The grey values that a mask file holds: each class's own, 255 where it has none.

    Example:
        >>> to_grey(np.array([[False, True]]))
        array([[  0, 255]], dtype=uint8)
    """
    if not classes.values:
        return labels.astype(np.uint8) * _WHITE
    return np.array((0, *classes.values), dtype=np.uint8)[labels.astype(np.uint8, copy=False)]


def mask_of(labels: Labels, index: int) -> Mask:
    """The mask of one class, bool (H, W).

    Args:
        labels: Of one class or several.
        index: The class's, 1 for the one class; 0 for the background.

    Example:
        >>> mask_of(np.array([[0, 1, 2]], dtype=np.uint8), 2)
        array([[False, False,  True]])
    """
    if labels.dtype == np.bool_:
        mask: Mask = labels.view(np.bool_)
        return mask if index else ~mask
    return np.equal(labels, index)


def class_masks(
    truth: Labels, prediction: Labels, classes: Classes
) -> dict[str, tuple[Mask, Mask]]:
    """Truth and prediction of each foreground class, the chosen one first.

    Example:
        >>> classes = Classes.from_table({"polyp": 255, "instrument": 128}).choosing("instrument")
        >>> labels = np.array([[0, 1, 2]], dtype=np.uint8)
        >>> list(class_masks(labels, labels, classes))
        ['instrument', 'polyp']
    """
    order = sorted(classes.names, key=lambda name: name != classes.chosen)
    places = {name: classes.names.index(name) + 1 for name in order}
    return {name: (mask_of(truth, at), mask_of(prediction, at)) for name, at in places.items()}


def write_mask(path: Path, labels: Labels, classes: Classes = ONE) -> None:
    """Write a mask as a PNG of 0 and 255, or of the classes' own values.

    Args:
        path: The file; its folder is made when missing.
        labels: bool (H, W), or class indices.
        classes: What they mean.

    Raises:
        UserError: If it cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_mask(Path(folder, "a.png"), np.array([[False, True]]))
        ...     read_labels(Path(folder, "a.png"))
        array([[False,  True]])
    """
    encoded = encode_png(to_grey(labels, classes))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error

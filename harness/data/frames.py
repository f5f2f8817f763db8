"""Reading and resizing frames and their masks.

A file's content decides how it is decoded, not its name. Frames are read in colour. An EXIF
orientation is ignored for frames and masks alike, so that the two always match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.utils import console
from harness.utils.command_line import command_line
from harness.utils.device import cores
from harness.utils.prefetch import map_ahead
from metrics.masks.class_indices import Labels, mask_of, read_labels
from metrics.masks.classes import ONE, Classes
from metrics.masks.image import RGB_AS_STORED, decode, read_file
from metrics.masks.read import Protocol
from metrics.utils.errors import Fault, FaultsError, UserError, or_fault
from metrics.utils.names import few

AHEAD: Final = 16
"""Masks that are read before the first of them is asked for."""

_MOST_BORDER: Final = 0.9
"""Of real masks none covers more than 3 % of its border, so an inverted one covers 97 % or more."""


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a frame: a JPEG, PNG, TIFF or BMP file.

    Returns:
        NDArray: uint8 (H, W, 3), RGB; a grey image has three equal channels.

    Raises:
        UserError: If the file is missing, no image, truncated or larger than
            ``metrics.masks.image.MAX_PIXELS``.
    """
    return decode(read_file(path), RGB_AS_STORED, name=str(path))


class DamagedError(Exception):
    """A frame cannot be read."""


def read_or(image: Path, on_fault: Callable[[Fault], object] | None) -> NDArray[np.uint8] | None:
    """Read a frame; one that cannot be read is reported and gives ``None``.

    Raises:
        DamagedError: If it cannot be read and ``on_fault`` is not given.
    """
    try:
        return read_image(image)
    except UserError as error:
        if on_fault is None:
            raise DamagedError(error.message) from error
        on_fault(Fault(path="", message=error.message))
    return None


def find_unreadable(images: Sequence[Path]) -> list[Fault]:
    """Decode all frames, in threads; what is wrong with those that cannot be read."""

    def look(image: Path) -> None:  # returns no pixels, which the pool would keep to the end
        read_image(image)

    with ThreadPoolExecutor(cores(), thread_name_prefix="frames") as pool:
        return [fault for fault in pool.map(or_fault(look), images) if fault is not None]


def resize_image(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize a frame, uint8 (H, W, 3), to the network's square input: (size, size, 3), contiguous.

    As in the paper its aspect ratio is not kept, and it is resized bilinearly: where it shrinks,
    that averages all pixels that an output pixel covers, so that highlights do not flicker.
    """
    if image.shape[:2] == (size, size):
        return np.ascontiguousarray(image)
    import torch
    from torch.nn import functional

    channels_last = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    resized = functional.interpolate(
        channels_last, (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    pixels: NDArray[np.uint8] = resized[0].permute(1, 2, 0).contiguous().numpy()
    return pixels


def resize_mask(mask: Labels, size: int) -> NDArray[np.uint8]:
    """Resize labels (H, W) to the network's square input, uint8 (size, size), class indices.

    By nearest neighbour between pixel centres.
    """
    pixels = mask.astype(np.uint8)
    if mask.shape == (size, size):
        return np.ascontiguousarray(pixels)
    resized = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, dtype=np.uint8)


def truth_of(
    frame: Mapping[str, Any], decoding: Protocol = "strict", classes: Classes = ONE
) -> Labels:
    """The truth of a catalogue row (H, W): bool of one class, class indices of several.

    ``decoding`` is ``strict``, which binarises at > 127, or ``official``, at > 0; where classes
    have values of their own, both use these.

    Raises:
        UserError: If the mask cannot be read or is of another size than its frame.
    """
    size = (int(frame["height"]), int(frame["width"]))
    if frame["truth"] == "empty":
        return np.zeros(size, dtype=np.bool_ if len(classes) == 1 else np.uint8)
    mask = read_labels(Path(frame["mask"]), classes, protocol=decoding)
    if problem := size_problem(mask.shape, size):
        raise UserError(
            f"{frame['mask']}: {problem}; '{command_line('data check')}' lists all such masks"
        )
    return mask


def size_problem(size: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Why a mask's height and width are not its frame's; empty where they are."""
    if size == wanted:
        return ""
    (height, width), (mask_height, mask_width) = wanted, size
    turned = " (an orientation tag of a frame is not followed)" if size == wanted[::-1] else ""
    return (
        f"expected {width} x {height} pixels, the size of its frame{turned}, but the mask has "
        f"{mask_width} x {mask_height}"
    )


def looks_inverted(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask (H, W) covers nearly all of its own border, as one does that is inverted."""
    return bool(np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1])).mean() > _MOST_BORDER)


def inverted_note(paths: Sequence[str], name: str) -> str:
    """What is said of files of masks that look inverted, by a class of that name."""
    border = f"{name.capitalize()} along nearly all of the border"
    return f"{border}, so perhaps inverted: {few(paths)}."


def check_truth(
    frames: Sequence[Mapping[str, Any]],
    classes: Classes = ONE,
    *,
    done: Callable[[], object] = lambda: None,
) -> None:
    """Read the true masks of catalogue rows, before anything is predicted for them.

    Masks that look inverted are warned of.

    Raises:
        FaultsError: If masks cannot be read, are of another size than their frames or have a
            problem (``metrics.masks.faults``), every one of them named.
    """

    def read(frame: Mapping[str, Any]) -> str:
        labels = truth_of(frame, classes=classes)
        return str(frame["mask"]) if looks_inverted(mask_of(labels, classes.channel)) else ""

    faults: list[Fault] = []
    inverted: list[str] = []
    with ThreadPoolExecutor(cores(), thread_name_prefix="truth") as pool:
        for found in map_ahead(pool, or_fault(read), frames, AHEAD):
            if isinstance(found, Fault):
                faults.append(found)
            elif found:
                inverted.append(found)
            done()
    if faults:
        raise FaultsError(faults, f"true masks cannot be used, of {len(frames)} in all")
    if inverted:
        console.warn(inverted_note(inverted, classes.chosen))

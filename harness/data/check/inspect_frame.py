"""Decoding one frame and its mask, and finding what is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from harness.data.frames import read_image
from harness.data.listing import FrameFiles
from harness.utils.prefetch import map_ahead
from metrics.masks.classes import ONE, Classes
from metrics.masks.labels import mask_of, to_labels
from metrics.masks.read import MAX_CHANNEL_SPREAD, THRESHOLDS
from metrics.utils.errors import Fault, UserError

Pixels = npt.NDArray[np.uint8]

THUMBNAIL: Final = 64
"""Side of the grey thumbnail by which near duplicates are found, in pixels."""

# Around an edge JPEG of quality 95 leaves values of 1..7 and 248..254, and coarser settings and
# resizing a thin rim of others. Only an area of greys wider than any rim is a fault.
GREY: Final = (32, 223)
GREY_AREA: Final = 9
FAINT_AREA: Final = 17


@dataclass(frozen=True, kw_only=True)
class FrameReport:
    """What was found in the files of a frame.

    Attributes:
        height: Of the frame, in pixels; 0 where it cannot be read.
        width: Of the frame, in pixels; 0 where it cannot be read.
        polyp: Whether any pixel of the truth is of the chosen class; ``None`` where the truth is
            withheld or cannot be read.
        digest: SHA-256 of the decoded pixels and their shape; empty where there are none.
        thumbnail: uint8 (64, 64), grey.
        faults: What is wrong with the two files.
    """

    height: int = 0
    width: int = 0
    polyp: bool | None = None
    digest: str = ""
    thumbnail: Pixels
    faults: tuple[Fault, ...] = ()


def inspect_all(
    frames: Sequence[FrameFiles], workers: int, classes: Classes = ONE
) -> Iterator[FrameReport]:
    """Inspect frames in threads, in order; decoding and hashing release the interpreter's lock."""
    with ThreadPoolExecutor(workers) as pool:
        yield from map_ahead(pool, partial(inspect, classes=classes), frames, 2 * workers)


def inspect(frame: FrameFiles, classes: Classes = ONE) -> FrameReport:
    """Decode a frame and its mask, and report all that is wrong with them."""
    faults: list[Fault] = []
    try:
        image = read_image(frame.image)
    except UserError as error:
        faults.append(Fault(path="", message=error.message))
        image = np.zeros((0, 0, 3), np.uint8)
    polyp: bool | None = False if frame.truth == "empty" else None
    if frame.mask is not None:
        try:
            mask = read_image(frame.mask)
        except UserError as error:
            faults.append(Fault(path="", message=error.message))
        else:
            polyp = _has_chosen(mask, classes)
            size = image.shape[:2] if image.size else mask.shape[:2]
            problem = mask_problem(mask, size, classes)
            if problem:
                faults.append(Fault(path=str(frame.mask), message=problem))
    return FrameReport(
        height=image.shape[0],
        width=image.shape[1],
        polyp=polyp,
        digest=_digest(image) if image.size else "",
        thumbnail=_thumbnail(image),
        faults=tuple(faults),
    )


def _has_chosen(mask: Pixels, classes: Classes) -> bool | None:
    if not classes.values:
        return bool((mask[..., 0] > THRESHOLDS["strict"]).any())
    try:
        labels = to_labels(np.ascontiguousarray(mask[..., 2]), classes)
    except UserError:
        return None
    return bool(mask_of(labels, classes.channel).any())


def mask_problem(mask: Pixels, size: tuple[int, ...], classes: Classes = ONE) -> str:
    """What is wrong with a mask, or '' where nothing is. A mask may be empty.

    Args:
        mask: uint8 (H, W, 3), as decoded.
        size: Height and width of its frame, in pixels.
        classes: What its values mean.
    """
    problems = []
    if mask.shape[:2] != size:
        (height, width), (mask_height, mask_width) = size, mask.shape[:2]
        problems.append(
            f"expected {width} x {height} pixels, the size of its frame, "
            f"but the mask has {mask_width} x {mask_height}"
        )
    if values := _wrong_values(mask, classes):
        problems.append(values)
    return "; ".join(problems)


def _wrong_values(mask: Pixels, classes: Classes) -> str:
    red, green, blue = (np.asarray(channel, dtype=np.uint8) for channel in cv2.split(mask))
    spread = max(int(cv2.absdiff(red, green).max()), int(cv2.absdiff(green, blue).max()))
    over = spread > MAX_CHANNEL_SPREAD
    colours = f"colours (channels differ by up to {spread} of 255)" if over else ""
    if not classes.values:
        found = colours or _not_black_and_white(green)
        return found and f"expected a mask of black (0) and white (255), but it has {found}"
    if colours:
        return f"expected a mask of grey values, but it has {colours}"
    try:
        to_labels(blue, classes)
    except UserError as error:
        return error.message
    return ""


def _not_black_and_white(grey: Pixels) -> str:
    brightest = int(grey.max())
    if 0 < brightest <= THRESHOLDS["strict"] and _has_area(grey > 0, FAINT_AREA):
        return f"values up to {brightest} only, so that no pixel counts as polyp"
    if _has_area(cv2.inRange(grey, *GREY) > 0, GREY_AREA):
        return f"an area of greys between {GREY[0]} and {GREY[1]}"
    return ""


def _has_area(pixels: npt.NDArray[np.bool_], side: int) -> bool:
    """Whether a square of ``side`` by ``side`` pixels is set somewhere."""
    if not pixels.any():
        return False
    square = np.ones((side, side), np.uint8)
    eroded = cv2.erode(
        pixels.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=(0,)
    )
    return bool(np.any(eroded))


def _digest(image: Pixels) -> str:
    digest = hashlib.sha256(str(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def _thumbnail(image: Pixels) -> Pixels:
    if not image.size:
        return np.zeros((THUMBNAIL, THUMBNAIL), np.uint8)
    # Every k-th pixel is enough: each pixel of the thumbnail still averages 4 x 4 or more.
    step = max(1, min(image.shape[:2]) // (4 * THUMBNAIL))
    image = np.ascontiguousarray(image[::step, ::step])
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

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

from harness.data.frames import looks_inverted, size_problem
from harness.data.listing import FrameFiles
from harness.utils.prefetch import map_ahead
from metrics.masks.class_indices import examine_labels, mask_of
from metrics.masks.classes import ONE, Classes
from metrics.masks.faults import turned_by_tag
from metrics.masks.image import RGB_AS_STORED, decode, read_file
from metrics.utils.errors import Fault, UserError

Pixels = npt.NDArray[np.uint8]

THUMBNAIL: Final = 64
"""Side of the grey thumbnail by which near duplicates are found, in pixels."""


@dataclass(frozen=True, kw_only=True)
class FrameReport:
    """What was found in the files of a frame.

    Attributes:
        height: Of the frame, in pixels; 0 where it cannot be read.
        width: Of the frame, in pixels; 0 where it cannot be read.
        holds: Whether any pixel of the truth is of each class; ``None`` where the truth is withheld
            or cannot be read.
        is_turned: Whether the frame has an orientation tag that is not followed.
        has_alpha: Whether the mask has an alpha channel.
        looks_inverted: Whether the chosen class covers nearly all of the mask's border.
        digest: SHA-256 of the decoded pixels and their shape; empty where there are none.
        thumbnail: uint8 (64, 64), grey.
        faults: What is wrong with the two files.
    """

    height: int = 0
    width: int = 0
    holds: tuple[bool, ...] | None = None
    is_turned: bool = False
    has_alpha: bool = False
    looks_inverted: bool = False
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
    is_turned, image = False, np.zeros((0, 0, 3), np.uint8)
    try:
        data = read_file(frame.image)
        is_turned, image = turned_by_tag(data), decode(data, RGB_AS_STORED, name=str(frame.image))
    except UserError as error:
        faults.append(Fault(path="", message=error.message))
    holds = (False,) * len(classes) if frame.truth == "empty" else None
    has_alpha = inverted = False
    if frame.mask is not None:
        try:
            found = examine_labels(read_file(frame.mask), classes, name=str(frame.mask))
        except UserError as error:
            faults.append(Fault(path="", message=error.message))
        else:
            has_alpha = found.has_alpha
            if not found.problem:
                holds = tuple(bool((found.labels == 1 + at).any()) for at in range(len(classes)))
                inverted = looks_inverted(mask_of(found.labels, classes.channel))
            size = image.shape[:2] if image.size else found.labels.shape
            problems = (size_problem(found.labels.shape, size), found.problem)
            if any(problems):
                message = "; ".join(problem for problem in problems if problem)
                faults.append(Fault(path=str(frame.mask), message=message))
    return FrameReport(
        height=image.shape[0],
        width=image.shape[1],
        holds=holds,
        is_turned=is_turned,
        has_alpha=has_alpha,
        looks_inverted=inverted,
        digest=_digest(image) if image.size else "",
        thumbnail=_thumbnail(image),
        faults=tuple(faults),
    )


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

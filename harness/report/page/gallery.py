"""Frames with the contours of truth and of every model, as in the paper's Figure 4."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.data.frames import read_image, truth_of
from harness.utils import device as devices
from metrics.frame.disagreement import measure_disagreement
from metrics.masks.class_indices import mask_of, read_labels
from metrics.masks.classes import ONE, Classes
from metrics.masks.outline import contour_path
from metrics.masks.read import Mask

WIDEST: Final = {64: 800, 120: 560}
"""Width in pixels of the embedded frames, by how many frames there are at most."""

MOST: Final = max(WIDEST)
"""Frames at most; a page of more would be too large for a mail."""

QUALITY: Final = 76
"""JPEG quality of the embedded frames."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One frame of the gallery.

    Attributes:
        frame: Its identifier.
        image: The frame as a data URI (JPEG).
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        truth: Contours as an SVG path in the image's pixels.
        contours: The same of each model's mask, of those that are drawn.
    """

    frame: str
    image: str
    width: int
    height: int
    truth: str
    contours: Mapping[str, str]


Outlines = Callable[[Mapping[str, Any], float], tuple[str, Mapping[str, str]]]
"""From a frame's record and the scale of its picture to the outlines of truth and models."""


def cards(records: Sequence[Mapping[str, Any]], outlines: Outlines) -> list[Card]:
    """A card for each frame.

    Raises:
        UserError: If a frame or a mask cannot be read.
    """
    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="gallery") as pool:
        return list(pool.map(lambda record: _card(record, outlines, len(records)), records))


def scale_of(width: int, frames: int) -> float:
    """Of a picture, from a frame's width in pixels, where so many frames are shown."""
    widest = next(most_wide for most, most_wide in WIDEST.items() if frames <= most)
    return min(1.0, widest / width)


def outlines_of_files(masks: Mapping[str, Path], classes: Classes = ONE) -> Outlines:
    """Outlines of masks that lie in files; ``masks`` are the folders of ``FRAME.png`` by model.

    The chosen class is drawn.
    """

    def outlines(record: Mapping[str, Any], scale: float) -> tuple[str, dict[str, str]]:
        truth = mask_of(truth_of(record, "strict", classes), classes.channel)
        return contour_path(truth, scale), {
            model: contour_path(_chosen(folder / f"{record['frame']}.png", classes), scale)
            for model, folder in masks.items()
        }

    return outlines


def divergences(
    frames: Sequence[str], masks: Sequence[Path], classes: Classes = ONE
) -> pd.DataFrame:
    """How far the members of an ensemble disagree on each frame.

    ``masks`` are the folders of the members' masks, ``FRAME.png``; the chosen class counts.

    Returns:
        DataFrame: One row a frame: ``frame``, ``disagreement`` and ``vote_variance``, see
        ``metrics.frame.disagreement``.

    Raises:
        UserError: If a mask cannot be read, or there are fewer than two members.
    """

    def measure(frame: str) -> dict[str, Any]:
        found = measure_disagreement(
            [_chosen(folder / f"{frame}.png", classes) for folder in masks]
        )
        return {"frame": frame, **found._asdict()}

    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="gallery") as pool:
        return pd.DataFrame(list(pool.map(measure, frames)))


def choose_frames(
    frames: Sequence[str], orders: Sequence[Mapping[str, float]], most: int = MOST
) -> list[str]:
    """Frames to show where there are too many: the first of each of several orders, in turn.

    Each order gives a figure by frame; frames of the lowest figures come first.

    Returns:
        list: Identifiers, in the order of ``frames``.
    """
    if len(frames) <= most:
        return list(frames)
    queues = [sorted(frames, key=order.__getitem__) for order in orders]
    chosen: set[str] = set()
    for turn in zip(*queues, strict=True):
        for frame in turn:
            if len(chosen) < most:
                chosen.add(frame)
    return [frame for frame in frames if frame in chosen]


def _card(record: Mapping[str, Any], outlines: Outlines, frames: int) -> Card:
    image = read_image(Path(record["image"]))
    scale = scale_of(image.shape[1], frames)
    width, height = round(image.shape[1] * scale), round(image.shape[0] * scale)
    truth, contours = outlines(record, scale)
    return Card(
        frame=str(record["frame"]),
        image=_embedded(image, width, height),
        width=width,
        height=height,
        truth=truth,
        contours=contours,
    )


def _chosen(path: Path, classes: Classes) -> Mask:
    """The chosen class in a mask that was written."""
    return mask_of(read_labels(path, classes), classes.channel)


def _embedded(image: NDArray[np.uint8], width: int, height: int) -> str:
    smaller = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(smaller, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"

"""Frames with the contours of truth and of every model, as in the paper's Figure 4."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from harness import device as devices
from harness.data.frames import read_image
from harness.evaluation import truth_of
from metrics.divergence import Divergence, divergence
from metrics.masks import Mask, read_mask

WIDEST: Final = 560
QUALITY: Final = 72
SMOOTH_PX: Final = 0.7
MOST: Final = 120
"""Frames at most; a page of more would be too large for a mail."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One frame of the gallery.

    Attributes:
        frame: Its identifier.
        place: Its centre, sequence or dataset.
        stratum: Size of its polyp: none, small, medium or large.
        image: The frame as a data URI (JPEG).
        width: Of the image, in pixels.
        height: Of the image, in pixels.
        truth: Contours as an SVG path in the image's pixels.
        contours: The same of each model's mask.
        f1: Of each model on this frame.
        divergence: Disagreement of the ensemble's members; ``None`` without an ensemble.
    """

    frame: str
    place: str
    stratum: str
    image: str
    width: int
    height: int
    truth: str
    contours: Mapping[str, str]
    f1: Mapping[str, float]
    divergence: Divergence | None

    def improvement(self, ensemble: str, members: Sequence[str]) -> float:
        """F1 of the ensemble minus the members' mean; 0 without members."""
        if not members:
            return 0.0
        return self.f1[ensemble] - sum(self.f1[name] for name in members) / len(members)


def cards(
    records: Sequence[Mapping[str, Any]],
    masks: Mapping[str, Path],
    f1: Mapping[str, Mapping[str, float]],
    *,
    members: Sequence[str] = (),
) -> list[Card]:
    """A card for each frame.

    Args:
        records: Rows of a catalogue, with ``place`` and ``stratum``.
        masks: Model to the folder of its predicted masks, ``FRAME.png``.
        f1: Model to F1 by frame.
        members: Models whose disagreement is measured; none without an ensemble.

    Raises:
        UserError: If a frame or a mask cannot be read.
    """
    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="gallery") as pool:
        return list(pool.map(lambda record: _card(record, masks, f1, members), records))


def most_telling(
    frames: Sequence[str],
    f1: Mapping[str, float],
    disagreement: Mapping[str, float],
    most: int = MOST,
) -> list[str]:
    """Frames to show where there are too many: the worst, the best, the most disagreed upon.

    Args:
        frames: All frames.
        f1: Of the model that leads, by frame.
        disagreement: By frame; may be empty.
        most: How many at most.

    Returns:
        list: Identifiers, in the order of ``frames``.
    """
    if len(frames) <= most:
        return list(frames)
    worst = sorted(frames, key=lambda frame: f1[frame])
    disagreed = sorted(frames, key=lambda frame: -disagreement.get(frame, 0.0))
    chosen: set[str] = set()
    for turn in zip(worst, disagreed, reversed(worst), strict=True):
        for frame in turn:
            if len(chosen) < most:
                chosen.add(frame)
    return [frame for frame in frames if frame in chosen]


def _card(
    record: Mapping[str, Any],
    masks: Mapping[str, Path],
    f1: Mapping[str, Mapping[str, float]],
    members: Sequence[str],
) -> Card:
    frame = str(record["frame"])
    image = read_image(Path(record["image"]))
    scale = min(1.0, WIDEST / image.shape[1])
    width, height = round(image.shape[1] * scale), round(image.shape[0] * scale)
    predicted = {model: read_mask(folder / f"{frame}.png") for model, folder in masks.items()}
    return Card(
        frame=frame,
        place=str(record["place"]),
        stratum=str(record["stratum"]),
        image=_embedded(image, width, height),
        width=width,
        height=height,
        truth=contour_path(truth_of(record), scale),
        contours={model: contour_path(mask, scale) for model, mask in predicted.items()},
        f1={model: figures[frame] for model, figures in f1.items()},
        divergence=divergence([predicted[name] for name in members]) if members else None,
    )


def contour_path(mask: Mask, scale: float) -> str:
    """Outlines of a mask as an SVG path.

    Args:
        mask: bool (H, W).
        scale: From the mask's pixels to the path's units.

    Returns:
        str: Closed lines, holes included; empty for an empty mask.
    """
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parts = []
    for outline in outlines:
        smooth = cv2.approxPolyDP(outline, SMOOTH_PX / scale, closed=True)[:, 0]
        # A pixel's coordinates name its corner in SVG, its centre here.
        points = [f"{(x + 0.5) * scale:.1f} {(y + 0.5) * scale:.1f}" for x, y in smooth.tolist()]
        parts.append(f"M{'L'.join(points)}Z")
    return "".join(parts)


def _embedded(image: NDArray[np.uint8], width: int, height: int) -> str:
    smaller = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(smaller, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"

"""Outlines of masks as SVG paths."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from metrics.masks.read import Mask

TOLERANCE_PX: Final = 0.7
"""How far a drawn contour may lie beside the mask's, in pixels of the drawing."""


def contour_path(mask: Mask, scale: float) -> str:
    """Outlines of a mask as an SVG path of closed lines, holes included; empty for an empty mask.

    ``scale`` leads from the mask's pixels to the path's units.

    Example:
        >>> contour_path(np.zeros((4, 4), dtype=bool), 1.0)
        ''
        >>> mask = np.zeros((4, 4), dtype=bool)
        >>> mask[1:3, 1:3] = True
        >>> contour_path(mask, 10.0).count("M")
        1
    """
    from skimage import measure

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return ""
    top, left = rows[0], columns[0]
    # Only the part with the mask, within a margin of background that closes every outline.
    part = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    parts = []
    for outline in measure.find_contours(part.astype(np.uint8), 0.5):
        # The same rule as skimage's approximate_polygon, which takes fifty times as long.
        line = outline.astype(np.float32)[:, None]
        corners = cv2.approxPolyDP(line, TOLERANCE_PX / scale, closed=False)[:, 0]
        if len(corners) < 4:  # a few pixels, which would become a line
            corners = outline
        # find_contours counts from the middle of the first pixel, SVG from its corner; the margin
        # moved everything by one.
        corners = (corners[:-1] + np.array((top, left)) - 0.5) * scale
        points = [f"{x:.1f} {y:.1f}" for y, x in corners.tolist()]
        parts.append(f"M{'L'.join(points)}Z")
    return "".join(parts)

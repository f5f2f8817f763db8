"""Duplicates between splits: frames with the same pixels, or nearly the same picture.

The search for near duplicates prefers a miss to a false alarm: a copy that was re-encoded, resized,
brightened or slightly blurred is found; one that was cropped, turned or mirrored is not, nor is
another moment of the same video.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from metrics.utils.errors import Fault

Floats = npt.NDArray[np.float32]

# Both correlations have to be reached. Over pairs of different videos the first has been seen up
# to 0.961 and the second up to 0.897; over copies that were re-encoded at JPEG quality 30, halved,
# tripled, brightened or blurred, down to 0.983 and 0.867. The first sees light and shape, which
# dark frames with the same black corners share; the second sees texture.
WHOLE: Final = 0.98
TEXTURE: Final = 0.85

_TEXTURE_SIGMA: Final = 3.0
_FLAT: Final = 2.0
_BLOCK: Final = 1024


def exact(labels: Sequence[str], paths: Sequence[str], digests: Sequence[str]) -> list[Fault]:
    """A fault for each frame whose pixels are those of an earlier frame in another split.

    Frames of no split (label '') or without pixels (digest '') are left out.
    """
    first: dict[str, dict[str, str]] = {}
    faults = []
    for label, path, digest in zip(labels, paths, digests, strict=True):
        if not (label and digest):
            continue
        seen = first.setdefault(digest, {})
        other = next((found for found in seen if found != label), None)
        if other is not None:
            what = f"has the same pixels as {seen[other]} in {other}; keep it in one of the two"
            faults.append(Fault(path=path, message=f"in {label}, {what}"))
        seen.setdefault(label, path)
    return faults


def near(
    labels: Sequence[str],
    paths: Sequence[str],
    digests: Sequence[str],
    thumbnails: npt.NDArray[np.uint8],
) -> list[Fault]:
    """A fault for each frame that is nearly the same picture as an earlier one in another split.

    Frames of no split (label '') are left out, those with equal digests left to :func:`exact`.
    The thumbnails are uint8 (N, S, S), grey, S even.
    """
    pairs = zip(labels, thumbnails, strict=True)
    chosen = np.flatnonzero([label != "" and picture.std() > _FLAT for label, picture in pairs])
    if not chosen.size:
        return []
    splits = np.unique(np.asarray(labels)[chosen], return_inverse=True)[1]
    faults = []
    for i, j, likeness in _pairs(splits, thumbnails[chosen]):
        index, earlier = chosen[i], chosen[j]
        if digests[index] != digests[earlier]:
            message = (
                f"in {labels[index]}, is nearly the same picture as {paths[earlier]} in "
                f"{labels[earlier]} (likeness {likeness:.3f}); keep it in one of the two"
            )
            faults.append(Fault(path=paths[index], message=message))
    return faults


def _pairs(
    splits: npt.NDArray[np.intp], thumbnails: npt.NDArray[np.uint8]
) -> list[tuple[int, int, float]]:
    """For each frame the most similar earlier frame of another split, where near enough.

    Textures are four times as large as the coarse pictures, so they are made for the few pairs
    only that come into question.
    """

    @functools.lru_cache(_BLOCK)
    def texture(index: int) -> Floats:
        picture = thumbnails[index].astype(np.float32)
        fine = picture - cv2.GaussianBlur(picture, (0, 0), _TEXTURE_SIGMA)
        return np.asarray(_unit(fine[None])[0])

    starts = range(0, len(splits), _BLOCK)
    whole = np.concatenate([_coarse(thumbnails[start : start + _BLOCK]) for start in starts])
    pairs = []
    for start in starts:
        # A block is compared with all before it and with itself; of itself too much, which the
        # ``[i, :row]`` below leaves out.
        rows, earlier = slice(start, start + _BLOCK), slice(start + _BLOCK)
        likeness = whole[rows] @ whole[earlier].T
        likeness[splits[rows, None] == splits[None, earlier]] = -1.0
        for i in np.flatnonzero((likeness >= WHOLE).any(axis=1)).tolist():
            row = start + i
            alike = np.flatnonzero(likeness[i, :row] >= WHOLE)
            # The likeliest first: in a film of one scene nearly all frames are alike.
            for j in alike[np.argsort(-likeness[i, alike], kind="stable")].tolist():
                if float(texture(row) @ texture(j)) >= TEXTURE:
                    pairs.append((row, j, float(likeness[i, j])))
                    break
    return pairs


def _coarse(thumbnails: npt.NDArray[np.uint8]) -> Floats:
    """Unit vectors whose dot products are the correlations of whole pictures, at half the size."""
    count, side, _ = thumbnails.shape
    pixels = thumbnails.astype(np.float32)
    return _unit(pixels.reshape(count, side // 2, 2, side // 2, 2).mean(axis=(2, 4)))


def _unit(pictures: Floats) -> Floats:
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(norms, np.finfo(np.float32).tiny), dtype=np.float32)

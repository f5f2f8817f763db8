"""How masks are named after their frames, and what is said where they are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from metrics.utils.errors import Fault
from metrics.utils.names import few

MASK_NAMES: Final = ("{stem}", "{stem}_mask", "{bare}_mask")
"""How masks are named after their frames, likeliest first, without the ending. HyperKvasir names a
mask as its frame, EndoCV appends ``_mask``. ``{bare}`` is the frame's name without underscores at
its end: the mask of ``00489_`` is ``00489_mask``."""


def match(
    frames: Iterable[str], unclaimed: dict[str, Path], names: Sequence[str]
) -> dict[str, Path]:
    """The mask of each frame, taken out of ``unclaimed``.

    One way of naming after the other, so that no frame takes the mask that another one's name
    fits better: of frames ``1`` and ``p1`` with a mask ``p1``, the second has it.
    """
    found: dict[str, Path] = {}
    for pattern in names:
        for name in frames:
            stem = mask_stem(name, pattern)
            if name not in found and stem in unclaimed:
                found[name] = unclaimed.pop(stem)
    return found


def none_fits(
    masks: Path, frames: Mapping[str, Path], unclaimed: Mapping[str, Path], names: Sequence[str]
) -> Fault:
    """The fault of a folder in which every mask is named otherwise."""
    first, *_ = frames
    message = (
        f"none of the {len(frames)} frames has its mask in {masks}: expected "
        f"{likely(first, names)} for {frames[first].name}, found "
        f"{few([path.name for path in unclaimed.values()], 3)}. How masks are named is said by "
        "'harness init --pair ROLE FRAMES MASKS --mask-name TEXT'"
    )
    return Fault(path=str(frames[first].parent), message=message)


def in_folders(masks: Path, inside: Sequence[str]) -> Fault:
    """The fault of a folder that holds folders of masks."""
    message = (
        f"expected one mask a frame, but there are folders of masks: {few(inside, 3)}. If each is "
        "of a class, join them ('One folder a class' in the guide); if each is of a patient or "
        "video, the frames need folders of the same names"
    )
    return Fault(path=str(masks), message=message)


def likely(name: str, names: Sequence[str]) -> str:
    """The two likeliest names of a frame's mask."""
    stems = dict.fromkeys(mask_stem(name, pattern) for pattern in names[:2])
    return " or ".join(f"{stem}.*" for stem in stems)


def mask_stem(stem: str, pattern: str) -> str:
    """The stem that the mask of a frame has by one of ``MASK_NAMES``."""
    return pattern.replace("{stem}", stem).replace("{bare}", stem.rstrip("_"))

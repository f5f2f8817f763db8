"""What is changed of a mask once its pixels are decided: specks, holes, all but one region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.masks.read import Mask


@dataclass(frozen=True, kw_only=True)
class CleanUp:
    """Changes of a mask of one class. Regions are connected by sides or corners, holes by sides.

    Attributes:
        smallest: Regions with a smaller share of the frame's pixels are dropped; 0 drops none.
        fill: Whether holes are filled.
        largest: Whether the largest region alone is kept.
    """

    smallest: float = 0.0
    fill: bool = False
    largest: bool = False

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return bool(self.smallest or self.fill or self.largest)

    def __str__(self) -> str:
        """Its words for tables and messages."""
        words = [
            f"drop regions below {self.smallest:.3%} of the frame" if self.smallest else "",
            "keep the largest region" if self.largest else "",
            "fill holes" if self.fill else "",
        ]
        return ", ".join(word for word in words if word) or "none"

    def __call__(self, mask: Mask) -> Mask:
        """The mask, bool (H, W), with the changes; an empty one stays empty."""
        from skimage.measure import label
        from skimage.segmentation import clear_border

        if not self or not mask.any():
            return mask
        if self.smallest or self.largest:
            regions = label(mask, connectivity=2)
            sizes = np.bincount(regions.ravel())
            sizes[0] = 0
            keep = sizes >= max(1.0, self.smallest * mask.size)
            if self.largest:
                keep &= np.arange(len(sizes)) == sizes.argmax()
            mask = keep[regions]
        if self.fill:
            holes = clear_border(label(~mask, connectivity=1)) > 0
            mask = mask | holes
        return mask

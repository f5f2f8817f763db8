"""PAN, for images of any size."""

from __future__ import annotations

from typing import Final

from segmentation_models_pytorch import PAN
from torch import Tensor
from torch.nn import functional

SMALLEST: Final = 128
"""PAN halves the encoder's map, a sixteenth of the image's side, three times."""


class EnlargingPAN(PAN):  # type: ignore[misc]
    """PAN, which enlarges smaller images to 128 pixels and brings their logits back."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, C, H, W) of images (N, channels, H, W)."""
        height, width = x.shape[2:]
        if min(height, width) >= SMALLEST:
            return self._logits(x)
        enlarged = (max(height, SMALLEST), max(width, SMALLEST))
        logits = self._logits(functional.interpolate(x, enlarged, mode="bilinear"))
        return functional.interpolate(logits, (height, width), mode="bilinear")

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = super().forward(images)
        return logits

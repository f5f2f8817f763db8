"""Losses for segmentation, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import unknown


class SingleChannelDiceLoss(nn.Module):
    """One minus the Dice coefficient of one class (paper, Section 2.3, Equation 1).

    The equation gives the coefficient; the loss is one minus it. As in the authors' code, the
    sums run over the whole batch before the division, and ``smooth`` is added to numerator and
    denominator, so that a batch without the class still has a gradient.

    Args:
        channel: The class that counts.
        smooth: Added to numerator and denominator, in pixels.
    """

    def __init__(self, channel: int = 1, smooth: float = 1.0) -> None:
        super().__init__()
        self.channel = channel
        self.smooth = smooth

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """The loss of a batch, a scalar in [0, 1) that is computed in float32.

        The logits (N, C, H, W) are of any floating type, the masks (N, H, W) class indices, or
        (N, C, H, W) the classes' shares of each pixel, as a teacher gives them.
        """
        predicted = logits.float().softmax(dim=1)[:, self.channel]
        is_shares = masks.ndim == logits.ndim
        truth = masks[:, self.channel] if is_shares else (masks == self.channel).float()
        both = (predicted * truth).sum()
        return 1 - (2 * both + self.smooth) / (predicted.sum() + truth.sum() + self.smooth)


class DiceCrossEntropyLoss(nn.Module):
    """Single-channel Dice plus the cross-entropy of every pixel.

    The cross-entropy gives random weights a gradient where that of Dice alone is near zero, which
    matters to a network that starts without ImageNet weights. An uncertain pixel is better called
    polyp for Dice as soon as its probability exceeds half of the Dice that can be reached, for
    plain cross-entropy only above one half. Weighting pixels of the class by ``weight`` moves that
    to 1 / (1 + ``weight``), so that the two parts agree on such pixels.

    Args:
        channel: The class of the Dice part.
        smooth: As for :class:`SingleChannelDiceLoss`.
        weight: Weight of a pixel of that class in the cross-entropy; all others have 1.
    """

    def __init__(self, channel: int = 1, smooth: float = 1.0, weight: float = 2.0) -> None:
        super().__init__()
        self.dice = SingleChannelDiceLoss(channel, smooth)
        self.weight = weight

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        """The loss of a batch; shapes as for :class:`SingleChannelDiceLoss`."""
        dice: Tensor = self.dice(logits, masks)
        weights = logits.new_ones(logits.shape[1], dtype=torch.float32)
        weights[self.dice.channel] = self.weight
        if masks.ndim < logits.ndim:
            return dice + functional.cross_entropy(logits.float(), masks.long(), weight=weights)
        # torch's own divides by the pixels there, not by their weights as with class indices.
        weighted = masks * weights[:, None, None]
        return dice - (weighted * logits.float().log_softmax(dim=1)).sum() / weighted.sum()


LOSSES: Final[dict[str, Callable[..., nn.Module]]] = {
    "single-channel-dice": SingleChannelDiceLoss,
    "dice+ce": DiceCrossEntropyLoss,
}


def create(name: str, *, channel: int = 1) -> nn.Module:
    """Build a loss by name; ``channel`` is the class that counts.

    Raises:
        ModelError: If the name is unknown.
    """
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name](channel=channel)

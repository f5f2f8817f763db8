"""DivergentNets: the mean of its members' masks (paper, Section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.errors import ModelError


class DivergentNets(nn.Module):
    """An ensemble of networks trained each on its own.

    Args:
        members: Member name to a network that gives logits (N, C, H, W) for images (N, 3, H, W).

    Raises:
        ModelError: If there is no member.
    """

    def __init__(self, members: Mapping[str, nn.Module]) -> None:
        super().__init__()
        if not members:
            raise ModelError("DivergentNets needs at least one member")
        self.names = tuple(members)
        # ModuleDict refuses names with a dot, and a plain list keeps the order of the members.
        self.members = nn.ModuleList(members.values())

    def member_probabilities(self, images: Tensor) -> Tensor:
        """What each member says: (members, N, C, H, W) float32, summing to 1 over the classes."""
        return torch.stack([member(images).float().softmax(dim=1) for member in self.members])

    def forward(self, images: Tensor) -> Tensor:
        """The mean of the members' probabilities, (N, C, H, W) float32.

        The members are summed one after another, so that only two maps are held at a time and
        the order of additions is always the same.
        """
        first, *others = self.members
        total: Tensor = first(images).float().softmax(dim=1)
        for member in others:
            total = total + member(images).float().softmax(dim=1)
        return total / len(self.members)

    def predict_mask(self, images: Tensor, *, channel: int = 1) -> Tensor:
        """The mean rounded to 0 or 1, bool (N, H, W), of one class.

        A mean of exactly one half rounds to 0, as ``torch.round`` has it.
        """
        mean: Tensor = self(images)
        return mean[:, channel].round().bool()

"""DivergentNets: the mean of its members' probabilities (paper, Section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import ModelError
from models.fusion import mean_of_members

_MULTIPLE: Final = 32


class Member(nn.Module):
    """A network of an ensemble, with its probabilities at the size of the ensemble's images.

    Args:
        network: Logits (N, C, H, W) of images (N, 3, H, W).
        scale: The network's own size as a share of the ensemble's, which is the largest.
    """

    def __init__(self, network: nn.Module, scale: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (N, C, H, W), float32."""
        own = self._own_side(images.shape[-1])
        if own == images.shape[-1]:
            return self._probabilities(images)
        small = functional.interpolate(images, (own, own), mode="bilinear", antialias=True)
        return functional.interpolate(self._probabilities(small), images.shape[2:], mode="bilinear")

    def _own_side(self, side: int) -> int:
        """The multiple of 32, which encoders need, that is nearest to the share of a side."""
        return max(1, round(side * self.scale / _MULTIPLE)) * _MULTIPLE if self.scale != 1 else side

    def _probabilities(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits.float().softmax(dim=1)


class DivergentNets(nn.Module):
    """An ensemble of networks that were trained separately.

    Args:
        members: Member name to a network that gives logits (N, C, H, W) for images (N, 3, H, W).
        sizes: Side of each member's own images, in pixels; by default all are of one size. The
            ensemble takes images of the largest.
        fusion: One map (N, C, H, W) of the members' (N, M, C, H, W); by default their mean.

    Raises:
        ModelError: If there is no member.
    """

    def __init__(
        self,
        members: Mapping[str, nn.Module],
        sizes: Mapping[str, int] | None = None,
        fusion: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not members:
            raise ModelError("DivergentNets needs at least one member")
        own = sizes or dict.fromkeys(members, 1)
        largest = max(own.values())
        self.names = tuple(members)
        self.fusion = fusion
        # A ModuleList, since ModuleDict refuses names with a dot.
        self.members = nn.ModuleList(
            Member(network, own[name] / largest) for name, network in members.items()
        )

    def forward(self, images: Tensor) -> Tensor:
        """The members' probabilities as one map, (N, C, H, W) float32."""
        maps = (member(images) for member in self.members)
        if self.fusion is None:
            return mean_of_members(maps)
        fused: Tensor = self.fusion(torch.stack(list(maps), dim=1))
        return fused

"""DivergentNets: the mean of its members' probabilities (paper, Section 2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from models.errors import ModelError


class DivergentNets(nn.Module):
    """An ensemble of networks that were trained separately.

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
        # A ModuleList, since ModuleDict refuses names with a dot.
        self.members = nn.ModuleList(members.values())

    def forward(self, images: Tensor) -> Tensor:
        """The mean of the members' probabilities, (N, C, H, W) float32."""
        return mean_of_members(member(images).float().softmax(dim=1) for member in self.members)


def mean_of_members(probabilities: Iterable[Tensor]) -> Tensor:
    """The mean of probability maps of one shape, one map a member.

    The maps are added one after another, so that the order of the additions, and with it the last
    bit, is always the same, and only two maps are held where ``probabilities`` computes them one by
    one.

    Args:
        probabilities: At least one map.
    """
    maps = iter(probabilities)
    total, count = next(maps), 1
    for one in maps:
        total, count = total + one, count + 1
    return total / count

"""Ways to make one probability map of the members' maps: their mean, or one that is learned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from torch import Tensor, nn, zeros

from models.errors import unknown

_WIDTH: Final = 16
_SMALLEST: Final = 1e-6


def mean_of_members(probabilities: Iterable[Tensor]) -> Tensor:
    """The mean of probability maps of one shape, one map a member.

    The maps are added one after another, so that the order of the additions, and with it the last
    bit, is always the same, and only two maps are held where ``probabilities`` computes them one by
    one. There is at least one map.
    """
    maps = iter(probabilities)
    total, count = next(maps), 1
    for one in maps:
        total, count = total + one, count + 1
    return total / count


class Weighted(nn.Module):
    """A weighted mean: one weight a member, 1 in sum. It begins as the plain mean."""

    def __init__(self, members: int, classes: int) -> None:
        super().__init__()
        del classes
        self.logits = nn.Parameter(zeros(members))

    def forward(self, maps: Tensor) -> Tensor:
        """Probabilities (N, C, H, W) of the members' (N, M, C, H, W)."""
        weights = self.logits.softmax(dim=0).view(1, -1, 1, 1, 1)
        return (maps * weights).sum(dim=1)


class FusionNetwork(nn.Module):
    """Three convolutions over the members' maps, added to the mean's logits.

    The last one begins at 0, and so the network as the plain mean. With five members and two
    classes it has some 4,000 parameters, far fewer than any member.
    """

    def __init__(self, members: int, classes: int) -> None:
        super().__init__()
        last = nn.Conv2d(_WIDTH, classes, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.layers = nn.Sequential(
            nn.Conv2d(members * classes, _WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1),
            nn.ReLU(),
            last,
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Probabilities (N, C, H, W) of the members' (N, M, C, H, W)."""
        mean = maps.mean(dim=1).clamp_min(_SMALLEST).log()
        logits: Tensor = mean + self.layers(maps.flatten(1, 2))
        return logits.softmax(dim=1)


FUSIONS: Final[dict[str, type[nn.Module]]] = {"weighted": Weighted, "network": FusionNetwork}


def create(kind: str, *, members: int, classes: int) -> nn.Module:
    """A fusion by name.

    Raises:
        ModelError: If the name is unknown.
    """
    if kind not in FUSIONS:
        raise unknown("fusion", kind, FUSIONS)
    return FUSIONS[kind](members, classes)

"""Fit a learned fusion to maps of frames that the members were not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.evaluation.tuning.member_maps import Truths
from models import fusion, losses

OPTIMISER_STEPS: Final = 300
_BATCH: Final = 8
_RATES: Final = {"weighted": 0.05, "network": 0.003}
_SMALLEST: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class Part:
    """Frames, and the maps of members that were not trained on them.

    Attributes:
        maps: Each member's maps, float32 (N, K, S, S), in the ensemble's order.
        truths: The frames' truth.
    """

    maps: Sequence[NDArray[np.float32]]
    truths: Truths


def fit(
    kind: str, parts: Sequence[Part], *, done: Callable[[], object] = lambda: None
) -> nn.Module:
    """Fit a fusion by Dice and cross-entropy at the network's size.

    ``kind`` is ``weighted`` or ``network``; the parts have at least one frame. The steps, and so
    the weights, depend on the maps alone: batches are drawn from a fixed seed. ``done`` is called
    after each step.
    """
    frames = [(part, at) for part in parts for at in range(len(part.truths.rows))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classes = parts[0].truths.classes
        network = fusion.create(kind, members=len(parts[0].maps), classes=1 + len(classes))
        optimiser = torch.optim.Adam(network.parameters(), lr=_RATES[kind])
        loss_of = losses.create("dice+ce", channel=classes.channel)
        for _ in range(OPTIMISER_STEPS):
            chosen = torch.randperm(len(frames))[:_BATCH].tolist()
            maps, masks = _batch([frames[at] for at in chosen])
            # Losses take logits: the softmax of the logarithms is the probabilities again.
            loss = loss_of(network(maps).clamp_min(_SMALLEST).log(), masks)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done()
    return network.eval()


def _batch(frames: Sequence[tuple[Part, int]]) -> tuple[Tensor, Tensor]:
    """Maps (N, M, 1 + K, S, S) and masks (N, S, S) of frames."""
    maps = torch.from_numpy(np.stack([[one[at] for one in part.maps] for part, at in frames]))
    size = maps.shape[-1]
    masks = torch.from_numpy(np.stack([part.truths.resized(at, size) for part, at in frames]))
    return torch.cat([1 - maps.sum(dim=2, keepdim=True), maps], dim=2), masks.long()

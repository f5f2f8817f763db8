"""TriUNet (paper, Section 2.1), TriUNet++ and TriNet: three networks in a triangle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.decoders import build_one
from models.errors import ModelError
from models.registry import Architecture

NODES = 3


class TriNet(nn.Module):
    """Two networks see the image, a third sees their probability maps.

    ::

        image --> left  -- softmax --+
              |                      +-- concatenated --> head --> logits
              +-> right -- softmax --+

    One loss, on the third network's output, trains all three.

    Args:
        left: Images (N, 3, H, W) in, logits (N, C, H, W) out.
        right: As ``left``, with weights of its own.
        head: Maps (N, 2 C, H, W) in, logits (N, C, H, W) out.
    """

    def __init__(self, left: nn.Module, right: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.left = left
        self.right = right
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W) of normalised images (N, 3, H, W)."""
        views = torch.cat([self.left(images).softmax(1), self.right(images).softmax(1)], dim=1)
        logits: Tensor = self.head(views)
        return logits


def build(
    architecture: Architecture, *, nodes: tuple[str, ...], classes: int, **options: Any
) -> nn.Module:
    """Build a TriNet; the arguments are those of ``models.create``.

    Raises:
        ModelError: If there are not three nodes, or one of them cannot be a node.
    """
    if len(nodes) != NODES:
        raise ModelError(
            f"{architecture.name} takes three nodes, such as unet,fpn,deeplabv3; got "
            f"{','.join(nodes) or 'none'}"
        )
    left, right, head = (
        build_one(node, classes=classes, in_channels=channels, **options)
        for node, channels in zip(nodes, (3, 3, 2 * classes), strict=True)
    )
    return TriNet(left, right, head)

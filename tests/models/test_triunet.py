"""Three networks in a triangle."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import models
from models import losses
from models.triunet import TriNet


class Says(nn.Module):
    """A node whose logits are the same for every image."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images: Tensor) -> Tensor:
        shape = (len(images), len(self.logits), *images.shape[2:])
        return self.logits.view(1, -1, 1, 1).expand(shape)


def test_the_head_sees_both_probability_maps_side_by_side() -> None:
    # softmax(0, ln 3) is (1/4, 3/4), softmax(0, 0) is (1/2, 1/2).
    triangle = TriNet(Says([0.0, math.log(3)]), Says([0.0, 0.0]), nn.Identity())

    views = triangle(torch.zeros(1, 3, 1, 1))

    assert torch.allclose(views.flatten(), torch.tensor([0.25, 0.75, 0.5, 0.5]))


@pytest.mark.parametrize("name", ["triunet", "trinet"])
def test_one_loss_on_the_head_trains_all_three(name: str) -> None:
    torch.manual_seed(0)
    network = models.create(name, encoder="resnet18", encoder_weights=None).train()
    before = {key: t.detach().clone() for key, t in network.named_parameters()}
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0)

    loss = losses.create("single-channel-dice")(
        network(torch.randn(2, 3, 64, 64)), torch.ones(2, 64, 64, dtype=torch.long)
    )
    loss.backward()
    optimiser.step()

    moved = {
        key.split(".")[0]
        for key, parameter in network.named_parameters()
        if not torch.equal(parameter, before[key])
    }
    assert moved == {"left", "right", "head"}


def test_the_two_that_see_the_image_start_apart() -> None:
    network = models.create("triunet", encoder="resnet18", encoder_weights=None)
    left, right = network.left.state_dict(), network.right.state_dict()

    assert left.keys() == right.keys()
    assert not torch.equal(left["encoder.conv1.weight"], right["encoder.conv1.weight"])


def test_there_is_no_fourth_network() -> None:
    sizes = {row.name: row.parameters for row in models.describe(encoder="resnet18")}
    three, one = sizes["triunet"], sizes["unet"]
    fourth_channel = 64 * 7 * 7  # one more input channel of the head's first convolution

    assert one
    assert three == 3 * one + fourth_channel


@pytest.mark.parametrize("classes", [1, 3])
def test_the_head_takes_two_maps_a_class(classes: int) -> None:
    network = models.create(
        "triunet", encoder="resnet18", encoder_weights=None, classes=classes
    ).eval()

    assert network.head.encoder.conv1.in_channels == 2 * classes
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, classes, 64, 64)


def test_mixed_nodes_are_three_different_networks() -> None:
    network = models.create(
        "trinet", encoder="resnet18", encoder_weights=None, nodes=("unet++", "fpn", "deeplabv3+")
    )

    kinds = [type(getattr(network, part)).__name__ for part in ("left", "right", "head")]
    assert kinds == ["UnetPlusPlus", "FPN", "DeepLabV3Plus"]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (("unet", "fpn"), "takes three nodes"),
        (("unet", "fpn", "triunet"), "'triunet' cannot be a node"),
        (("unet", "fpn", "unett"), "'unett' cannot be a node; expected one of unet, unet"),
    ],
)
def test_nodes_that_do_not_fit_are_refused(nodes: tuple[str, ...], message: str) -> None:
    with pytest.raises(models.ModelError, match=message):
        models.create("trinet", encoder="resnet18", encoder_weights=None, nodes=nodes)

"""The ensemble: the mean of its members' probabilities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models import ModelError
from models.divergentnets import DivergentNets
from models.fusion import mean_of_members


class Says(nn.Module):
    """A member that gives every pixel the same polyp probability."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.logit = torch.logit(torch.tensor(probability))

    def forward(self, images: Tensor) -> Tensor:
        polyp = self.logit.expand(len(images), 1, *images.shape[2:])
        return torch.cat([torch.zeros_like(polyp), polyp], dim=1)


def test_probabilities_are_averaged_not_votes() -> None:
    # Two of three members say no, yet the mean (0.9 + 0.4 + 0.4) / 3 is above one half.
    ensemble = DivergentNets({"a": Says(0.9), "b": Says(0.4), "c": Says(0.4)})

    mean = ensemble(torch.zeros(1, 3, 4, 4))

    assert mean.shape == (1, 2, 4, 4)
    assert torch.allclose(mean[:, 1], torch.tensor(1.7 / 3))
    assert torch.allclose(mean.sum(1), torch.ones(1))


def test_an_ensemble_of_none_is_refused() -> None:
    with pytest.raises(ModelError, match="at least one member"):
        DivergentNets({})


def test_maps_are_added_in_their_order() -> None:
    # In float32 1e8 + 1 is 1e8, so the order of the additions shows in the sum.
    maps = [torch.tensor([value]) for value in (1e8, 1.0, -1e8)]

    assert mean_of_members(maps).item() == 0.0
    assert mean_of_members(reversed(maps)).item() == 0.0
    assert mean_of_members(maps[::2] + maps[1:2]).item() == pytest.approx(1 / 3)


def test_members_are_part_of_the_state_and_follow_to_evaluation() -> None:
    ensemble = DivergentNets({"a.b": nn.Conv2d(3, 2, 1), "c": nn.Conv2d(3, 2, 1)})

    assert ensemble.names == ("a.b", "c")
    assert len(ensemble.state_dict()) == 4
    assert not any(module.training for module in ensemble.eval().modules())


class Sees(nn.Module):
    """A member that notes the sizes of its images and marks their left half."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.shape[-1])
        polyp = torch.full_like(images[:, :1], -9.0)
        polyp[..., : images.shape[-1] // 2] = 9.0
        return torch.cat([torch.zeros_like(polyp), polyp], dim=1)


def test_members_see_images_of_their_own_size_and_are_averaged_at_the_largest() -> None:
    small, large = Sees(), Sees()
    ensemble = DivergentNets({"small": small, "large": large}, {"small": 64, "large": 128})

    mean = ensemble(torch.zeros(2, 3, 128, 128))
    ensemble(torch.zeros(1, 3, 192, 192))  # a further size, as at test time

    assert mean.shape == (2, 2, 128, 128)
    assert (small.seen, large.seen) == ([64, 96], [128, 192])
    assert bool((mean[0, 1, :, :63] > 0.99).all())
    assert bool((mean[0, 1, :, 65:] < 0.01).all())


def test_members_of_one_size_are_left_as_they_are() -> None:
    network = nn.Conv2d(3, 2, 1)
    images = torch.randn(1, 3, 48, 48)

    (only,) = DivergentNets({"a": network}, {"a": 64}).members

    assert torch.equal(only(images), network(images).softmax(1))

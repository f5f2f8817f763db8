"""The ensemble: the mean of its members' probabilities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models import ModelError
from models.divergentnets import DivergentNets


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


def test_each_member_can_be_asked() -> None:
    ensemble = DivergentNets({"a": Says(0.9), "unet++": Says(0.2)})

    views = ensemble.member_probabilities(torch.zeros(2, 3, 4, 4))

    assert ensemble.names == ("a", "unet++")
    assert views.shape == (2, 2, 2, 4, 4)
    assert torch.allclose(views.mean(0), ensemble(torch.zeros(2, 3, 4, 4)))


def test_an_ensemble_of_none_is_refused() -> None:
    with pytest.raises(ModelError, match="at least one member"):
        DivergentNets({})


def test_the_mask_is_the_mean_rounded_and_a_tie_is_background() -> None:
    images = torch.zeros(2, 3, 4, 4)

    above = DivergentNets({"a": Says(0.9), "b": Says(0.2)}).predict_mask(images)
    tie = DivergentNets({"a": Says(0.5), "b": Says(0.5)}).predict_mask(images)

    assert above.dtype == torch.bool
    assert above.shape == (2, 4, 4)
    assert above.all()
    assert not tie.any()


def test_members_are_part_of_the_state_and_follow_to_evaluation() -> None:
    ensemble = DivergentNets({"a.b": nn.Conv2d(3, 2, 1), "c": nn.Conv2d(3, 2, 1)})

    assert len(ensemble.state_dict()) == 4
    assert not any(module.training for module in ensemble.eval().modules())

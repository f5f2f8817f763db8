"""The optimisers, and their state on one device and another."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.config.training import TrainConfig
from harness.training import optimiser as optimisers
from metrics.utils.errors import UserError


def config(**values: object) -> TrainConfig:
    return TrainConfig.from_dict({"model": "unet", "encoder_weights": "none", **values})


def test_each_optimiser_has_its_averages() -> None:
    network = nn.Linear(3, 2)
    adam, adamw = (
        optimisers.create(config(optimiser=name, weight_decay=0.1), network, torch.device("cpu"))
        for name in ("adam", "adamw")
    )

    assert (type(adam), adam.defaults["betas"]) == (torch.optim.Adam, (0.9, 0.999))
    assert (type(adamw), adamw.defaults["betas"]) == (torch.optim.AdamW, (0.9, 0.99))
    assert adam.defaults["weight_decay"] == adamw.defaults["weight_decay"] == 0.1


def test_an_unknown_optimiser_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'adam"):
        optimisers.create(config(optimiser="adamv"), nn.Linear(1, 1), torch.device("cpu"))


def trained(rate: float | torch.Tensor, steps: int = 2) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network a few steps on, with the learning rate as a number, or as on a GPU a tensor."""
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    optimiser = optimisers.create(config(learning_rate=0.5), network, torch.device("cpu"))
    optimiser.param_groups[0]["lr"] = rate
    for _ in range(steps):
        step(network, optimiser)
    return network, optimiser


def step(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad()
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()


@pytest.mark.parametrize("saved", [0.25, torch.tensor(0.25)])
@pytest.mark.parametrize("own", [0.5, torch.tensor(0.5)])
def test_a_state_goes_from_one_kind_of_device_to_another(
    saved: float | torch.Tensor, own: float | torch.Tensor
) -> None:
    network, optimiser = trained(saved)
    state = optimisers.portable(optimiser.state_dict())
    kept = own.clone() if isinstance(own, torch.Tensor) else own
    other, resumed = trained(kept, steps=0)
    other.load_state_dict(network.state_dict())

    optimisers.load(resumed, state)

    assert type(state["param_groups"][0]["lr"]) is float
    group = resumed.param_groups[0]
    assert type(group["lr"]) is type(own)
    assert float(group["lr"]) == 0.25
    assert not isinstance(own, torch.Tensor) or group["lr"] is kept  # a recording reads this one
    step(network, optimiser)
    step(other, resumed)
    assert all(map(torch.equal, network.parameters(), other.parameters()))


def test_what_belongs_to_the_device_is_not_loaded() -> None:
    _, optimiser = trained(0.5)
    state = optimiser.state_dict()
    state["param_groups"][0] |= {"capturable": True, "fused": None, "weight_decay": 0.125}

    optimisers.load(optimiser, state)

    group = optimiser.param_groups[0]
    assert (group["capturable"], group["fused"], group["weight_decay"]) == (False, True, 0.125)


def test_the_next_steps_rate_is_set_in_place_where_it_is_a_tensor() -> None:
    rate = torch.tensor(0.5)
    _, optimiser = trained(rate, steps=0)

    optimisers.set_learning_rate(optimiser, 0.125)

    assert optimiser.param_groups[0]["lr"] is rate
    assert rate.item() == 0.125

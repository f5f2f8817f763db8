"""The schedule, and an optimiser's state on one device and another."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.config.training import TrainConfig
from harness.training import optimiser as optimisers
from harness.training.optimiser import learning_rate


def config(**values: object) -> TrainConfig:
    return TrainConfig.from_dict({"model": "unet", "encoder_weights": "none", **values})


def test_the_papers_schedule_drops_to_a_tenth_after_fifty_epochs() -> None:
    paper = TrainConfig(model="unet")

    rates = [learning_rate(paper, epoch=e, passed=0, steps=1) for e in (0, 49, 50, 199)]

    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])


def test_one_cycle_rises_for_a_quarter_and_falls_to_a_thousandth() -> None:
    cycle = config(schedule="one-cycle", learning_rate=1.0)

    rates = [learning_rate(cycle, epoch=0, passed=p, steps=100) for p in range(101)]

    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[25] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.001)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


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

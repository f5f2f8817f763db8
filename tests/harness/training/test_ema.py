"""The exponential moving average of a network's weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.training.ema import MovingAverage


def test_the_average_forgets_its_first_weights_soon() -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 0.0)
    average = MovingAverage(network, 0.9)

    nn.init.constant_(network.weight, 1.0)
    average.update()  # decay (1 + 1) / (10 + 1)

    assert average.module.weight.item() == pytest.approx(1 - 2 / 11)
    for _ in range(500):
        average.update()
    assert average.module.weight.item() == pytest.approx(1.0)


def test_the_average_is_that_of_the_formula_with_its_buffers() -> None:
    torch.manual_seed(0)
    network = nn.BatchNorm2d(2)
    average = MovingAverage(network, 0.5)
    expected: dict[str, Tensor] = {n: v.clone() for n, v in network.state_dict().items()}

    for update in range(1, 12):
        network(torch.randn(2, 2, 3, 3) + update)
        average.update()
        decay = min(0.5, (1 + update) / (10 + update))
        for name, value in network.state_dict().items():
            mixed = decay * expected[name] + (1 - decay) * value
            expected[name] = mixed if value.is_floating_point() else value.clone()

    for name, value in average.module.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    assert average.module.num_batches_tracked == 11

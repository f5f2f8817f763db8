"""How many networks train at a time, in which order, and what each takes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

import models
from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.training.cost import Cost, estimate, has_unused_weights
from harness.training.distributed import ProcessGroup
from harness.training.side_by_side import longest_first, networks_at_once, networks_that_fit
from harness.training.train_run import TrainingSetup

CPU = TrainingSetup(device=torch.device("cpu"))
GPU = TrainingSetup(device=torch.device("cuda"))
SHARED = TrainingSetup(device=CPU.device, group=ProcessGroup(rank=0, world_size=2, on_machine=2))


def recipe(name: str) -> TrainConfig:
    how: dict[str, Any] = {
        "encoder": "resnet18",
        "encoder_weights": "none",
        "size": 64,
        "batch_size": 8,
    }
    return resolve(name, "paper", **how)


@pytest.mark.parametrize(
    ("setup", "networks", "asked", "expected"),
    [
        (CPU, 6, None, 4),
        (CPU, 3, None, 3),
        (CPU, 1, None, 1),
        (CPU, 6, 1, 1),
        (CPU, 6, 9, 9),
        (GPU, 6, None, 1),
        (GPU, 6, 2, 2),
        (SHARED, 6, None, 1),
    ],
)
def test_a_cpu_trains_one_network_a_core(
    monkeypatch: pytest.MonkeyPatch,
    setup: TrainingSetup,
    networks: int,
    asked: int | None,
    expected: int,
) -> None:
    monkeypatch.setattr("harness.utils.device.cores", lambda: 4)
    assert networks_at_once(setup, networks, asked) == expected


def test_fewer_train_where_memory_holds_no_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = [Cost(flops=1, memory=gigabytes * 1e9) for gigabytes in (1, 5, 3)]
    for free, fitting in ((20e9, 2), (8.5e9, 1), (1e9, 1)):
        monkeypatch.setattr("harness.utils.device.free_memory", lambda free=free: free)
        assert networks_that_fit(2, costs) == fitting
        assert ("1 in place of 2" in capsys.readouterr().err) == (fitting == 1)


def test_the_longest_networks_are_known_from_their_shapes() -> None:
    configs = [recipe(name) for name in models.PAPER_NETWORKS]

    costs = estimate(configs)

    # Measured on one core, a step of the paper's networks takes longest in these three.
    order = [models.PAPER_NETWORKS[at] for at in longest_first(costs)]
    assert set(order[:3]) == {"triunet", "deeplabv3", "unet++"}
    unet, twice = estimate([configs[0], dataclasses.replace(configs[0], batch_size=16)])
    assert twice.flops == 2 * unet.flops
    assert unet.memory < twice.memory < 2 * unet.memory


def test_weights_that_no_output_depends_on_are_known_from_their_shapes() -> None:
    def unused(name: str, encoder: str) -> bool:
        return has_unused_weights(models.create(name, encoder=encoder, encoder_weights=None), 64)

    assert unused("unet", "efficientnet-b0")  # its last convolution
    assert unused("pspnet", "resnet18")
    assert not unused("unet", "resnet18")
    needs_values = nn.Identity()
    needs_values.register_forward_hook(lambda _module, _images, output: output.mean().item())
    assert has_unused_weights(needs_values, 64)


def test_a_network_that_cannot_be_told_counts_as_the_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outline = models.outline

    def refuse_fpn(name: str, **settings: object) -> object:
        if name == "fpn":
            raise RuntimeError("needs values")
        return outline(name, **settings)

    monkeypatch.setattr(models, "outline", refuse_fpn)

    unet, fpn = estimate([recipe("unet"), recipe("fpn")])

    assert fpn == unet

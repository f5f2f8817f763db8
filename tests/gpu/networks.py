"""Networks with random weights that behave as trained ones do."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from harness.config.training import TrainConfig
from harness.runs.network import Normalised, Softmax, build, normalisation
from harness.training.trainer import Trainer
from models.divergentnets import DivergentNets

ROUNDING = 5
"""A deep network amplifies rounding. Where one rounding of its weights moves its own result by more
than a limit, a device or a kernel that rounds elsewhere may be so many times as far away."""

_LOOKS = 4


def pictures(count: int, size: int, seed: int = 0) -> Tensor:
    """Coarse noise, float (N, 3, S, S) on the scale 0 to 255."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=generator) * 255
    return functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 255)


def predicting(name: str, encoder: str, size: int) -> nn.Module:
    """A network of a name, an ensemble with its members: images 0 to 255 in, probabilities out.

    Weights are the same at each call. The averages of the batch norms are those of a few pictures,
    and the last bias is such that half of a picture is polyp.
    """
    members = models.get(name).members
    if members:
        return DivergentNets({member: _balanced(member, encoder, size) for member in members})
    return Softmax(_balanced(name, encoder, size)).eval()


@torch.no_grad()
def _balanced(name: str, encoder: str, size: int) -> nn.Module:
    torch.manual_seed(0)
    network = models.create(name, encoder=encoder, encoder_weights=None)
    wrapped = Normalised(network, models.normalisation(encoder))
    seen = pictures(_LOOKS, size, seed=1)
    for module in wrapped.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches seen, here one
    wrapped.train()(seen)
    logits = wrapped.eval()(seen)
    last = [module for module in wrapped.modules() if isinstance(module, nn.Conv2d)][-1]
    assert last.bias is not None
    last.bias[1] -= (logits[:, 1] - logits[:, 0]).median()
    return wrapped


def moved_by_a_rounding(network: nn.Module) -> nn.Module:
    """A copy whose weights are up to one float32 rounding larger or smaller."""
    moved = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in moved.parameters():
            way = torch.rand(weights.shape, generator=generator) * 2 - 1
            weights.mul_(1 + torch.finfo(torch.float32).eps * way)
    return moved


def trainer_of(
    config: TrainConfig,
    device: torch.device,
    steps: int,
    *,
    moved: bool = False,
    graphs: bool = True,
) -> Trainer:
    """A trainer of a network whose first weights are the same at each call, or nearly so."""
    torch.manual_seed(config.seed)
    network = build(config)
    if moved:
        network = moved_by_a_rounding(network)
    return Trainer(
        config,
        network,
        device=device,
        normalisation=normalisation(config),
        steps=steps,
        graphs=graphs,
    )


def drop_nothing(trainer: Trainer) -> None:
    """Devices, and compiled networks on a GPU, draw other numbers from the same seed."""
    for module in trainer.network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0

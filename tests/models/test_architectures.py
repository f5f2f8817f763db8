"""One set of tests that every network passes, with a small encoder."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import models
from models import losses

NETWORKS = [name for name in models.names() if not models.get(name).members]
SIZE = 64


def build(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return models.create(name, encoder="resnet18", encoder_weights=None)


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_learns_from_the_polyp_channel(name: str) -> None:
    network = build(name).train()
    masks = torch.zeros(2, SIZE, SIZE, dtype=torch.uint8)
    masks[:, 16:48, 16:48] = 1

    logits = network(images())
    losses.create("single-channel-dice")(logits, masks).backward()

    assert logits.shape == (2, 2, SIZE, SIZE)
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
    moved = [bool(p.grad.abs().sum() > 0) for p in network.parameters() if p.grad is not None]
    assert sum(moved) / len(moved) > 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_decides_the_weights(name: str) -> None:
    first, again, other = (build(name, seed).state_dict() for seed in (0, 0, 1))

    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_survive_a_round_trip(name: str) -> None:
    network, other = build(name).eval(), build(name, seed=1).eval()
    other.load_state_dict(network.state_dict())

    with torch.inference_mode():
        assert torch.equal(network(images(1)), other(images(1)))


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_last_and_bf16_stay_near_float32(name: str) -> None:
    network = build(name).eval()
    inputs = images(1).contiguous(memory_format=torch.channels_last)

    with torch.inference_mode():
        reference = network(images(1)).softmax(1)
        with torch.autocast("cpu", torch.bfloat16):
            reduced = network(inputs).float().softmax(1)

    assert (reference - reduced).abs().max() < 0.05


@pytest.mark.parametrize("name", ["unet", "fpn", "triunet"])
def test_a_batch_of_one_can_train_where_the_registry_says_so(name: str) -> None:
    assert models.get(name).smallest_batch == 1

    assert torch.isfinite(build(name).train()(images(1))).all()


@pytest.mark.parametrize("name", ["deeplabv3", "deeplabv3+"])
def test_deeplabs_need_two_frames_a_step(name: str) -> None:
    assert models.get(name).smallest_batch == 2

    with pytest.raises(ValueError, match="more than 1 value per channel"):
        build(name).train()(images(1))


def test_another_number_of_classes() -> None:
    network = models.create("triunet", encoder="resnet18", encoder_weights=None, classes=3)

    assert network.eval()(images(1)).shape == (1, 3, SIZE, SIZE)

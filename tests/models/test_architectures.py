"""One set of tests that every network passes, with a small encoder."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache

import pytest
import torch
from torch import nn

import models
from models import losses

NETWORKS = [name for name in models.names() if not models.get(name).members]
SIZE = 64
UNUSED = {
    "pspnet": ("encoder.model.blocks.3", "encoder.model.blocks.4"),
    "dpt": ("encoder.model.norm", "encoder.model.head"),
}
"""Parts of the encoder that the library builds and does not use: PSPNet stops at an eighth."""


def build(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    encoder = "tu-test_vit" if name == "dpt" else "tu-test_efficientnet"
    return models.create(name, encoder=encoder, encoder_weights=None)


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def masks(count: int = 2) -> torch.Tensor:
    squares = torch.zeros(count, SIZE, SIZE, dtype=torch.uint8)
    squares[:, 16:48, 16:48] = 1
    return squares


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def built(name: str) -> nn.Module:
    return build(name)


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    """Each network built once, for the tests that leave its weights as they are."""
    return built(request.param).eval()


def test_logits_have_the_size_of_the_images(network: nn.Module) -> None:
    wide = torch.randn(1, 3, SIZE, 2 * SIZE)

    with torch.inference_mode():
        logits = network(wide)

    assert logits.shape == (1, 2, SIZE, 2 * SIZE)
    assert logits.dtype == torch.float32
    assert not torch.allclose(logits.sum(1), torch.ones(1), atol=0.1)  # not probabilities


def test_a_frame_is_predicted_alike_alone_and_in_a_batch(network: nn.Module) -> None:
    with torch.inference_mode():
        batch, alone = network(images(3)), network(images(3)[1:2])

    assert torch.allclose(batch[1:2], alone, atol=1e-4)


def test_channels_last_gives_the_same(network: nn.Module) -> None:
    with torch.inference_mode():
        reference = network(images(1))
        other = network(images(1).contiguous(memory_format=torch.channels_last))

    assert torch.allclose(reference, other, atol=1e-4)


def test_bf16_stays_near_float32(network: nn.Module) -> None:
    small = images(1)[..., : SIZE // 2, : SIZE // 2]  # bf16 may be emulated, which is slow
    with torch.inference_mode():
        reference = network(small).softmax(1)
        with torch.autocast("cpu", torch.bfloat16):
            reduced = network(small).float().softmax(1)

    assert (reference - reduced).abs().max() < 0.05


@pytest.mark.parametrize("name", NETWORKS)
def test_training_moves_the_running_statistics_and_evaluating_does_not(name: str) -> None:
    network = copy.deepcopy(built(name)).eval()
    statistics = {key: t for key, t in network.state_dict().items() if "running_mean" in key}
    before = {key: t.clone() for key, t in statistics.items()}

    with torch.inference_mode():
        network(images())
    assert all(torch.equal(before[key], statistics[key]) for key in before)

    with torch.no_grad():
        network.train()(images())
    assert not all(torch.equal(before[key], statistics[key]) for key in before)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_learns_from_the_polyp_channel(name: str, precision: torch.dtype) -> None:
    network = copy.deepcopy(built(name)).train()
    reduced = precision == torch.bfloat16
    side = SIZE // 2 if reduced else SIZE  # where bf16 is emulated it takes several times as long

    with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
        logits = network(images()[..., :side, :side])
        loss = losses.create("single-channel-dice")(logits, masks()[..., :side, :side])
    loss.backward()

    assert loss.dtype == torch.float32
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    unused = [key for key, grad in gradients.items() if grad is None]
    assert [key for key in unused if not key.startswith(UNUSED.get(name, ("-",)))] == []
    gradients = {key: grad for key, grad in gradients.items() if grad is not None}
    assert [key for key, grad in gradients.items() if not torch.isfinite(grad).all()] == []
    assert sum(bool(grad.any()) for grad in gradients.values()) / len(gradients) > 0.9


@pytest.mark.parametrize("name", NETWORKS)
def test_the_seed_decides_the_weights_and_they_survive_a_round_trip(name: str) -> None:
    first, other = built(name).eval(), build(name, seed=1).eval()
    weights = first.state_dict()

    assert all(torch.equal(weights[key], t) for key, t in build(name).state_dict().items())
    assert not all(torch.equal(weights[key], t) for key, t in other.state_dict().items())

    other.load_state_dict(weights)
    with torch.inference_mode():
        assert torch.equal(first(images(1)), other(images(1)))


@pytest.mark.parametrize("name", ["unet", "fpn", "pspnet", "segformer"])
def test_a_batch_of_one_can_train_where_the_registry_says_so(name: str) -> None:
    assert models.smallest_batch(name) == 1

    assert torch.isfinite(build(name).train()(images(1))).all()


@pytest.mark.parametrize("name", ["deeplabv3", "deeplabv3+", "trinet", "pan", "upernet"])
def test_a_batch_of_one_cannot_train_where_the_registry_says_so(name: str) -> None:
    assert models.smallest_batch(name) == 2

    with pytest.raises(ValueError, match="more than 1 value per channel"):
        build(name).train()(images(1))


@pytest.mark.parametrize(("stride", "shrunk"), [(None, 8), (8, 8), (16, 4)])
def test_the_output_stride_of_deeplabs(stride: int | None, shrunk: int) -> None:
    network = models.create(
        "deeplabv3", encoder="tu-test_efficientnet", encoder_weights=None, output_stride=stride
    )
    deepest = network.get_submodule("encoder")(torch.zeros(1, 3, 64, 64))[-1]
    assert deepest.shape[-1] == shrunk


def test_other_networks_leave_the_output_stride() -> None:
    plain, strided = (
        models.create(
            "unet", encoder="tu-test_efficientnet", encoder_weights=None, output_stride=stride
        )
        for stride in (None, 16)
    )
    assert str(plain) == str(strided)

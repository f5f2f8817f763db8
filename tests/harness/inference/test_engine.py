"""The bits of a probability depend on the frame and the network, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import models
from harness.inference.engine import Engine
from harness.utils import device as devices
from models.divergentnets import DivergentNets

CPU = torch.device("cpu")
MEMBERS = ("unet++", "fpn", "deeplabv3")


@pytest.fixture(scope="module")
def ensemble() -> nn.Module:
    torch.manual_seed(0)
    members = {
        name: models.create(name, encoder="resnet18", encoder_weights=None).eval()
        for name in MEMBERS
    }
    return DivergentNets(members).eval()


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255


@pytest.fixture(scope="module")
def reference(ensemble: nn.Module, frames: Tensor) -> Tensor:
    """One frame at a time, on one thread."""
    with devices.threads(1):
        made = engine(ensemble)
        return torch.cat([made(frame[None]) for frame in frames])


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    with devices.threads(1):
        yield


def engine(network: nn.Module, precision: str = "fp32") -> Engine:
    return Engine(network, device=CPU, precision=precision, batch_size=4)


def test_the_mean_of_the_members(ensemble: nn.Module, frames: Tensor) -> None:
    with torch.inference_mode():
        expected = ensemble(frames)

    assert torch.allclose(engine(ensemble)(frames), expected, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_no_bit_depends_on_batch_threads_or_order(
    ensemble: nn.Module, frames: Tensor, reference: Tensor, threads: int, batch: int
) -> None:
    with devices.threads(threads):
        made = engine(ensemble)
        output = torch.cat([made(part) for part in frames.flip(0).split(batch)]).flip(0)

    assert torch.equal(output, reference)
    assert reference.std() > 1e-3


def test_the_callers_threads_stay_as_they_were() -> None:
    with devices.threads(3):
        pool = devices.single_threads()
        inside = list(pool.map(lambda _: torch.get_num_threads(), range(6)))
        assert torch.get_num_threads() == 3
    assert inside == [1] * 6


def test_bf16_is_near_and_leaves_the_network_as_it_was(
    ensemble: nn.Module, frames: Tensor, reference: Tensor
) -> None:
    rounded = engine(ensemble, "bf16")(frames)

    assert not torch.equal(rounded, reference)
    assert (rounded - reference).abs().mean() < 0.01
    assert all(weight.dtype == torch.float32 for weight in ensemble.parameters())
    assert torch.equal(engine(ensemble)(frames), reference)


def test_the_longest_member_goes_first_and_changes_nothing(
    ensemble: nn.Module, frames: Tensor, reference: Tensor
) -> None:
    made = engine(ensemble)
    begun: list[int] = []
    for place, member in enumerate(made.members):
        member.register_forward_pre_hook(lambda *_, place=place: begun.append(place))
    made._seconds = [1.0, 3.0, 2.0]

    assert torch.equal(made(frames[:2]), reference[:2])
    assert begun == [1, 1, 2, 2, 0, 0]
    assert all(seconds not in (1.0, 2.0, 3.0) for seconds in made._seconds)

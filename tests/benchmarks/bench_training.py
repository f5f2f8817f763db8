"""A training step against the plain float32 step of the authors' loop, in the same run.

Both train the same network on the same batch, in turns, and the best of each counts, so that what
else the machine does strikes them alike. Ours has the precision that the presets take here. Beside
the ratio of the time that passed stands that of processor time, which other work distorts less;
under ``taskset -c 0`` it is one core's, without the threads' waiting for each other. On a GPU the
benchmark takes all six networks with the paper's encoder; on a CPU those that the project promises
something of.
"""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

import models
from harness.config.recipe import resolve
from harness.runs.network import Normalised, build, normalisation
from harness.training import graphed_step
from harness.training.teacher import Teacher
from harness.training.trainer import Trainer
from harness.utils import device as devices
from harness.utils.device import keep_memory
from models import PAPER_NETWORKS
from models.divergentnets import DivergentNets

BATCH = 8
ROUNDS = 4
CUDA = torch.cuda.is_available()
# On a GPU the first steps of a shape are taken as they come, and the next is recorded.
WARM_UP = graphed_step.WARM_UP + 1 if CUDA else 1
CASES = [
    ("unet", "se_resnext50_32x4d", 256),
    ("unet", "resnet18", 128),
    ("deeplabv3", "tu-tf_efficientnet_lite0", 128),
    *([(name, "se_resnext50_32x4d", 256) for name in PAPER_NETWORKS[1:]] if CUDA else []),
]


@pytest.fixture(scope="module", autouse=True)
def all_cores() -> None:
    """The tests at large keep to one."""
    torch.set_num_threads(devices.cores())


def hand_memory_back() -> None:
    """glibc's own settings, which ``keep_memory`` changes for ours alone."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter, default in ((-4, 65536), (-1, 128 * 1024), (-2, 128 * 1024)):
            libc.mallopt(parameter, default)


def batch(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, size, size), generator=generator, dtype=torch.uint8)
    masks = torch.zeros((BATCH, size, size), dtype=torch.uint8)
    masks[:, size // 4 : size // 2, size // 4 : size // 2] = 1
    return images, masks


def ours(name: str, encoder: str, size: int, device: torch.device) -> Callable[[], object]:
    config = resolve(
        name, "paper", encoder=encoder, encoder_weights="none", size=size, precision="auto"
    )
    trainer = Trainer(
        config, build(config), device=device, normalisation=normalisation(config), steps=1
    )
    images, masks = batch(size)

    def step() -> None:
        trainer.step(images, masks, epoch=0, index=0, passed=0)
        if CUDA:
            torch.cuda.synchronize()

    return step


def plain(name: str, encoder: str, size: int, device: torch.device) -> Callable[[], object]:
    """Float32, channels first, an optimiser that is not fused, and the loss read every step.

    On a GPU with torch's own settings, by which cuDNN rounds convolutions' inputs to TF32.
    """
    config = resolve(name, "paper", encoder=encoder, encoder_weights="none", size=size)
    with mock.patch("models.decoders.skip_padding"):  # the library's own dilated convolutions
        network: nn.Module = build(config).to(device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=False)
    criterion = smp.losses.DiceLoss("multiclass", classes=[1], smooth=1.0)
    images, masks = batch(size)

    def step() -> float:
        optimiser.zero_grad()
        loss = criterion(network(images.to(device).float()), masks.to(device).long())
        loss.backward()
        optimiser.step()
        return float(loss.item())

    return step


@pytest.mark.parametrize(("name", "encoder", "size"), CASES)
def test_a_training_step(
    benchmark: Any,
    fastest: Callable[[], float],
    seconds: Callable[..., float],
    name: str,
    encoder: str,
    size: int,
) -> None:
    device = devices.choose("auto")
    reference, step = plain(name, encoder, size, device), ours(name, encoder, size, device)
    reference()
    measured: list[float] = []
    processor: dict[str, list[float]] = {"theirs": [], "ours": []}

    def timed(whose: str, work: Callable[[], object]) -> None:
        start = time.process_time()
        work()
        processor[whose].append(time.process_time() - start)

    def their_turn() -> None:
        hand_memory_back()
        measured.append(seconds(lambda: timed("theirs", reference)))
        keep_memory()

    benchmark.pedantic(
        lambda: timed("ours", step), setup=their_turn, rounds=ROUNDS, warmup_rounds=WARM_UP
    )
    theirs = min(measured)
    benchmark.extra_info |= {
        "device": torch.cuda.get_device_name(device)
        if CUDA
        else torch.backends.cpu.get_cpu_capability(),
        "precision": devices.precision("auto", device),
        "images_per_second": BATCH / fastest(),
        "plain_images_per_second": BATCH / theirs,
        "times_faster": theirs / fastest(),
        "times_less_processor_time": min(processor["theirs"]) / min(processor["ours"]),
    }


def test_a_teacher_of_five_members(
    benchmark: Any, fastest: Callable[[], float], seconds: Callable[..., float]
) -> None:
    """What it says of a batch, against the same network as it was trained."""
    device = devices.choose("auto")
    names = models.get("divergentnets").members
    configs = [resolve(name, "quick", encoder_weights="none") for name in names]
    members = {config.model: Normalised(build(config), normalisation(config)) for config in configs}
    size = configs[0].size
    network = DivergentNets(members, dict.fromkeys(members, size)).to(device).eval()
    network = network.to(memory_format=torch.channels_last)
    teacher = Teacher(network, size, device)
    images = batch(size)[0].to(device)
    taken = images.float().contiguous(memory_format=torch.channels_last)
    measured: list[float] = []

    @torch.no_grad()
    def ask(one: Callable[[Tensor], Tensor], what: Tensor) -> None:
        with devices.exact_float32(device):
            one(what)
        if CUDA:
            torch.cuda.synchronize()

    benchmark.pedantic(
        lambda: ask(teacher, images),
        setup=lambda: measured.append(seconds(lambda: ask(network, taken))),
        rounds=3 * ROUNDS,
        warmup_rounds=1,
    )
    benchmark.extra_info["times_faster"] = min(measured) / fastest()

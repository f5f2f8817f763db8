"""Distillation: a network learns the probabilities of another, such as an ensemble's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from harness.config.training import TrainConfig
from harness.runs.classes import shared_classes
from harness.runs.network import load
from harness.runs.select import select
from harness.runs.workspace import Workspace
from harness.training.queue import Step, variant_of
from harness.utils import console
from harness.utils import device as devices
from metrics.utils.errors import UserError
from models.simplify_network import fused, refusal


class Teacher:
    """Gives the probabilities that a network is to learn, for the very images that it sees.

    So they are of the same augmented images, and depend on nothing but these: an interrupted
    training goes on bit for bit. The network runs rewritten for prediction, where that changes no
    more than rounding.

    Args:
        network: Images (N, 3, S, S) on the scale 0 to 255 in, probabilities (N, C, S, S) out.
        size: Its S.
        device: Where it is, and the images will be.
    """

    def __init__(self, network: nn.Module, size: int, device: torch.device) -> None:
        example = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)) * 255

        def refused(difference: float) -> None:
            console.warn(refusal("the teacher", difference))

        with devices.exact_float32(device):
            made = fused(network.to(device).eval(), example.to(device), refused=refused)
        self.network = made.to(memory_format=torch.channels_last)
        self.size = size

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Probabilities (N, C, H, W) of images (N, 3, H, W), uint8 or float, on its device."""
        shape, own = images.shape[2:], (self.size, self.size)
        taken = images.float()
        if shape != own:
            taken = functional.interpolate(taken, own, mode="bilinear", antialias=True)
        taken = taken.contiguous(memory_format=torch.channels_last)
        probabilities: Tensor = self.network(taken).float()
        if shape != own:
            probabilities = functional.interpolate(probabilities, shape, mode="bilinear")
        return probabilities


def blend(masks: Tensor, taught: Tensor, weight: float) -> Tensor:
    """What a network is to say: the masks, and to a share what its teacher says.

    Hinton et al. (arXiv:1503.02531) weigh a loss on each; this is one loss, the recipe's own, on
    both, so that the parts of the recipe's loss keep their balance.

    Args:
        masks: Class indices (N, H, W).
        taught: The teacher's probabilities (N, C, H, W), float32.
        weight: The teacher's share, 0 to 1.

    Returns:
        Tensor: The classes' shares of each pixel, (N, C, H, W).
    """
    classes = torch.arange(taught.shape[1], device=masks.device)
    marked = (masks[:, None] == classes[:, None, None]).float()
    return (1 - weight) * marked + weight * taught


def with_teachers(workspace: Workspace, steps: Sequence[Step]) -> list[Step]:
    """Steps whose teachers are runs; a model stands for its newest run of the same splits.

    Raises:
        UserError: If there is no such run, it has other classes, or it was trained on other splits
            or fused, so that it may have seen what the network is validated on.
    """
    return [
        _with_teacher(workspace, step) if isinstance(step, TrainConfig) and step.teacher else step
        for step in steps
    ]


def _with_teacher(workspace: Workspace, config: TrainConfig) -> TrainConfig:
    variant = variant_of(config)
    named = ([config.teacher], []) if config.teacher in models.names() else ([], [config.teacher])
    (run,) = select(workspace, *named, variant)
    if run.variants != [variant]:
        raise UserError(
            f"{run.run} was trained on other splits than {config.model} will be ({variant}), and "
            "may have seen frames that it is validated on; take a teacher of the same splits"
        )
    if "fusion" in run.tuned:
        raise UserError(
            f"the fusion of {run.run} was fitted on frames of {run.tuned['split']}, which "
            f"{config.model} is measured on; take the ensemble whose members it joins"
        )
    if shared_classes([run]) != config.classes:
        raise UserError(f"{run.run} tells other classes apart than {config.model} will")
    return dataclasses.replace(config, teacher=run.run, teacher_sha256=str(run.row["checkpoint"]))


def load_teacher(workspace: Workspace, config: TrainConfig, device: torch.device) -> Teacher | None:
    """The teacher of a recipe; ``None`` where it has none.

    Raises:
        UserError: If its run is gone or has other weights than when the training was asked for.
    """
    if not config.teacher:
        return None
    run = workspace.described(config.teacher)
    if str(run.row["checkpoint"]) != config.teacher_sha256:
        raise UserError(
            f"the weights of the teacher {run.run} have changed since this training was asked for; "
            "start it anew"
        )
    loaded = load(run)
    return Teacher(loaded.network, loaded.size, device)

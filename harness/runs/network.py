"""Load the network of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

import models
from harness.config.training import TrainConfig
from harness.runs import checkpoints
from harness.runs.classes import shared_classes
from harness.runs.run import Run
from harness.utils import device as devices
from metrics.masks.classes import Classes
from metrics.utils.errors import UserError
from metrics.utils.files import file_sha256
from models import fusion
from models.divergentnets import DivergentNets, Member
from models.skip_init import SkipInit

FUSION: Final = "fusion"
"""Name of a learned fusion's weights beside the members'."""

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


class Normalised(nn.Module):
    """A network that takes images on the scale 0 to 255 and normalises them.

    Args:
        network: Normalised images (N, 3, H, W) in, logits (N, C, H, W) out.
        normalisation: Mean and deviation, see :func:`normalisation`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        mean, std = normalisation
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W) of images (N, 3, H, W) on the scale 0 to 255."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits


class Softmax(nn.Module):
    """A network followed by a softmax over the classes.

    Args:
        network: Logits (N, C, H, W) out.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities (N, C, H, W), float32, that sum to 1 over the classes."""
        logits: Tensor = self.network(images)
        return logits.float().softmax(dim=1)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A run's network with its best weights.

    Attributes:
        run: The run.
        network: Images (N, 3, S, S) on the scale 0 to 255 in, probabilities out.
        size: Side of the square network input, in pixels; of an ensemble, the largest member's.
        classes: The classes of its output.
    """

    run: Run
    network: nn.Module
    size: int
    classes: Classes


def options(config: TrainConfig) -> dict[str, Any]:
    """What ``models.create`` takes for a recipe's network, besides the name and the weights."""
    return {
        "encoder": config.encoder,
        "classes": 1 + len(config.classes),
        "nodes": config.nodes or None,
        "output_stride": config.output_stride or None,
    }


def build(config: TrainConfig, *, weights: bool = True) -> nn.Module:
    """The architecture of a recipe; ``weights=False`` where a checkpoint is loaded next."""
    create = partial(models.create, config.model, **options(config))
    if weights:
        return create(encoder_weights=config.encoder_weights)
    with SkipInit():
        return create(encoder_weights=None)


def normalisation(config: TrainConfig) -> Normalisation:
    """Mean and standard deviation for a recipe's images, three each, on the scale 0 to 1."""
    if config.inputs == "0-255":
        return (0.0,) * 3, (1 / 255,) * 3
    return models.normalisation(config.encoder)


def load(run: Run) -> Loaded:
    """Load the network of a run, or of an ensemble with all its members, in eval mode.

    Raises:
        UserError: If weights are missing or not those that were registered, or members have
            different classes.
        FaultsError: If weights do not fit the architecture.
    """
    if not run.members:
        config = TrainConfig.from_dict(run.settings)
        network = _with_weights(config, run.best, run)
        return Loaded(
            run=run, network=Softmax(network).eval(), size=config.size, classes=config.classes
        )
    configs = {name: TrainConfig.from_dict(values) for name, values in run.recipes.items()}
    sizes = {name: config.size for name, config in configs.items()}
    members = {
        name: _with_weights(config, member_weights(run.folder, name), run)
        for name, config in configs.items()
    }
    return Loaded(
        run=run,
        network=DivergentNets(members, sizes, _fusion(run, configs)).eval(),
        size=max(sizes.values()),
        classes=shared_classes([run]),
    )


def with_members(loaded: Loaded, names: Sequence[str]) -> Loaded:
    """An ensemble's network with some of its members, as a run of these alone would be loaded.

    Its images are of the largest of these members' sizes. Any other network stays as it is.
    """
    whole = loaded.network
    if not isinstance(whole, DivergentNets):
        return loaded
    members = {
        name: member.network
        for name, member in zip(whole.names, whole.members, strict=True)
        if name in names and isinstance(member, Member)
    }
    sizes = {name: int(loaded.run.recipes[name]["size"]) for name in members}
    network = DivergentNets(members, sizes).eval()
    return replace(loaded, network=network, size=max(sizes.values()))


def member_weights(folder: Path, member: str) -> Path:
    """The file of a member's weights in an ensemble's folder."""
    return folder / "members" / f"{member}.safetensors"


def weights_sha256(run: Run) -> list[str]:
    """SHA-256 of each file of a run's weights, in hexadecimal.

    Raises:
        UserError: If one cannot be read.
    """
    files = [run.best]
    if run.members:
        names = [*run.recipes, *([FUSION] if "fusion" in run.tuned else [])]
        files = [member_weights(run.folder, name) for name in names]
    try:
        return [file_sha256(file) for file in files]
    except OSError as error:
        raise UserError(f"cannot read the weights of {run.run}: {error}") from error


def _fusion(run: Run, configs: Mapping[str, TrainConfig]) -> nn.Module | None:
    """The learned fusion of an ensemble's members; ``None`` for their mean."""
    if "fusion" not in run.tuned:
        return None
    classes = 1 + len(next(iter(configs.values())).classes)
    network = fusion.create(run.tuned["fusion"]["kind"], members=len(configs), classes=classes)
    checkpoints.load_weights(member_weights(run.folder, FUSION), network)
    return network


def _with_weights(config: TrainConfig, path: Path, run: Run) -> nn.Module:
    checkpoints.check_unchanged(path, run.row["checkpoint"])
    with devices.threads(1):  # many small operators: threads would only wait for each other
        network = build(config, weights=False)
        checkpoints.load_weights(path, network)
    return Normalised(network, normalisation(config))

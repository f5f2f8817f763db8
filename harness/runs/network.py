"""From a registered run to a network that predicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import models
from harness.config.training import TrainConfig
from harness.runs import checkpoints
from harness.runs.workspace import Run
from metrics.masks.classes import Classes
from metrics.utils.errors import UserError
from models.divergentnets import DivergentNets

Normalisation = tuple[tuple[float, ...], tuple[float, ...]]


class Normalised(nn.Module):
    """A network that takes images on the scale 0 to 255 and normalises them itself.

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
    """A network whose logits are turned into probabilities.

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
        size: Side of the square network input, in pixels.
        classes: What it tells apart.
    """

    run: Run
    network: nn.Module
    size: int
    classes: Classes


def build(config: TrainConfig, *, weights: bool = True) -> nn.Module:
    """The architecture of a recipe.

    Args:
        config: The recipe.
        weights: Whether to start from the recipe's encoder weights; without them nothing is
            asked of the network hub, as when a checkpoint follows.
    """
    return models.create(
        config.model,
        encoder=config.encoder,
        encoder_weights=config.encoder_weights if weights else None,
        classes=1 + len(config.classes),
        nodes=config.nodes or None,
    )


def normalisation(config: TrainConfig) -> Normalisation:
    """Mean and deviation that a recipe's images are normalised by, three each, on the scale 0 to 1.

    Args:
        config: The recipe.
    """
    if config.inputs == "0-255":
        return (0.0,) * 3, (1 / 255,) * 3
    return models.normalisation(config.encoder)


def load(run: Run) -> Loaded:
    """The network of a run, an ensemble with all its members, in inference form.

    Raises:
        UserError: If weights are missing, or members take images of different sizes or tell
            different classes apart.
        FaultsError: If weights do not fit the architecture.
    """
    if not run.members:
        config = TrainConfig.from_dict(run.settings)
        network = _with_weights(config, run.best)
        return Loaded(
            run=run, network=Softmax(network).eval(), size=config.size, classes=config.classes
        )
    settings: Mapping[str, Any] = run.settings["members"]
    configs = {name: TrainConfig.from_dict(values) for name, values in settings.items()}
    sizes = {config.size for config in configs.values()}
    if len(sizes) != 1:
        raise UserError(f"the members of {run.run} take images of different sizes: {sizes}")
    members = {
        name: _with_weights(config, member_weights(run.folder, name))
        for name, config in configs.items()
    }
    return Loaded(
        run=run,
        network=DivergentNets(members).eval(),
        size=sizes.pop(),
        classes=shared_classes([run]),
    )


def shared_classes(runs: Iterable[Run]) -> Classes:
    """The classes that runs, ensembles by their members, tell apart.

    Raises:
        UserError: If they are not the same in all.
    """
    recipes = {
        name: TrainConfig.from_dict(settings)
        for run in runs
        for name, settings in run.settings.get("members", {run.run: run.settings}).items()
    }
    found = {config.classes: name for name, config in recipes.items()}
    if len(found) > 1:
        named = "; ".join(
            f"{name}: {', '.join(classes.names)} ({', '.join(map(str, classes.values))}), "
            f"{classes.chosen} chosen"
            for classes, name in found.items()
        )
        raise UserError(
            f"these do not tell the same classes apart ({named}); take runs of one [classes] table "
            "and --loss-class"
        )
    return next(iter(found))


def member_weights(folder: Path, member: str) -> Path:
    """Where an ensemble's run keeps a member's weights."""
    return folder / "members" / f"{member}.safetensors"


def _with_weights(config: TrainConfig, path: Path) -> nn.Module:
    network = build(config, weights=False)
    checkpoints.load_weights(path, network)
    return Normalised(network, normalisation(config))
